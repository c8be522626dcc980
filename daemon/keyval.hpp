// QEMU's option syntax: "TYPE,key=value,key2=value2". A comma inside a value is written twice. A
// first part without "=" belongs to the implied key; a later one is a switch: "key" means key=on,
// "nokey" key=off. Pure functions.
#pragma once

#include "proto/error.hpp"

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace mfd {

struct KeyValue {
    std::string key;
    std::string value;
    bool operator==(const KeyValue&) const = default;
};

// The pairs of one option in the order given. Where a key stands twice the last one counts, as in
// QEMU.
class KeyValueList {
public:
    KeyValueList() = default;
    explicit KeyValueList(std::vector<KeyValue> items) : items_(std::move(items)) {}

    [[nodiscard]] const std::vector<KeyValue>& items() const { return items_; }
    [[nodiscard]] std::optional<std::string_view> find(std::string_view key) const;
    // All values of a key that may be repeated, in order.
    [[nodiscard]] std::vector<std::string_view> find_all(std::string_view key) const;
    // The first key that is not among `known`; nothing when all are.
    [[nodiscard]] std::optional<std::string_view>
    first_unknown(std::span<const std::string_view> known) const;

private:
    std::vector<KeyValue> items_;
};

// `implied_key` may be empty: then every part is key=value or a switch.
[[nodiscard]] Result<KeyValueList> parse_keyval(std::string_view text,
                                                std::string_view implied_key);

// Values as typed ones, with QEMU's texts ("Parameter 'share' expects 'on' or 'off'").
[[nodiscard]] Result<bool> parse_on_off(std::string_view key, std::string_view value);
[[nodiscard]] Result<std::uint64_t> parse_option_size(std::string_view key, std::string_view value);
[[nodiscard]] Result<std::uint64_t> parse_option_number(std::string_view key,
                                                        std::string_view value);

} // namespace mfd
