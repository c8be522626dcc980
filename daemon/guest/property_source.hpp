// The properties of an object, read one by one from QMP's JSON or from the command line's text,
// with the texts QEMU has for each of the two. Used within one call; borrows what it reads from.
#pragma once

#include "daemon/keyval.hpp"
#include "proto/error.hpp"

#include <nlohmann/json.hpp>

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace mfd {

class PropertySource {
public:
    PropertySource() = default;
    PropertySource(const PropertySource&) = delete;
    PropertySource& operator=(const PropertySource&) = delete;
    virtual ~PropertySource() = default;

    // Each answers nothing if the property is not there.
    virtual Result<std::optional<bool>> flag(std::string_view name) = 0;
    virtual Result<std::optional<std::uint64_t>> size(std::string_view name) = 0;
    virtual Result<std::optional<std::uint32_t>> number32(std::string_view name) = 0;
    virtual Result<std::optional<std::uint64_t>> number64(std::string_view name) = 0;
    virtual Result<std::optional<std::string>> text(std::string_view name) = 0;
    // Node numbers, in the order given.
    virtual Result<std::optional<std::vector<std::uint16_t>>> nodes(std::string_view name) = 0;
    // Refuses what was there and was never asked for.
    virtual Result<void> finish() = 0;

    virtual Result<std::string> required_text(std::string_view name);
    virtual Result<std::uint64_t> required_size(std::string_view name);
    // The place of the value among `names`.
    virtual Result<std::optional<std::size_t>> choice(std::string_view name,
                                                      std::span<const std::string_view> names);
};

class JsonSource final : public PropertySource {
public:
    // `object` must be an object and outlive this.
    explicit JsonSource(const nlohmann::json& object) : object_(object) {}

    Result<std::optional<bool>> flag(std::string_view name) override;
    Result<std::optional<std::uint64_t>> size(std::string_view name) override;
    Result<std::optional<std::uint32_t>> number32(std::string_view name) override;
    Result<std::optional<std::uint64_t>> number64(std::string_view name) override;
    Result<std::optional<std::string>> text(std::string_view name) override;
    Result<std::optional<std::vector<std::uint16_t>>> nodes(std::string_view name) override;
    Result<void> finish() override;

private:
    const nlohmann::json* member(std::string_view name);
    const nlohmann::json& object_;
    std::vector<std::string_view> asked_;
};

class KeyvalSource final : public PropertySource {
public:
    // `list` must outlive this.
    explicit KeyvalSource(const KeyValueList& list) : list_(list) {}

    Result<std::optional<bool>> flag(std::string_view name) override;
    Result<std::optional<std::uint64_t>> size(std::string_view name) override;
    Result<std::optional<std::uint32_t>> number32(std::string_view name) override;
    Result<std::optional<std::uint64_t>> number64(std::string_view name) override;
    Result<std::optional<std::string>> text(std::string_view name) override;
    Result<std::optional<std::vector<std::uint16_t>>> nodes(std::string_view name) override;
    Result<void> finish() override;

private:
    std::optional<std::string_view> value(std::string_view name);
    const KeyValueList& list_;
    std::vector<std::string_view> asked_;
};

} // namespace mfd
