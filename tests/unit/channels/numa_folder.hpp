// A folder like /sys/devices/system/node that says what a test wants.
#pragma once

#include "tests/support/temp_folder.hpp"

#include <catch2/catch_test_macros.hpp>

#include <filesystem>
#include <fstream>
#include <string>
#include <vector>

#include <sched.h>

namespace mfd::test {

class NumaFolder {
public:
    [[nodiscard]] std::string path() const { return folder_.path(); }

    // `name` may have one folder in front.
    void write(const std::string& name, const std::string& text) const {
        const auto path = folder_.path() / name;
        std::filesystem::create_directories(path.parent_path());
        std::ofstream(path) << text;
    }

private:
    TempFolder folder_;
};

// Processors that this thread may run on.
inline std::vector<unsigned> runnable_cpus() {
    cpu_set_t mask;
    REQUIRE(::sched_getaffinity(0, sizeof mask, &mask) == 0);
    std::vector<unsigned> cpus;
    for (unsigned cpu = 0; cpu < CPU_SETSIZE; ++cpu)
        if (CPU_ISSET(cpu, &mask))
            cpus.push_back(cpu);
    return cpus;
}

// Two nodes, 0 and 1, with a processor each.
inline void describe_two_nodes(const NumaFolder& folder) {
    const auto cpus = runnable_cpus();
    if (cpus.size() < 2)
        SKIP("needs two processors");
    folder.write("online", "0-1\n");
    folder.write("node0/cpulist", std::to_string(cpus[0]) + "\n");
    folder.write("node1/cpulist", std::to_string(cpus[1]) + "\n");
}

} // namespace mfd::test
