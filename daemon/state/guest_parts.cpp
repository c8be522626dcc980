#include "daemon/state/guest_parts.hpp"

#include <string>
#include <utility>

namespace mfd {

namespace {

using Json = nlohmann::json;

Result<void> take_memory(const GuestMemory& memory, KeptDescriptors& descriptors,
                         GuestState& state) {
    state.machine_backend = memory.machine_backend();
    for (const MemoryBackend* backend : memory.all()) {
        MemoryState& kept = state.memory.emplace_back();
        kept.arguments = backend_arguments(backend->properties());
        kept.passed = backend->passed();
        kept.from_command_line = memory.from_command_line(backend->id());
        MFD_TRY(kept.memory, descriptors.name_of(backend->fd(), DescriptorRole::Ram));
        if (backend->dirty_log().valid()) {
            MFD_TRY(kept.dirty_log,
                    descriptors.name_of(backend->dirty_log(), DescriptorRole::DirtyLog));
        }
    }
    return {};
}

Result<void> take_fdsets(FdSets& fdsets, KeptDescriptors& descriptors, GuestState& state) {
    for (const FdSets::Set& set : fdsets.query()) {
        if (set.fds.empty())
            continue; // it is there as long as a job uses what it had
        FdsetState& kept = state.fdsets.emplace_back();
        kept.id = set.id;
        for (const FdSets::Member& member : set.fds) {
            MFD_TRY(auto name, descriptors.name_of(member.descriptor, DescriptorRole::Fdset));
            kept.members.push_back({.descriptor = std::move(name),
                                    .number = member.fd,
                                    .opaque = member.opaque ? Json(*member.opaque) : Json()});
        }
    }
    return {};
}

Result<void> restore_memory(const GuestState& state, const KeptDescriptors& descriptors,
                            GuestMemory& memory) {
    memory.set_machine_backend(state.machine_backend);
    for (const MemoryState& kept : state.memory) {
        MFD_TRY(auto properties, backend_properties_from_json(kept.arguments));
        AdoptedMemory adopted;
        adopted.passed = kept.passed;
        MFD_TRY(adopted.fd, descriptors.take(kept.memory));
        if (!kept.dirty_log.empty()) {
            MFD_TRY(adopted.dirty_log, descriptors.take(kept.dirty_log));
        }
        const std::string what = "memory '" + properties.id + "'";
        if (auto done =
                memory.adopt(std::move(properties), std::move(adopted), kept.from_command_line);
            !done.has_value())
            return with_context(what, std::move(done).error());
    }
    return memory.seal_command_line();
}

Result<void> restore_fdsets(const GuestState& state, const KeptDescriptors& descriptors,
                            FdSets& fdsets) {
    for (const FdsetState& set : state.fdsets)
        for (const FdsetMemberState& member : set.members) {
            MFD_TRY(UniqueFd fd, descriptors.take(member.descriptor));
            std::optional<std::string> opaque;
            if (member.opaque.is_string())
                opaque = member.opaque.get<std::string>();
            MFD_CHECK(fdsets.restore(set.id, std::move(fd), member.number, std::move(opaque)));
        }
    return {};
}

} // namespace

Result<GuestState> take_guest_state(const GuestParts& parts, KeptDescriptors& descriptors) {
    GuestState state;
    MFD_CHECK(take_memory(parts.objects.memory(), descriptors, state));
    for (const GuestWorkload* workload : parts.objects.workloads())
        state.workloads.push_back(workload_arguments(workload->properties()));
    MFD_CHECK(take_fdsets(parts.fdsets, descriptors, state));
    for (const auto& [name, fd] : parts.named_fds) {
        MFD_TRY(state.named_fds[name], descriptors.name_of(fd.ref(), DescriptorRole::Named));
    }
    state.run = parts.run.record();
    state.migration = parts.migration.record();
    return state;
}

Result<void> restore_guest_state(const GuestState& state, const KeptDescriptors& descriptors,
                                 std::optional<LoadedState> loaded, const GuestParts& parts) {
    MFD_CHECK(restore_memory(state, descriptors, parts.objects.memory()));
    MFD_CHECK(restore_fdsets(state, descriptors, parts.fdsets));
    for (const auto& [name, descriptor] : state.named_fds) {
        MFD_TRY(parts.named_fds[name], descriptors.take(descriptor));
    }
    RunControl::Record run = state.run;
    const MigrationRecord& migration = state.migration;
    if (is_running(migration.status) && migration.job.kind == JobKind::Load)
        run.status = RunStatus::Inmigrate; // whatever it was about to become
    parts.run.restore(run);
    return parts.migration.restore(migration, std::move(loaded));
}

Result<void> restore_workloads(const GuestState& state, GuestObjects& objects) {
    for (const Json& arguments : state.workloads)
        MFD_CHECK(objects.add(arguments));
    return {};
}

} // namespace mfd
