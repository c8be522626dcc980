// What a picture of memory tells of a page.
#pragma once

#include "proto/error.hpp"
#include "proto/page_bitmap.hpp"

#include <array>
#include <cstddef>
#include <cstdint>
#include <functional>

namespace mfd::map {

// In the order of interest: where one spot of a picture stands for several pages, the last of these
// that one of them has is what it shows.
enum class Kind : std::uint8_t {
    Zero,
    Stored,
    Stale,   // zero by the bitmap, but the slot holds data
    Differs, // from the other file
};
inline constexpr std::size_t kKinds = 4;
inline constexpr std::array<Kind, kKinds> kAllKinds{Kind::Zero, Kind::Stored, Kind::Stale,
                                                    Kind::Differs};

constexpr const char* kind_name(Kind kind) {
    constexpr std::array<const char*, kKinds> kNames{"zero", "stored", "stale", "differs"};
    return kNames[static_cast<std::size_t>(kind)];
}

struct KindRun {
    Kind kind = Kind::Zero;
    PageRun pages;
    bool operator==(const KindRun&) const = default;
};

using KindVisitor = std::function<Result<void>(const KindRun&)>;

// Pages of each kind.
class KindCounts {
public:
    void add(Kind kind, std::uint64_t pages) { pages_[static_cast<std::size_t>(kind)] += pages; }
    void add(const KindCounts& other) {
        for (const Kind kind : kAllKinds)
            add(kind, other[kind]);
    }
    std::uint64_t operator[](Kind kind) const { return pages_[static_cast<std::size_t>(kind)]; }
    [[nodiscard]] std::uint64_t total() const {
        return pages_[0] + pages_[1] + pages_[2] + pages_[3];
    }

private:
    std::array<std::uint64_t, kKinds> pages_{};
};

} // namespace mfd::map
