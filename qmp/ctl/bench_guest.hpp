// A multifdd of our own with an emulated guest's memory: what `bench` saves and restores with. The
// process goes away with the object, and with this program, however that ends.
#pragma once

#include "channels/unique_fd.hpp"
#include "proto/error.hpp"
#include "qmp/client.hpp"

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>

namespace mfd::ctl {

// Memory of a guest, shared with whoever gets the descriptor.
class BenchMemory {
public:
    static Result<BenchMemory> make(std::uint64_t bytes);
    // Data that no file system can compress or leave out.
    void fill();
    [[nodiscard]] FdRef fd() const { return fd_.ref(); }
    [[nodiscard]] std::span<std::byte> bytes() const {
        return {map_.get(), map_.get_deleter().bytes};
    }

private:
    struct Unmap {
        std::uint64_t bytes;
        void operator()(std::byte* map) const;
    };
    UniqueFd fd_;
    std::unique_ptr<std::byte, Unmap> map_{nullptr, Unmap{0}};
};

enum class BenchRole : std::uint8_t { Saves, Restores };

class BenchGuest {
public:
    // Runs `program` with this memory, its socket and log in `folder`. `stop`: as in
    // Client::interrupt_on().
    static Result<BenchGuest> start(const std::string& program, const std::string& folder,
                                    const BenchMemory& memory, BenchRole role, FdRef stop);
    BenchGuest(BenchGuest&&) noexcept;
    BenchGuest& operator=(BenchGuest&&) = delete;
    ~BenchGuest();

    // Saves to (restores from) `file` and gives back the seconds that took. A save ends when the
    // file is on stable storage.
    Result<double> run(const std::string& file, unsigned channels, bool direct);

private:
    explicit BenchGuest(int process, std::string log, BenchRole role)
        : process_(process), log_(std::move(log)), role_(role) {}
    Result<void> connect(const std::string& socket, FdRef stop);
    Result<void> settings(unsigned channels, bool direct);
    [[nodiscard]] Error with_log(Error error) const;

    int process_ = -1;
    std::string log_;
    BenchRole role_;
    std::optional<qmp::Client> client_;
};

} // namespace mfd::ctl
