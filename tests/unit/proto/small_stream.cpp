#include "tests/unit/proto/small_stream.hpp"

#include <algorithm>

namespace mfd::testing {

namespace {

constexpr std::string_view kVmdescription =
    R"({"configuration": {"vmsd_name": "configuration", "version": 1, "fields": []}, )"
    R"("page_size": 4096, "devices": [)"
    R"({"name": "dimm/mem-early", "instance_id": 7, "vmsd_name": "mem", "version": 2, )"
    R"("fields": [{"name": "a", "type": "uint8", "array_len": 3, "size": 2}]}, )"
    R"({"name": "timer", "instance_id": 0, "vmsd_name": "timer", "version": 2, )"
    R"("fields": [{"name": "a", "type": "buffer", "size": 24}]}, )"
    R"({"name": "dev", "instance_id": 1, "vmsd_name": "dev", "version": 9, )"
    R"("fields": [{"name": "a", "type": "uint32", "size": 4}], )"
    R"("subsections": [{"vmsd_name": "dev/s", "version": 1, )"
    R"("fields": [{"name": "b", "type": "uint8", "size": 1}]}]}]})";

using U8 = std::uint8_t;
using U16 = std::uint16_t;
using U32 = std::uint32_t;
using U64 = std::uint64_t;

class Maker {
public:
    SmallStream make() {
        header();
        start();
        device("early", 8, "dimm/mem-early", 7, 2, std::string(6, 'e'));
        empty_ram_section("part", 2);
        mark("command_section");
        mark("command", U8{8});
        mark("command_id", U16{11});
        mark("command_length", U16{0});
        empty_ram_section("end", 3);
        device("timer", 0, "timer", 0, 2, std::string(24, 't'));
        device("dev", 5, "dev", 1, 9,
               std::string(4, 'd') +
                   "\x05\x05"
                   "dev/s" +
                   std::string(5, 's'));
        mark("end_mark", U8{0});
        mark("vmdesc_mark", U8{6});
        mark("vmdesc_length", static_cast<U32>(kVmdescription.size()));
        mark("vmdesc_text");
        out_.put_text(kVmdescription);
        stream_.bytes = out_.take_all();
        return std::move(stream_);
    }

private:
    void mark(const std::string& name) { stream_.places[name] = out_.size(); }
    template <std::unsigned_integral T>
    void mark(const std::string& name, T value) {
        mark(name);
        out_.put_big(value);
    }
    void pad_to(std::size_t size) {
        while (out_.size() < size)
            out_.put_big(U8{0});
    }

    void header() {
        mark("magic", U32{0x5145564d});
        mark("version", U32{3});
        mark("configuration", U8{7});
        mark("machine_length", U32{4});
        mark("machine");
        out_.put_text("none");
        mark("capabilities", U8{5});
        mark("capabilities_name");
        out_.put_str8("configuration/capabilities");
        mark("capabilities_version", U32{1});
        mark("capability_count", U32{1});
        mark("capability");
        out_.put_str8("mapped-ram");
        mark("uuid", U8{5});
        out_.put_str8("configuration/uuid").put_big(U32{1});
        out_.put_text("0123456789abcdef");
        mark("page_bits_section", U8{5});
        out_.put_str8("configuration/target-page-bits").put_big(U32{1});
        mark("page_bits", U32{12});
    }

    void start() {
        mark("start", U8{1});
        mark("start_id", U32{1});
        mark("start_idstr");
        out_.put_str8("ram");
        mark("start_instance", U32{0});
        mark("start_version", U32{4});
        mark("total", U64{0x4004});
        block("a", "ab", 0x3000, 0x1000, 0x5);
        block("b", "cd", 0x1000, 0x5000, 0x1);
        mark("start_eos", U64{0x10});
        mark("start_footer", U8{0x7e});
        mark("start_footer_id", U32{1});
    }

    void block(const std::string& place, std::string_view name, U64 length, U64 pages, U8 bits) {
        mark(place + "_entry");
        out_.put_str8(name);
        mark(place + "_length", length);
        mark(place + "_header", U32{1});
        mark(place + "_page_size", U64{4096});
        mark(place + "_bitmap_offset", static_cast<U64>(out_.size() + 16));
        mark(place + "_pages_offset", pages);
        mark(place + "_bitmap", bits); // little-endian
        for (int i = 1; i < 8; ++i)
            out_.put_big(U8{0});
        pad_to(pages);
        mark(place + "_pages");
        for (U64 i = 0; i < length; ++i)
            out_.put_big(static_cast<U8>(0x80 + i % 7));
    }

    void empty_ram_section(const std::string& place, U8 type) {
        mark(place, type);
        mark(place + "_id", U32{1});
        mark(place + "_eos", U64{0x10});
        mark(place + "_footer", U8{0x7e});
        mark(place + "_footer_id", U32{1});
    }

    void device(const std::string& place, U32 id, std::string_view idstr, U32 instance, U32 version,
                std::string_view body) {
        mark(place, U8{4});
        mark(place + "_id", id);
        mark(place + "_idstr");
        out_.put_str8(idstr);
        mark(place + "_instance", instance);
        mark(place + "_version", version);
        mark(place + "_body");
        out_.put_text(body);
        mark(place + "_footer", U8{0x7e});
        mark(place + "_footer_id", id);
    }

    ByteWriter out_;
    SmallStream stream_;
};

} // namespace

std::vector<std::byte> SmallStream::with_bytes(const std::string& place,
                                               const std::vector<std::byte>& value) const {
    std::vector<std::byte> changed = bytes;
    std::copy(value.begin(), value.end(), changed.begin() + static_cast<std::ptrdiff_t>(at(place)));
    return changed;
}

std::vector<std::byte> SmallStream::with_inserted(const std::string& place,
                                                  const std::vector<std::byte>& extra) const {
    std::vector<std::byte> changed = bytes;
    changed.insert(changed.begin() + static_cast<std::ptrdiff_t>(at(place)), extra.begin(),
                   extra.end());
    return changed;
}

std::vector<std::byte> SmallStream::without(const std::string& from, const std::string& to) const {
    std::vector<std::byte> changed = bytes;
    changed.erase(changed.begin() + static_cast<std::ptrdiff_t>(at(from)),
                  changed.begin() + static_cast<std::ptrdiff_t>(at(to)));
    return changed;
}

SmallStream make_small_stream() {
    return Maker().make();
}

} // namespace mfd::testing
