// From the tokens of one message to its value, or to the first fault in QEMU's words. Pure
// functions, any thread. Nesting is bounded by the caller (limits::kNesting), since the parser
// recurses.
#pragma once

#include "qmp/json.hpp"
#include "qmp/json_lexer.hpp"

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <variant>

namespace mfd::qmp {

// Where in the text of the message a token stands.
struct Token {
    TokenType type = TokenType::Stray;
    std::uint32_t begin = 0;
    std::uint32_t length = 0;
};

// Why a message is none: the whole sentence for the client.
struct JsonFault {
    std::string desc;
};

using JsonItem = std::variant<Json, JsonFault>;

JsonItem parse_tokens(std::span<const Token> tokens, std::string_view text);

// The value of an Integer or Float token: integers from -2^63 to 2^64-1 stay integers, others
// become the nearest floating point number.
Json parse_number(TokenType type, std::string_view text);

} // namespace mfd::qmp
