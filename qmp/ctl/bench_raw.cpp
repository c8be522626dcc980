#include "qmp/ctl/bench_raw.hpp"

#include "channels/file_io.hpp"

#include <algorithm>
#include <cerrno>
#include <chrono>

#include <fcntl.h>
#include <poll.h>
#include <unistd.h>

namespace mfd::ctl {

namespace {

constexpr std::size_t kRawPieceBytes = std::size_t{4} << 20;

class RawWatch {
public:
    [[nodiscard]] double seconds() const {
        return std::chrono::duration<double>(std::chrono::steady_clock::now() - began_).count();
    }

private:
    std::chrono::steady_clock::time_point began_ = std::chrono::steady_clock::now();
};

// Calls `move` for one piece after the other.
template <class Move>
Result<void> for_each_piece(std::size_t bytes, FdRef stop, const Move& move) {
    for (std::size_t at = 0; at < bytes; at += kRawPieceBytes) {
        if (stop_wanted(stop))
            return Error{Errc::Cancelled, "interrupted", 0};
        MFD_CHECK(move(at, std::min(kRawPieceBytes, bytes - at)));
    }
    return {};
}

Result<BenchRates> write_and_read(const std::string& file, std::span<const std::byte> bytes,
                                  std::span<std::byte> into, int flags, FdRef stop) {
    const UniqueFd out(::open(file.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | flags, 0600));
    if (!out.valid())
        return errno == EINVAL ? Error{Errc::Unsupported, "no O_DIRECT", errno}
                               : make_sys_error("create " + file, errno);
    const auto size = static_cast<double>(bytes.size());
    BenchRates rates;
    const RawWatch writing;
    MFD_CHECK(for_each_piece(bytes.size(), stop, [&](std::size_t at, std::size_t count) {
        return write_all_at(out.ref(), bytes.subspan(at, count), at);
    }));
    if (::fdatasync(out.get()) != 0)
        return make_sys_error("write " + file + " to stable storage", errno);
    rates.save = size / writing.seconds();
    MFD_CHECK(drop_from_cache(file));
    const UniqueFd in(::open(file.c_str(), O_RDONLY | O_CLOEXEC | flags));
    if (!in.valid())
        return make_sys_error("open " + file, errno);
    const RawWatch reading;
    MFD_CHECK(for_each_piece(bytes.size(), stop, [&](std::size_t at, std::size_t count) {
        return read_all_at(in.ref(), into.subspan(at, count), at);
    }));
    rates.restore = size / reading.seconds();
    return rates;
}

} // namespace

bool stop_wanted(FdRef stop) {
    pollfd wait{stop.get(), POLLIN, 0};
    return ::poll(&wait, 1, 0) > 0;
}

Result<void> drop_from_cache(const std::string& file) {
    const UniqueFd fd(::open(file.c_str(), O_RDONLY | O_CLOEXEC));
    if (!fd.valid())
        return make_sys_error("open " + file, errno);
    // Advice: where it is not taken, reads are faster than the device.
    static_cast<void>(::posix_fadvise(fd.get(), 0, 0, POSIX_FADV_DONTNEED));
    return {};
}

Result<BenchRates> measure_raw(const std::string& file, std::span<const std::byte> bytes,
                               std::span<std::byte> into, bool direct, FdRef stop) {
    auto rates = write_and_read(file, bytes, into, direct ? O_DIRECT : 0, stop);
    ::unlink(file.c_str());
    // Some file systems open with O_DIRECT and refuse the first write.
    if (direct && !rates.has_value() && rates.error().sys == EINVAL)
        return Error{Errc::Unsupported, "no O_DIRECT", EINVAL};
    return rates;
}

} // namespace mfd::ctl
