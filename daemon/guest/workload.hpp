// The emulated guest (object x-guest-workload): threads that write whole pages to a memory backend,
// so that live saves can be seen and tested without a VM. Made, controlled and destroyed on the
// control thread; the writing threads are its own. Each of them owns a slice of the pages, so no
// page is ever written by two.
#pragma once

#include "daemon/guest/backend_properties.hpp"
#include "daemon/guest/memory_backend.hpp"
#include "daemon/keyval.hpp"
#include "proto/error.hpp"

#include <nlohmann/json.hpp>

#include <chrono>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

namespace mfd {

inline constexpr std::string_view kWorkloadTypeName = "x-guest-workload";

enum class WorkloadPattern : std::uint8_t {
    Sequential, // page after page, round and round
    Random,
    HotCold, // nine writes of ten go to a tenth of the pages
    Zeroing, // random pages; about every second write makes the page zero
    Mix,     // the others in turn
};

struct WorkloadProperties {
    std::string id;
    std::string memdev;
    std::uint32_t threads = 1;
    std::uint64_t rate = 0; // bytes per second over all threads; 0: as fast as it goes
    WorkloadPattern pattern = WorkloadPattern::Sequential;
    std::uint64_t seed = 1;
};

[[nodiscard]] std::string_view workload_pattern_name(WorkloadPattern pattern);
// Asks `from` for every property but "qom-type" and "id"; as read_backend_properties().
[[nodiscard]] Result<void> read_workload_properties(PropertySource& from,
                                                    WorkloadProperties& properties);
[[nodiscard]] Result<WorkloadProperties>
workload_properties_from_json(const nlohmann::json& arguments);
// The arguments of an object-add that makes the same workload.
[[nodiscard]] nlohmann::json workload_arguments(const WorkloadProperties& properties);
[[nodiscard]] Result<WorkloadProperties>
workload_properties_from_keyval(const KeyValueList& options);

class GuestWorkload {
public:
    // The threads are there but paused until resume(). `memory` must outlive this object.
    static Result<std::unique_ptr<GuestWorkload>> make(WorkloadProperties properties,
                                                       const MemoryBackend& memory);
    GuestWorkload(const GuestWorkload&) = delete;
    GuestWorkload& operator=(const GuestWorkload&) = delete;
    // Joins the threads.
    ~GuestWorkload();

    // Returns when no thread is writing: at most one page write per thread is awaited. From then
    // on, and until resume(), every page is as some write left it.
    void pause();
    void resume();
    [[nodiscard]] bool paused() const;

    // 0..99: the share of its time (and of its rate) that the guest is kept from writing.
    void set_throttle(std::uint32_t percent);
    [[nodiscard]] std::uint32_t throttle() const;

    // Any thread.
    [[nodiscard]] std::uint64_t pages_written() const;
    // How long the guest's threads stood still from the last pause() to the first page after it;
    // zero if that has not happened yet.
    [[nodiscard]] std::chrono::nanoseconds last_pause() const;

    [[nodiscard]] const WorkloadProperties& properties() const;
    // As qom-list and qom-get show it, "type" first, counters included.
    [[nodiscard]] std::vector<QomProperty> qom_properties() const;

private:
    class Impl;
    explicit GuestWorkload(std::unique_ptr<Impl> impl);
    std::unique_ptr<Impl> impl_;
};

} // namespace mfd
