#include "tests/unit/proto/golden.hpp"

#include <catch2/catch_test_macros.hpp>
#include <openssl/evp.h>

#include <array>
#include <filesystem>
#include <map>

namespace mfd::testing {

namespace {

const std::string kGoldenDir = std::string(MFD_SHARED_DIR) + "/golden/stream";
const std::string kUnpackedDir = MFD_UNPACKED_DIR;

} // namespace

void require_golden() {
    if (!std::filesystem::exists(kGoldenDir + "/manifest.json"))
        SKIP("no golden files: " << kGoldenDir << " is missing");
    if (!std::filesystem::exists(kUnpackedDir))
        SKIP("golden files not unpacked: the build found no zstd program");
}

const Json& golden_json(const char* file) {
    static std::map<std::string, Json> read;
    const auto known = read.find(file);
    if (known != read.end())
        return known->second;
    std::ifstream in(kGoldenDir + "/" + file);
    return read.emplace(file, Json::parse(in)).first->second;
}

std::vector<Json> complete_samples() {
    std::vector<Json> samples;
    for (const Json& entry : golden_json("manifest.json").at("samples"))
        if (entry.at("complete").get<bool>())
            samples.push_back(entry);
    return samples;
}

Json sample(const std::string& name) {
    for (const Json& entry : golden_json("manifest.json").at("samples"))
        if (entry.at("name") == name)
            return entry;
    throw std::runtime_error("no sample " + name);
}

FileSource open_sample(const std::string& name) {
    return FileSource(kUnpackedDir + "/" + name + ".mig");
}

std::string sha256(std::span<const std::byte> bytes) {
    std::array<unsigned char, EVP_MAX_MD_SIZE> digest{};
    unsigned int length = 0;
    EVP_Digest(bytes.data(), bytes.size(), digest.data(), &length, EVP_sha256(), nullptr);
    std::string text;
    for (unsigned int i = 0; i < length; ++i) {
        text += "0123456789abcdef"[digest[i] >> 4];
        text += "0123456789abcdef"[digest[i] & 15];
    }
    return text;
}

std::vector<std::byte> bytes_of_hex(const std::string& hex) {
    std::vector<std::byte> bytes;
    for (std::size_t i = 0; i + 1 < hex.size(); i += 2)
        bytes.push_back(static_cast<std::byte>(std::stoul(hex.substr(i, 2), nullptr, 16)));
    return bytes;
}

} // namespace mfd::testing
