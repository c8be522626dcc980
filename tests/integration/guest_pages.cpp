// Fills memory with pages as the emulated guest writes them, and says what state pages are in: for
// the Python tests, which would take minutes for it.
//
//   guest_pages fill FILE SEED      every fourth page stays as it is, the others get generation 0
//   guest_pages check FILE SLICES   prints JSON; the last generation is told for each of so many
//                                   equal slices, that is, for each thread of a guest
#include "daemon/guest/workload_page.hpp"
#include "proto/checked.hpp"

#include <nlohmann/json.hpp>

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <span>
#include <string>
#include <vector>

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>

namespace {

[[noreturn]] void die(const std::string& what) {
    std::perror(what.c_str());
    std::exit(1);
}

std::span<std::byte> map_file(const char* path) {
    const int fd = ::open(path, O_RDWR | O_CLOEXEC);
    struct stat status = {};
    if (fd < 0 || ::fstat(fd, &status) != 0)
        die(path);
    const auto bytes = static_cast<std::size_t>(status.st_size);
    void* const at = ::mmap(nullptr, bytes, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    if (at == MAP_FAILED)
        die(path);
    return {static_cast<std::byte*>(at), bytes};
}

std::span<std::byte> page_of(std::span<std::byte> memory, std::uint64_t page) {
    return memory.subspan(page * mfd::kPageSize, mfd::kPageSize);
}

void fill(std::span<std::byte> memory, std::uint64_t seed) {
    for (std::uint64_t page = 0; page < memory.size() / mfd::kPageSize; ++page)
        if (page % 4 != 3)
            mfd::fill_page(page_of(memory, page), {page, 0, seed});
}

nlohmann::json check(std::span<std::byte> memory, std::uint64_t slices) {
    const std::uint64_t pages = memory.size() / mfd::kPageSize;
    std::uint64_t zero = 0;
    std::uint64_t whole = 0;
    nlohmann::json damaged = nlohmann::json::array();
    std::vector<std::uint64_t> last(slices);
    for (std::uint64_t slice = 0; slice < slices; ++slice)
        for (std::uint64_t page = pages * slice / slices; page < pages * (slice + 1) / slices;
             ++page) {
            const auto verdict = mfd::verify_page(page_of(memory, page), page);
            switch (verdict.state) {
            case mfd::PageState::Zero:
                ++zero;
                break;
            case mfd::PageState::Whole:
                ++whole;
                last[slice] = std::max(last[slice], verdict.content.generation);
                break;
            case mfd::PageState::Damaged:
                damaged.push_back(page);
                break;
            }
        }
    return {{"zero", zero}, {"whole", whole}, {"damaged", damaged}, {"last-generations", last}};
}

} // namespace

int main(int argc, char** argv) {
    if (argc != 4) {
        std::fputs("usage: guest_pages fill FILE SEED | check FILE SLICES\n", stderr);
        return 2;
    }
    const auto memory = map_file(argv[2]);
    const std::uint64_t number = std::strtoull(argv[3], nullptr, 10);
    if (std::string(argv[1]) == "fill")
        fill(memory, number);
    else
        std::puts(check(memory, std::max<std::uint64_t>(number, 1)).dump().c_str());
    return 0;
}
