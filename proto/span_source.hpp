// Bytes in memory as a source for the decoder, at the place that they have in a longer stream.
#pragma once

#include "proto/decode.hpp"

#include <algorithm>
#include <cstdint>
#include <span>

namespace mfd {

class SpanSource : public ByteSource {
public:
    // The bytes are borrowed. What is before `at` must not be asked for.
    SpanSource(FileOffset at, std::span<const std::byte> bytes) : at_(at), bytes_(bytes) {}
    [[nodiscard]] std::uint64_t size() const override { return at_.value + bytes_.size(); }
    Result<void> read_at(FileOffset at, std::span<std::byte> into) override {
        const auto from = bytes_.subspan(at.value - at_.value, into.size());
        std::copy(from.begin(), from.end(), into.begin());
        return {};
    }

private:
    FileOffset at_;
    std::span<const std::byte> bytes_;
};

} // namespace mfd
