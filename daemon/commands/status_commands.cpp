// The guest's run state, and the daemon itself.
#include "daemon/commands/commands.hpp"

namespace mfd {

using namespace qmp; // NOLINT(google-build-using-namespace): this file is all declarations of qmp's
using nlohmann::json;

namespace {

schema::TypeRef run_state_type() {
    std::vector<schema::EnumValue> values;
    values.reserve(kRunStatusNames.size());
    for (const auto name : kRunStatusNames)
        values.emplace_back(std::string(name).c_str());
    return schema::enumeration("RunState", std::move(values));
}

void add_events(Dispatcher& dispatcher) {
    dispatcher.add(EventType{.name = "STOP", .doc = "The guest stopped."});
    dispatcher.add(EventType{.name = "RESUME", .doc = "The guest runs."});
    const auto reason = schema::enumeration(
        "ShutdownCause", {"host-qmp-quit", "host-signal", "host-qmp-system-reset"});
    const auto data = [&](const char* name) {
        return schema::object(name, {schema::required("guest", schema::boolean()),
                                     schema::required("reason", reason)});
    };
    dispatcher.add(
        EventType{.name = "SHUTDOWN", .doc = "The daemon ends.", .data = data("ShutdownData")});
    dispatcher.add(
        EventType{.name = "RESET", .doc = "The guest was reset.", .data = data("ResetData")});
}

} // namespace

void add_status_commands(Dispatcher& dispatcher, CommandContext& context) {
    add_events(dispatcher);
    dispatcher.add(Command{
        .name = "query-status",
        .doc = "The guest's run state.",
        .returns = schema::object("StatusInfo", {schema::required("status", run_state_type()),
                                                 schema::required("running", schema::boolean())}),
        .access = Access::Query,
        .handler = immediate([&context](const json&) -> Outcome {
            return json{{"status", name_of(context.run.status())},
                        {"running", context.run.running()}};
        }),
    });
    dispatcher.add(Command{
        .name = "stop",
        .doc = "Stops the guest; nothing writes its RAM when the reply comes.",
        .handler = immediate([&context](const json&) -> Outcome {
            context.run.stop();
            return json::object();
        }),
    });
    dispatcher.add(Command{
        .name = "cont",
        .doc = "Lets the guest run, or run once it is loaded.",
        .handler = immediate([&context](const json&) -> Outcome { return context.run.cont(); }),
    });
    dispatcher.add(Command{
        .name = "system_reset",
        .doc = "A stopped guest counts as one that never ran.",
        .handler = immediate([&context](const json&) -> Outcome {
            context.run.system_reset();
            context.guest_changed();
            context.emit("RESET", {{"guest", false}, {"reason", "host-qmp-system-reset"}});
            return json::object();
        }),
    });
    dispatcher.add(Command{
        .name = "quit",
        .doc = "Ends the daemon. A running migration is cancelled.",
        .handler = [&context](Call call) { context.quit(std::move(call)); },
    });
    dispatcher.add(Command{
        .name = "query-name",
        .doc = "The guest's name, as given with -name.",
        .returns = schema::object("NameInfo", {schema::optional("name", schema::str())}),
        .access = Access::Query,
        .handler = immediate([&context](const json&) -> Outcome {
            return context.guest_name.empty() ? json::object() : json{{"name", context.guest_name}};
        }),
    });
    dispatcher.add(Command{
        .name = "query-uuid",
        .doc = "The guest's UUID, as given with -uuid.",
        .returns = schema::object("UuidInfo", {schema::required("UUID", schema::str())}),
        .access = Access::Query,
        .handler = immediate([&context](const json&) -> Outcome {
            return json{{"UUID", context.uuid}};
        }),
    });
}

} // namespace mfd
