#include "daemon/service/passed_descriptors.hpp"

#include <spdlog/spdlog.h>

#include <algorithm>
#include <cstdlib>
#include <iterator>
#include <memory>
#include <utility>

#include <systemd/sd-daemon.h>

namespace mfd {

namespace {

struct FreeNames {
    void operator()(char** names) const {
        for (char** name = names; name != nullptr && *name != nullptr; ++name)
            std::free(*name); // NOLINT(cppcoreguidelines-no-malloc): sd-daemon's allocation
        std::free(names);     // NOLINT(cppcoreguidelines-no-malloc)
    }
};

// "qmp" itself, or "qmp-" with anything behind it.
bool is_of_family(std::string_view name, std::string_view family) {
    return name.starts_with(family) && (name.size() == family.size() || name[family.size()] == '-');
}

std::vector<PassedDescriptor> take_family(std::vector<PassedDescriptor>& passed,
                                          std::string_view family) {
    const auto first = std::stable_partition(passed.begin(), passed.end(), [&](const auto& entry) {
        return !is_of_family(entry.name, family);
    });
    std::vector<PassedDescriptor> taken(std::make_move_iterator(first),
                                        std::make_move_iterator(passed.end()));
    passed.erase(first, passed.end());
    return taken;
}

Error refused(const PassedDescriptor& descriptor, const std::string& cause) {
    return {Errc::BadArgument,
            "descriptor '" + descriptor.name + "' passed by the service manager: " + cause};
}

} // namespace

Result<std::vector<PassedDescriptor>> take_passed_descriptors() {
    char** raw_names = nullptr;
    const int count = ::sd_listen_fds_with_names(/*unset_environment=*/1, &raw_names);
    const std::unique_ptr<char*, FreeNames> names(raw_names);
    if (count < 0)
        return make_sys_error("take the descriptors passed by the service manager", -count);
    std::vector<PassedDescriptor> passed;
    passed.reserve(static_cast<std::size_t>(count));
    for (int i = 0; i < count; ++i)
        passed.push_back({names.get()[i], UniqueFd(SD_LISTEN_FDS_START + i)});
    return passed;
}

bool names_qmp_socket(std::string_view name) {
    return is_of_family(name, "qmp");
}

bool names_read_only_socket(std::string_view name) {
    return is_of_family(name, "qmp-ro");
}

std::vector<PassedDescriptor> take_metrics_sockets(std::vector<PassedDescriptor>& passed) {
    return take_family(passed, "metrics");
}

Result<std::vector<PassedDescriptor>> take_qmp_sockets(std::vector<PassedDescriptor>& passed) {
    std::vector<PassedDescriptor> sockets = take_family(passed, "qmp");
    for (const PassedDescriptor& socket : sockets)
        if (::sd_is_socket_unix(socket.fd.get(), SOCK_STREAM, /*listening=*/1, nullptr, 0) <= 0)
            return refused(socket, "is not a listening unix stream socket");
    return sockets;
}

Result<void> close_unclaimed(std::vector<PassedDescriptor>& passed) {
    for (const PassedDescriptor& descriptor : passed)
        if (::sd_is_socket(descriptor.fd.get(), AF_UNSPEC, 0, /*listening=*/1) > 0)
            return refused(descriptor, "a socket needs FileDescriptorName=qmp, qmp-NAME, "
                                       "qmp-ro-NAME or metrics to be served");
    for (const PassedDescriptor& descriptor : passed)
        spdlog::warn("descriptor '{}' passed by the service manager has no use here: closed",
                     descriptor.name);
    passed.clear();
    return {};
}

} // namespace mfd
