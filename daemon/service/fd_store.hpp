// The descriptor store of the service manager (FileDescriptorStoreMax= of the unit): what is put
// there is passed to the next process of the service when this one ends, whichever way it does.
// Control thread.
#pragma once

#include "channels/unique_fd.hpp"
#include "proto/error.hpp"

#include <cstddef>
#include <memory>
#include <optional>
#include <string>

namespace mfd {

// What was sent is dealt with in order, also after the sender has died. The manager says nothing of
// a descriptor it did not take because the store was full.
class FdStore {
public:
    FdStore() = default;
    FdStore(const FdStore&) = delete;
    FdStore& operator=(const FdStore&) = delete;
    virtual ~FdStore() = default;

    // `name`: at most 255 printable characters, no ':'. A second descriptor of one open file
    // description is not taken; the caller knows which it has there.
    virtual Result<void> push(const std::string& name, FdRef fd) = 0;
    virtual Result<void> remove(const std::string& name) = 0;
    // Returns when all that was sent is dealt with, or with an error when that takes too long.
    virtual Result<void> settle() = 0;
    // How many descriptors it holds at most, where that is known.
    [[nodiscard]] virtual std::optional<std::size_t> capacity() const = 0;
};

// That of the manager behind NOTIFY_SOCKET; nullptr if there is none that says it has a store
// (FDSTORE, which systemd sets since version 254 and a unit can set itself).
std::unique_ptr<FdStore> find_service_fd_store();
// That of the manager behind NOTIFY_SOCKET, whether it says so or not. Refused without a manager.
Result<std::unique_ptr<FdStore>> require_service_fd_store();

} // namespace mfd
