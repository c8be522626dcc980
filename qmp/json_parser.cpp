#include "qmp/json_parser.hpp"

#include "qmp/json_string.hpp"

#include <algorithm>
#include <charconv>
#include <limits>
#include <optional>
#include <utility>

namespace mfd::qmp {

namespace {

template <class Number>
std::optional<Number> convert(std::string_view text) {
    Number value{};
    const auto read = std::from_chars(text.data(), text.data() + text.size(), value);
    return read.ec == std::errc{} ? std::optional(value) : std::nullopt;
}

// Of a number no double can hold: whether it is too large, rather than too close to zero. Compares
// the decimal position of the first digit that counts, moved by the exponent, with the point.
bool is_huge(std::string_view text) {
    const auto mantissa = text.substr(0, text.find_first_of("eE"));
    std::int64_t exponent = 0;
    if (mantissa.size() < text.size()) {
        auto digits = text.substr(mantissa.size() + 1);
        const bool negative = digits.front() == '-';
        if (negative || digits.front() == '+')
            digits.remove_prefix(1);
        // Where it does not fit, the sign of the exponent alone decides.
        constexpr std::int64_t kBeyondAnyText = std::int64_t{1} << 40;
        exponent = std::min(convert<std::int64_t>(digits).value_or(kBeyondAnyText), kBeyondAnyText);
        exponent = negative ? -exponent : exponent;
    }
    const auto first = mantissa.find_first_of("123456789");
    const auto point = std::min(mantissa.find('.'), mantissa.size());
    return static_cast<std::int64_t>(point) - static_cast<std::int64_t>(first) + exponent > 0;
}

double to_double(std::string_view text) {
    if (const auto value = convert<double>(text))
        return *value;
    // JSON cannot express infinity, so what is beyond the largest double becomes that.
    const double limit = is_huge(text) ? std::numeric_limits<double>::max() : 0.0;
    return text.front() == '-' ? -limit : limit;
}

class Parser {
public:
    Parser(std::span<const Token> tokens, std::string_view text) : tokens_(tokens), text_(text) {}

    JsonItem parse() {
        Json value;
        if (!parse_value(value))
            return JsonFault{"JSON parse error, " + fault_};
        return value;
    }

private:
    // Each returns false after setting fault_.
    bool parse_value(Json& out) {
        const Token* token = take();
        if (token == nullptr)
            return fail("expecting value");
        switch (token->type) {
        case TokenType::BeginObject:
            return parse_object(out);
        case TokenType::BeginArray:
            return parse_array(out);
        case TokenType::String:
            return parse_string(*token, out);
        case TokenType::Integer:
        case TokenType::Float:
            out = parse_number(token->type, text_of(*token));
            return true;
        case TokenType::Keyword:
            return parse_keyword(text_of(*token), out);
        case TokenType::EndObject:
        case TokenType::EndArray:
        case TokenType::Colon:
        case TokenType::Comma:
        case TokenType::Stray:
        case TokenType::TooLong:
            break;
        }
        return fail("expecting value");
    }

    bool parse_object(Json& out) {
        out = Json::object();
        if (take_if(TokenType::EndObject))
            return true;
        do {
            Json name;
            if (!parse_value(name))
                return false;
            if (!name.is_string())
                return fail("key is not a string in object");
            if (!take_if(TokenType::Colon))
                return fail("missing : in object pair");
            Json value;
            if (!parse_value(value))
                return false;
            if (!out.emplace(std::move(name.get_ref<std::string&>()), std::move(value)).second)
                return fail("duplicate key");
            if (take_if(TokenType::EndObject))
                return true;
        } while (take_if(TokenType::Comma));
        return fail("expected separator in dict");
    }

    bool parse_array(Json& out) {
        out = Json::array();
        if (take_if(TokenType::EndArray))
            return true;
        do {
            if (!parse_value(out.emplace_back()))
                return false;
            if (take_if(TokenType::EndArray))
                return true;
        } while (take_if(TokenType::Comma));
        return fail("expected separator in list");
    }

    bool parse_string(const Token& token, Json& out) {
        std::string value;
        if (auto fault = unquote(text_of(token), value))
            return fail(std::move(*fault));
        out = std::move(value);
        return true;
    }

    bool parse_keyword(std::string_view word, Json& out) {
        if (word == "null")
            out = nullptr;
        else if (word == "true" || word == "false")
            out = word == "true";
        else
            return fail("invalid keyword '" + std::string(word) + "'");
        return true;
    }

    const Token* take() { return next_ < tokens_.size() ? &tokens_[next_++] : nullptr; }

    bool take_if(TokenType type) {
        const bool there = next_ < tokens_.size() && tokens_[next_].type == type;
        next_ += there ? 1 : 0;
        return there;
    }

    [[nodiscard]] std::string_view text_of(const Token& token) const {
        return text_.substr(token.begin, token.length);
    }

    bool fail(std::string fault) {
        fault_ = std::move(fault);
        return false;
    }

    std::span<const Token> tokens_;
    std::string_view text_;
    std::size_t next_ = 0;
    std::string fault_;
};

} // namespace

JsonItem parse_tokens(std::span<const Token> tokens, std::string_view text) {
    return Parser(tokens, text).parse();
}

Json parse_number(TokenType type, std::string_view text) {
    if (type == TokenType::Integer) {
        if (const auto value = convert<std::int64_t>(text))
            return *value < 0 ? Json(*value) : Json(static_cast<std::uint64_t>(*value));
        if (const auto value = convert<std::uint64_t>(text); value && text.front() != '-')
            return *value;
    }
    return to_double(text);
}

} // namespace mfd::qmp
