// An ordinary stream put together by hand, word by word, without the encoder; a source that hands
// it out in small pieces; and a sink that keeps the memory it describes.
#pragma once

#include "proto/sequential.hpp"

#include <algorithm>
#include <map>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace mfd::testing {

// Shows as few bytes as the decoder asks for, in a place of their own: one that reads past them is
// caught by the sanitizers.
class MemoryStream final : public ByteStream {
public:
    explicit MemoryStream(std::span<const std::byte> bytes) : bytes_(bytes) {}
    Result<std::span<const std::byte>> peek(std::size_t want) override {
        const auto shown = bytes_.subspan(at_, std::min(want, bytes_.size() - at_));
        shown_.assign(shown.begin(), shown.end());
        return std::span<const std::byte>(shown_);
    }
    void skip(std::size_t bytes) override { at_ += bytes; }
    [[nodiscard]] std::uint64_t position() const override { return at_; }

private:
    std::span<const std::byte> bytes_;
    std::vector<std::byte> shown_;
    std::size_t at_ = 0;
};

// One byte of each page stands for all of it.
class MemorySink final : public RamSink {
public:
    Result<void> begin(const GuestHead& guest) override {
        head = guest;
        for (const BlockSpec& block : guest.blocks)
            memory.emplace_back(block.used_length / kPageSize, '.');
        return {};
    }
    Result<void> pages(std::size_t block, PageRun run, std::span<const std::byte> bytes) override {
        for (std::uint64_t i = 0; i < run.count; ++i)
            memory.at(block).at(run.first + i) = static_cast<char>(bytes[i * kPageSize]);
        return {};
    }
    Result<void> zero_pages(std::size_t block, PageRun run) override {
        for (std::uint64_t i = 0; i < run.count; ++i)
            memory.at(block).at(run.first + i) = '0';
        return {};
    }

    GuestHead head;
    std::vector<std::string> memory; // '.': never came; '0': zero
};

// Two blocks, "ab" of 3 pages and "cd" of 1; what stands in the parts is added by the caller.
class SequentialMaker {
public:
    explicit SequentialMaker(std::string_view capability = {}) {
        u32(0x5145564d).u32(3).u8(7).u32(4).text("none");
        if (!capability.empty())
            u8(5).str8("configuration/capabilities").u32(1).u32(1).str8(capability);
        mark("start").u8(1).u32(kRamId).str8("ram").u32(0).u32(4);
        mark("total").u64(0x4000 | 4).str8("ab").u64(0x3000).str8("cd").u64(0x1000);
        mark("start_eos").u64(0x10).footer();
    }

    SequentialMaker& part(std::uint8_t type = 2) { return mark("part").u8(type).u32(kRamId); }
    SequentialMaker& word(std::uint64_t value) { return mark("word").u64(value); }
    SequentialMaker& named(std::uint64_t value, std::string_view block) {
        return word(value).str8(block);
    }
    SequentialMaker& page(char fill) { return text(std::string(kPageSize, fill)); }
    SequentialMaker& zero() { return mark("fill").u8(0); }
    SequentialMaker& end_part() { return u64(0x10).footer(); }
    // An empty END, `timer`, end mark, and what describes it.
    SequentialMaker& close(std::string_view early = {}) {
        part(3).end_part();
        device(0, "timer", 2, std::string(24, 't'));
        mark("end_mark").u8(0);
        std::string devices(early);
        devices += R"({"name": "timer", "instance_id": 0, "vmsd_name": "timer", "version": 2, )"
                   R"("fields": [{"name": "a", "type": "buffer", "size": 24}]})";
        const std::string json = R"({"page_size": 4096, "devices": [)" + devices + "]}";
        return mark("vmdescription").u8(6).u32(static_cast<std::uint32_t>(json.size())).text(json);
    }
    SequentialMaker& device(std::uint32_t id, std::string_view name, std::uint32_t version,
                            std::string_view body) {
        u8(4).u32(id).str8(name).u32(0).u32(version).text(body).u8(0x7e);
        return u32(id);
    }

    SequentialMaker& u8(std::uint8_t value) { return put(value); }
    SequentialMaker& u16(std::uint16_t value) { return put(value); }
    SequentialMaker& u32(std::uint32_t value) { return put(value); }
    SequentialMaker& u64(std::uint64_t value) { return put(value); }
    SequentialMaker& text(std::string_view value) {
        out_.put_text(value);
        return *this;
    }
    SequentialMaker& str8(std::string_view value) {
        out_.put_str8(value);
        return *this;
    }
    SequentialMaker& footer() { return u8(0x7e).u32(kRamId); }
    SequentialMaker& mark(const std::string& name) {
        places[name] = out_.size(); // the last of that name
        return *this;
    }
    std::vector<std::byte> bytes() { return out_.take_all(); }

    std::map<std::string, std::size_t> places;

private:
    static constexpr std::uint32_t kRamId = 2; // not the one that is written here

    template <std::unsigned_integral T>
    SequentialMaker& put(T value) {
        out_.put_big(value);
        return *this;
    }
    ByteWriter out_;
};

} // namespace mfd::testing
