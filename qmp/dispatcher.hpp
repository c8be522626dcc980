// The commands and events of a daemon: each is declared once, with its types and its handler, and
// everything that needs to know about commands asks here. Filled before the server starts and then
// constant; control thread.
#pragma once

#include "qmp/call.hpp"
#include "qmp/message.hpp"
#include "qmp/schema.hpp"

#include <cstdint>
#include <functional>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <utility>

namespace mfd::qmp {

// The command that ends negotiation mode. Its effect is the session's; the declaration is here.
inline constexpr std::string_view kNegotiate = "qmp_capabilities";

enum class Access : std::uint8_t {
    Query, // reads only: also served on read-only listeners
    Change,
};

enum class OutOfBand : std::uint8_t { Refused, Allowed };

//   dispatcher.add(Command{
//       .name = "query-name",
//       .doc = "The name given with --name.",
//       .returns = name_info,
//       .access = Access::Query,
//       .handler = immediate([&](const Json&) -> Outcome { return name_json(); }),
//   });
struct Command {
    std::string name = {};
    std::string doc = {};
    schema::TypeRef arguments = schema::empty(); // an Object
    schema::TypeRef returns = schema::empty();
    Access access = Access::Change;
    OutOfBand out_of_band = OutOfBand::Refused;
    schema::Features features = {};
    Handler handler = {};
};

struct EventType {
    std::string name = {};
    std::string doc = {};
    schema::TypeRef data = {}; // nothing: the event has no data member
};

class Dispatcher {
public:
    // Adds what the protocol itself brings: qmp_capabilities, query-version, query-commands,
    // query-qmp-schema.
    explicit Dispatcher(Version version);
    // Handlers of the built-in commands refer to the dispatcher.
    Dispatcher(const Dispatcher&) = delete;
    Dispatcher& operator=(const Dispatcher&) = delete;

    // Names must be new; declaring one twice is our own mistake.
    void add(Command command);
    void add(EventType event);

    // Called on the control thread when a command with Access::Change has been carried out, whether
    // it failed or not, and before its reply is sent.
    void on_change(std::function<void()> hook) { on_change_ = std::move(hook); }
    void carried_out(const Command& command) const {
        if (command.access == Access::Change && on_change_)
            on_change_();
    }

    [[nodiscard]] const Version& version() const { return version_; }
    [[nodiscard]] const Command* find_command(std::string_view name) const;
    [[nodiscard]] const EventType* find_event(std::string_view name) const;
    [[nodiscard]] const std::map<std::string, Command, std::less<>>& commands() const {
        return commands_;
    }
    [[nodiscard]] const std::map<std::string, EventType, std::less<>>& events() const {
        return events_;
    }

private:
    Version version_;
    std::map<std::string, Command, std::less<>> commands_;
    std::map<std::string, EventType, std::less<>> events_;
    std::function<void()> on_change_;
};

} // namespace mfd::qmp
