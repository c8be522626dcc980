#include "channels/numa.hpp"

#include "guest_memory.hpp"
#include "numa_folder.hpp"

#include <catch2/catch_test_macros.hpp>

#include <cerrno>
#include <map>
#include <thread>
#include <vector>

using mfd::ChunkCursor;
using mfd::kPageSize;
using mfd::NumaNode;
using mfd::parse_cpulist;
using mfd::test::NumaFolder;
using List = std::vector<unsigned>;

TEST_CASE("lists of processors are read as the kernel writes them", "[numa]") {
    CHECK(parse_cpulist("0\n") == List{0});
    CHECK(parse_cpulist("0-3\n") == List{0, 1, 2, 3});
    CHECK(parse_cpulist("0-1,8,10-11\n") == List{0, 1, 8, 10, 11});
    CHECK(parse_cpulist("7-7") == List{7});
    CHECK(parse_cpulist("8191") == List{8191});
    // A node without processors.
    CHECK(parse_cpulist("\n") == List{});
    CHECK(parse_cpulist("") == List{});
}

TEST_CASE("malformed lists of processors are not read at all", "[numa]") {
    for (const char* text :
         {"a",       "-",     "-3",   "3-",   "0,",     ",0",         "0,,1",
          "0 ",      " 0",    "0-3x", "0x1",  "3-1",    "1,0",        "0-3,3",
          "0-3:2/4", "0\n\n", "\n0",  "8192", "0-8192", "4294967296", "0-18446744073709551616",
          "+1",      "--1",   "1--2"}) {
        INFO(text);
        CHECK_FALSE(parse_cpulist(text).has_value());
    }
}

TEST_CASE("nodes are those with processors that may be used", "[numa]") {
    const NumaFolder folder;
    folder.write("online", "0,2-4\n");
    folder.write("node0/cpulist", "0-3\n");
    folder.write("node2/cpulist", "4-7,12\n");
    folder.write("node3/cpulist", "\n"); // memory only
    folder.write("node4/cpulist", "8-11\n");
    const List allowed{2, 3, 4, 12};
    CHECK(mfd::read_numa_nodes(folder.path(), allowed) ==
          std::vector<NumaNode>{{0, {2, 3}}, {2, {4, 12}}});
}

TEST_CASE("one node, or what cannot be read, is no node at all", "[numa]") {
    const List allowed{0, 1, 2, 3};
    const NumaFolder folder;
    CHECK(mfd::read_numa_nodes(folder.path() + "/gone", allowed).empty());
    CHECK(mfd::read_numa_nodes(folder.path(), allowed).empty());
    folder.write("node0/cpulist", "0-1\n");
    folder.write("online", "0\n");
    CHECK(mfd::read_numa_nodes(folder.path(), allowed).empty());
    folder.write("online", "0-1\n"); // and no folder of node 1
    CHECK(mfd::read_numa_nodes(folder.path(), allowed).empty());
    folder.write("node1/cpulist", "two\n");
    CHECK(mfd::read_numa_nodes(folder.path(), allowed).empty());
    folder.write("node1/cpulist", "4\n"); // not allowed
    CHECK(mfd::read_numa_nodes(folder.path(), allowed).empty());
    folder.write("node1/cpulist", "2-3\n");
    CHECK(mfd::read_numa_nodes(folder.path(), allowed).size() == 2);
    CHECK(mfd::read_numa_nodes(folder.path(), List{}).empty());
}

namespace {

// Pretended memory: what is on a node, by page number. Its addresses are never looked at.
class PretendedMemory {
public:
    explicit PretendedMemory(std::uint64_t pages) {
        cursor_.reset(std::vector<std::uint64_t>{pages}, 1);
    }
    std::map<std::uint64_t, int> ids;
    std::size_t calls = 0;
    bool known = true;

