// Manual pages in mdoc(7).
#include "qmp/cli_docs.hpp"

namespace mfd::cli {

namespace {

// Text that roff leaves alone.
std::string escape(std::string_view text) {
    std::string out;
    bool line_begins = true;
    for (const char c : text) {
        if (line_begins && (c == '.' || c == '\''))
            out += "\\&";
        if (c == '\\')
            out += "\\e";
        else if (c == '-')
            out += "\\-";
        else
            out.push_back(c);
        line_begins = c == '\n';
    }
    return out;
}

// mdoc(7) wants each sentence to begin a line.
std::string prose(std::string_view text) {
    std::string lines(text);
    for (auto end = lines.find(". "); end != std::string::npos; end = lines.find(". ", end + 2))
        lines[end + 1] = '\n';
    return escape(lines);
}

// One argument of a macro, which itself is not taken for a macro.
std::string argument(std::string_view text) {
    std::string out = "\\&";
    for (const char c : escape(text)) {
        if (c == ' ')
            out += "\\ ";
        else if (c == '"')
            out += "\\(dq";
        else
            out.push_back(c);
    }
    return out;
}

std::string it_line(const Item& item) {
    std::string line = ".It";
    bool first = true;
    for (const std::string& spelling : item.spellings) {
        if (!first)
            line += " ,";
        // Fl puts the first dash itself.
        line +=
            spelling[0] == '-' ? " Fl " + escape(spelling.substr(1)) : " Ar " + argument(spelling);
        first = false;
    }
    if (!item.value.empty() && item.spellings[0][0] == '-')
        line += " Ar " + argument(item.value);
    return line + "\n";
}

std::string list(const std::vector<Item>& items) {
    if (items.empty())
        return {};
    std::string out = ".Bl -tag -width Ds\n";
    for (const Item& item : items) {
        out += it_line(item) + prose(item.text) + "\n";
        if (!item.environment.empty())
            out += "Without it the variable\n.Ev " + item.environment + "\ncounts.\n";
        if (item.choices.empty())
            continue;
        out += "One of\n";
        for (const std::string& choice : item.choices)
            out += ".Cm " + argument(choice) + (&choice == &item.choices.back() ? " .\n" : " ,\n");
    }
    return out + ".El\n";
}

std::string commands(const CLI::App& app) {
    std::string out;
    for (const CLI::App* command : app.get_subcommands(nullptr)) {
        out += ".Ss " + app.get_name() + " " + command->get_name() + "\n" +
               prose(command->get_description()) + ".\n";
        out += list(positionals_of(*command)) + list(options_of(*command));
        if (!command->get_footer().empty())
            out += ".Bd -literal\n" + escape(command->get_footer()) + "\n.Ed\n";
    }
    return out;
}

} // namespace

std::string man_page(const CLI::App& app, std::string_view page_template,
                     std::string_view version) {
    std::string page(page_template);
    const auto replace = [&page](std::string_view mark, const std::string& text) {
        for (auto at = page.find(mark); at != std::string::npos;
             at = page.find(mark, at + text.size()))
            page.replace(at, mark.size(), text);
    };
    replace("@OPTIONS@\n", list(options_of(app)));
    replace("@COMMANDS@\n", commands(app));
    replace("@VERSION@", std::string(version));
    if (page.ends_with('\n'))
        page.pop_back(); // the printer ends the last line
    return page;
}

} // namespace mfd::cli
