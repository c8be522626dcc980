// A stream put together by hand, field by field, without the encoder: two blocks, early device,
// PART, switchover, END, two devices, end mark, vmdescription. Page areas stand at multiples of
// 4096, which readers allow, so that the whole is small enough to be cut at every length.
#pragma once

#include "proto/byte_cursor.hpp"

#include <cstddef>
#include <cstdint>
#include <map>
#include <string>
#include <vector>

namespace mfd::testing {

struct SmallStream {
    std::vector<std::byte> bytes;
    std::map<std::string, std::size_t> places; // where fields are, by name

    [[nodiscard]] std::size_t at(const std::string& place) const { return places.at(place); }

    // The stream with `value` in place of what stands at `place`.
    template <std::unsigned_integral T>
    [[nodiscard]] std::vector<std::byte> with(const std::string& place, T value) const {
        ByteWriter out;
        out.put_big(value);
        return with_bytes(place, out.take_all());
    }
    [[nodiscard]] std::vector<std::byte> with_bytes(const std::string& place,
                                                    const std::vector<std::byte>& value) const;
    // The stream with `extra` put in front of what stands at `place`.
    [[nodiscard]] std::vector<std::byte> with_inserted(const std::string& place,
                                                       const std::vector<std::byte>& extra) const;
    // The stream without the bytes between two places.
    [[nodiscard]] std::vector<std::byte> without(const std::string& from,
                                                 const std::string& to) const;
};

SmallStream make_small_stream();

} // namespace mfd::testing
