#include "channels/numa.hpp"

#include "channels/file_io.hpp"
#include "channels/unique_fd.hpp"
#include "proto/checked.hpp"

#include <algorithm>
#include <array>
#include <charconv>

#include <fcntl.h>
#include <sched.h>
#include <sys/syscall.h>
#include <unistd.h>

namespace mfd {

namespace {

// The kernel's own upper limit for processors (NR_CPUS of x86-64 with MAXSMP), which is above that
// for nodes. It bounds what a list can make us allocate.
constexpr unsigned kMostCpus = 8192;
// A list of every other processor takes 23 KiB.
constexpr std::size_t kLongestListBytes = std::size_t{64} << 10;

// Memory in use often lies in pieces of a few MiB; of a chunk of 32 MiB eight samples find each
// piece of 4 MiB. 1 TiB has 32768 such chunks: 2^18 samples.
constexpr std::uint64_t kSamplesPerChunk = 8;
constexpr std::size_t kSamplesPerCall = 1024;

using CpuMask = std::array<unsigned long, kMostCpus / (8 * sizeof(unsigned long))>;
constexpr unsigned kCpusPerWord = 8 * sizeof(unsigned long);

std::optional<std::vector<unsigned>> read_cpulist(const std::string& path) {
    const UniqueFd file(::open(path.c_str(), O_RDONLY | O_CLOEXEC));
    if (!file.valid())
        return std::nullopt;
    std::string text(kLongestListBytes, '\0');
    const auto bytes = read_up_to_at(file.ref(), std::as_writable_bytes(std::span(text)), 0);
    if (!bytes)
        return std::nullopt;
    return parse_cpulist(std::string_view(text).substr(0, *bytes));
}

std::vector<unsigned> allowed_cpus() {
    CpuMask mask{};
    std::vector<unsigned> cpus;
    if (::sched_getaffinity(0, sizeof mask, reinterpret_cast<cpu_set_t*>(mask.data())) != 0)
        return cpus;
    for (unsigned cpu = 0; cpu < kMostCpus; ++cpu)
        if ((mask[cpu / kCpusPerWord] >> (cpu % kCpusPerWord) & 1) != 0)
            cpus.push_back(cpu);
    return cpus;
}

// Several pages of several chunks, asked for in one call.
class SampleBatch {
public:
    SampleBatch(std::span<const NumaNode> nodes, std::vector<std::size_t>& found,
                const AskNodes& ask)
        : nodes_(nodes), found_(found), ask_(ask) {}

    bool add(std::uint64_t chunk, const std::byte* memory, std::uint64_t pages) {
        const std::uint64_t count = std::min(pages, kSamplesPerChunk);
        if (pages_.size() + count > kSamplesPerCall && !flush())
            return false;
        chunks_.push_back({chunk, count});
        for (std::uint64_t sample = 0; sample < count; ++sample)
            // The kernel's interface has no const; it only looks.
            pages_.push_back(const_cast<std::byte*>(memory + pages * sample / count * kPageSize));
        return true;
    }

    bool flush() {
        ids_.assign(pages_.size(), -1);
        if (!pages_.empty() && !ask_(pages_, ids_))
            return false;
        auto id = ids_.begin();
        for (const Asked& asked : chunks_) {
            const auto end = id + static_cast<std::ptrdiff_t>(asked.samples);
            found_[asked.chunk] = most_frequent({id, end});
            id = end;
        }
        pages_.clear();
        chunks_.clear();
        return true;
    }

private:
    struct Asked {
        std::uint64_t chunk = 0;
        std::uint64_t samples = 0;
    };

    [[nodiscard]] std::size_t most_frequent(std::span<const int> ids) const {
        std::size_t best = ChunkCursor::kNoNode;
        std::ptrdiff_t most = 0;
        for (std::size_t node = 0; node < nodes_.size(); ++node) {
            const auto here = std::ranges::count(ids, static_cast<int>(nodes_[node].id));
            if (here > most) {
                most = here;
                best = node;
            }
        }
        return best;
    }

