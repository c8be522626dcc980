#include "qmp/json_framer.hpp"

#include "qmp/limits.hpp"

#include <utility>

namespace mfd::qmp {

std::optional<JsonItem> JsonFramer::next(std::string_view& bytes) {
    while (!bytes.empty()) {
        const auto type = lexer_.next(bytes, text_);
        if (!type)
            break;
        if (auto item = take_token(*type))
            return finish(std::move(*item));
    }
    return std::nullopt;
}

std::optional<JsonItem> JsonFramer::take_token(TokenType type) {
    const std::size_t begin =
        tokens_.empty() ? 0 : tokens_.back().begin + std::size_t{tokens_.back().length};
    count_nesting(type);
    if (type == TokenType::Stray) {
        // QEMU's text ends at a zero byte.
        const std::string_view quoted = std::string_view(text_).substr(begin);
        return JsonFault{"JSON parse error, stray '" +
                         std::string(quoted.substr(0, quoted.find('\0'))) + "'"};
    }
    if (type == TokenType::TooLong || text_.size() > limits::kTokenBytes)
        return JsonFault{"JSON token size limit exceeded"};
    if (tokens_.size() == limits::kTokenCount)
        return JsonFault{"JSON token count limit exceeded"};
    if (braces_ + brackets_ > static_cast<std::int32_t>(limits::kNesting))
        return JsonFault{"JSON nesting depth limit exceeded"};
    tokens_.push_back(Token{type, static_cast<std::uint32_t>(begin),
                            static_cast<std::uint32_t>(text_.size() - begin)});
    const bool open = (braces_ > 0 || brackets_ > 0) && braces_ >= 0 && brackets_ >= 0;
    if (open)
        return std::nullopt;
    return parse_tokens(tokens_, text_);
}

void JsonFramer::count_nesting(TokenType type) {
    if (type == TokenType::BeginObject)
        ++braces_;
    else if (type == TokenType::EndObject)
        --braces_;
    else if (type == TokenType::BeginArray)
        ++brackets_;
    else if (type == TokenType::EndArray)
        --brackets_;
}

JsonItem JsonFramer::finish(JsonItem item) {
    braces_ = 0;
    brackets_ = 0;
    tokens_.clear();
    text_.clear();
    if (text_.capacity() > limits::kKeptTokenBytes)
        text_.shrink_to_fit();
    if (tokens_.capacity() * sizeof(Token) > limits::kKeptTokenBytes)
        tokens_.shrink_to_fit();
    return item;
}

} // namespace mfd::qmp
