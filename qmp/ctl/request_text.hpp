// Requests as people type them. Pure functions.
#pragma once

#include "proto/error.hpp"
#include "qmp/json.hpp"

#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace mfd::ctl {

// Arguments of a command: one JSON object, or words "key=value". A value that reads as JSON is
// taken as such (numbers, true, [1,2], "quoted"), anything else is a string. A dot in a key goes
// one object deeper: "addr.transport=file".
Result<qmp::Json> parse_arguments(std::span<const std::string> words);

// Splits a line at blanks. Blanks inside of quotes, braces and brackets belong to their word;
// quotes at the start of a word or after "=" are kept, since the value is JSON.
std::vector<std::string> split_words(std::string_view line);

// One request: a JSON object as it goes to the server, or "command key=value ...".
Result<qmp::Json> parse_request(std::string_view text);

// True while brackets or a string are still open in a text that starts as a JSON object, so that
// another line has to follow.
bool needs_more(std::string_view text);

} // namespace mfd::ctl
