#include "daemon/service/passed_descriptors.hpp"

#include <cstdlib>
#include <memory>

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

} // namespace

Result<std::vector<PassedDescriptor>> take_passed_descriptors() {
    char** raw_names = nullptr;
    const int count = ::sd_listen_fds_with_names(/*unset_environment=*/1, &raw_names);
    const std::unique_ptr<char*, FreeNames> names(raw_names);
    if (count < 0)
        return make_sys_error("take the descriptors passed by the service manager", -count);
    std::vector<PassedDescriptor> passed;
    for (int i = 0; i < count; ++i)
        passed.push_back({names.get()[i], UniqueFd(SD_LISTEN_FDS_START + i)});
    return passed;
}

} // namespace mfd
