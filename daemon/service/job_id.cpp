#include "daemon/service/job_id.hpp"

#include <array>

#include <systemd/sd-id128.h>

namespace mfd {

std::string make_job_id() {
    sd_id128_t id{};
    if (::sd_id128_randomize(&id) < 0)
        return {}; // a kernel without random numbers: a job without a name is still a job
    std::array<char, SD_ID128_STRING_MAX> text{};
    return ::sd_id128_to_string(id, text.data());
}

} // namespace mfd
