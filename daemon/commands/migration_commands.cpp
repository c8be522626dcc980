// Saving and restoring.
#include "daemon/commands/commands.hpp"
#include "daemon/commands/migration_types.hpp"

#include <algorithm>

namespace mfd {

using namespace qmp; // NOLINT(google-build-using-namespace): this file is all declarations of qmp's
using nlohmann::json;

namespace {

Capability capability_named(std::string_view name) {
    const auto table = capability_table();
    const auto it = std::find_if(table.begin(), table.end(),
                                 [&](const auto& info) { return info.name == name; });
    return static_cast<Capability>(it - table.begin()); // the type was checked: it is there
}

Outcome set_capabilities(MigrationService& migration, const json& arguments) {
    std::vector<Capabilities::Change> changes;
    for (const json& entry : arguments.at("capabilities"))
        changes.emplace_back(capability_named(entry.at("capability").get_ref<const std::string&>()),
                             entry.at("state").get<bool>());
    return migration.set_capabilities(changes);
}

json capabilities_json(const Capabilities& capabilities) {
    json reply = json::array();
    const auto table = capability_table();
    for (std::size_t i = 0; i < table.size(); ++i)
        reply.push_back({{"capability", table[i].name},
                         {"state", capabilities.has(static_cast<Capability>(i))}});
    return reply;
}

json threads_json(const std::vector<ThreadInfo>& threads) {
    json reply = json::array();
    for (const ThreadInfo& thread : threads)
        reply.push_back({{"name", thread.name}, {"thread-id", thread.tid}});
    return reply;
}

// What has no meaning without postcopy, with QEMU's texts.
void add_refused_commands(Dispatcher& dispatcher) {
    const auto refuse = [](const char* text) {
        return immediate([text](const json&) -> Outcome { return generic(text); });
    };
    dispatcher.add(Command{
        .name = "migrate-pause",
        .doc = "Pauses a postcopy migration; always refused, files know no postcopy.",
        .out_of_band = OutOfBand::Allowed,
        .handler = refuse("migrate-pause is currently only supported during postcopy-active or "
                          "postcopy-recover state"),
    });
    dispatcher.add(Command{
        .name = "migrate-recover",
        .doc = "Continues a paused postcopy migration; always refused.",
        .arguments =
            schema::object("MigrateRecoverArguments", {schema::required("uri", schema::str())}),
        .out_of_band = OutOfBand::Allowed,
        .handler = refuse("Migrate recover can only be run when postcopy is paused."),
    });
    dispatcher.add(Command{
        .name = "migrate-start-postcopy",
        .doc = "Always refused, files know no postcopy.",
        .handler =
            refuse("Enable postcopy with migrate_set_capability before the start of migration"),
    });
}

void add_settings(Dispatcher& dispatcher, MigrationService& migration) {
    dispatcher.add(Command{
        .name = "migrate-set-capabilities",
        .doc = "Switches capabilities on or off, all of the list or none.",
        .arguments =
            schema::object("MigrateSetCapabilitiesArguments",
                           {schema::required("capabilities",
                                             schema::array(migration_types::capability_status()))}),
        .handler = immediate(
            [&migration](const json& arguments) { return set_capabilities(migration, arguments); }),
    });
    dispatcher.add(Command{
        .name = "query-migrate-capabilities",
        .doc = "All capabilities and their states.",
        .returns = schema::array(migration_types::capability_status()),
        .access = Access::Query,
        .handler = immediate([&migration](const json&) -> Outcome {
            return capabilities_json(migration.capabilities());
        }),
    });
    dispatcher.add(Command{
        .name = "migrate-set-parameters",
        .doc = "Sets parameters, all that are named or none.",
        .arguments = migration_types::parameters(),
        .handler = immediate([&migration](const json& arguments) -> Outcome {
            return migration.set_parameters(arguments);
        }),
    });
    dispatcher.add(Command{
        .name = "query-migrate-parameters",
        .doc = "The parameters; those of our own (x-) only once they were set.",
        .returns = migration_types::parameters(),
        .access = Access::Query,
        .handler = immediate(
            [&migration](const json&) -> Outcome { return migration.parameters().values(); }),
    });
}

} // namespace

void add_migration_commands(Dispatcher& dispatcher, CommandContext& context) {
    MigrationService& migration = context.migration;
    dispatcher.add(EventType{
        .name = "MIGRATION",
        .doc = "The state of the migration changed (capability events).",
        .data = schema::object("MigrationEventData",
                               {schema::required("status", migration_types::status())}),
    });
    dispatcher.add(EventType{
        .name = "MIGRATION_PASS",
        .doc = "A pass over the pages of a save begins (capability events).",
        .data =
            schema::object("MigrationPassEventData", {schema::required("pass", schema::int64())}),
    });
    dispatcher.add(EventType{
        .name = "X_MULTIFDD_STOP_NEEDED",
        .doc =
            "A save of memory that another process writes can finish within downtime-limit: "
            "that process must stop writing, then the command stop (or x-stop-eventfd) be given.",
        .data = schema::object(
            "XMultifddStopNeededEventData",
            {schema::required("expected-downtime", schema::int64(), "ms"),
             schema::required("remaining", schema::int64(), "bytes the last pass would write")}),
    });
    add_settings(dispatcher, migration);
    add_refused_commands(dispatcher);

    dispatcher.add(Command{
        .name = "migrate",
        .doc = "Saves the guest's RAM. The reply comes when the file is open, the save goes on.",
        .arguments = migration_types::migrate_arguments(),
        .handler =
            [&migration](Call call) {
                const json arguments = call.arguments();
                const auto shared = std::make_shared<Call>(std::move(call));
                migration.migrate(arguments,
                                  [shared](const Result<void>& result) { shared->answer(result); });
            },
    });
    dispatcher.add(Command{
        .name = "migrate-incoming",
        .doc = "Loads the guest's RAM, in a daemon that was started with -incoming defer.",
        .arguments = migration_types::migrate_incoming_arguments(),
        .handler =
            [&migration](Call call) {
                const json arguments = call.arguments();
                const auto shared = std::make_shared<Call>(std::move(call));
                migration.migrate_incoming(
                    arguments, [shared](const Result<void>& result) { shared->answer(result); });
            },
    });
    dispatcher.add(Command{
        .name = "migrate_cancel",
        .doc = "Cancels a running save.",
        .handler = immediate([&migration](const json&) -> Outcome {
            migration.cancel();
            return json::object();
        }),
    });
    dispatcher.add(Command{
        .name = "migrate-continue",
        .doc = "Lets a save go on that waits before its last pass (pause-before-switchover).",
        .arguments = schema::object("MigrateContinueArguments",
                                    {schema::required("state", migration_types::status())}),
        .handler = immediate([&migration](const json& arguments) -> Outcome {
            return migration.continue_from(arguments.at("state").get_ref<const std::string&>());
        }),
    });
    dispatcher.add(Command{
        .name = "query-migrate",
        .doc = "The running or last migration.",
        .arguments = schema::object(
            "QueryMigrateArguments",
            {schema::optional("x-multifd", schema::boolean(), "add the member x-multifd")}),
        .returns = migration_types::info(),
        .access = Access::Query,
        .handler = immediate([&migration](const json& arguments) -> Outcome {
            return migration.query(arguments.value("x-multifd", false));
        }),
    });
    const auto thread =
        schema::object("MigrationThreadInfo", {schema::required("name", schema::str()),
                                               schema::required("thread-id", schema::int64())});
    dispatcher.add(Command{
        .name = "query-migrationthreads",
        .doc = "The threads of a running migration.",
        .returns = schema::array(thread),
        .access = Access::Query,
        .features = {"deprecated"},
        .handler = immediate(
            [&migration](const json&) -> Outcome { return threads_json(migration.threads()); }),
    });
}

} // namespace mfd
