#include "qmp/ctl/core_dump.hpp"

#include "proto/text.hpp"
#include "qmp/files/page_sinks.hpp"
#include "qmp/files/vmcoreinfo.hpp"
#include "qmp/units.hpp"

#include <iomanip>
#include <sstream>
#include <utility>

namespace mfd::ctl {

using files::GuestRange;
using files::SavedFile;
using qmp::Json;

namespace {

Result<files::GuestMapOptions> map_options(const CoreOptions& options) {
    files::GuestMapOptions map{options.ram, {}};
    for (const std::string& text : options.at) {
        const auto equals = text.rfind('=');
        if (equals == std::string::npos || equals == 0)
            return bad_argument("--at " + text + ": write BLOCK=ADDRESS");
        MFD_TRY(const std::uint64_t address, parse_size(text.substr(equals + 1)));
        map.at.emplace_back(text.substr(0, equals), address);
    }
    return map;
}

// Into the core, with an eye on what the guest's kernel says of itself.
class CoreSink final : public files::PageSink {
public:
    CoreSink(files::SparseFileSink into, std::string& vmcoreinfo)
        : into_(std::move(into)), vmcoreinfo_(vmcoreinfo) {}
    Result<void> data(PageIndex first, std::span<const std::byte> pages) override {
        for (auto rest = pages; vmcoreinfo_.empty() && !rest.empty();
             rest = rest.subspan(kPageSize))
            if (const auto text = files::vmcoreinfo_in(rest.first(kPageSize)))
                vmcoreinfo_ = *text;
        return into_.data(first, pages);
    }
    Result<void> zeros(PageRun run) override { return into_.zeros(run); }
    [[nodiscard]] std::uint64_t written_bytes() const { return into_.written_bytes(); }

private:
    files::SparseFileSink into_;
    std::string& vmcoreinfo_;
};

} // namespace

Result<CoreDump> plan_core_dump(const SavedFile& saved, const std::string& block,
                                const CoreOptions& options) {
    if (!block.empty())
        MFD_CHECK(saved.require_block(block));
    MFD_TRY(const auto map, map_options(options));
    MFD_TRY(const auto ranges,
            files::guest_map(saved.stream().configuration.machine, saved.blocks(), map));
    CoreDump core;
    std::vector<files::CoreSegment> segments;
    for (const GuestRange& range : ranges) {
        if (!block.empty() && saved.blocks()[range.block].layout.idstr != block)
            continue;
        core.ranges.push_back(range);
        segments.push_back({range.address, range.pages.count * kPageSize});
    }
    core.frame = files::plan_core(segments);
    return core;
}

Result<CoreWritten> write_core_dump(const SavedFile& saved, CoreDump core, files::OutputFile& out) {
    MFD_CHECK(out.set_length(core.frame.length));
    CoreWritten written;
    std::string vmcoreinfo;
    for (std::size_t i = 0; i < core.ranges.size(); ++i) {
        const GuestRange& range = core.ranges[i];
        CoreSink sink({out, PageIndex(range.pages.first), core.frame.segments[i]}, vmcoreinfo);
        MFD_CHECK(files::walk_pages(saved, saved.blocks()[range.block], range.pages, sink));
        written.bytes += sink.written_bytes();
    }
    if (!vmcoreinfo.empty()) {
        files::add_vmcoreinfo(core.frame, vmcoreinfo);
        written.kernel = files::kernel_release(vmcoreinfo);
    }
    MFD_CHECK(files::write_stream({out.fd(), out.path()}, core.frame.head));
    written.bytes += core.frame.head.size();
    return written;
}

Json core_json(const SavedFile& saved, const CoreDump& core) {
    Json out = Json::array();
    for (std::size_t i = 0; i < core.ranges.size(); ++i) {
        const GuestRange& range = core.ranges[i];
        out.push_back({{"block", saved.blocks()[range.block].layout.idstr},
                       {"first-page", range.pages.first},
                       {"pages", range.pages.count},
                       {"address", range.address},
                       {"address-known", range.known},
                       {"offset", core.frame.segments[i].value}});
    }
    return out;
}

std::string core_table(const Json& segments) {
    std::ostringstream text;
    for (const Json& segment : segments) {
        const auto bytes = segment.at("pages").get<std::uint64_t>() * kPageSize;
        text << "  " << std::left << std::setw(16)
             << hex(segment.at("address").get<std::uint64_t>()) << std::right << std::setw(12)
             << format_bytes(bytes) << "  " << printable(segment.at("block").get<std::string>());
        if (const auto first = segment.at("first-page").get<std::uint64_t>(); first != 0)
            text << " from page " << first;
        if (!segment.at("address-known").get<bool>())
            text << " (its place in the guest is not known)";
        text << "\n";
    }
    return text.str();
}

} // namespace mfd::ctl
