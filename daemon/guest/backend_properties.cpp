#include "daemon/guest/backend_properties.hpp"

#include "proto/checked.hpp"

#include <algorithm>
#include <array>
#include <utility>

namespace mfd {

namespace {

constexpr std::array<std::pair<BackendType, std::string_view>, 4> kTypes{{
    {BackendType::File, "memory-backend-file"},
    {BackendType::Memfd, "memory-backend-memfd"},
    {BackendType::Ram, "memory-backend-ram"},
    {BackendType::Shm, "memory-backend-shm"},
}};

// The stream has one length byte for a block's name.
constexpr std::size_t kMaxBlockNameBytes = 255;
// QEMU's bound for node numbers; the kernel knows up to 1024.
constexpr std::uint16_t kMaxHostNodes = 128;

Result<void> check_file_values(const BackendProperties& p) {
    if (p.rom == OnOffAuto::On && !p.readonly)
        return bad_argument("property 'rom' = 'on' is not supported with 'readonly' = 'off'");
    if (p.rom == OnOffAuto::Off && p.readonly && p.share)
        return bad_argument(
            "property 'rom' = 'off' is incompatible with 'readonly' = 'on' and 'share' = "
            "'on'");
    return {};
}

Result<void> check_nodes(const BackendProperties& p) {
    for (const std::uint16_t node : p.host_nodes)
        if (node >= kMaxHostNodes)
            return bad_argument("Invalid host-nodes value: " + std::to_string(node));
    if (p.policy == NumaPolicy::Default && !p.host_nodes.empty())
        return bad_argument(
            "host-nodes must be empty for policy default, or you should explicitly specify a "
            "policy other than default");
    if (p.policy != NumaPolicy::Default && p.host_nodes.empty())
        return bad_argument("host-nodes must be set for policy " +
                            std::string(numa_policy_name(p.policy)));
    return {};
}

// Page and size rules where they do not depend on the file. QEMU tells them after the nodes' ones.
Result<void> check_sizes(const BackendProperties& p) {
    if (p.type == BackendType::Memfd && p.hugetlb && (p.hugetlb_size & (p.hugetlb_size - 1)) != 0)
        return bad_argument("Hugepage size must be a power of 2");
    // Sizes no address space has run out of memory, whether or not they are a multiple of anything.
    if (p.size % kPageSize != 0 && p.size <= kMaxBackendBytes)
        return bad_argument("backend '" + std::string(backend_type_name(p.type)) +
                            "' memory size must be multiple of 4 KiB");
    return {};
}

} // namespace

std::string_view backend_type_name(BackendType type) {
    for (const auto& [value, name] : kTypes)
        if (value == type)
            return name;
    return {};
}

std::optional<BackendType> backend_type_from_name(std::string_view name) {
    for (const auto& [value, known] : kTypes)
        if (known == name)
            return value;
    return std::nullopt;
}

std::string_view numa_policy_name(NumaPolicy policy) {
    switch (policy) {
    case NumaPolicy::Default:
        return "default";
    case NumaPolicy::Preferred:
        return "preferred";
    case NumaPolicy::Bind:
        return "bind";
    case NumaPolicy::Interleave:
        return "interleave";
    }
    return {};
}

bool is_identifier(std::string_view text) {
    // The locale must not make letters of other bytes.
    const auto letter = [](char c) { return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z'); };
    const auto inner = [&](char c) {
        return letter(c) || (c >= '0' && c <= '9') || c == '-' || c == '.' || c == '_';
    };
    return !text.empty() && letter(text.front()) && std::all_of(text.begin(), text.end(), inner);
}

std::string BackendProperties::block_name() const {
    if (!ramblock.empty())
        return ramblock;
    return canonical_block_name ? "/objects/" + id : id;
}

Result<void> check_backend_values(const BackendProperties& p) {
    const std::string type(backend_type_name(p.type));
    if (!is_identifier(p.id))
        return bad_argument("Parameter 'id' expects an identifier");
    if (p.size == 0)
        return bad_argument("property 'size' of " + type + " doesn't take value '0'");
    if (p.prealloc_threads == 0)
        return bad_argument("property 'prealloc-threads' of " + type + " doesn't take value '0'");
    const std::string block = p.block_name();
    if (block.size() > kMaxBlockNameBytes || block.find('\0') != std::string::npos)
        return bad_argument("block name of backend '" + p.id.substr(0, 64) +
                            "' must be 1 to 255 bytes without zero bytes");
    if (p.type == BackendType::Shm && !p.share)
        return bad_argument("can't create shm backend with `share=off`");
    MFD_CHECK(check_nodes(p));
    MFD_CHECK(check_sizes(p));
    if (p.type == BackendType::File)
        return check_file_values(p);
    return {};
}

} // namespace mfd
