// Descriptors that clients pass: sets (add-fd) and names (getfd).
#include "daemon/commands/commands.hpp"

#include <cctype>

namespace mfd {

using namespace qmp; // NOLINT(google-build-using-namespace): this file is all declarations of qmp's
using nlohmann::json;

namespace {

Error none_supplied() {
    return {Errc::BadArgument, "No file descriptor supplied via SCM_RIGHTS"};
}

Outcome add_fd(FdSets& fdsets, UniqueFd fd, const json& arguments) {
    std::optional<std::int64_t> set_id;
    if (const auto id = arguments.find("fdset-id"); id != arguments.end())
        set_id = id->get<std::int64_t>();
    std::optional<std::string> opaque;
    if (const auto text = arguments.find("opaque"); text != arguments.end())
        opaque = text->get<std::string>();
    const auto added = fdsets.add(std::move(fd), set_id, std::move(opaque));
    if (!added.has_value())
        return added.error();
    return json{{"fdset-id", added->set_id}, {"fd", added->fd}};
}

json fdsets_json(FdSets& fdsets) {
    json reply = json::array();
    for (const FdSets::Set& set : fdsets.query()) {
        json members = json::array();
        for (const FdSets::Member& member : set.fds) {
            members.push_back({{"fd", member.fd}});
            if (member.opaque)
                members.back()["opaque"] = *member.opaque;
        }
        reply.push_back({{"fdset-id", set.id}, {"fds", std::move(members)}});
    }
    return reply;
}

} // namespace

void add_descriptor_commands(Dispatcher& dispatcher, CommandContext& context) {
    dispatcher.add(Command{
        .name = "add-fd",
        .doc = "Adds the passed descriptor to a set, which file names mean by /dev/fdset/N.",
        .arguments = schema::object(
            "AddFdArguments",
            {schema::optional("fdset-id", schema::int64(), "the set; default: a new one"),
             schema::optional("opaque", schema::str(), "given back by query-fdsets")}),
        .returns = schema::object("AddfdInfo", {schema::required("fdset-id", schema::int64()),
                                                schema::required("fd", schema::int64())}),
        .handler =
            [&context](Call call) {
                auto fd = call.take_fd();
                if (!fd)
                    return call.fail(none_supplied());
                call.answer(add_fd(context.fdsets, std::move(*fd), call.arguments()));
            },
    });
    dispatcher.add(Command{
        .name = "remove-fd",
        .doc = "Closes one descriptor of a set, or all.",
        .arguments =
            schema::object("RemoveFdArguments", {schema::required("fdset-id", schema::int64()),
                                                 schema::optional("fd", schema::int64())}),
        .handler = immediate([&context](const json& arguments) -> Outcome {
            std::optional<std::int64_t> fd;
            if (const auto member = arguments.find("fd"); member != arguments.end())
                fd = member->get<std::int64_t>();
            return context.fdsets.remove(arguments.at("fdset-id").get<std::int64_t>(), fd);
        }),
    });
    const auto member = schema::object("FdsetFdInfo", {schema::required("fd", schema::int64()),
                                                       schema::optional("opaque", schema::str())});
    dispatcher.add(Command{
        .name = "query-fdsets",
        .doc = "The sets, and what is in them.",
        .returns = schema::array(
            schema::object("FdsetInfo", {schema::required("fdset-id", schema::int64()),
                                         schema::required("fds", schema::array(member))})),
        .access = Access::Query,
        .handler =
            immediate([&context](const json&) -> Outcome { return fdsets_json(context.fdsets); }),
    });

    const auto name_argument =
        schema::object("FdNameArguments", {schema::required("fdname", schema::str())});
    dispatcher.add(Command{
        .name = "getfd",
        .doc = "Keeps the passed descriptor under a name.",
        .arguments = name_argument,
        .handler =
            [&context](Call call) {
                auto fd = call.take_fd();
                if (!fd)
                    return call.fail(none_supplied());
                const auto name = call.arguments().at("fdname").get<std::string>();
                if (!name.empty() && std::isdigit(static_cast<unsigned char>(name.front())) != 0)
                    return call.fail(
                        generic("Parameter 'fdname' expects a name not starting with a digit"));
                context.named_fds[name] = std::move(*fd);
                call.reply();
            },
    });
    dispatcher.add(Command{
        .name = "closefd",
        .doc = "Closes a descriptor that getfd kept.",
        .arguments = name_argument,
        .handler = immediate([&context](const json& arguments) -> Outcome {
            const auto name = arguments.at("fdname").get<std::string>();
            if (context.named_fds.erase(name) == 0)
                return generic("File descriptor named '" + name + "' not found");
            return json::object();
        }),
    });
}

} // namespace mfd
