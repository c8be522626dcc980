// The memory backends of this daemon in the order they were added, and which of them are guest RAM.
// Control thread only. It owns the backends; a job holds them by a Hold, which keeps them from
// being removed, and never outlives this object.
#pragma once

#include "daemon/guest/memory_backend.hpp"
#include "proto/error.hpp"

#include <nlohmann/json.hpp>

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace mfd {

class GuestMemory {
public:
    // While one exists, no backend can be removed.
    class Hold {
    public:
        Hold() = default;
        explicit Hold(GuestMemory& owner) : owner_(&owner) { ++owner.holds_; }
        Hold(Hold&& other) noexcept : owner_(std::exchange(other.owner_, nullptr)) {}
        Hold& operator=(Hold&& other) noexcept;
        Hold(const Hold&) = delete;
        Hold& operator=(const Hold&) = delete;
        ~Hold() { release(); }
        void release();

    private:
        GuestMemory* owner_ = nullptr;
    };

    explicit GuestMemory(FdsetOpener open_fdset = {}) : open_fdset_(std::move(open_fdset)) {}

    // Refuses an id or a block name that is in use, then maps the memory.
    [[nodiscard]] Result<MemoryBackend*> add(BackendProperties properties);
    // As another process had it; the checks are those of add().
    [[nodiscard]] Result<void> adopt(BackendProperties properties, AdoptedMemory memory,
                                     bool from_command_line);
    // What is added from now on can outlive this process.
    void keep_contents() { lifetime_ = MemoryLifetime::Kept; }
    // The memory is handed on: nothing of it is discarded at the end.
    void leave_contents();

    // Refuses guest RAM of the command line, and any backend while a Hold exists or a user() is
    // set.
    [[nodiscard]] Result<void> remove(std::string_view id);

    // "-machine memory-backend=ID": guest RAM is what the command line made, nothing added later.
    void set_machine_backend(std::string id) { machine_backend_ = std::move(id); }
    [[nodiscard]] const std::string& machine_backend() const { return machine_backend_; }
    // The command line ends here. Refuses a machine backend that does not exist.
    [[nodiscard]] Result<void> seal_command_line();

    [[nodiscard]] MemoryBackend* find(std::string_view id) const;
    [[nodiscard]] MemoryBackend* find_block(std::string_view block_name) const;
    // Guest RAM, in the order of adding.
    [[nodiscard]] std::vector<MemoryBackend*> blocks() const;
    [[nodiscard]] std::vector<MemoryBackend*> all() const;
    [[nodiscard]] bool is_guest_ram(std::string_view id) const;
    [[nodiscard]] bool from_command_line(std::string_view id) const;

    [[nodiscard]] Hold hold() { return Hold(*this); }
    [[nodiscard]] bool held() const { return holds_ != 0; }

    // Another object uses the backend (an emulated guest writes to it): it cannot be removed, and
    // no second object can take it. False if it has a user already or does not exist.
    [[nodiscard]] bool set_user(std::string_view id, std::string user);
    void clear_user(std::string_view id);
    [[nodiscard]] std::optional<std::string> user(std::string_view id) const;

    [[nodiscard]] nlohmann::json query_memdev() const;

private:
    struct Entry {
        std::unique_ptr<MemoryBackend> backend;
        bool from_command_line = false;
        std::string user;
    };
    [[nodiscard]] Result<void> check_is_new(const BackendProperties& properties) const;
    [[nodiscard]] const Entry* entry(std::string_view id) const;
    [[nodiscard]] bool counts_as_ram(const Entry& entry) const;

    FdsetOpener open_fdset_;
    MemoryLifetime lifetime_ = MemoryLifetime::Process;
    std::string machine_backend_;
    bool sealed_ = false;
    std::uint32_t holds_ = 0;
    std::vector<Entry> entries_;
};

} // namespace mfd
