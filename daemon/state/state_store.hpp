// The state of a guest in the service manager's descriptor store: one sealed memfd "state-N" per
// generation N, and the descriptors it names. A new generation is stored before the one before it
// is removed, and after the descriptors it names, so that whenever the process dies the newest
// state in the store is whole. Control thread.
//
// A generation without a guest stands in the store while there is nothing to restore yet, or any
// more: what else is there then is left over. Descriptors without any state are not taken for that,
// since they may be the memory of a guest whose state was not stored.
#pragma once

#include "daemon/service/fd_store.hpp"
#include "daemon/service/passed_descriptors.hpp"
#include "daemon/state/kept_descriptors.hpp"
#include "proto/error.hpp"

#include <nlohmann/json.hpp>

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

namespace mfd {

class StateStore {
public:
    // Does the name belong to something that a StateStore puts into the store?
    [[nodiscard]] static bool owns(std::string_view name);

    // `members`: what was passed under names of ours. Refuses a newest state that cannot be read;
    // removes older ones.
    static Result<std::unique_ptr<StateStore>> open(std::unique_ptr<FdStore> store,
                                                    std::vector<PassedDescriptor> members);
    StateStore(const StateStore&) = delete;
    StateStore& operator=(const StateStore&) = delete;

    // The guest as the state found says; null if there is none. Afterwards, as last stored.
    [[nodiscard]] const nlohmann::json& guest() const { return guest_; }
    [[nodiscard]] KeptDescriptors& descriptors() { return descriptors_; }

    // Stores the guest and the descriptors that are in use since begin_use(), removes the others.
    // Nothing is sent if nothing changed. Returns when the manager has it all, but does not wait
    // for one that hangs.
    [[nodiscard]] Result<void> commit(nlohmann::json guest);
    // Removes everything.
    [[nodiscard]] Result<void> clear();

private:
    StateStore(std::unique_ptr<FdStore> store) : store_(std::move(store)), descriptors_(*store_) {}
    Result<void> adopt(std::vector<PassedDescriptor> members);
    Result<void> push(const nlohmann::json& guest);
    void remove_state(std::uint64_t generation);
    Result<void> check_capacity() const;

    std::unique_ptr<FdStore> store_;
    KeptDescriptors descriptors_;
    std::uint64_t generation_ = 0; // of the newest state stored; 0: none
    nlohmann::json guest_;
};

} // namespace mfd
