// multifdctl watch: a running job, live.
#include "qmp/ctl/command.hpp"
#include "qmp/ctl/progress.hpp"
#include "qmp/ctl/reply_fields.hpp"
#include "qmp/ctl/user_input.hpp"
#include "qmp/ctl/watch_model.hpp"
#include "qmp/ctl/watch_view.hpp"
#include "qmp/units.hpp"

#include <chrono>
#include <iostream>
#include <memory>
#include <optional>
#include <utility>

namespace mfd::ctl {

namespace {

using Clock = std::chrono::steady_clock;

constexpr Millis kWatchTick{250};
// Silence of a server that is worth a word: it answers within milliseconds, whatever its disk does.
constexpr Millis kSilence{2000};

struct WatchOptions {
    bool wait = false;
};

class Watch {
public:
    Watch(const WatchOptions& options, Client client, UserInput input, std::optional<Screen> screen)
        : options_(options), client_(std::move(client)), input_(std::move(input)),
          screen_(std::move(screen)) {
        client_.interrupt_on(input_.fd());
    }

    Exit run() {
        if (screen_)
            if (const auto watched = input_.watch_keys(); !watched)
                return end_with(watched.error());
        const auto ended = follow();
        screen_.reset(); // the terminal is itself again before anything is said
        if (!ended)
            return end_with(ended.error());
        if (*ended == Wish::Interrupt)
            return Exit::Interrupted;
        if (*ended == Wish::Leave) {
            if (is_job_running(model_.facts().job.status))
                std::cout << "the " << model_.facts().action << " goes on\n";
            return Exit::Ok;
        }
        std::cout << verdict_of(model_.facts().action, info_) << "\n";
        return text_in(info_, "status") == "completed" ? Exit::Ok : Exit::Failed;
    }

private:
    // None once the job has ended.
    Result<Wish> follow() {
        MFD_TRY(const auto name, ask("query-name"));
        if (name)
            model_.set_name(*name);
        bool seen = false; // a job that ran while we looked
        while (wish_ == Wish::None) {
            MFD_TRY(const auto status, ask("query-status"));
            MFD_TRY(const auto info, ask_for_job());
            if (!status || !info)
                break;
            info_ = *info;
            model_.update(*status, info_, elapsed());
            const bool runs = is_job_running(model_.facts().job.status);
            seen = seen || runs;
            if (!runs && (seen || !options_.wait))
                return Wish::None;
            show({});
            MFD_CHECK(pause());
        }
        return wish_;
    }

    // A server that knows no channels refuses to be asked for them.
    Result<std::optional<Json>> ask_for_job() {
        if (asks_for_channels_) {
            MFD_TRY(auto reply, await("query-migrate", Json{{"x-multifd", true}}));
            if (!reply)
                return std::optional<Json>();
            if (reply->ok())
                return std::optional(std::move(reply->value));
            asks_for_channels_ = false;
        }
        return ask("query-migrate");
    }

    // The reply, or nothing when somebody wants to leave.
    Result<std::optional<Json>> ask(std::string_view command) {
        MFD_TRY(auto reply, await(command, Json::object()));
        if (!reply)
            return std::optional<Json>();
        if (!reply->ok())
            return Error{Errc::Io, std::string(command) + ": " + reply->error->desc, 0};
        return std::optional(std::move(reply->value));
    }

    // However long the server is silent, keys and signals count at once.
    Result<std::optional<qmp::Reply>> await(std::string_view command, Json arguments) {
        MFD_TRY(const auto ticket, client_.start(command, std::move(arguments)));
        const auto asked = Clock::now();
        while (wish_ == Wish::None) {
            auto reply = client_.finish(ticket, kWatchTick);
            if (reply && reply->has_value())
                return reply;
            if (!reply && reply.error().code != Errc::Cancelled)
                return std::move(reply).error();
            wish_ = input_.take(screen());
            const auto silent = std::chrono::duration_cast<Millis>(Clock::now() - asked);
            show(silent < kSilence ? std::string()
                                   : "no reply for " + std::to_string(silent.count() / 1000) +
                                         " s: the server hangs");
        }
        return std::optional<qmp::Reply>();
    }