    std::vector<std::size_t> find(const std::vector<NumaNode>& nodes,
                                  std::uint64_t unwanted_chunk = UINT64_MAX) {
        return mfd::find_chunk_nodes(
            cursor_, nodes,
            [&](const ChunkCursor::Chunk& chunk) -> const std::byte* {
                const std::uint64_t first = chunk.pages.first;
                return first / cursor_.chunk_pages() == unwanted_chunk ? nullptr : address(first);
            },
            [&](std::span<void* const> pages, std::span<int> found) {
                ++calls;
                REQUIRE(pages.size() == found.size());
                for (std::size_t i = 0; i < pages.size(); ++i) {
                    const auto here = ids.upper_bound(number(pages[i]));
                    found[i] = here == ids.begin() ? -ENOENT : std::prev(here)->second;
                }
                return known;
            });
    }
    [[nodiscard]] const ChunkCursor& cursor() const { return cursor_; }

private:
    static constexpr std::uintptr_t kBase = std::uintptr_t{1} << 40;
    static const std::byte* address(std::uint64_t page) {
        return reinterpret_cast<const std::byte*>(kBase + page * kPageSize);
    }
    static std::uint64_t number(const void* page) {
        return (reinterpret_cast<std::uintptr_t>(page) - kBase) / kPageSize;
    }
    ChunkCursor cursor_;
};

constexpr auto kNoNode = ChunkCursor::kNoNode;
const std::vector<NumaNode> kTwoNodes{{0, {0}}, {5, {1}}};

} // namespace

TEST_CASE("a chunk is on the node that most of its pages there are on", "[numa]") {
    PretendedMemory memory(6 * 512);
    REQUIRE(memory.cursor().chunk_pages() == 512);
    memory.ids = {{0, 5},                           // chunk 0: all on node 5
                  {512, -ENOENT},                   // chunk 1: nothing there
                  {1024, 0},       {1024 + 100, 5}, // chunk 2: the larger part on node 5
                  {1536, 7},                        // chunk 3: a node without processors
                  {2048, -ENOENT}, {2048 + 448, 0}, // chunk 4: the last eighth there
                  {2560, -EFAULT}};                 // chunk 5: the page of zeros
    CHECK(memory.find(kTwoNodes) == std::vector<std::size_t>{1, kNoNode, 1, kNoNode, 0, kNoNode});
    CHECK(memory.calls == 1);
}

TEST_CASE("chunks that nobody wants are not asked for", "[numa]") {
    PretendedMemory memory(3 * 512);
    memory.ids = {{0, 5}};
    CHECK(memory.find(kTwoNodes, 1) == std::vector<std::size_t>{1, kNoNode, 1});
}

TEST_CASE("many chunks are asked for in few calls, blocks of a page as well", "[numa]") {
    PretendedMemory memory(1000 * 8192 + 1);
    REQUIRE(memory.cursor().chunks() == 1001);
    memory.ids = {{0, 0}, {500 * 8192, 5}};
    const auto found = memory.find(kTwoNodes);
    CHECK(memory.calls == 8);
    CHECK(std::ranges::count(found, 0U) == 500);
    CHECK(std::ranges::count(found, 1U) == 501);
}

TEST_CASE("where the kernel does not tell nodes, chunks get none", "[numa]") {
    PretendedMemory memory(3 * 512);
    memory.known = false;
    CHECK(memory.find(kTwoNodes).empty());
}

TEST_CASE("asking the kernel touches no page", "[numa]") {
    mfd::test::GuestMemory memory(64);
    *memory.page(3) = std::byte{1};
    std::vector<void*> pages;
    for (std::uint64_t page = 0; page < memory.pages(); ++page)
        pages.push_back(memory.page(page));
    std::vector<int> ids(pages.size(), -1);
    if (!mfd::ask_nodes(pages, ids))
        SKIP("no move_pages() here");
    CHECK(ids[3] >= 0);
    CHECK(std::ranges::count_if(ids, [](int id) { return id >= 0; }) == 1);
    CHECK(memory.allocated_pages() == 1);
}

TEST_CASE("workers run on their node's processors", "[numa]") {
    const NumaFolder folder;
    mfd::test::describe_two_nodes(folder);
    const auto before = mfd::test::runnable_cpus();
    const mfd::NumaNodes nodes(folder.path());
    std::vector<List> cpus(4);
    for (unsigned worker = 0; worker < 4; ++worker)
        std::thread([&] {
            nodes.bind_worker(worker);
            cpus[worker] = mfd::test::runnable_cpus();
        }).join();
    CHECK(cpus == std::vector<List>{{before[0]}, {before[1]}, {before[0]}, {before[1]}});
    CHECK(nodes.node_of_worker(3) == 1);
    CHECK(mfd::test::runnable_cpus() == before);
}

TEST_CASE("with one node a worker runs where it did before", "[numa]") {
    const NumaFolder folder;
    folder.write("online", "0\n");
    folder.write("node0/cpulist", std::to_string(mfd::test::runnable_cpus().front()) + "\n");
    const auto before = mfd::test::runnable_cpus();
    const mfd::NumaNodes nodes(folder.path());
    nodes.bind_worker(1);
    CHECK(mfd::test::runnable_cpus() == before);
    CHECK(nodes.node_of_worker(1) == 0);
}
