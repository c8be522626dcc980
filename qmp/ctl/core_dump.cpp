#include "qmp/ctl/core_dump.hpp"

#include "proto/text.hpp"
#include "qmp/files/page_sinks.hpp"
#include "qmp/units.hpp"

#include <iomanip>
#include <sstream>

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

} // namespace

Result<CoreDump> plan_core_dump(const SavedFile& saved, const std::string& block,
                                const CoreOptions& options) {
    if (!block.empty() && saved.find_block(block) == nullptr)
        return bad_argument("there is no block " + printable(block) + " in the file; it has " +
                            saved.block_names());
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

Result<std::uint64_t> write_core_dump(const SavedFile& saved, const CoreDump& core,
                                      files::OutputFile& out) {
    MFD_CHECK(out.set_length(core.frame.length));
    MFD_CHECK(files::write_stream({out.fd(), out.path()}, core.frame.head));
    std::uint64_t written = core.frame.head.size();
    for (std::size_t i = 0; i < core.ranges.size(); ++i) {
        const GuestRange& range = core.ranges[i];
        files::SparseFileSink sink(out, PageIndex(range.pages.first), core.frame.segments[i]);
        MFD_CHECK(files::walk_pages(saved, saved.blocks()[range.block], range.pages, sink));
        written += sink.written_bytes();
    }
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
