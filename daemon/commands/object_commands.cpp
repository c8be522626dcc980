// Memory backends and emulated guests.
#include "daemon/commands/commands.hpp"
#include "daemon/commands/object_types.hpp"

namespace mfd {

using namespace qmp; // NOLINT(google-build-using-namespace): this file is all declarations of qmp's
using nlohmann::json;

namespace {

// An unknown path has an error class of its own.
Outcome by_path(const Result<json>& result) {
    if (!result.has_value() && result.error().code == Errc::NotFound)
        return Failure{ErrorClass::DeviceNotFound, result.error().what};
    return result;
}

// Only for what clients add: the command line is the administrator's.
Result<void> check_files(const FilePolicy& files, const json& arguments) {
    if (arguments.at("qom-type") == backend_type_name(BackendType::Shm))
        return files.check_shared_memory();
    const auto path = arguments.find("mem-path");
    if (path == arguments.end() || FdSets::is_fdset_path(path->get_ref<const std::string&>()))
        return {};
    return files.check(path->get_ref<const std::string&>());
}

Outcome add_object(CommandContext& context, const json& arguments) {
    // A job has decided how it finds what the guest writes; a writer that comes later would be
    // missed.
    if (arguments.at("qom-type") == kWorkloadTypeName && context.migration.busy())
        return Failure{.desc = "object '" + arguments.at("id").get<std::string>() +
                               "' cannot be added: There's a migration process in progress"};
    if (auto allowed = check_files(context.files, arguments); !allowed.has_value())
        return with_context("can't open backing store for guest RAM", std::move(allowed).error());
    auto added = context.objects.add(arguments);
    context.guest_changed();
    if (!added.has_value())
        return context.files.explain(arguments.value("mem-path", std::string()),
                                     std::move(added).error());
    return added;
}

Outcome remove_object(CommandContext& context, const json& arguments) {
    auto removed = context.objects.remove(arguments.at("id").get_ref<const std::string&>());
    context.guest_changed();
    return removed;
}

} // namespace

void add_object_commands(Dispatcher& dispatcher, CommandContext& context) {
    dispatcher.add(Command{
        .name = "object-add",
        .doc = "Makes a memory backend or an emulated guest.",
        .arguments = object_types::object_options(),
        .handler =
            immediate([&context](const json& arguments) { return add_object(context, arguments); }),
    });
    dispatcher.add(Command{
        .name = "object-del",
        .doc = "Removes an object. Guest RAM of the command line stays.",
        .arguments = schema::object("ObjectDelArguments", {schema::required("id", schema::str())}),
        .handler = immediate(
            [&context](const json& arguments) { return remove_object(context, arguments); }),
    });
    const auto memdev = schema::object(
        "Memdev",
        {schema::required("id", schema::str()), schema::required("size", schema::size()),
         schema::required("merge", schema::boolean()), schema::required("dump", schema::boolean()),
         schema::required("prealloc", schema::boolean()),
         schema::required("share", schema::boolean()),
         schema::required("reserve", schema::boolean()),
         schema::required("host-nodes", schema::array(schema::uint16())),
         schema::required("policy", schema::str())});
    dispatcher.add(Command{
        .name = "query-memdev",
        .doc = "The memory backends.",
        .returns = schema::array(memdev),
        .access = Access::Query,
        .handler = immediate(
            [&context](const json&) -> Outcome { return context.objects.memory().query_memdev(); }),
    });
    const auto property =
        schema::object("ObjectPropertyInfo", {schema::required("name", schema::str()),
                                              schema::required("type", schema::str())});
    dispatcher.add(Command{
        .name = "qom-list",
        .doc = "What there is at a path: /objects, or /objects/ID.",
        .arguments = schema::object("QomListArguments", {schema::required("path", schema::str())}),
        .returns = schema::array(property),
        .access = Access::Query,
        .handler = immediate([&context](const json& arguments) {
            return by_path(
                context.objects.list(arguments.at("path").get_ref<const std::string&>()));
        }),
    });
    dispatcher.add(Command{
        .name = "qom-get",
        .doc = "A property of an object.",
        .arguments =
            schema::object("QomGetArguments", {schema::required("path", schema::str()),
                                               schema::required("property", schema::str())}),
        .returns = schema::any(),
        .access = Access::Query,
        .handler = immediate([&context](const json& arguments) {
            return by_path(
                context.objects.get(arguments.at("path").get_ref<const std::string&>(),
                                    arguments.at("property").get_ref<const std::string&>()));
        }),
    });
}

} // namespace mfd
