#include "qmp/files/vmcoreinfo.hpp"

namespace mfd::files {

namespace {

constexpr std::string_view kRelease = "OSRELEASE="; // the first line, since Linux 2.6.24

} // namespace

std::optional<std::string_view> vmcoreinfo_in(std::span<const std::byte> page) {
    const std::string_view bytes(reinterpret_cast<const char*>(page.data()), page.size());
    if (!bytes.starts_with(kRelease))
        return std::nullopt;
    const std::string_view text = bytes.substr(0, bytes.find('\0'));
    // The kernel stops short of the page's end; what tools need stands further down.
    if (text.size() == bytes.size() || text.find("\nPAGESIZE=") == std::string_view::npos ||
        text.find("\nSYMBOL(swapper_pg_dir)=") == std::string_view::npos)
        return std::nullopt;
    return text;
}

std::string_view kernel_release(std::string_view vmcoreinfo) {
    if (!vmcoreinfo.starts_with(kRelease))
        return {};
    vmcoreinfo.remove_prefix(kRelease.size());
    return vmcoreinfo.substr(0, vmcoreinfo.find('\n'));
}

} // namespace mfd::files
