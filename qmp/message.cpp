#include "qmp/message.hpp"

#include "qmp/json_writer.hpp"

#include <utility>

namespace mfd::qmp {

namespace {

constexpr std::string_view kLineEnd = "\r\n";

Failure wrong_member(std::string_view member, std::string_view rest) {
    return generic("QMP input member '" + std::string(member) + "' " + std::string(rest));
}

std::string finish_reply(std::string line, const std::optional<Json>& id) {
    if (id) {
        line += ", \"id\": ";
        append_json(line, *id);
    }
    line += "}";
    line += kLineEnd;
    return line;
}

} // namespace

std::string_view to_string(ErrorClass error_class) {
    switch (error_class) {
    case ErrorClass::GenericError:
        return "GenericError";
    case ErrorClass::CommandNotFound:
        return "CommandNotFound";
    case ErrorClass::DeviceNotFound:
        return "DeviceNotFound";
    }
    return "GenericError";
}

Failure generic(std::string desc) {
    return {ErrorClass::GenericError, std::move(desc)};
}

Failure to_failure(const Error& error) {
    return generic(error.what);
}

std::optional<Json> take_id(Json& message) {
    if (!message.is_object())
        return std::nullopt;
    const auto found = message.find("id");
    if (found == message.end())
        return std::nullopt;
    Json id = std::move(*found);
    message.erase(found);
    return id;
}

std::variant<Request, Failure> decode_request(Json message, Band allowed) {
    if (!message.is_object())
        return generic("QMP input must be a JSON object");
    Request request;
    std::string_view named_by;
    for (auto& [name, value] : message.get_ref<Json::object_t&>()) {
        const bool out_of_band = name == "exec-oob" && allowed == Band::OutOfBand;
        if (name == "execute" || out_of_band) {
            if (!value.is_string())
                return wrong_member(name, "must be a string");
            if (!named_by.empty())
                return wrong_member(name, "clashes with '" + std::string(named_by) + "'");
            named_by = name;
            request.command = std::move(value.get_ref<std::string&>());
            request.band = out_of_band ? Band::OutOfBand : Band::InBand;
        } else if (name == "arguments") {
            if (!value.is_object())
                return wrong_member(name, "must be an object");
            request.arguments = std::move(value);
        } else if (name != "id") {
            return wrong_member(name, "is unexpected");
        }
    }
    if (named_by.empty())
        return generic("QMP input lacks member 'execute'");
    return request;
}

Json to_json(const Version& version) {
    Json numbers = Json::object();
    numbers["major"] = version.major;
    numbers["minor"] = version.minor;
    numbers["micro"] = version.micro;
    Json out = Json::object();
    out["qemu"] = std::move(numbers);
    out["package"] = version.package;
    return out;
}

std::string encode_greeting(const Version& version) {
    std::string line = "{\"QMP\": {\"version\": ";
    append_json(line, to_json(version));
    line += ", \"capabilities\": [\"oob\"]}}";
    line += kLineEnd;
    return line;
}

std::string encode_reply(const Json& value, const std::optional<Json>& id) {
    std::string line = "{\"return\": ";
    append_json(line, value);
    return finish_reply(std::move(line), id);
}

std::string encode_failure(const Failure& failure, const std::optional<Json>& id) {
    std::string line = "{\"error\": {\"class\": ";
    append_json_string(line, to_string(failure.error_class));
    line += ", \"desc\": ";
    append_json_string(line, failure.desc);
    line += "}";
    return finish_reply(std::move(line), id);
}

std::string encode_event(std::string_view name, const std::optional<Json>& data,
                         std::chrono::system_clock::time_point when) {
    using std::chrono::microseconds;
    constexpr std::int64_t kPerSecond = 1'000'000;
    const std::int64_t since_epoch =
        std::chrono::duration_cast<microseconds>(when.time_since_epoch()).count();
    std::string line = "{\"timestamp\": {\"seconds\": " + std::to_string(since_epoch / kPerSecond) +
                       ", \"microseconds\": " + std::to_string(since_epoch % kPerSecond) +
                       "}, \"event\": ";
    append_json_string(line, name);
    if (data) {
        line += ", \"data\": ";
        append_json(line, *data);
    }
    line += "}";
    line += kLineEnd;
    return line;
}

} // namespace mfd::qmp
