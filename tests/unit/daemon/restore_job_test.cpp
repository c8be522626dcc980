// What a restore refuses, before the guest's memory is touched: files that belong to another guest,
// and those that cannot be trusted as much as was asked for.
#include "daemon/restore_job.hpp"

#include "daemon/save_job.hpp"
#include "proto/device_state.hpp"
#include "tests/support/still_host.hpp"

#include "guest_support.hpp"

#include <catch2/catch_test_macros.hpp>

#include <array>
#include <atomic>
#include <filesystem>
#include <functional>
#include <memory>
#include <string>
#include <vector>

using mfd::test::backend;

namespace {

using Blocks = std::vector<std::unique_ptr<mfd::MemoryBackend>>;

Blocks make_blocks(const std::vector<std::string>& texts) {
    Blocks blocks;
    for (const std::string& text : texts)
        blocks.push_back(backend(text));
    return blocks;
}

std::vector<mfd::MemoryBackend*> pointers(const Blocks& blocks) {
    std::vector<mfd::MemoryBackend*> all;
    for (const auto& block : blocks)
        all.push_back(block.get());
    return all;
}

const std::string kRam = "memory-backend-memfd,id=ram,size=1M";
const std::string kVram = "memory-backend-memfd,id=vram,size=64K";

// A guest of two blocks, saved; and restores of the file into others.
class SavedFile {
public:
    explicit SavedFile(const std::function<void(mfd::SaveRequest&)>& change = [](auto&) {}) {
        const Blocks blocks = make_blocks({kRam, kVram});
        mfd::test::fill(*blocks[0], 3, 200);
        mfd::test::fill(*blocks[1], 1, 2);
        const std::atomic<std::uint64_t> downtime_limit_ms{300};
        const mfd::RunFlag guest_runs;
        mfd::SaveRequest request;
        request.target = target(mfd::FileUse::Save);
        request.blocks = pointers(blocks);
        request.guest = &guest_runs;
        request.downtime_limit_ms = &downtime_limit_ms;
        request.sync = false;
        change(request);
        mfd::testing::StillHost host(pointers(blocks));
        mfd::JobProgress progress(1);
        const auto saved = mfd::SaveJob(std::move(request), host, progress).run({});
        REQUIRE(saved.has_value());
    }

    using Change = std::function<void(mfd::RestoreRequest&)>;
    mfd::Result<mfd::RestoreJob::Outcome> load(const Blocks& blocks, const Change& change) {
        mfd::RestoreRequest request;
        request.target = target(mfd::FileUse::Load);
        change(request);
        mfd::testing::StillHost host(pointers(blocks));
        mfd::JobProgress progress(1);
        return mfd::RestoreJob(std::move(request), host, progress).run({});
    }
    // "restored", or what is wrong.
    std::string restore(
        const Blocks& blocks, const Change& change = [](auto&) {}) {
        const auto result = load(blocks, change);
        return result.has_value() ? "restored" : result.error().what;
    }

    [[nodiscard]] const mfd::test::ScratchDirectory& folder() const { return folder_; }

private:
    [[nodiscard]] mfd::FileTarget target(mfd::FileUse use) const {
        mfd::FdSets no_sets;
        return *mfd::resolve_target(no_sets, folder_.file("saved"), 0, use, mfd::PageIo::Buffered);
    }

    mfd::test::ScratchDirectory folder_;
};

bool all_untouched(const Blocks& blocks) {
    return std::ranges::all_of(blocks,
                               [](const auto& block) { return mfd::test::all_zero(*block); });
}

} // namespace

TEST_CASE("a file without checksums is restored unless they are required", "[restore_job]") {
    SavedFile with;
    SavedFile without([](mfd::SaveRequest& request) { request.checksums = false; });
    const auto restore = [](SavedFile& file, mfd::Verify verify) {
        return file.restore(make_blocks({kRam, kVram}),
                            [&](mfd::RestoreRequest& request) { request.verify = verify; });
    };
    for (const auto verify : {mfd::Verify::Auto, mfd::Verify::Off, mfd::Verify::Require})
        CHECK(restore(with, verify) == "restored");
    CHECK(restore(without, mfd::Verify::Auto) == "restored");
    CHECK(restore(without, mfd::Verify::Off) == "restored");
    CHECK(restore(without, mfd::Verify::Require) ==
          "x-verify is 'require', but the file has no checksums");
}

