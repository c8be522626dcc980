#include "qmp/json_lexer.hpp"

#include "qmp/limits.hpp"

#include <algorithm>

namespace mfd::qmp {

namespace {

constexpr bool is_digit(unsigned char byte) {
    return byte >= '0' && byte <= '9';
}
constexpr bool is_lower(unsigned char byte) {
    return byte >= 'a' && byte <= 'z';
}
constexpr bool is_exponent(unsigned char byte) {
    return byte == 'e' || byte == 'E';
}
// Bytes that no string contains: control characters, and the two that UTF-8 never uses.
constexpr bool is_impossible(unsigned char byte) {
    return byte < 0x20 || byte > 0xFD;
}

constexpr std::optional<TokenType> structural(unsigned char byte) {
    switch (byte) {
    case '{':
        return TokenType::BeginObject;
    case '}':
        return TokenType::EndObject;
    case '[':
        return TokenType::BeginArray;
    case ']':
        return TokenType::EndArray;
    case ':':
        return TokenType::Colon;
    case ',':
        return TokenType::Comma;
    default:
        return std::nullopt;
    }
}

} // namespace

std::optional<TokenType> JsonLexer::next(std::string_view& bytes, std::string& text) {
    while (!bytes.empty()) {
        keep_run(bytes, text);
        if (length_ > limits::kTokenBytes) {
            length_ = 0;
            state_ = State::Start;
            return TokenType::TooLong;
        }
        if (bytes.empty())
            break;
        const char byte = bytes.front();
        const Step taken = step(static_cast<unsigned char>(byte));
        if (state_ == State::Start && taken.next == State::String)
            quote_ = byte;
        state_ = taken.next;
        if (taken.take != Take::Leave)
            bytes.remove_prefix(1);
        if (taken.take == Take::Keep) {
            text.push_back(byte);
            ++length_;
        }
        if (taken.done) {
            length_ = 0;
            return taken.done;
        }
    }
    return std::nullopt;
}

// Bytes that change no state, many at once: long strings are what long messages consist of, and
// what follows one that is too long may be read as a long word.
void JsonLexer::keep_run(std::string_view& bytes, std::string& text) {
    if (state_ != State::String && state_ != State::Keyword)
        return;
    const std::size_t most = std::min(bytes.size(), limits::kTokenBytes + 1 - length_);
    std::size_t run = 0;
    if (state_ == State::Keyword)
        while (run < most && is_lower(static_cast<unsigned char>(bytes[run])))
            ++run;
    else
        while (run < most && bytes[run] != quote_ && bytes[run] != '\\' &&
               !is_impossible(static_cast<unsigned char>(bytes[run])))
            ++run;
    text.append(bytes.substr(0, run));
    bytes.remove_prefix(run);
    length_ += run;
}

JsonLexer::Step JsonLexer::start(unsigned char byte) {
    if (const auto type = structural(byte))
        return {State::Start, Take::Keep, type};
    switch (byte) {
    case ' ':
    case '\t':
    case '\r':
    case '\n':
        return {State::Start, Take::Skip};
    case '"':
    case '\'':
        return {State::String, Take::Keep};
    case '-':
        return {State::Minus, Take::Keep};
    case '0':
        return {State::Zero, Take::Keep};
    default:
        break;
    }
    if (is_digit(byte))
        return {State::Digits, Take::Keep};
    if (is_lower(byte))
        return {State::Keyword, Take::Keep};
    return {State::Recovery, Take::Keep, TokenType::Stray};
}

JsonLexer::Step JsonLexer::step(unsigned char byte) const {
    constexpr Step kStray{State::Recovery, Take::Keep, TokenType::Stray};
    constexpr Step kInteger{State::Start, Take::Leave, TokenType::Integer};
    constexpr Step kFloat{State::Start, Take::Leave, TokenType::Float};
    const auto keep_in = [](State state) { return Step{state, Take::Keep}; };
    switch (state_) {
    case State::Start:
        return start(byte);
    case State::String:
        if (byte == static_cast<unsigned char>(quote_))
            return {State::Start, Take::Keep, TokenType::String};
        if (is_impossible(byte))
            return kStray;
        return keep_in(byte == '\\' ? State::StringEscape : State::String);
    case State::StringEscape: // which escapes there are is for the parser to say
        return is_impossible(byte) ? kStray : keep_in(State::String);
    case State::Minus:
        if (!is_digit(byte))
            return kStray;
        return keep_in(byte == '0' ? State::Zero : State::Digits);
    case State::Zero:
        if (is_digit(byte))
            return kStray;
        break;
    case State::Digits:
        if (is_digit(byte))
            return keep_in(State::Digits);
        break;
    case State::Point:
        return is_digit(byte) ? keep_in(State::Fraction) : kStray;
    case State::Fraction:
        if (is_digit(byte))
            return keep_in(State::Fraction);
        return is_exponent(byte) ? keep_in(State::Exponent) : kFloat;
    case State::Exponent:
        if (byte == '+' || byte == '-')
            return keep_in(State::ExponentSign);
        return is_digit(byte) ? keep_in(State::ExponentDigits) : kStray;
    case State::ExponentSign:
        return is_digit(byte) ? keep_in(State::ExponentDigits) : kStray;
    case State::ExponentDigits:
        return is_digit(byte) ? keep_in(State::ExponentDigits) : kFloat;
    case State::Keyword:
        if (is_lower(byte))
            return keep_in(State::Keyword);
        return {State::Start, Take::Leave, TokenType::Keyword};
    case State::Recovery:
        if (structural(byte) || (is_impossible(byte) && byte != '\t'))
            return {State::Start, Take::Leave};
        return {State::Recovery, Take::Skip};
    }
    // After the integer part of a number.
    if (byte == '.')
        return keep_in(State::Point);
    return is_exponent(byte) ? keep_in(State::Exponent) : kInteger;
}

} // namespace mfd::qmp
