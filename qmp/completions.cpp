// Completions for three shells. Values that are not a choice are completed as names of files.
#include "qmp/cli_docs.hpp"

namespace mfd::cli {

namespace {

using Commands = std::vector<const CLI::App*>;

Commands commands_of(const CLI::App& app) {
    return app.get_subcommands(nullptr);
}

std::string join(const std::vector<std::string>& words, const std::string& between) {
    return CLI::detail::join(words, between);
}

std::string command_names(const Commands& commands) {
    return CLI::detail::join(
        commands, [](const CLI::App* command) { return command->get_name(); }, " ");
}

// 'TEXT' for a shell.
std::string quote(std::string_view text, std::string_view for_a_quote) {
    std::string out = "'";
    for (const char c : text) {
        if (c == '\'')
            out += for_a_quote;
        else
            out.push_back(c);
    }
    return out + "'";
}

std::string spellings(const std::vector<Item>& items) {
    std::vector<std::string> all;
    for (const Item& item : items)
        all.insert(all.end(), item.spellings.begin(), item.spellings.end());
    return join(all, " ");
}

// Cases of "the word before": options with choices offer these, others with a value offer files.
std::string bash_values(const std::vector<Item>& items, const std::string& indent) {
    std::string out;
    for (const Item& item : items) {
        if (item.value.empty())
            continue;
        out += indent + join(item.spellings, " | ") + ") ";
        if (!item.choices.empty())
            out += "mapfile -t COMPREPLY < <(compgen -W '" + join(item.choices, " ") +
                   "' -- \"$cur\"); ";
        out += "return ;;\n";
    }
    return out;
}

std::string bash_case(const std::string& pattern, const std::vector<Item>& items,
                      const std::string& own_words) {
    const std::string values = bash_values(items, "        ");
    std::string out = "    " + pattern + ")\n";
    if (!values.empty())
        out += "        case $prev in\n" + values + "        esac\n";
    return out + "        words='" + spellings(items) + "'" +
           (own_words.empty() ? "" : "\n        [[ $cur == -* ]] || words='" + own_words + "'") +
           " ;;\n";
}

std::string zsh_text(std::string_view text) {
    std::string out;
    for (const char c : text) {
        if (c == '[' || c == ']' || c == ':')
            out.push_back('\\');
        out.push_back(c);
    }
    return out;
}

// Lines of arguments for _arguments.
std::string zsh_items(const std::vector<Item>& items, const std::string& indent) {
    std::string out;
    for (const Item& item : items) {
        std::string action;
        if (!item.value.empty())
            action = ":" + zsh_text(item.value) + ":" +
                     (item.choices.empty() ? "_files" : "(" + join(item.choices, " ") + ")");
        for (const std::string& spelling : item.spellings) {
            std::string spec = "*" + spelling;
            spec.append("[").append(zsh_text(item.text)).append("]").append(action);
            out.append(" \\\n").append(indent).append(quote(spec, "'\\''"));
        }
    }
    return out;
}

std::string fish_items(const std::string& program, const std::string& condition,
                       const std::vector<Item>& items) {
    std::string out;
    for (const Item& item : items) {
        out.append("complete -c ").append(program).append(condition);
        for (const std::string& spelling : item.spellings)
            out += spelling.starts_with("--") ? " -l " + spelling.substr(2)
                                              : " -s " + spelling.substr(1);
        if (!item.value.empty())
            out += item.choices.empty() ? " -r" : " -x -a '" + join(item.choices, " ") + "'";
        out += " -d " + quote(item.text, "\\'") + "\n";
    }
    return out;
}

} // namespace

std::string bash_completion(const CLI::App& app) {
    const auto commands = commands_of(app);
    const auto own = options_of(app);
    const std::string& name = app.get_name();
    std::string out = "_" + name +
                      "() {\n"
                      "    local cur=${COMP_WORDS[COMP_CWORD]} prev=${COMP_WORDS[COMP_CWORD - 1]}\n"
                      "    local words command=\n"
                      "    COMPREPLY=()\n";
    if (!commands.empty())
        out += "    local word\n"
               "    for word in \"${COMP_WORDS[@]:1:COMP_CWORD - 1}\"; do\n"
               "        [[ -n $command || ' " +
               command_names(commands) +
               " ' != *\" $word \"* ]] || command=$word\n"
               "    done\n";
    out += "    case $command in\n" + bash_case("''", own, command_names(commands));
    for (const CLI::App* command : commands) {
        auto items = options_of(*command);
        items.insert(items.end(), own.begin() + 1, own.end()); // all but a second --help
        out += bash_case(command->get_name(), items, "");
    }
    return out +
           "    esac\n"
           "    [[ $cur != -* && $words == -* ]] ||\n"
           "        mapfile -t COMPREPLY < <(compgen -W \"$words\" -- \"$cur\")\n"
           "}\n"
           "complete -o default -F _" +
           name + " " + name;
}

std::string zsh_completion(const CLI::App& app) {
    const auto commands = commands_of(app);
    const std::string& name = app.get_name();
    std::string out = "#compdef " + name + "\n";
    if (commands.empty())
        return out + "_arguments" + zsh_items(options_of(app), "    ");
    out += "local state line\n_arguments -C" + zsh_items(options_of(app), "    ") +
           " \\\n    '1:command:->command' \\\n    '*::argument:->argument'\n"
           "case $state in\n"
           "command)\n    local -a commands=(\n";
    for (const CLI::App* command : commands)
        out += "        " +
               quote(command->get_name() + ":" + zsh_text(command->get_description()), "'\\''") +
               "\n";
    out += "    )\n    _describe command commands ;;\nargument)\n    case $words[1] in\n";
    for (const CLI::App* command : commands)
        out += "    " + command->get_name() + ")\n        _arguments" +
               zsh_items(options_of(*command), "            ") +
               " \\\n            '*:file:_files' ;;\n";
    return out + "    esac ;;\nesac";
}

std::string fish_completion(const CLI::App& app) {
    const auto commands = commands_of(app);
    const std::string& name = app.get_name();
    std::string out = fish_items(name, "", options_of(app));
    for (const CLI::App* command : commands) {
        out += "complete -c " + name + " -f -n __fish_use_subcommand -a " + command->get_name() +
               " -d " + quote(command->get_description(), "\\'") + "\n";
        out += fish_items(name, " -n '__fish_seen_subcommand_from " + command->get_name() + "'",
                          options_of(*command));
    }
    out.pop_back(); // the printer ends the last line
    return out;
}

} // namespace mfd::cli
