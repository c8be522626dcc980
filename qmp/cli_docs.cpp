#include "qmp/cli_docs.hpp"

#include <cctype>
#include <cerrno>
#include <fstream>
#include <iterator>
#include <system_error>

namespace mfd::cli {

namespace {

std::string sentence(std::string text) {
    if (text.empty())
        return text;
    text[0] = static_cast<char>(std::toupper(static_cast<unsigned char>(text[0])));
    if (text.back() != '.')
        text.push_back('.');
    return text;
}

// CLI11 names the values of IsMember in the type: "TEXT:{none,legacy}".
std::vector<std::string> choices_in(const std::string& type) {
    const auto begin = type.find('{');
    const auto end = type.find('}');
    if (begin == std::string::npos || end == std::string::npos)
        return {};
    return CLI::detail::split(type.substr(begin + 1, end - begin - 1), ',');
}

Item describe(const CLI::Option& option) {
    Item item;
    for (const std::string& name : option.get_snames())
        item.spellings.push_back("-" + name);
    for (const std::string& name : option.get_lnames())
        item.spellings.push_back("--" + name);
    if (!option.nonpositional())
        item.spellings = {option.get_name(true, false)};
    std::string text = option.get_description();
    if (option.get_items_expected_max() > 0) {
        const std::string type = option.get_type_name();
        item.choices = choices_in(type);
        item.value = type.substr(0, type.find(':'));
        // Descriptions may begin with the shape of the value: "SIZE: how much".
        const auto colon = text.find(": ");
        if (colon != std::string::npos && text.find(' ') > colon) {
            item.value = text.substr(0, colon);
            text.erase(0, colon + 2);
        }
    }
    item.text = sentence(std::move(text));
    item.environment = option.get_envname();
    return item;
}

std::string read_file(const std::string& path) {
    std::ifstream in(path);
    std::string text{std::istreambuf_iterator<char>(in), std::istreambuf_iterator<char>()};
    if (!in)
        throw CLI::FileError(path + ": " + std::generic_category().message(errno));
    return text;
}

std::string completion(const CLI::App& app, const std::string& shell) {
    if (shell == "bash")
        return bash_completion(app);
    return shell == "zsh" ? zsh_completion(app) : fish_completion(app);
}

} // namespace

std::vector<Item> options_of(const CLI::App& app) {
    std::vector<Item> items;
    for (const CLI::Option* option : app.get_options())
        if (option->nonpositional() && !option->get_group().empty())
            items.push_back(describe(*option));
    return items;
}

std::vector<Item> positionals_of(const CLI::App& app) {
    std::vector<Item> items;
    for (const CLI::Option* option : app.get_options())
        if (!option->nonpositional())
            items.push_back(describe(*option));
    return items;
}

void declare_print_options(CLI::App& app, const std::string& version) {
    // The way in which CLI11 itself prints a version: what is thrown is the text.
    app.add_option_function<std::string>(
           "--print-man",
           [&app, version](const std::string& path) {
               throw CLI::CallForVersion(man_page(app, read_file(path), version), 0);
           },
           "TEMPLATE: write the manual page")
        ->group("");
    app.add_option_function<std::string>(
           "--print-completion",
           [&app](const std::string& shell) {
               throw CLI::CallForVersion(completion(app, shell), 0);
           },
           "SHELL: write its completions")
        ->check(CLI::IsMember({"bash", "zsh", "fish"}))
        ->group("");
}

} // namespace mfd::cli
