#include "qmp/ctl/instance.hpp"

#include "qmp/ctl/command.hpp"
#include "qmp/ctl/reply_fields.hpp"
#include "qmp/ctl/watch_model.hpp"

#include <algorithm>
#include <cerrno>
#include <filesystem>
#include <map>
#include <system_error>
#include <utility>

namespace mfd::ctl {

using qmp::Json;
using std::chrono::milliseconds;

namespace {

constexpr std::string_view kSocketEnd = ".qmp";
constexpr std::string_view kOnlookersEnd = "-ro";

Result<qmp::Reply> ask(qmp::Client& client, std::string_view command, Json arguments,
                       milliseconds timeout) {
    MFD_TRY(const auto ticket, client.start(command, std::move(arguments), {.timeout = timeout}));
    MFD_TRY(auto reply, client.finish(ticket, timeout));
    if (!reply.has_value())
        return Error{Errc::Io, "no reply in time: the server hangs", ETIMEDOUT};
    return std::move(*reply);
}

InstanceState ask_at(const InstanceSocket& socket, milliseconds timeout, FdRef interrupt) {
    InstanceState unreachable;
    unreachable.name = socket.name;
    unreachable.path = socket.path;
    auto client = qmp::Client::connect(socket.path, {.timeout = timeout, .interrupt = interrupt});
    if (!client) {
        // The path is said beside it.
        const std::string head = "connect to " + socket.path + ": ";
        const auto& what = client.error().what;
        unreachable.problem = what.starts_with(head) ? what.substr(head.size()) : what;
        return unreachable;
    }
    Json replies = Json::object();
    for (const char* command : {"query-status", "query-memdev", "query-migrate"}) {
        Json arguments = Json::object();
        if (std::string_view(command) == "query-migrate")
            arguments["x-multifd"] = true;
        auto reply = ask(*client, command, arguments, timeout);
        if (reply && !reply->ok() && !arguments.empty()) // QEMU has no such argument
            reply = ask(*client, command, Json::object(), timeout);
        if (!reply) {
            unreachable.problem = reply.error().what;
            return unreachable;
        }
        if (reply->ok())
            replies[command] = std::move(reply->value);
    }
    return instance_state(socket, replies);
}

} // namespace

std::vector<InstanceSocket> instances_among(const std::string& folder,
                                            const std::vector<std::string>& files) {
    std::map<std::string, std::string> paths; // by guest
    for (const std::string& file : files)
        if (file.ends_with(kSocketEnd) && file.size() > kSocketEnd.size())
            paths[file.substr(0, file.size() - kSocketEnd.size())] =
                (std::filesystem::path(folder) / file).string();
    std::vector<InstanceSocket> found;
    for (const auto& [name, path] : paths) {
        // "db-ro" is the second socket of "db"; alone, it is a guest of that name.
        if (name.ends_with(kOnlookersEnd) &&
            paths.contains(name.substr(0, name.size() - kOnlookersEnd.size())))
            continue;
        const auto onlookers = paths.find(name + std::string(kOnlookersEnd));
        if (onlookers != paths.end())
            found.push_back({name, onlookers->second, path});
        else
            found.push_back({name, path, {}});
    }
    return found;
}

Result<std::vector<InstanceSocket>> find_instances(const std::string& folder) {
    std::error_code failed;
    std::filesystem::directory_iterator entries(folder, failed);
    // The service's own is made with its first socket.
    if (failed == std::errc::no_such_file_or_directory && folder == kServiceFolder)
        return std::vector<InstanceSocket>();
    std::vector<std::string> files;
    for (; !failed && entries != std::filesystem::directory_iterator(); entries.increment(failed))
        files.push_back(entries->path().filename());
    if (failed)
        return make_sys_error("list " + folder, failed.value());
    return instances_among(folder, files);
}

InstanceState ask_instance(const InstanceSocket& socket, milliseconds timeout, FdRef interrupt) {
    InstanceState state = ask_at(socket, timeout, interrupt);
    if (state.problem.empty() || socket.fallback.empty())
        return state;
    InstanceState other = ask_at({socket.name, socket.fallback, {}}, timeout, interrupt);
    return other.problem.empty() ? other : state;
}

InstanceState instance_state(const InstanceSocket& socket, const Json& replies) {
    WatchModel model;
    const auto info = object_in(replies, "query-migrate");
    model.update(object_in(replies, "query-status"), info, milliseconds(0));
    const WatchFacts& facts = model.facts();
    InstanceState state;
    state.name = socket.name;
    state.path = socket.path;
    state.run_state = facts.run_state;
    for (const auto& backend : array_in(replies, "query-memdev"))
        state.ram_bytes += number_in(backend, "size");
    if (facts.job.status.empty() || facts.job.status == "none")
        return state;
    state.job = facts.action;
    state.job_status = facts.job.status;
    state.transferred = facts.job.transferred_bytes;
    state.total_time = facts.job.elapsed;
    if (!is_job_running(state.job_status))
        return state;
    if (facts.job.counts_known)
        state.progress = fraction_done(facts.job);
    // Until a second look: the average of the job.
    if (state.total_time.count() > 0)
        state.bytes_per_second = static_cast<double>(state.transferred) * 1000 /
                                 static_cast<double>(state.total_time.count());
    return state;
}

void update_rate(InstanceState& now, const InstanceState& before, milliseconds elapsed) {
    const bool same_job = is_job_running(now.job_status) && is_job_running(before.job_status) &&
                          now.transferred >= before.transferred;
    if (same_job && elapsed.count() > 0)
        now.bytes_per_second = static_cast<double>(now.transferred - before.transferred) * 1000 /
                               static_cast<double>(elapsed.count());
}

Json to_json(const InstanceState& state) {
    Json json{{"name", state.name}, {"socket", state.path}};
    if (!state.problem.empty()) {
        json["problem"] = state.problem;
        return json;
    }
    json["status"] = state.run_state;
    json["ram-bytes"] = state.ram_bytes;
    if (state.job.empty())
        return json;
    json["job"] = {{"kind", state.job}, {"status", state.job_status}};
    if (is_job_running(state.job_status)) {
        if (state.progress)
            json["job"]["progress"] = *state.progress;
        json["job"]["bytes-per-second"] = static_cast<std::uint64_t>(state.bytes_per_second);
    }
    return json;
}

} // namespace mfd::ctl
