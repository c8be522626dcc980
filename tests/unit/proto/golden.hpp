// The samples that a real QEMU wrote, unpacked by the build, and what their manifest says of them.
#pragma once

#include "tests/support/byte_sources.hpp"

#include <nlohmann/json.hpp>

#include <cstddef>
#include <span>
#include <string>
#include <vector>

namespace mfd::testing {

using Json = nlohmann::json;

// Skips the running case, with the reason, if the samples are not there.
void require_golden();

// The parsed manifest.json or corruptions.json.
const Json& golden_json(const char* file);

// The manifest's entries of the complete samples, or of one sample.
std::vector<Json> complete_samples();
Json sample(const std::string& name);

// The unpacked sample.
FileSource open_sample(const std::string& name);

std::string sha256(std::span<const std::byte> bytes);
std::vector<std::byte> bytes_of_hex(const std::string& hex);

} // namespace mfd::testing
