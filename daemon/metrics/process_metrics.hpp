// What the kernel says of this process, under the names that all exporters use for it. Control
// thread.
#pragma once

#include "channels/unique_fd.hpp"
#include "daemon/metrics/metric_text.hpp"
#include "proto/error.hpp"

#include <chrono>
#include <utility>

namespace mfd {

class ProcessMetrics {
public:
    // Opens what lies in /proc: before the sandbox, which takes the paths away, and after a fork,
    // since /proc/self is whoever opens it.
    static Result<ProcessMetrics> open();
    void write(MetricText& out) const;

private:
    ProcessMetrics(UniqueFd statm, UniqueFd descriptors)
        : statm_(std::move(statm)), descriptors_(std::move(descriptors)) {}

    UniqueFd statm_;
    UniqueFd descriptors_; // the folder with one entry for each
    std::chrono::system_clock::time_point started_ = std::chrono::system_clock::now();
};

} // namespace mfd