    // Until the next look. Events that nobody waits for must not pile up meanwhile.
    Result<void> pause() {
        const auto end = Clock::now() + kWatchTick;
        while (wish_ == Wish::None && Clock::now() < end) {
            const auto left = std::chrono::ceil<Millis>(end - Clock::now());
            // A state that changes is worth a look at once.
            auto event = client_.wait_event([](const qmp::Event&) { return true; }, left);
            if (event && event->has_value() && (*event)->name == "MIGRATION")
                return {};
            if (!event && event.error().code != Errc::Cancelled)
                return std::move(event).error();
            if (!event) {
                wish_ = input_.take(screen());
                show({});
            }
        }
        return {};
    }

    void show(const std::string& problem) {
        if (screen_) {
            screen_->draw(watch_screen(model_.facts(), problem, screen_->surface()));
            return;
        }
        if (!problem.empty() && !std::exchange(problem_said_, true))
            say("watch", problem);
        if (problem.empty()) {
            problem_said_ = false;
            auto sample = model_.facts().job;
            sample.elapsed = elapsed(); // so that lines come at a steady pace
            if (is_job_running(sample.status) && pacer_.due(sample))
                std::cout << progress_text(model_.facts().action, model_.facts().job) << std::endl;
        }
    }

    Exit end_with(const Error& error) {
        screen_.reset();
        const auto& facts = model_.facts();
        const bool ran = is_job_running(facts.job.status);
        say("watch", error.what + (ran ? "; last seen: " + progress_text(facts.action, facts.job)
                                       : std::string()));
        return Exit::Failed;
    }

    [[nodiscard]] Screen* screen() { return screen_ ? &*screen_ : nullptr; }
    [[nodiscard]] Millis elapsed() const {
        return std::chrono::duration_cast<Millis>(Clock::now() - start_);
    }

    WatchOptions options_;
    Client client_;
    UserInput input_;
    std::optional<Screen> screen_;
    WatchModel model_;
    Json info_;
    LinePacer pacer_;
    Wish wish_ = Wish::None;
    bool asks_for_channels_ = true;
    bool problem_said_ = false;
    Clock::time_point start_ = Clock::now();
};

Exit run_watch(const Invocation& invocation, const WatchOptions& options) {
    // Before signals are blocked: ^C ends a wait for a server that does not answer.
    auto client = connect_to_look(invocation);
    if (!client)
        return fail("watch", client.error(), Exit::Usage);
    auto input = UserInput::make();
    if (!input)
        return fail("watch", input.error());
    return Watch(options, std::move(*client), std::move(*input), Screen::open()).run();
}

} // namespace

void add_watch(CLI::App& app, Invocation& invocation) {
    auto* command = app.add_subcommand("watch", "Watch the running job until it ends");
    const auto options = std::make_shared<WatchOptions>();
    command->add_flag("-w,--wait", options->wait, "If no job runs, wait for one");
    command->footer(
        "q leaves, the job goes on. Without a terminal, lines are written. The exit status is 0 if "
        "the\njob completed. If none runs, the last one is told.\n\n"
        "A socket serves one client at a time: where somebody else is connected, give the server "
        "one for\nonlookers (--qmp unix:PATH,server=on,wait=off,readonly=on; of a service, start "
        "multifdd-ro@NAME.socket).\n\n"
        "Examples:\n"
        "  multifdctl -g demo watch\n"
        "  multifdctl -s /run/vm-ro.qmp watch --wait");
    command->callback([options, &invocation] {
        invocation.run = [options, &invocation] { return run_watch(invocation, *options); };
    });
}

} // namespace mfd::ctl
