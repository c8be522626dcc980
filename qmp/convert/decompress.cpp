#include "qmp/convert/feed.hpp"

#include <algorithm>
#include <cerrno>
#include <string>

#include <zlib.h>
#include <zstd.h>

namespace mfd::convert {

namespace {

// How much of the packed bytes is looked at at once.
constexpr std::size_t kPackedBytes = std::size_t{256} << 10;

Error unpack_error(const std::string& what, std::uint64_t at) {
    return {Errc::BadFormat, what + ", near byte " + std::to_string(at) + " of the compressed data",
            EINVAL};
}

class GzipFeed final : public Feed {
public:
    explicit GzipFeed(ByteStream& packed) : packed_(packed) {
        // Only memory can be missing, or zlib another than the one this was compiled for.
        if (::inflateInit2(&state_, MAX_WBITS + kGzipOnly) != Z_OK)
            throw std::bad_alloc();
    }
    ~GzipFeed() override { ::inflateEnd(&state_); }
    GzipFeed(const GzipFeed&) = delete;
    GzipFeed& operator=(const GzipFeed&) = delete;

    Result<std::size_t> read(std::span<std::byte> into) override {
        for (;;) {
            MFD_TRY(const auto seen, packed_.peek(1));
            if (seen.empty()) {
                if (between_members_)
                    return std::size_t{0};
                return unpack_error("the gzip data is cut", packed_.position());
            }
            const auto some = seen.first(std::min(seen.size(), kPackedBytes));
            // zlib wants a pointer to what it does not change.
            state_.next_in = const_cast<Bytef*>(reinterpret_cast<const Bytef*>(some.data()));
            state_.avail_in = static_cast<uInt>(some.size());
            state_.next_out = reinterpret_cast<Bytef*>(into.data());
            state_.avail_out = static_cast<uInt>(into.size());
            const int status = ::inflate(&state_, Z_NO_FLUSH);
            packed_.skip(some.size() - state_.avail_in);
            between_members_ = status == Z_STREAM_END;
            if (between_members_)
                static_cast<void>(::inflateReset(&state_));
            else if (status != Z_OK && status != Z_BUF_ERROR)
                return unpack_error("the gzip data is damaged", packed_.position());
            if (const std::size_t got = into.size() - state_.avail_out; got != 0)
                return got;
        }
    }

private:
    static constexpr int kGzipOnly = 16; // zlib's way to say that no zlib header is expected

    ByteStream& packed_;
    z_stream state_{};
    bool between_members_ = false;
};

class ZstdFeed final : public Feed {
public:
    ZstdFeed(ByteStream& packed, ZSTD_DStream* state) : packed_(packed), state_(state) {}

    Result<std::size_t> read(std::span<std::byte> into) override {
        for (;;) {
            MFD_TRY(const auto seen, packed_.peek(1));
            // What zstd has unpacked and had no room for comes without more input.
            if (seen.empty() && between_frames_)
                return std::size_t{0};
            const auto some = seen.first(std::min(seen.size(), kPackedBytes));
            ZSTD_inBuffer in{some.data(), some.size(), 0};
            ZSTD_outBuffer out{into.data(), into.size(), 0};
            const std::size_t status = ::ZSTD_decompressStream(state_.get(), &out, &in);
            if (::ZSTD_isError(status) != 0)
                return unpack_error(std::string("the zstd data: ") + ::ZSTD_getErrorName(status),
                                    packed_.position());
            packed_.skip(in.pos);
            between_frames_ = status == 0;
            if (out.pos != 0)
                return out.pos;
            if (seen.empty() && !between_frames_)
                return unpack_error("the zstd data is cut", packed_.position());
        }
    }

private:
    struct Free {
        void operator()(ZSTD_DStream* state) const { ::ZSTD_freeDStream(state); }
    };
    ByteStream& packed_;
    std::unique_ptr<ZSTD_DStream, Free> state_;
    bool between_frames_ = false;
};

} // namespace

std::unique_ptr<Feed> make_gzip_feed(ByteStream& packed) {
    return std::make_unique<GzipFeed>(packed);
}

Result<std::unique_ptr<Feed>> make_zstd_feed(ByteStream& packed) {
    ZSTD_DStream* const state = ::ZSTD_createDStream();
    if (state == nullptr)
        return make_sys_error("unpack zstd data", ENOMEM);
    return std::unique_ptr<Feed>(std::make_unique<ZstdFeed>(packed, state));
}

} // namespace mfd::convert
