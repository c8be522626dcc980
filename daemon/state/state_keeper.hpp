// Hands the guest to the next process of the service: keeps its state in the service manager's
// descriptor store while it is served, and finds there at the start what the process before left.
// Does nothing where there is no store. Control thread.
#pragma once

#include "daemon/options.hpp"
#include "daemon/service/passed_descriptors.hpp"
#include "daemon/state/guest_parts.hpp"
#include "daemon/state/state_store.hpp"
#include "proto/error.hpp"

#include <memory>
#include <optional>
#include <vector>

namespace mfd {

class StateKeeper {
public:
    // Moves what is its own out of `passed`. With a guest of an earlier process, what the options
    // say of the guest becomes what they said when that guest was started. Refuses a state that
    // cannot be used.
    static Result<StateKeeper> open(std::vector<PassedDescriptor>& passed, Options& options);

    [[nodiscard]] bool active() const { return store_ != nullptr; }
    // There is a guest of an earlier process, until both of the next have put it back. The second
    // starts threads.
    [[nodiscard]] bool has_guest() const { return kept_.has_value(); }
    Result<void> restore(const GuestParts& parts);
    Result<void> restore_workloads(GuestObjects& objects);

    // Stores what has changed. Without a store, and when nothing has changed, this costs little.
    Result<void> keep(const GuestParts& parts);
    // The process ends and the next one shall have the guest as it is now.
    void hand_over();
    // The guest ends: nothing of it comes back.
    void give_up();

private:
    Result<void> decode();
    void adopt_options(Options& options) const;

    std::unique_ptr<StateStore> store_; // nullptr: nothing is kept (any more)
    nlohmann::json command_line_;
    std::optional<GuestState> kept_;
    UniqueFd loaded_; // sealed state of the loaded file's devices, once there is one
};

} // namespace mfd
