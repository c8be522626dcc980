#include "daemon/service/fd_store.hpp"

#include <cerrno>
#include <charconv>
#include <chrono>
#include <cstdlib>
#include <string_view>

#include <systemd/sd-daemon.h>

namespace mfd {

namespace {

// A busy manager takes milliseconds. One that hangs must not hold up the guest's clients for
// longer, and not again and again: what was sent waits in its queue and is not lost.
constexpr std::chrono::microseconds kSettleLimit = std::chrono::seconds(2);
constexpr std::chrono::microseconds kSettleLimitOfHanging = std::chrono::milliseconds(20);

// getenv: nothing here changes the environment once threads run.
// NOLINTBEGIN(concurrency-mt-unsafe)
bool has_manager() {
    const char* const socket = std::getenv("NOTIFY_SOCKET");
    return socket != nullptr && *socket != '\0';
}

std::optional<std::size_t> announced_capacity() {
    const char* const text = std::getenv("FDSTORE");
    std::size_t number = 0;
    if (text == nullptr)
        return std::nullopt;
    const std::string_view digits(text);
    const auto [end, error] = std::from_chars(digits.begin(), digits.end(), number);
    if (error != std::errc() || end != digits.end())
        return std::nullopt;
    return number;
}
// NOLINTEND(concurrency-mt-unsafe)

class ServiceFdStore final : public FdStore {
public:
    Result<void> push(const std::string& name, FdRef fd) override {
        // Without FDPOLL=0 the manager drops what its owner hangs up, a pipe for example.
        const std::string text = "FDSTORE=1\nFDPOLL=0\nFDNAME=" + name;
        const int number = fd.get();
        return sent(::sd_pid_notify_with_fds(0, /*unset_environment=*/0, text.c_str(), &number, 1),
                    "put descriptor '" + name + "' into the service manager's store");
    }

    Result<void> remove(const std::string& name) override {
        const std::string text = "FDSTOREREMOVE=1\nFDNAME=" + name;
        return sent(::sd_notify(/*unset_environment=*/0, text.c_str()),
                    "remove descriptor '" + name + "' from the service manager's store");
    }

    Result<void> settle() override {
        const auto limit = hangs_ ? kSettleLimitOfHanging : kSettleLimit;
        const int result =
            ::sd_notify_barrier(/*unset_environment=*/0, static_cast<std::uint64_t>(limit.count()));
        hangs_ = result == -ETIMEDOUT;
        return sent(result, "wait for the service manager to store descriptors");
    }

    [[nodiscard]] std::optional<std::size_t> capacity() const override { return capacity_; }

private:
    static Result<void> sent(int result, const std::string& what) {
        if (result < 0)
            return make_sys_error(what, -result);
        return {};
    }

    std::optional<std::size_t> capacity_ = announced_capacity();
    bool hangs_ = false;
};

} // namespace

std::unique_ptr<FdStore> find_service_fd_store() {
    if (!has_manager() || announced_capacity().value_or(0) == 0)
        return nullptr;
    return std::make_unique<ServiceFdStore>();
}

Result<std::unique_ptr<FdStore>> require_service_fd_store() {
    if (!has_manager())
        return Error{Errc::Unsupported,
                     "--keep-state on: no service manager started this process (NOTIFY_SOCKET is "
                     "not set)"};
    return std::unique_ptr<FdStore>(std::make_unique<ServiceFdStore>());
}

} // namespace mfd
