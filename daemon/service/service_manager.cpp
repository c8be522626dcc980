#include "daemon/service/service_manager.hpp"

#include "proto/error.hpp"
#include "qmp/utf8.hpp"

#include <spdlog/spdlog.h>

#include <cstdint>
#include <ctime>
#include <utility>

#include <systemd/sd-daemon.h>
#include <unistd.h>

namespace mfd {

namespace {

using std::chrono::microseconds;

// systemd drops a message of more than a page.
constexpr std::size_t kStatusMaxBytes = 2048;

void send_to_socket(const std::string& lines) {
    if (const int sent = ::sd_notify(/*unset_environment=*/0, lines.c_str()); sent < 0)
        spdlog::warn("tell the service manager: {}", errno_text(-sent));
}

// One line of UTF-8, as the manager wants it: texts of errors may quote names of files.
std::string status_line(std::string_view text) {
    std::string line = "STATUS=";
    while (!text.empty() && line.size() < kStatusMaxBytes) {
        const auto [code_point, length] = qmp::decode_utf8(text);
        const bool shown = code_point && *code_point >= 0x20 && *code_point != 0x7f;
        line += shown ? text.substr(0, length) : "?";
        text.remove_prefix(length);
    }
    return line;
}

} // namespace

ServiceManager ServiceManager::from_environment() {
    std::uint64_t limit_us = 0;
    const int watched = ::sd_watchdog_enabled(/*unset_environment=*/1, &limit_us);
    return {send_to_socket, watched > 0 ? std::optional(microseconds(limit_us)) : std::nullopt};
}

ServiceManager::ServiceManager(Send send, std::optional<microseconds> watchdog_limit)
    : send_(std::move(send)), watchdog_limit_(watchdog_limit), main_pid_(::getpid()) {}

void ServiceManager::ready(std::string_view status) const {
    std::string lines = "READY=1\n" + status_line(status);
    if (const pid_t pid = ::getpid(); pid != main_pid_)
        lines += "\nMAINPID=" + std::to_string(pid);
    send_(lines);
}

void ServiceManager::reloading() const {
    // Newer managers tell by the time which READY=1 belongs to the reload.
    timespec now{};
    ::clock_gettime(CLOCK_MONOTONIC, &now);
    const auto since_boot =
        std::chrono::seconds(now.tv_sec) +
        std::chrono::duration_cast<microseconds>(std::chrono::nanoseconds(now.tv_nsec));
    send_("RELOADING=1\nMONOTONIC_USEC=" + std::to_string(since_boot.count()));
}

void ServiceManager::status(std::string_view text) const {
    send_(status_line(text));
}

void ServiceManager::stopping(std::string_view status) const {
    send_("STOPPING=1\n" + status_line(status));
}

void ServiceManager::extend_timeout(microseconds by) const {
    send_("EXTEND_TIMEOUT_USEC=" + std::to_string(by.count()));
}

void ServiceManager::feed_watchdog() const {
    send_("WATCHDOG=1");
}

} // namespace mfd
