#include "daemon/guest/guest_memory.hpp"

#include <algorithm>
#include <utility>

namespace mfd {

GuestMemory::Hold& GuestMemory::Hold::operator=(Hold&& other) noexcept {
    if (this != &other) {
        release();
        owner_ = std::exchange(other.owner_, nullptr);
    }
    return *this;
}

void GuestMemory::Hold::release() {
    if (GuestMemory* const owner = std::exchange(owner_, nullptr); owner != nullptr)
        --owner->holds_;
}

Result<void> GuestMemory::check_is_new(const BackendProperties& properties) const {
    if (find(properties.id) != nullptr)
        return Error{Errc::BadArgument, "attempt to add duplicate property '" + properties.id +
                                            "' to object (type 'container')"};
    if (find_block(properties.block_name()) != nullptr)
        return Error{Errc::BadArgument, "RAM block name '" + properties.block_name() +
                                            "' is in use by another memory backend"};
    return {};
}

Result<MemoryBackend*> GuestMemory::add(BackendProperties properties) {
    MFD_CHECK(check_is_new(properties));
    MFD_TRY(auto backend, MemoryBackend::make(std::move(properties), open_fdset_, lifetime_));
    entries_.push_back({std::move(backend), !sealed_, {}});
    return entries_.back().backend.get();
}

Result<void> GuestMemory::adopt(BackendProperties properties, AdoptedMemory memory,
                                bool from_command_line) {
    MFD_CHECK(check_is_new(properties));
    MFD_TRY(auto backend, MemoryBackend::adopt(std::move(properties), std::move(memory)));
    entries_.push_back({std::move(backend), from_command_line, {}});
    return {};
}

void GuestMemory::leave_contents() {
    for (const Entry& e : entries_)
        e.backend->leave_content();
}

Result<void> GuestMemory::remove(std::string_view id) {
    const auto found = std::find_if(entries_.begin(), entries_.end(),
                                    [id](const Entry& e) { return e.backend->id() == id; });
    if (found == entries_.end())
        return Error{Errc::NotFound, "object '" + std::string(id) + "' not found"};
    const bool machine_ram = sealed_ && found->from_command_line && counts_as_ram(*found);
    if (machine_ram || held() || !found->user.empty())
        return Error{Errc::WrongState,
                     "object '" + std::string(id) + "' is in use, can not be deleted"};
    entries_.erase(found);
    return {};
}

Result<void> GuestMemory::seal_command_line() {
    if (!machine_backend_.empty() && find(machine_backend_) == nullptr)
        return Error{Errc::NotFound, "Memory backend '" + machine_backend_ + "' not found"};
    sealed_ = true;
    return {};
}

const GuestMemory::Entry* GuestMemory::entry(std::string_view id) const {
    const auto found = std::find_if(entries_.begin(), entries_.end(),
                                    [id](const Entry& e) { return e.backend->id() == id; });
    return found == entries_.end() ? nullptr : &*found;
}

bool GuestMemory::counts_as_ram(const Entry& entry) const {
    return machine_backend_.empty() || entry.from_command_line;
}

MemoryBackend* GuestMemory::find(std::string_view id) const {
    const Entry* const found = entry(id);
    return found == nullptr ? nullptr : found->backend.get();
}

MemoryBackend* GuestMemory::find_block(std::string_view block_name) const {
    for (const Entry& e : entries_)
        if (e.backend->block_name() == block_name)
            return e.backend.get();
    return nullptr;
}

std::vector<MemoryBackend*> GuestMemory::blocks() const {
    std::vector<MemoryBackend*> blocks;
    for (const Entry& e : entries_)
        if (counts_as_ram(e))
            blocks.push_back(e.backend.get());
    return blocks;
}

std::vector<MemoryBackend*> GuestMemory::all() const {
    std::vector<MemoryBackend*> backends;
    for (const Entry& e : entries_)
        backends.push_back(e.backend.get());
    return backends;
}

bool GuestMemory::is_guest_ram(std::string_view id) const {
    const Entry* const found = entry(id);
    return found != nullptr && counts_as_ram(*found);
}

bool GuestMemory::from_command_line(std::string_view id) const {
    const Entry* const found = entry(id);
    return found != nullptr && found->from_command_line;
}

bool GuestMemory::set_user(std::string_view id, std::string user) {
    for (Entry& e : entries_)
        if (e.backend->id() == id && e.user.empty()) {
            e.user = std::move(user);
            return true;
        }
    return false;
}

void GuestMemory::clear_user(std::string_view id) {
    for (Entry& e : entries_)
        if (e.backend->id() == id)
            e.user.clear();
}

std::optional<std::string> GuestMemory::user(std::string_view id) const {
    const Entry* const found = entry(id);
    if (found == nullptr || found->user.empty())
        return std::nullopt;
    return found->user;
}

nlohmann::json GuestMemory::query_memdev() const {
    auto list = nlohmann::json::array();
    for (const Entry& e : entries_)
        list.push_back(backend_memdev_json(e.backend->properties()));
    return list;
}

} // namespace mfd
