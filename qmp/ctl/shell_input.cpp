#include "qmp/ctl/shell_input.hpp"

#include "qmp/ctl/terminal.hpp"

#include <array>
#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <string_view>
#include <system_error>
#include <utility>
#include <vector>

#include <unistd.h>

// readline wants stdio first.
#include <readline/history.h>
#include <readline/readline.h>

namespace mfd::ctl {

namespace {

constexpr int kHistoryLines = 1000;
constexpr const char* kPrompt = "qmp> ";

// The XDG base directory specification's place for history. Empty if there is no home.
std::filesystem::path history_file() {
    std::filesystem::path state = environment("XDG_STATE_HOME");
    if (!state.is_absolute()) {
        const std::filesystem::path home = environment("HOME");
        if (!home.is_absolute())
            return {};
        state = home / ".local" / "state";
    }
    return state / "multifdctl" / "history";
}

class TerminalInput : public ShellInput {
public:
    explicit TerminalInput(const SchemaHelp& help) : help_(help), history_(history_file()) {
        active = this;
        rl_readline_name = "multifdctl";
        rl_catch_signals = 0; // ^C arrives at the shell's descriptor
        rl_attempted_completion_function = complete;
        rl_completer_word_break_characters = " \t\n\"{[,";
        rl_completer_quote_characters = "";
        rl_basic_quote_characters = ""; // a quote ends where complete() says
        using_history();
        stifle_history(kHistoryLines);
        // A history that cannot be read is no reason not to start.
        if (!history_.empty())
            static_cast<void>(read_history(history_.c_str()));
        rl_callback_handler_install(kPrompt, on_line);
    }
    ~TerminalInput() override {
        rl_callback_handler_remove();
        save_history();
        active = nullptr;
    }

    void feed() override { rl_callback_read_char(); }

    void set_continued(bool continued) override {
        rl_clear_visible_line(); // readline has shown the other prompt already
        rl_set_prompt(continued ? "...> " : kPrompt);
        rl_on_new_line();
        rl_redisplay();
    }

    void print(const std::string& text) override {
        rl_clear_visible_line();
        static_cast<void>(std::fwrite(text.data(), 1, text.size(), stdout));
        static_cast<void>(std::fflush(stdout));
        rl_on_new_line();
        rl_redisplay();
    }

    void abandon_line() override {
        rl_callback_sigcleanup();
        rl_replace_line("", 0);
        rl_set_prompt(kPrompt);
        static_cast<void>(std::fputs("^C\n", stdout));
        rl_on_new_line();
        rl_redisplay();
    }

private:
    static void on_line(char* line) {
        const std::unique_ptr<char, void (*)(void*)> owned(line, std::free);
        if (line == nullptr) { // ^D on an empty line
            active->ended_ = true;
            // Otherwise readline shows its prompt once more.
            rl_callback_handler_remove();
            static_cast<void>(std::fputs("\n", stdout));
            return;
        }
        if (*line != '\0')
            add_history(line);
        active->lines_.emplace_back(line);
    }

    static char** complete(const char* text, int start, int /*end*/) {
        rl_attempted_completion_over = 1; // file names are no arguments
        const std::string_view before(rl_line_buffer, static_cast<std::size_t>(start));
        active->candidates_ = active->help_.complete(before, text);
        char** matches = rl_completion_matches(text, next_candidate);
        const bool json = before.find('{') != std::string_view::npos;
        const bool only = active->candidates_.size() == 1;
        const char last = only ? active->candidates_[0].back() : ' ';
        // After "key=" the value follows at once, in JSON a quote.
        constexpr int kNothing = 0;
        const int quote_or_blank = json ? int{'"'} : int{' '};
        rl_completion_append_character = last == '=' || last == '.' ? kNothing : quote_or_blank;
        return matches;
    }

    static char* next_candidate(const char* /*text*/, int state) {
        const auto index = state == 0 ? (active->next_ = 0) : active->next_;
        if (index >= active->candidates_.size())
            return nullptr;
        ++active->next_;
        return ::strdup(active->candidates_[index].c_str());
    }

    void save_history() const {
        if (history_.empty())
            return;
        std::error_code fault;
        std::filesystem::create_directories(history_.parent_path(), fault);
        if (fault || write_history(history_.c_str()) != 0)
            return; // nothing of worth is lost
        std::filesystem::permissions(
            history_, std::filesystem::perms::owner_read | std::filesystem::perms::owner_write,
            fault);
    }

    // readline's callbacks carry no pointer of ours.
    static inline TerminalInput* active = nullptr;

    const SchemaHelp& help_;
    std::filesystem::path history_;
    std::vector<std::string> candidates_;
    std::size_t next_ = 0;
};

class PlainInput : public ShellInput {
public:
    void feed() override {
        std::array<char, 65536> bytes{};
        const ssize_t got = ::read(STDIN_FILENO, bytes.data(), bytes.size());
        if (got < 0 && (errno == EINTR || errno == EAGAIN))
            return;
        if (got <= 0 || partial_.size() > kMaxLineBytes) {
            ended_ = true;
            if (!partial_.empty() && partial_.size() <= kMaxLineBytes)
                lines_.push_back(std::exchange(partial_, {}));
            return;
        }
        partial_.append(bytes.data(), static_cast<std::size_t>(got));
        std::size_t start = 0;
        for (auto end = partial_.find('\n'); end != std::string::npos;
             end = partial_.find('\n', start)) {
            lines_.push_back(partial_.substr(start, end - start));
            start = end + 1;
        }
        partial_.erase(0, start);
    }
    void set_continued(bool /*continued*/) override {}
    void print(const std::string& text) override {
        static_cast<void>(std::fwrite(text.data(), 1, text.size(), stdout));
        static_cast<void>(std::fflush(stdout));
    }
    void abandon_line() override { ended_ = true; }

private:
    std::string partial_;
};

} // namespace

std::optional<std::string> ShellInput::take_line() {
    if (lines_.empty())
        return std::nullopt;
    std::optional<std::string> line = std::move(lines_.front());
    lines_.pop_front();
    return line;
}

std::unique_ptr<ShellInput> make_terminal_input(const SchemaHelp& help) {
    return std::make_unique<TerminalInput>(help);
}

std::unique_ptr<ShellInput> make_plain_input() {
    return std::make_unique<PlainInput>();
}

} // namespace mfd::ctl
