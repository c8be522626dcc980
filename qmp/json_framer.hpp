// A client's bytes in, messages out. Any split of the bytes gives the same messages; memory is
// bounded by limits::kTokenBytes and kTokenCount. Single-threaded; owned by a session.
//
// A message ends when the counts of open braces and of open brackets are both zero, or when one is
// negative: then it is parsed. After an error the count starts anew with the next token.
#pragma once

#include "qmp/json_lexer.hpp"
#include "qmp/json_parser.hpp"

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace mfd::qmp {

class JsonFramer {
public:
    // Takes bytes off the front of `bytes` until a message is complete; nothing if all are used up.
    std::optional<JsonItem> next(std::string_view& bytes);

    // Bytes of tokens held for the message that is not complete yet.
    [[nodiscard]] std::size_t held_bytes() const { return text_.size(); }

private:
    std::optional<JsonItem> take_token(TokenType type);
    void count_nesting(TokenType type);
    JsonItem finish(JsonItem item);

    JsonLexer lexer_;
    std::string text_; // of the tokens, and of the one that is being read
    std::vector<Token> tokens_;
    std::int32_t braces_ = 0;
    std::int32_t brackets_ = 0;
};

} // namespace mfd::qmp
