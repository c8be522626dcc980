// The migration parameters: one table of all that QEMU has plus ours (x-...), each with type,
// range, default and meaning. The QMP schema, the checks and query-migrate-parameters come from it.
// Control thread only; a job takes a copy of what it needs when it starts.
#pragma once

#include "proto/error.hpp"

#include <cstdint>
#include <limits>
#include <nlohmann/json.hpp>
#include <span>
#include <string_view>

namespace mfd {

enum class ParameterType : std::uint8_t {
    Uint8,
    Uint32,
    Uint64,
    Size,
    Bool,
    String,
    StrOrNull,
    Compression,   // enum MultiFDCompression
    Mode,          // enum MigMode
    ZeroPages,     // enum ZeroPageDetection
    BitmapMapping, // array of BitmapMigrationNodeAlias
};

struct ParameterInfo {
    std::string_view name;
    ParameterType type;
    // What query-migrate-parameters gives at the start. Null: absent until it is set, so that a
    // client that compares the whole reply with QEMU's sees no difference.
    nlohmann::json initial;
    std::string_view doc;
    // Bounds of an integer; `expects` is QEMU's text for what lies outside.
    std::uint64_t min = 0;
    std::uint64_t max = std::numeric_limits<std::uint64_t>::max();
    std::string_view expects = {};
    int check_order = 0; // QEMU checks ranges in an order of its own; 0: no range check
};

[[nodiscard]] std::span<const ParameterInfo> parameter_table();

class Parameters {
public:
    Parameters();

    // Checks the members of `changes` (types are checked already) and applies all or none.
    Result<void> apply(const nlohmann::json& changes, bool mapped_ram, bool zero_copy);

    // As query-migrate-parameters gives them.
    [[nodiscard]] const nlohmann::json& values() const { return values_; }
    // Those that are not as at the start: what apply() needs to bring them here.
    [[nodiscard]] nlohmann::json changed_values() const;

    [[nodiscard]] std::uint64_t number(std::string_view name) const;
    // Ours that were never set have the value `otherwise`.
    [[nodiscard]] bool flag(std::string_view name, bool otherwise = false) const;
    [[nodiscard]] std::string text(std::string_view name, std::string_view otherwise = {}) const;

    [[nodiscard]] bool compressed() const { return compressed(values_); }
    [[nodiscard]] bool tls() const { return tls(values_); }

private:
    static bool compressed(const nlohmann::json& values);
    static bool tls(const nlohmann::json& values);

    nlohmann::json values_;
};

} // namespace mfd