TEST_CASE("device state of the file a guest came from is in its next save, in its place",
          "[restore_job]") {
    const mfd::DeviceSection early{5, "timer", 0, 2, std::vector<std::byte>(24, std::byte{7})};
    const auto late = *mfd::make_globalstate(9, "running");
    SavedFile file([&](mfd::SaveRequest& request) {
        request.loaded.emplace();
        request.loaded->blocks = {{"vram", 64 << 10}, {"ram", 1 << 20}};
        request.loaded->early_devices = {early};
        request.loaded->devices = {late};
    });
    const auto outcome = file.load(make_blocks({kRam, kVram}), [](auto&) {});
    REQUIRE(outcome.has_value());
    const mfd::LoadedState& state = outcome.value().state;
    CHECK(state.blocks.at(0).idstr == "vram");
    REQUIRE(state.early_devices.size() == 1);
    CHECK(state.early_devices[0].idstr == "timer");
    CHECK(state.early_devices[0].body == early.body);
    REQUIRE(state.devices.size() == 1);
    CHECK(state.devices[0].section_id == 9);
    // As the guest stood when it was saved.
    CHECK(outcome.value().saved_status == mfd::RunStatus::Paused);
}

TEST_CASE("a file of another machine or UUID is refused", "[restore_job]") {
    using Uuid = std::array<std::byte, 16>;
    const Uuid own{std::byte{1}};
    const Uuid other{std::byte{2}};
    SavedFile file([&](mfd::SaveRequest& request) {
        request.configuration.machine = "pc-1";
        request.configuration.uuid = own;
    });
    const auto restore = [&](const std::string& machine, const Uuid& uuid) {
        const Blocks blocks = make_blocks({kRam, kVram});
        std::string result = file.restore(blocks, [&](mfd::RestoreRequest& request) {
            request.machine = machine;
            request.uuid = uuid;
        });
        CHECK(all_untouched(blocks) == (result != "restored"));
        return result;
    };
    CHECK(restore("pc-1", own) == "restored");
    CHECK(restore("pc-1", other) == "UUID received is 01000000-0000-0000-0000-000000000000 and "
                                    "local is 02000000-0000-0000-0000-000000000000");
    CHECK(restore("pc-2", own).starts_with("Machine type received is 'pc-1' and local is 'pc-2'"));
}

TEST_CASE("a guest whose blocks are not those of the file is left as it is", "[restore_job]") {
    SavedFile file;
    const std::string small = file.folder().make_file("read-only", 1 << 20);
    const auto restore = [&](const std::vector<std::string>& texts) {
        const Blocks blocks = make_blocks(texts);
        std::string result = file.restore(blocks);
        CHECK(all_untouched(blocks) == (result != "restored"));
        return result;
    };
    CHECK(restore({kVram, kRam}) == "restored");
    CHECK(restore({kRam}) == "Unknown ramblock \"vram\", cannot accept migration");
    CHECK(restore({kRam, kVram, "memory-backend-memfd,id=rom,size=64K"}) ==
          "block 'rom' of this guest is not in the file");
    CHECK(restore({"memory-backend-memfd,id=ram,size=2M", kVram}) ==
          "block 'ram' has 1048576 bytes in the file and 2097152 in this guest");
    CHECK(restore({"memory-backend-memfd,id=ram,size=512K", kVram}) ==
          "block 'ram' has 1048576 bytes in the file and 524288 in this guest");
    CHECK(restore({"memory-backend-file,id=ram,size=1M,share=on,readonly=on,mem-path=" + small,
                   kVram}) == "block 'ram' is read-only in this guest");
}

TEST_CASE("memory whose file was shortened is not restored into", "[restore_job]") {
    SavedFile file;
    const std::string path = file.folder().make_file("memory", 1 << 20);
    const Blocks blocks =
        make_blocks({"memory-backend-file,id=ram,size=1M,share=on,mem-path=" + path, kVram});
    std::filesystem::resize_file(path, 64 << 10);
    const std::string result = file.restore(blocks);
    CHECK(result.find("memory of block ram is lost from 0x10000 on") != std::string::npos);
}
