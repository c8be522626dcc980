#include "judge.hpp"

#include "daemon/keyval.hpp"
#include "daemon/restore_job.hpp"
#include "tests/support/still_host.hpp"

#include <algorithm>
#include <cstring>
#include <utility>

namespace mfd::crash {

namespace {

// What no page of a guest here holds.
constexpr int kPoison = 0x5a;

} // namespace

Result<Judge> Judge::make(std::vector<BlockContent> blocks, std::uint64_t offset) {
    Judge judge(std::move(blocks), offset);
    for (const BlockContent& block : judge.blocks_) {
        MFD_TRY(const KeyValueList options,
                parse_keyval("memory-backend-memfd,id=" + block.name +
                                 ",size=" + std::to_string(block.after.size()),
                             "qom-type"));
        MFD_TRY(auto properties, backend_properties_from_keyval(options));
        MFD_TRY(auto backend, MemoryBackend::make(std::move(properties), {}));
        judge.memory_.push_back(std::move(backend));
    }
    return judge;
}

Verdict Judge::restore(const std::string& path) {
    std::vector<MemoryBackend*> backends;
    for (const auto& backend : memory_) {
        if (touched_)
            std::memset(backend->memory().data(), kPoison, backend->memory().size());
        backends.push_back(backend.get());
    }
    FdSets no_sets;
    auto target = resolve_target(no_sets, path, offset_, FileUse::Load, PageIo::Buffered);
    if (!target.has_value())
        return {Outcome::Refused, target.error().what};
    RestoreRequest request;
    request.target = std::move(*target);
    request.pages.channels = 1;
    request.pages.engine = EngineKind::Pwritev; // the quickest to set up
    mfd::testing::StillHost host(backends);
    JobProgress progress(request.pages.channels);
    const auto restored = RestoreJob(std::move(request), host, progress).run({});
    touched_ = progress.total_bytes != 0; // said before the first page moves
    if (!restored.has_value())
        return {Outcome::Refused, restored.error().what};
    if (memory_is(&BlockContent::after))
        return {Outcome::New};
    return {memory_is(&BlockContent::before) ? Outcome::Old : Outcome::Other};
}

bool Judge::memory_is(std::vector<std::byte> BlockContent::*content) const {
    return std::ranges::equal(blocks_, memory_, [&](const auto& block, const auto& backend) {
        const std::vector<std::byte>& wanted = block.*content;
        return wanted.size() == backend->memory().size() &&
               std::memcmp(wanted.data(), backend->memory().data(), wanted.size()) == 0;
    });
}

} // namespace mfd::crash
