// Bytes as `hexdump -C` shows them: lines of 16, of equal ones the first and a "*". Pure.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>

namespace mfd::files {

class HexDump {
public:
    static constexpr std::size_t kLineBytes = 16;

    // `at` is shown as the place of the first byte.
    explicit HexDump(std::uint64_t at) : at_(at) {}

    // The lines of the next bytes, a multiple of kLineBytes.
    std::string add(std::span<const std::byte> bytes);
    std::string add_zeros(std::uint64_t bytes);
    // The line behind all, with the place of the end.
    [[nodiscard]] std::string end() const;

private:
    using Line = std::array<std::byte, kLineBytes>;
    void add_line(const Line& line, std::string& out);

    std::uint64_t at_;
    std::optional<Line> last_;
    bool starred_ = false;
};

} // namespace mfd::files
