// The objects a client can add, list and delete: memory backends and emulated guests, under one set
// of ids, as the commands object-add, object-del, qom-list and qom-get and the option --object see
// them. Control thread only. It owns the guest's memory and the workloads.
#pragma once

#include "daemon/guest/guest_memory.hpp"
#include "daemon/guest/workload.hpp"
#include "proto/error.hpp"

#include <nlohmann/json.hpp>

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace mfd {

class GuestObjects {
public:
    explicit GuestObjects(FdsetOpener open_fdset = {}) : memory_(std::move(open_fdset)) {}

    [[nodiscard]] GuestMemory& memory() { return memory_; }
    [[nodiscard]] const GuestMemory& memory() const { return memory_; }

    // The arguments of object-add.
    [[nodiscard]] Result<void> add(const nlohmann::json& arguments);
    // The text of --object: "TYPE,id=...,..." or a JSON object.
    [[nodiscard]] Result<void> add_option(std::string_view text);
    // Whether that text asks for an emulated guest, which starts threads.
    [[nodiscard]] static bool is_workload(std::string_view text);
    [[nodiscard]] Result<void> remove(std::string_view id);

    // qom-list: [{"name", "type"}]. An unknown path is Errc::NotFound (QMP class DeviceNotFound),
    // every other error is of the generic class.
    [[nodiscard]] Result<nlohmann::json> list(std::string_view path) const;
    // qom-get. Errors as for list().
    [[nodiscard]] Result<nlohmann::json> get(std::string_view path,
                                             std::string_view property) const;

    // The emulated guests follow the run state: a workload added while running starts at once.
    void pause_guest();
    void resume_guest();
    [[nodiscard]] bool guest_paused() const { return paused_; }
    void set_guest_throttle(std::uint32_t percent);
    [[nodiscard]] std::vector<GuestWorkload*> workloads() const;

private:
    [[nodiscard]] Result<void> add_backend(BackendProperties properties);
    [[nodiscard]] Result<void> add_workload(WorkloadProperties properties);
    [[nodiscard]] Result<void> check_id_is_free(std::string_view id) const;
    [[nodiscard]] GuestWorkload* find_workload(std::string_view id) const;
    [[nodiscard]] std::vector<std::pair<std::string_view, std::string_view>> ids_and_types() const;
    // Empty for an unknown object.
    [[nodiscard]] std::vector<QomProperty> properties_of(std::string_view id) const;

    GuestMemory memory_;
    bool paused_ = true;
    std::uint32_t throttle_ = 0;
    std::vector<std::unique_ptr<GuestWorkload>> workloads_; // after memory_: they write to it
};

} // namespace mfd
