// Workers near the memory they read, where a machine has more than one NUMA node: each worker runs
// on the processors of its node, and the cursor is told which node each chunk is on. With one node
// nothing here does anything. All of it is a matter of speed, so what cannot be found out or set
// is left as it is and is never an error.
//
// NumaNodes does not change once it is made: any thread may use it.
#pragma once

#include "channels/chunk_cursor.hpp"

#include <cstddef>
#include <functional>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace mfd {

inline constexpr const char* kNumaFolder = "/sys/devices/system/node";

struct NumaNode {
    unsigned id = 0; // the kernel's number
    std::vector<unsigned> cpus;
    bool operator==(const NumaNode&) const = default;
};

// "0-3,8\n", as the kernel lists nodes and processors; nothing if it is malformed. A line without
// numbers is an empty list.
std::optional<std::vector<unsigned>> parse_cpulist(std::string_view text);

// The nodes described in `folder` that have some of the `allowed` processors, and those processors.
// Empty unless they are several. Nodes without processors are left out: nobody can run there.
std::vector<NumaNode> read_numa_nodes(const std::string& folder, std::span<const unsigned> allowed);

// Gives the kernel's number of the node that each page is on, or something negative where there is
// no page; false if nothing can be known.
using AskNodes = std::function<bool(std::span<void* const> pages, std::span<int> ids)>;
// By move_pages(2), which neither touches nor allocates them.
bool ask_nodes(std::span<void* const> pages, std::span<int> ids);

// A chunk's first byte, or null for a chunk that it does not pay to ask for.
using MemoryOfChunk = std::function<const std::byte*(const ChunkCursor::Chunk&)>;

// For each chunk of the cursor the index into `nodes` of the node that most of its sampled pages
// are on, or ChunkCursor::kNoNode. Empty if `ask` knows nothing.
std::vector<std::size_t> find_chunk_nodes(const ChunkCursor& cursor,
                                          std::span<const NumaNode> nodes,
                                          const MemoryOfChunk& memory_of, const AskNodes& ask);

class NumaNodes {
public:
    // The machine's nodes, as far as this thread may run there.
    explicit NumaNodes(const std::string& folder);

    // To be called on the worker's own thread, which stays on the processors of its node.
    void bind_worker(unsigned worker) const;
    // For ChunkCursor::next().
    [[nodiscard]] std::size_t node_of_worker(unsigned worker) const {
        return nodes_.empty() ? 0 : worker % nodes_.size();
    }
    // Once a pass, after the cursor's reset().
    void place_chunks(ChunkCursor& cursor, const MemoryOfChunk& memory_of) const;

private:
    std::vector<NumaNode> nodes_; // empty: one node, or none known
};

} // namespace mfd
