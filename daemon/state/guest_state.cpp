#include "daemon/state/guest_state.hpp"

#include <algorithm>
#include <array>
#include <cstddef>
#include <string_view>

namespace mfd {

namespace {

using Json = nlohmann::json;

constexpr std::array<std::string_view, 3> kIncomingNames = {"no", "waiting", "started"};
constexpr std::array<std::string_view, 2> kJobKindNames = {"save", "load"};

template <class Enum, std::size_t N>
void enum_from_json(const Json& value, const std::array<std::string_view, N>& names, Enum& into) {
    const auto found = std::ranges::find(names, value.get_ref<const std::string&>());
    if (found == names.end())
        throw Json::other_error::create(501, "unknown value " + value.dump(), &value);
    into = static_cast<Enum>(found - names.begin());
}

template <class Enum, std::size_t N>
void enum_to_json(Json& into, const std::array<std::string_view, N>& names, Enum value) {
    into = names.at(static_cast<std::size_t>(value));
}

} // namespace

// By names, so that an enumeration may grow. The library finds these by the types.
void to_json(Json& into, RunStatus value) {
    enum_to_json(into, kRunStatusNames, value);
}
void from_json(const Json& value, RunStatus& into) {
    enum_from_json(value, kRunStatusNames, into);
}
void to_json(Json& into, MigrationStatus value) {
    enum_to_json(into, kMigrationStatusNames, value);
}
void from_json(const Json& value, MigrationStatus& into) {
    enum_from_json(value, kMigrationStatusNames, into);
}
void to_json(Json& into, Incoming value) {
    enum_to_json(into, kIncomingNames, value);
}
void from_json(const Json& value, Incoming& into) {
    enum_from_json(value, kIncomingNames, into);
}
void to_json(Json& into, JobKind value) {
    enum_to_json(into, kJobKindNames, value);
}
void from_json(const Json& value, JobKind& into) {
    enum_from_json(value, kJobKindNames, into);
}

NLOHMANN_DEFINE_TYPE_NON_INTRUSIVE(RunControl::Record, status, run_after_load)
NLOHMANN_DEFINE_TYPE_NON_INTRUSIVE(JobRecord, kind, id, uri, started_ms, duration_ms, reply,
                                   details)
NLOHMANN_DEFINE_TYPE_NON_INTRUSIVE(MigrationRecord, capabilities, parameters, incoming, status, job,
                                   partly_loaded)
NLOHMANN_DEFINE_TYPE_NON_INTRUSIVE(MemoryState, arguments, memory, dirty_log, passed,
                                   from_command_line)
NLOHMANN_DEFINE_TYPE_NON_INTRUSIVE(FdsetMemberState, descriptor, number, opaque)
NLOHMANN_DEFINE_TYPE_NON_INTRUSIVE(FdsetState, id, members)
NLOHMANN_DEFINE_TYPE_NON_INTRUSIVE(GuestState, command_line, machine_backend, memory, workloads,
                                   fdsets, named_fds, run, migration, loaded)

Json encode_guest_state(const GuestState& state) {
    return state;
}

Result<GuestState> decode_guest_state(const Json& value) try {
    return value.get<GuestState>();
} catch (const Json::exception& error) {
    return Error{Errc::BadFormat, std::string("the guest's state: ") + error.what()};
}

} // namespace mfd
