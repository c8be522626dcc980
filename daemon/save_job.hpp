// One save of guest RAM into a file, on a thread of its own: header, passes over the pages, and
// what closes the stream. The end mark is written last of all, so a file that lacks it is one whose
// save did not get to its end.
#pragma once

#include "daemon/save_checksums.hpp"
#include "daemon/save_passes.hpp"
#include "daemon/save_request.hpp"
#include "proto/plan.hpp"

#include <atomic>
#include <cstdint>
#include <optional>
#include <stop_token>

namespace mfd {

class SaveJob {
public:
    SaveJob(SaveRequest request, JobHost& host, JobProgress& progress);

    // Once. On success the file is complete, and on stable storage if asked for.
    Result<void> run(const std::stop_token& stop);

private:
    Result<void> write_head(MigrationFile& file, const StreamPlan& plan);
    Result<void> prepare_checksums(const StreamPlan& plan, const std::vector<Fragment>& head,
                                   const Fragment& early);
    Result<Tail> make_tail(const StreamPlan& plan, RunStatus saved_status) const;
    Result<void> write_tail(MigrationFile& file, const StreamPlan& plan, const SavePasses& passes,
                            RunStatus saved_status);
    Result<void> write(MigrationFile& file, const Fragment& fragment, const char* what,
                       std::atomic<std::uint64_t>& counter);

    SaveRequest request_;
    JobHost& host_;
    JobProgress& progress_;
    FileOffset at_;                           // where the main stream goes on
    std::optional<std::uint64_t> trailer_id_; // nothing: the file gets no checksums
    std::optional<SaveChecksums> checksums_;  // likewise
};

} // namespace mfd
