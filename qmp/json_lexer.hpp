// Cuts a client's bytes into JSON tokens, byte by byte, so that it does not matter in which pieces
// they arrive. Single-threaded; owned by a JsonFramer.
//
// States: between tokens; inside a string, a number or a word; and after an error "recovery", which
// skips to a byte that may begin something sensible: { } [ ] : , or a control character (other than
// tab) or 0xFE, 0xFF. That byte is then looked at as the start of a token.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace mfd::qmp {

enum class TokenType : std::uint8_t {
    BeginObject,
    EndObject,
    BeginArray,
    EndArray,
    Colon,
    Comma,
    String, // with its quotes and escapes as sent
    Integer,
    Float,
    Keyword,
    Stray,   // no token: what was read of it, up to and including the byte that spoils it
    TooLong, // longer than limits::kTokenBytes; what follows is read as the start of another
};

class JsonLexer {
public:
    // Takes bytes off the front of `bytes` until a token is complete and returns its type; nothing
    // if all bytes are used up. The token's text is appended to `text`, in pieces if need be.
    std::optional<TokenType> next(std::string_view& bytes, std::string& text);

private:
    enum class State : std::uint8_t {
        Start,
        String,
        StringEscape,
        Minus,
        Zero,
        Digits,
        Point,
        Fraction,
        Exponent,
        ExponentSign,
        ExponentDigits,
        Keyword,
        Recovery,
    };
    enum class Take : std::uint8_t {
        Keep,  // the byte belongs to the token
        Skip,  // the byte belongs to no token
        Leave, // the byte is looked at again in the next state
    };
    struct Step {
        State next;
        Take take;
        std::optional<TokenType> done = std::nullopt;
    };

    void keep_run(std::string_view& bytes, std::string& text);
    [[nodiscard]] Step step(unsigned char byte) const;
    [[nodiscard]] static Step start(unsigned char byte);

    State state_ = State::Start;
    char quote_ = '"';
    std::size_t length_ = 0; // of the token so far
};

} // namespace mfd::qmp
