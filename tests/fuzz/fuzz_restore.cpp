// Any bytes as a file that is restored, with everything a restore does, into the blocks it lists.
// What is accepted must leave in memory what a naive reading of the file says.
#include "channels/file_io.hpp"
#include "channels/unique_fd.hpp"
#include "daemon/restore_job.hpp"
#include "tests/support/still_host.hpp"

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <memory>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include <fcntl.h>
#include <sys/mman.h>

namespace {

// Of all blocks together; more is refused, as by a guest that has no such blocks.
constexpr std::uint64_t kMostRamBytes = std::uint64_t{512} << 10;
constexpr std::uint64_t kPage = 4096;

void require(bool holds) {
    if (!holds)
        std::abort();
}

// Reads a file that was accepted, field by field as FORMAT.md lists them, and checks nothing.
class NaiveReader {
public:
    struct Block {
        std::string name;
        std::vector<std::uint8_t> bytes;
    };

    explicit NaiveReader(std::span<const std::uint8_t> file) : file_(file) {}

    std::vector<Block> blocks() {
        at_ = 9; // magic, version, mark of the configuration
        skip(number(4));
        while (file_[at_] == 5)
            skip_subsection();
        skip(5); // mark and id of the section
        skip(number(1));
        skip(8);
        std::uint64_t left = number(8) / kPage * kPage;
        std::vector<Block> blocks;
        while (left > 0) {
            blocks.push_back(block());
            left -= blocks.back().bytes.size();
        }
        return blocks;
    }

private:
    std::uint64_t number(std::size_t bytes) {
        std::uint64_t value = 0;
        for (std::size_t i = 0; i < bytes; ++i)
            value = value << 8 | file_[at_ + i];
        at_ += bytes;
        return value;
    }
    void skip(std::uint64_t bytes) { at_ += bytes; }
    std::string text() {
        const std::uint64_t length = number(1);
        const auto bytes = file_.subspan(at_, length);
        skip(length);
        return {bytes.begin(), bytes.end()};
    }
    void skip_subsection() {
        skip(1);
        const std::string name = text();
        skip(4);
        if (name == "configuration/capabilities")
            for (std::uint64_t left = number(4); left > 0; --left)
                skip(number(1));
        else
            skip(name == "configuration/uuid" ? 16 : 4);
    }
    Block block() {
        Block block;
        block.name = text();
        block.bytes.resize(number(8));
        skip(12); // version and page size
        const std::uint64_t bitmap = number(8);
        const std::uint64_t pages = number(8);
        for (std::uint64_t page = 0; page < block.bytes.size() / kPage; ++page)
            if ((file_[bitmap + page / 8] >> page % 8 & 1) != 0)
                std::memcpy(&block.bytes[page * kPage],
                            file_.subspan(pages + page * kPage, kPage).data(), kPage);
        at_ = pages + block.bytes.size();
        return block;
    }

    std::span<const std::uint8_t> file_;
    std::size_t at_ = 0;
};

// A guest that has the blocks of every file, and dirt in them.
class WillingHost final : public mfd::testing::QuietHost {
public:
    mfd::Result<std::vector<mfd::MemoryBackend*>>
    guest_blocks(const std::vector<mfd::BlockSpec>& listed,
                 const std::stop_token& /*stop*/) override {
        std::vector<mfd::MemoryBackend*> found;
        std::uint64_t left = kMostRamBytes;
        for (const mfd::BlockSpec& spec : listed) {
            if (spec.used_length > left)
                return mfd::Error{mfd::Errc::NotFound, "no block of that size", EINVAL};
            left -= spec.used_length;
            mfd::BackendProperties properties;
            properties.id = "block" + std::to_string(owned_.size());
            properties.size = spec.used_length;
            properties.ramblock = spec.idstr;
            MFD_TRY(auto backend, mfd::MemoryBackend::make(std::move(properties), {}));
            std::memset(backend->memory().data(), 0x5a, spec.used_length);
            found.push_back(backend.get());
            owned_.push_back(std::move(backend));
        }
        return found;
    }

    void require_equal(const std::vector<NaiveReader::Block>& expected) const {
        require(expected.size() == owned_.size());
        for (std::size_t i = 0; i < owned_.size(); ++i) {
            require(owned_[i]->block_name() == expected[i].name);
            require(owned_[i]->size() == expected[i].bytes.size());
            require(std::memcmp(owned_[i]->memory().data(), expected[i].bytes.data(),
                                expected[i].bytes.size()) == 0);
        }
    }

private:
    std::vector<std::unique_ptr<mfd::MemoryBackend>> owned_;
};

mfd::UniqueFd make_file(std::span<const std::uint8_t> bytes) {
    mfd::UniqueFd fd(::memfd_create("fuzz", MFD_CLOEXEC));
    require(fd.valid() && mfd::write_all_at(fd.ref(), std::as_bytes(bytes), 0).has_value());
    return fd;
}

} // namespace

// libFuzzer's name. NOLINTNEXTLINE(readability-identifier-naming)
extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    const std::span bytes(data, size);
    const mfd::UniqueFd file = make_file(bytes);
    mfd::RestoreRequest request;
    request.target.name = "/proc/self/fd/" + std::to_string(file.get());
    request.verify = mfd::Verify::Auto;
    request.pages.channels = 2;
    request.pages.engine = mfd::EngineKind::Pwritev;
    WillingHost host;
    mfd::JobProgress progress(request.pages.channels);
    const auto restored = mfd::RestoreJob(std::move(request), host, progress).run({});
    if (restored.has_value())
        host.require_equal(NaiveReader(bytes).blocks());
    else
        require(!restored.error().what.empty() && restored.error().sys != 0);
    return 0;
}
