#include "daemon/state/state_store.hpp"

#include "daemon/state/sealed_state.hpp"

#include <algorithm>
#include <charconv>
#include <optional>
#include <spdlog/spdlog.h>
#include <utility>

namespace mfd {

namespace {

constexpr std::string_view kStatePrefix = "state-";

std::string state_name(std::uint64_t generation) {
    return std::string(kStatePrefix) + std::to_string(generation);
}

std::optional<std::uint64_t> generation_of(std::string_view name) {
    if (!name.starts_with(kStatePrefix))
        return std::nullopt;
    name.remove_prefix(kStatePrefix.size());
    std::uint64_t generation = 0;
    const auto [end, error] = std::from_chars(name.begin(), name.end(), generation);
    if (error != std::errc() || end != name.end())
        return std::nullopt;
    return generation;
}

} // namespace

bool StateStore::owns(std::string_view name) {
    return generation_of(name) || kept_number(name);
}

Result<std::unique_ptr<StateStore>> StateStore::open(std::unique_ptr<FdStore> store,
                                                     std::vector<PassedDescriptor> members) {
    std::unique_ptr<StateStore> opened(new StateStore(std::move(store)));
    if (members.empty())
        MFD_CHECK(opened->push(nullptr));
    else
        MFD_CHECK(opened->adopt(std::move(members)));
    return opened;
}

Result<void> StateStore::adopt(std::vector<PassedDescriptor> members) {
    std::vector<std::uint64_t> generations;
    UniqueFd newest;
    for (PassedDescriptor& member : members) {
        const auto generation = generation_of(member.name);
        if (!generation) {
            descriptors_.adopt(std::move(member));
            continue;
        }
        generations.push_back(*generation);
        if (*generation >= generation_) {
            generation_ = *generation;
            newest = std::move(member.fd);
        }
    }
    if (!newest.valid())
        return Error{Errc::NotFound, "there are descriptors, but no state that says of what"};
    // An older one may lack what a client was told is done, so it does not serve.
    auto value = read_sealed_state(newest.ref());
    if (!value.has_value())
        return with_context(state_name(generation_), std::move(value).error());
    if (!value->is_object() || !value->contains("guest"))
        return Error{Errc::BadFormat, state_name(generation_) + ": it has no guest"};
    guest_ = std::move((*value)["guest"]);
    for (const std::uint64_t generation : generations)
        if (generation != generation_)
            remove_state(generation);
    if (guest_.is_null())
        descriptors_.remove_unused();
    return {};
}

Result<void> StateStore::push(const nlohmann::json& guest) {
    const std::string name = state_name(generation_ + 1);
    MFD_TRY(const UniqueFd memfd, make_sealed_state(name, {{"guest", guest}}));
    MFD_CHECK(store_->push(name, memfd.ref()));
    ++generation_;
    return {};
}

void StateStore::remove_state(std::uint64_t generation) {
    if (const auto removed = store_->remove(state_name(generation)); !removed.has_value())
        spdlog::warn("{}", removed.error().what); // the next process does it
}

Result<void> StateStore::check_capacity() const {
    const auto capacity = store_->capacity();
    const std::size_t needed = descriptors_.count() + 2; // with the state before and the new one
    if (!capacity || needed <= *capacity)
        return {};
    return Error{Errc::WrongState, "the service manager's store has room for " +
                                       std::to_string(*capacity) + " descriptors and " +
                                       std::to_string(needed) +
                                       " are needed: raise FileDescriptorStoreMax="};
}

Result<void> StateStore::commit(nlohmann::json guest) {
    if (guest == guest_) {
        descriptors_.remove_unused();
        return {};
    }
    // A store that is full drops what comes without a word: better that it has the state before.
    MFD_CHECK(check_capacity());
    const std::uint64_t before = generation_;
    MFD_CHECK(descriptors_.push_new());
    MFD_CHECK(push(guest));
    guest_ = std::move(guest);
    // All is sent, and dealt with in order even if this process dies now.
    if (const auto settled = store_->settle(); !settled.has_value())
        spdlog::warn("{}", settled.error().what);
    remove_state(before);
    descriptors_.remove_unused();
    return {};
}

Result<void> StateStore::clear() {
    const std::uint64_t before = generation_;
    MFD_CHECK(push(nullptr));
    guest_ = nullptr;
    remove_state(before);
    descriptors_.begin_use();
    descriptors_.remove_unused();
    MFD_CHECK(store_->remove(state_name(generation_)));
    return store_->settle();
}

} // namespace mfd
