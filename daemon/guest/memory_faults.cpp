#include "daemon/guest/memory_faults.hpp"

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <csignal>
#include <utility>

#include <sys/mman.h>
#include <sys/stat.h>

namespace mfd {

namespace {

constexpr std::uint64_t kNothingLost = ~std::uint64_t{0};

} // namespace

// Read by the signal handler at any moment, so entries are used again but never freed.
struct FaultWatch::Entry {
    std::atomic<std::uintptr_t> begin{0}; // 0: not in use
    std::atomic<std::uintptr_t> end{0};
    std::atomic<int> file{-1};
    std::atomic<std::uint64_t> file_offset{0};
    std::atomic<std::uint64_t> page_bytes{0};
    std::atomic<std::uint64_t> lost_from{kNothingLost};
    Entry* next = nullptr;
};

// What the handler does here is async-signal-safe: atomics, fstat, mmap.
struct FaultWatch::Registry {
    static std::atomic<Entry*> first;

    static Entry* take() {
        for (Entry* entry = first; entry != nullptr; entry = entry->next)
            if (entry->begin == 0)
                return entry;
        auto* entry = new Entry; // NOLINT(cppcoreguidelines-owning-memory): see Entry
        entry->next = first;
        first = entry;
        return entry;
    }

    // From where on zeros are needed: a file that is too short now has nothing behind its end.
    static std::uintptr_t lost_begin(const Entry& entry, std::uintptr_t fault, bool& to_the_end) {
        const std::uint64_t page = entry.page_bytes;
        const std::uintptr_t begin = entry.begin;
        const std::uintptr_t of_page = begin + (fault - begin) / page * page;
        struct stat status {};
        if (entry.file < 0 || ::fstat(entry.file, &status) != 0)
            return of_page;
        const auto size = static_cast<std::uint64_t>(std::max<off_t>(status.st_size, 0));
        const std::uint64_t offset = entry.file_offset;
        const std::uint64_t there = size > offset ? (size - offset + page - 1) / page * page : 0;
        to_the_end = begin + there <= of_page;
        return to_the_end ? begin + there : of_page;
    }

    static bool stand_in(Entry& entry, std::uintptr_t fault) {
        bool to_the_end = false;
        const std::uintptr_t from = lost_begin(entry, fault, to_the_end);
        const std::size_t bytes = to_the_end ? entry.end - from : entry.page_bytes.load();
        // NOLINTNEXTLINE(performance-no-int-to-ptr): addresses are what signals deal in
        if (::mmap(reinterpret_cast<void*>(from), bytes, PROT_READ | PROT_WRITE,
                   MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED | MAP_NORESERVE, -1, 0) == MAP_FAILED)
            return false;
        const std::uint64_t lost = from - entry.begin;
        std::uint64_t known = entry.lost_from;
        while (lost < known && !entry.lost_from.compare_exchange_weak(known, lost)) {
        }
        return true;
    }

    static void on_bus_error(int signal, siginfo_t* info, void* /*context*/) {
        const int saved_errno = errno;
        const auto fault = reinterpret_cast<std::uintptr_t>(info->si_addr);
        const bool of_memory = info->si_code > 0; // not sent by somebody
        for (Entry* entry = first; of_memory && entry != nullptr; entry = entry->next)
            if (fault >= entry->begin && fault < entry->end && stand_in(*entry, fault)) {
                errno = saved_errno;
                return;
            }
        // Not the guest's: the end, as without a handler.
        static_cast<void>(std::signal(signal, SIG_DFL));
        static_cast<void>(std::raise(signal));
    }

    static void install() {
        struct sigaction action {};
        action.sa_sigaction = &on_bus_error;
        action.sa_flags = SA_SIGINFO;
        sigemptyset(&action.sa_mask);
        ::sigaction(SIGBUS, &action, nullptr);
    }
};

std::atomic<FaultWatch::Entry*> FaultWatch::Registry::first{nullptr};

FaultWatch::FaultWatch(std::span<std::byte> memory, FdRef file, std::uint64_t file_offset,
                       std::uint64_t page_bytes)
    : entry_(Registry::take()) {
    static_assert(std::atomic<Entry*>::is_always_lock_free);
    static_assert(std::atomic<std::uint64_t>::is_always_lock_free);
    entry_->file = file.get();
    entry_->file_offset = file_offset;
    entry_->page_bytes = page_bytes;
    entry_->lost_from = kNothingLost;
    const auto begin = reinterpret_cast<std::uintptr_t>(memory.data());
    entry_->end = begin + memory.size();
    entry_->begin = begin;
    static const bool installed = (Registry::install(), true);
    static_cast<void>(installed);
}

FaultWatch::FaultWatch(FaultWatch&& other) noexcept
    : entry_(std::exchange(other.entry_, nullptr)) {}

FaultWatch& FaultWatch::operator=(FaultWatch&& other) noexcept {
    std::swap(entry_, other.entry_);
    return *this;
}

FaultWatch::~FaultWatch() {
    if (entry_ == nullptr)
        return;
    entry_->end = 0;
    entry_->begin = 0;
}

std::optional<std::uint64_t> FaultWatch::lost_from() const {
    if (entry_ == nullptr || entry_->lost_from == kNothingLost)
        return std::nullopt;
    return entry_->lost_from;
}

} // namespace mfd
