// A file as a crash leaves it: what is on stable storage, and on top of that as much as the disk
// has got round to of what came later.
#pragma once

#include "trace.hpp"

#include "channels/unique_fd.hpp"
#include "proto/error.hpp"

#include <cstddef>
#include <cstdint>
#include <functional>
#include <span>
#include <string>
#include <vector>

namespace mfd::crash {

struct Extent {
    std::uint64_t offset = 0;
    std::uint64_t length = 0;
};

// Bytes within a fixed capacity; those behind the length are zero.
struct Content {
    std::span<std::byte> bytes{};
    std::uint64_t length = 0;

    // An operation that changes data; of a write, the bytes from..to of the file. Gives back what
    // may be different now.
    Extent apply(const Op& op, std::uint64_t from, std::uint64_t to);
    Extent apply(const Op& op) { return apply(op, op.offset, op.end()); }
};

class Disk {
public:
    // The states lie in the file `path`, one after the other; `base` is what is there before all.
    static Result<Disk> make(std::string path, const std::vector<std::byte>& base,
                             std::uint64_t capacity);
    Disk(Disk&& other) noexcept;
    Disk& operator=(Disk&&) = delete;
    ~Disk();

    [[nodiscard]] const std::string& path() const { return path_; }
    [[nodiscard]] std::span<const std::byte> state() const {
        return state_.bytes.first(state_.length);
    }

    // This has reached stable storage, and is in every state from now on.
    void make_stable(const Op& op) { changed_.push_back(stable_.apply(op)); }

    // One state: begin(), any of apply(), finish(), and then the file can be read.
    void begin();
    void apply(const Op& op) { changed_.push_back(state_.apply(op)); }
    // Of a write only those sectors that `reached` the disk, the index of each in the write given.
    void apply_sectors(const Op& op, std::uint64_t sector_bytes,
                       const std::function<bool(std::uint64_t)>& reached);
    void finish();

private:
    Disk(std::string path, UniqueFd fd, std::span<std::byte> mapped);
    void set_file_length(std::uint64_t length);

    std::string path_;
    UniqueFd fd_;
    std::vector<std::byte> stable_bytes_;
    Content stable_;
    Content state_;               // mapped
    std::vector<Extent> changed_; // where it is not as stable_
};

} // namespace mfd::crash
