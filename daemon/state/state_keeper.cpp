#include "daemon/state/state_keeper.hpp"

#include "daemon/service/fd_store.hpp"
#include "daemon/state/loaded_state.hpp"
#include "daemon/state/sealed_state.hpp"

#include <algorithm>
#include <iterator>
#include <spdlog/spdlog.h>
#include <string>
#include <utility>

namespace mfd {

namespace {

using Json = nlohmann::json;

Error unusable(Error error) {
    error.what =
        "the guest that the process before this one left in the service manager's descriptor store "
        "cannot be taken over: " +
        error.what +
        ". Nothing is started in its place, since that would lose its memory. To give it up, stop "
        "the service, which empties the store (with FileDescriptorStorePreserve=yes: systemctl "
        "clean --what=fdstore), and start it again.";
    return error;
}

// The store that the option asks for; nullptr: nothing is kept.
Result<std::unique_ptr<FdStore>> choose_store(KeepState wanted, bool has_members) {
    switch (wanted) {
    case KeepState::Off:
        break;
    case KeepState::On:
        return require_service_fd_store();
    case KeepState::Auto:
        if (has_members) // who passes them has a store
            return require_service_fd_store();
        return find_service_fd_store();
    }
    return std::unique_ptr<FdStore>();
}

std::vector<PassedDescriptor> take_members(std::vector<PassedDescriptor>& passed) {
    const auto ours = std::stable_partition(passed.begin(), passed.end(), [](const auto& entry) {
        return !StateStore::owns(entry.name);
    });
    std::vector<PassedDescriptor> members(std::make_move_iterator(ours),
                                          std::make_move_iterator(passed.end()));
    passed.erase(ours, passed.end());
    return members;
}

void drop_members(const std::vector<PassedDescriptor>& members) {
    if (members.empty())
        return;
    spdlog::warn("--keep-state off: the guest that the process before this one left is given up");
    const auto store = require_service_fd_store();
    if (!store.has_value())
        return;
    for (const PassedDescriptor& member : members)
        if (const auto removed = (*store)->remove(member.name); !removed.has_value())
            spdlog::warn("{}", removed.error().what);
}

// What the command line says of the guest, by the options' names.
Json guest_options(const Options& options) {
    Json sets = Json::array();
    for (const InheritedFd& inherited : options.add_fd)
        sets.push_back({inherited.set_id, inherited.fd, inherited.opaque.value_or("")});
    return {{"object", options.objects},
            {"add-fd", std::move(sets)},
            {"machine", {options.machine.value_or(""), options.memory_backend}},
            {"m", options.memory_bytes.value_or(0)},
            {"name", options.name},
            {"uuid", options.uuid_bytes ? options.uuid : ""},
            {"incoming", options.incoming},
            {"incoming-create-blocks", options.create_blocks},
            {"S", options.start_paused}};
}

} // namespace

Result<StateKeeper> StateKeeper::open(std::vector<PassedDescriptor>& passed, Options& options) {
    StateKeeper keeper;
    auto members = take_members(passed);
    keeper.command_line_ = guest_options(options);
    MFD_TRY(auto store, choose_store(options.keep_state, !members.empty()));
    if (store == nullptr) {
        drop_members(members);
        return keeper;
    }
    auto opened = StateStore::open(std::move(store), std::move(members));
    if (!opened.has_value())
        return unusable(std::move(opened).error());
    keeper.store_ = std::move(*opened);
    if (keeper.store_->guest().is_null())
        return keeper;
    if (auto decoded = keeper.decode(); !decoded.has_value())
        return unusable(std::move(decoded).error());
    keeper.adopt_options(options);
    return keeper;
}

Result<void> StateKeeper::decode() {
    MFD_TRY(kept_, decode_guest_state(store_->guest()));
    return {};
}

void StateKeeper::adopt_options(Options& options) const {
    spdlog::info("the guest is the one that the process before this one left: what the command "
                 "line says of it has no effect");
    const Json& before = kept_->command_line;
    for (const auto& [name, value] : command_line_.items())
        if (before.value(name, Json()) != value)
            spdlog::warn("option -{} is not as it was when this guest was started; the change has "
                         "an effect once the service was stopped and started",
                         name);
    // The rest of what the guest is stands in the state itself.
    const std::string machine = before.value("machine", Json::array({""})).at(0);
    options.machine = machine.empty() ? std::nullopt : std::optional(machine);
    options.name = before.value("name", options.name);
    const std::string uuid = before.value("uuid", "");
    options.uuid = uuid.empty() ? Options().uuid : uuid;
    options.uuid_bytes.reset();
    if (auto bytes = parse_uuid(uuid); bytes.has_value())
        options.uuid_bytes = *bytes;
    options.create_blocks = before.value("incoming-create-blocks", false);
}

Result<void> StateKeeper::restore(const GuestParts& parts) {
    command_line_ = kept_->command_line;
    const KeptDescriptors& descriptors = store_->descriptors();
    const auto put_back = [&]() -> Result<void> {
        std::optional<LoadedState> loaded;
        if (!kept_->loaded.empty()) {
            MFD_TRY(loaded_, descriptors.take(kept_->loaded));
            MFD_TRY(const Json value, read_sealed_state(loaded_.ref()));
            MFD_TRY(loaded, decode_loaded_state(value));
        }
        return restore_guest_state(*kept_, descriptors, std::move(loaded), parts);
    };
    if (auto done = put_back(); !done.has_value())
        return unusable(std::move(done).error());
    return {};
}

Result<void> StateKeeper::restore_workloads(GuestObjects& objects) {
    if (auto done = mfd::restore_workloads(*kept_, objects); !done.has_value())
        return unusable(std::move(done).error());
    kept_.reset();
    return {};
}

Result<void> StateKeeper::keep(const GuestParts& parts) {
    if (store_ == nullptr)
        return {};
    KeptDescriptors& descriptors = store_->descriptors();
    descriptors.begin_use();
    MFD_TRY(GuestState state, take_guest_state(parts, descriptors));
    state.command_line = command_line_;
    if (const LoadedState* loaded = parts.migration.loaded(); loaded != nullptr) {
        if (!loaded_.valid()) {
            MFD_TRY(loaded_, make_sealed_state("loaded", encode_loaded_state(*loaded)));
        }
        MFD_TRY(state.loaded, descriptors.name_of(loaded_.ref(), DescriptorRole::Loaded));
    }
    return store_->commit(encode_guest_state(state));
}

void StateKeeper::hand_over() {
    store_.reset();
}

void StateKeeper::give_up() {
    if (const auto store = std::move(store_); store != nullptr)
        if (const auto cleared = store->clear(); !cleared.has_value())
            spdlog::warn("{}", cleared.error().what);
}

} // namespace mfd