    std::span<const NumaNode> nodes_;
    std::vector<std::size_t>& found_;
    const AskNodes& ask_;
    std::vector<Asked> chunks_;
    std::vector<void*> pages_;
    std::vector<int> ids_;
};

} // namespace

std::optional<std::vector<unsigned>> parse_cpulist(std::string_view text) {
    if (text.ends_with('\n'))
        text.remove_suffix(1);
    std::vector<unsigned> numbers;
    if (text.empty())
        return numbers;
    const char* at = text.data();
    const char* const end = at + text.size();
    const auto number = [&]() -> std::optional<unsigned> {
        unsigned value = 0;
        const auto parsed = std::from_chars(at, end, value);
        if (parsed.ec != std::errc() || value >= kMostCpus)
            return std::nullopt;
        at = parsed.ptr;
        return value;
    };
    for (;;) {
        const auto first = number();
        auto last = first;
        if (first && at != end && *at == '-') {
            ++at;
            last = number();
        }
        // The kernel's lists ascend; that also bounds their length.
        if (!first || !last || *last < *first || (!numbers.empty() && *first <= numbers.back()))
            return std::nullopt;
        for (unsigned value = *first; value <= *last; ++value)
            numbers.push_back(value);
        if (at == end)
            return numbers;
        if (*at++ != ',')
            return std::nullopt;
    }
}

std::vector<NumaNode> read_numa_nodes(const std::string& folder,
                                      std::span<const unsigned> allowed) {
    std::vector<NumaNode> nodes;
    const auto online = read_cpulist(folder + "/online");
    if (!online || online->size() < 2)
        return nodes;
    for (const unsigned id : *online) {
        const auto cpus = read_cpulist(folder + "/node" + std::to_string(id) + "/cpulist");
        if (!cpus)
            return {};
        NumaNode node{id, {}};
        std::ranges::set_intersection(*cpus, allowed, std::back_inserter(node.cpus));
        if (!node.cpus.empty())
            nodes.push_back(std::move(node));
    }
    if (nodes.size() < 2)
        nodes.clear();
    return nodes;
}

bool ask_nodes(std::span<void* const> pages, std::span<int> ids) {
    // Without wanted nodes the call only reports. No wrapper in the C library.
    return ::syscall(SYS_move_pages, 0, pages.size(), pages.data(), nullptr, ids.data(), 0) == 0;
}

std::vector<std::size_t> find_chunk_nodes(const ChunkCursor& cursor,
                                          std::span<const NumaNode> nodes,
                                          const MemoryOfChunk& memory_of, const AskNodes& ask) {
    std::vector<std::size_t> found(cursor.chunks(), ChunkCursor::kNoNode);
    SampleBatch batch(nodes, found, ask);
    for (std::uint64_t number = 0; number < found.size(); ++number) {
        const ChunkCursor::Chunk chunk = cursor.chunk(number);
        if (const std::byte* memory = memory_of(chunk);
            memory != nullptr && !batch.add(number, memory, chunk.pages.count))
            return {};
    }
    if (!batch.flush())
        return {};
    return found;
}

NumaNodes::NumaNodes(const std::string& folder) : nodes_(read_numa_nodes(folder, allowed_cpus())) {}

void NumaNodes::bind_worker(unsigned worker) const {
    if (nodes_.empty())
        return;
    CpuMask mask{};
    for (const unsigned cpu : nodes_[node_of_worker(worker)].cpus)
        mask[cpu / kCpusPerWord] |= 1UL << (cpu % kCpusPerWord);
    // A processor that has gone meanwhile is no reason not to save: the worker runs anywhere.
    static_cast<void>(
        ::sched_setaffinity(0, sizeof mask, reinterpret_cast<const cpu_set_t*>(mask.data())));
}

void NumaNodes::place_chunks(ChunkCursor& cursor, const MemoryOfChunk& memory_of) const {
    if (nodes_.empty())
        return;
    const auto found = find_chunk_nodes(cursor, nodes_, memory_of, ask_nodes);
    if (!found.empty())
        cursor.place(found, nodes_.size());
}

} // namespace mfd
