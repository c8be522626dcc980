// Transfers done one after the other, in start() itself: for buffered files, whose writes end up in
// the page cache anyway, and for kernels without io_uring.
#pragma once

#include "channels/io_engine.hpp"

#include <optional>

namespace mfd {

class PwritevEngine final : public IoEngine {
public:
    // `page_cache` as in EngineSetup.
    PwritevEngine(std::vector<FdRef> files, PageCacheWriter* page_cache)
        : files_(std::move(files)), page_cache_(page_cache) {}

    [[nodiscard]] std::size_t depth() const override { return 1; }
    [[nodiscard]] std::size_t in_flight() const override { return done_ ? 1 : 0; }
    void start(const Transfer& transfer) override;
    Result<Completion> reap() override;

private:
    Result<void> move(const Transfer& transfer);

    std::vector<FdRef> files_;
    PageCacheWriter* page_cache_;
    std::optional<Completion> done_;
};

} // namespace mfd
