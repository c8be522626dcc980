// What --help says, in the other forms that an installed program needs: a manual page and
// completions for shells, made from the same declarations. Used at build time.
#pragma once

#include <CLI/CLI.hpp>

#include <string>
#include <string_view>
#include <vector>

namespace mfd::cli {

// One option or positional argument, as the documents need it.
struct Item {
    std::vector<std::string> spellings; // "-q", "--quiet"; for a positional argument its name
    std::string value;                  // what stands behind it; empty for a flag
    std::vector<std::string> choices;   // its values, where these are all there are
    std::string text;                   // a sentence
    std::string environment;            // the variable that counts without it; may be empty
};

// Those that --help shows, in its order.
std::vector<Item> options_of(const CLI::App& app);
std::vector<Item> positionals_of(const CLI::App& app);

// TEMPLATE (mdoc source) with the lines @OPTIONS@ and @COMMANDS@ replaced by what `app` declares,
// and @VERSION@ by `version`.
std::string man_page(const CLI::App& app, std::string_view page_template, std::string_view version);

std::string bash_completion(const CLI::App& app);
std::string zsh_completion(const CLI::App& app);
std::string fish_completion(const CLI::App& app);

// Adds --print-man TEMPLATE and --print-completion bash|zsh|fish to `app`, which --help does not
// show. They end the parsing with CLI::Success, as --help does. `app` has to outlive the parsing.
void declare_print_options(CLI::App& app, const std::string& version);

} // namespace mfd::cli
