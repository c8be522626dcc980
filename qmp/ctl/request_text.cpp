#include "qmp/ctl/request_text.hpp"

#include <cstddef>

namespace mfd::ctl {

using qmp::Json;

namespace {

constexpr std::string_view kBlanks = " \t\r\n";

std::string_view trimmed(std::string_view text) {
    const auto first = text.find_first_not_of(kBlanks);
    if (first == std::string_view::npos)
        return {};
    return text.substr(first, text.find_last_not_of(kBlanks) - first + 1);
}

// Follows quotes and brackets through a text, byte by byte.
class Nesting {
public:
    void step(char byte) {
        if (escaped_) {
            escaped_ = false;
        } else if (quoted_) {
            escaped_ = byte == '\\';
            quoted_ = byte != '"';
        } else if (byte == '"') {
            quoted_ = true;
        } else if (byte == '{' || byte == '[') {
            ++depth_;
        } else if (byte == '}' || byte == ']') {
            --depth_;
        }
    }
    [[nodiscard]] bool open() const { return quoted_ || depth_ > 0; }

private:
    bool quoted_ = false;
    bool escaped_ = false;
    int depth_ = 0;
};

Json parse_value(const std::string& text) {
    auto value = Json::parse(text, nullptr, false);
    return value.is_discarded() ? Json(text) : value;
}

Result<void> set_at(Json& object, const std::string& word) {
    const auto equals = word.find('=');
    if (equals == std::string::npos || equals == 0)
        return Error{Errc::BadArgument, "'" + word + "' is neither JSON nor key=value", 0};
    Json* at = &object;
    std::string_view key = std::string_view(word).substr(0, equals);
    for (auto dot = key.find('.'); dot != std::string_view::npos; dot = key.find('.')) {
        at = &(*at)[std::string(key.substr(0, dot))];
        if (!at->is_null() && !at->is_object())
            return Error{
                Errc::BadArgument,
                "'" + word + "': an earlier argument gave a value where this wants members", 0};
        key.remove_prefix(dot + 1);
    }
    auto& slot = (*at)[std::string(key)];
    if (!slot.is_null())
        return Error{Errc::BadArgument, "'" + word + "': given twice", 0};
    slot = parse_value(word.substr(equals + 1));
    return {};
}

} // namespace

Result<Json> parse_arguments(std::span<const std::string> words) {
    Json object = Json::object();
    if (words.size() == 1 && words[0].starts_with('{')) {
        object = Json::parse(words[0], nullptr, false);
        if (!object.is_object())
            return Error{Errc::BadArgument, "the arguments are not valid JSON: " + words[0], 0};
        return Result<Json>(boost::system::in_place_value, std::move(object));
    }
    for (const auto& word : words)
        MFD_CHECK(set_at(object, word));
    return Result<Json>(boost::system::in_place_value, std::move(object));
}

std::vector<std::string> split_words(std::string_view line) {
    std::vector<std::string> words;
    std::string word;
    Nesting nesting;
    for (const char byte : line) {
        if (!nesting.open() && kBlanks.find(byte) != std::string_view::npos) {
            if (!word.empty())
                words.push_back(std::exchange(word, {}));
            continue;
        }
        nesting.step(byte);
        word += byte;
    }
    if (!word.empty())
        words.push_back(std::move(word));
    return words;
}

Result<Json> parse_request(std::string_view text) {
    text = trimmed(text);
    if (text.starts_with('{')) {
        auto request = Json::parse(text, nullptr, false);
        if (!request.is_object())
            return Error{Errc::BadArgument, "this is not valid JSON", 0};
        return Result<Json>(boost::system::in_place_value, std::move(request));
    }
    const auto words = split_words(text);
    if (words.empty())
        return Error{Errc::BadArgument, "no command", 0};
    MFD_TRY(auto arguments, parse_arguments(std::span(words).subspan(1)));
    Json request{{"execute", words[0]}};
    if (!arguments.empty())
        request["arguments"] = std::move(arguments);
    return Result<Json>(boost::system::in_place_value, std::move(request));
}

bool needs_more(std::string_view text) {
    text = trimmed(text);
    if (!text.starts_with('{'))
        return false;
    Nesting nesting;
    for (const char byte : text)
        nesting.step(byte);
    return nesting.open();
}

} // namespace mfd::ctl
