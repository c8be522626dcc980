#include "daemon/state/sealed_state.hpp"

#include "channels/file_io.hpp"

#include <array>
#include <bit>
#include <boost/crc.hpp>
#include <cerrno>
#include <cstddef>
#include <cstring>
#include <span>
#include <vector>

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>

namespace mfd {

namespace {

static_assert(std::endian::native == std::endian::little);

struct Header {
    std::array<char, 8> magic;
    std::uint32_t version;
    std::uint32_t crc;
    std::uint64_t value_bytes;
};
static_assert(sizeof(Header) == 24);

constexpr std::array<char, 8> kMagic = {'M', 'F', 'D', 'S', 'T', 'A', 'T', 'E'};
constexpr int kSeals = F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE | F_SEAL_SEAL;
// Device sections of the largest machines take some hundred MiB.
constexpr std::uint64_t kMaxBytes = std::uint64_t{4} << 30;

std::uint32_t crc_of(std::span<const std::uint8_t> bytes) {
    boost::crc_32_type crc;
    crc.process_bytes(bytes.data(), bytes.size());
    return crc.checksum();
}

Error damaged(const std::string& cause) {
    return {Errc::BadFormat, cause};
}

} // namespace

Result<UniqueFd> make_sealed_state(const std::string& name, const nlohmann::json& value) {
    const std::vector<std::uint8_t> bytes = nlohmann::json::to_cbor(value);
    const Header header{kMagic, kStateVersion, crc_of(bytes), bytes.size()};
    UniqueFd fd(::memfd_create(name.c_str(), MFD_CLOEXEC | MFD_ALLOW_SEALING));
    if (!fd.valid())
        return make_sys_error("make the memfd '" + name + "'", errno);
    MFD_CHECK(write_all_at(fd.ref(), std::as_bytes(std::span(&header, 1)), 0));
    MFD_CHECK(write_all_at(fd.ref(), std::as_bytes(std::span(bytes)), sizeof(header)));
    if (::fcntl(fd.get(), F_ADD_SEALS, kSeals) != 0)
        return make_sys_error("seal the memfd '" + name + "'", errno);
    return fd;
}

Result<nlohmann::json> read_sealed_state(FdRef fd) {
    struct stat status = {};
    if (::fstat(fd.get(), &status) != 0)
        return make_sys_error("look up the state", errno);
    if (const int seals = ::fcntl(fd.get(), F_GET_SEALS); seals < 0 || (seals & kSeals) != kSeals)
        return damaged("it is not sealed");
    const auto file_bytes = static_cast<std::uint64_t>(status.st_size);
    Header header{};
    if (file_bytes < sizeof(header) || file_bytes > kMaxBytes)
        return damaged("its length is " + std::to_string(file_bytes));
    MFD_CHECK(read_all_at(fd, std::as_writable_bytes(std::span(&header, 1)), 0));
    if (header.magic != kMagic)
        return damaged("it is no state of multifdd");
    if (header.version != kStateVersion)
        return Error{Errc::Unsupported, "its version is " + std::to_string(header.version) +
                                            ", and this multifdd reads version " +
                                            std::to_string(kStateVersion)};
    if (header.value_bytes != file_bytes - sizeof(header))
        return damaged("its length is not what it says");
    std::vector<std::uint8_t> bytes(header.value_bytes);
    MFD_CHECK(read_all_at(fd, std::as_writable_bytes(std::span(bytes)), sizeof(header)));
    if (crc_of(bytes) != header.crc)
        return damaged("its checksum is wrong");
    auto value = nlohmann::json::from_cbor(bytes, /*strict=*/true, /*allow_exceptions=*/false);
    if (value.is_discarded())
        return damaged("it is no CBOR");
    return Result<nlohmann::json>(boost::system::in_place_value, std::move(value));
}

} // namespace mfd
