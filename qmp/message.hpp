// The messages of the protocol: what a request may look like, and the text of greetings, replies,
// errors and events. Pure functions, any thread.
#pragma once

#include "proto/error.hpp"
#include "qmp/json.hpp"

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <variant>

namespace mfd::qmp {

enum class ErrorClass : std::uint8_t { GenericError, CommandNotFound, DeviceNotFound };

std::string_view to_string(ErrorClass error_class);

// An error reply. Made from an Error it is a GenericError with the Error's text.
struct Failure {
    ErrorClass error_class = ErrorClass::GenericError;
    std::string desc = {};
};

Failure generic(std::string desc);
Failure to_failure(const Error& error);

enum class Band : std::uint8_t { InBand, OutOfBand };

struct Request {
    std::string command;
    Json arguments = Json::object();
    Band band = Band::InBand;
};

// Takes the fields of a message apart. `OutOfBand` allows exec-oob. The id is not looked at: the
// reply repeats it whether or not the rest makes sense (take_id).
std::variant<Request, Failure> decode_request(Json message, Band allowed);
std::optional<Json> take_id(Json& message);

struct Version {
    int major = 0;
    int minor = 0;
    int micro = 0;
    std::string package = {};
};

Json to_json(const Version& version);

// Complete lines, CR LF included.
std::string encode_greeting(const Version& version);
std::string encode_reply(const Json& value, const std::optional<Json>& id);
std::string encode_failure(const Failure& failure, const std::optional<Json>& id);
std::string encode_event(std::string_view name, const std::optional<Json>& data,
                         std::chrono::system_clock::time_point when);

} // namespace mfd::qmp
