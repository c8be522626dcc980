#include "daemon/parameters.hpp"

#include "proto/checked.hpp"

#include <algorithm>
#include <bit>
#include <string>
#include <vector>

namespace mfd {

namespace {

using Json = nlohmann::json;
using enum ParameterType;

constexpr std::string_view kPercent99 = "an integer in the range of 1 to 99";

// In QEMU's order, then ours. clang-format would break the rows.
// clang-format off
const std::vector<ParameterInfo>& table() {
    static const std::vector<ParameterInfo> rows = {
        {"announce-initial", Uint64, 50, "Network announcements; no effect.", 0, 100000, "a value between 0 and 100000", 11},
        {"announce-max", Uint64, 550, "Network announcements; no effect.", 0, 100000, "a value between 0 and 100000", 12},
        {"announce-rounds", Uint64, 5, "Network announcements; no effect.", 0, 1000, "a value between 0 and 1000", 13},
        {"announce-step", Uint64, 100, "Network announcements; no effect.", 1, 10000, "a value between 0 and 10000", 14},
        {"throttle-trigger-threshold", Uint8, 50, "Dirty share in percent above which auto-converge throttles.", 1, 100, "an integer in the range of 1 to 100", 1},
        {"cpu-throttle-initial", Uint8, 20, "First throttling by auto-converge, in percent.", 1, 99, kPercent99, 2},
        {"cpu-throttle-increment", Uint8, 10, "Step of throttling by auto-converge, in percent.", 1, 99, kPercent99, 3},
        {"cpu-throttle-tailslow", Bool, false, "Make the last throttling steps smaller."},
        {"tls-creds", StrOrNull, "", "TLS credentials; a file takes none."},
        {"tls-hostname", StrOrNull, "", "TLS host name; a file takes none."},
        {"tls-authz", StrOrNull, "", "TLS authorization; a file takes none."},
        {"max-bandwidth", Size, 134217728, "Bytes per second of all passes but the last, over all channels; 0: unlimited."},
        {"avail-switchover-bandwidth", Size, 0, "Bytes per second assumed for the last pass; 0: as measured."},
        {"downtime-limit", Uint64, 300, "Milliseconds the guest may stand still in the last pass.", 0, 2000000, "an integer in the range of 0 to (2000 * 1000) ms", 4},
        {"x-checkpoint-delay", Uint32, 20000, "COLO; no effect."},
        {"multifd-channels", Uint8, 2, "Number of writers or readers.", 1, 255, "a value between 1 and 255", 5},
        {"xbzrle-cache-size", Size, 67108864, "XBZRLE; no effect.", 0, std::numeric_limits<std::uint64_t>::max(), "a power of two no less than the target page size", 9},
        {"max-postcopy-bandwidth", Size, 0, "Postcopy; no effect."},
        {"max-cpu-throttle", Uint8, 99, "Most throttling by auto-converge, in percent.", 0, 99, "an integer in the range of cpu_throttle_initial to 99", 10},
        {"multifd-compression", Compression, "none", "Only none goes with mapped-ram."},
        {"multifd-zlib-level", Uint8, 1, "Compression; no effect.", 0, 9, "a value between 0 and 9", 6},
        {"multifd-qatzip-level", Uint8, 1, "Compression; no effect.", 1, 9, "a value between 1 and 9", 7},
        {"multifd-zstd-level", Uint8, 1, "Compression; no effect.", 0, 20, "a value between 0 and 20", 8},
        {"block-bitmap-mapping", BitmapMapping, nullptr, "Block devices; no effect."},
        {"x-vcpu-dirty-limit-period", Uint64, 1000, "vCPUs; no effect.", 1, 1000, "a value between 1 and 1000", 15},
        {"vcpu-dirty-limit", Uint64, 1, "vCPUs; no effect.", 1, std::numeric_limits<std::uint64_t>::max(), "", 16},
        {"mode", Mode, "normal", "Only normal can be saved here."},
        {"zero-page-detection", ZeroPages, "multifd", "none: store every page; legacy, multifd: leave zero pages out."},
        {"direct-io", Bool, false, "The channels (with multifd) read and write with O_DIRECT."},
        {"x-sync", Bool, nullptr, "File data reach stable storage before a save is completed (default true)."},
        {"x-atomic", Bool, nullptr, "A save to a path where nothing is appears there only when it is complete (default true)."},
        {"x-preallocate", Bool, nullptr, "A save takes the disk space for all of guest RAM before it writes, so that a full disk is found at once (default false)."},
        {"x-reuse-blocks", Bool, nullptr, "A save into an existing file writes into the blocks the file has on the disk instead of freeing them first (default false)."},
        {"x-io-engine", String, nullptr, "auto, io_uring or pwritev (default auto)."},
        {"x-punch-hole", Bool, nullptr, "The file's blocks of pages that became zero in a later pass are freed, as far as a tenth of the pass's time allows (default true)."},
        {"x-checksum", Bool, nullptr, "A save writes checksums of all pages and metadata behind the stream (default true)."},
        {"x-verify", String, nullptr, "auto: a restore compares the checksums that the file has; require: it refuses a file without; off: it looks at none (default auto)."},
        {"x-stop-eventfd", String, nullptr, "/dev/fdset/N with an eventfd (O_RDWR): during a save a write to it is a command stop. Empty: none."},
    };
    return rows;
}
// clang-format on

std::string underscored(std::string_view name) {
    // QEMU's one exception keeps its hyphens.
    std::string text(name);
    if (!name.starts_with("x-"))
        std::replace(text.begin(), text.end(), '-', '_');
    return text;
}

Error out_of_range(const ParameterInfo& info) {
    const std::string name = "Parameter '" + underscored(info.name) + "' ";
    if (info.name == "vcpu-dirty-limit")
        return {Errc::BadArgument, name + "must be greater than 1 MB/s"};
    return {Errc::BadArgument, name + "expects " + std::string(info.expects)};
}

bool in_range(const ParameterInfo& info, std::uint64_t value, const Json& next) {
    if (info.name == "xbzrle-cache-size")
        return value >= kPageSize && std::has_single_bit(value);
    if (info.name == "max-cpu-throttle")
        return value >= next.at("cpu-throttle-initial").get<std::uint64_t>() && value <= info.max;
    return value >= info.min && value <= info.max;
}

} // namespace

std::span<const ParameterInfo> parameter_table() {
    return table();
}

Parameters::Parameters() : values_(Json::object()) {
    for (const ParameterInfo& info : table())
        if (!info.initial.is_null())
            values_[std::string(info.name)] = info.initial;
}

Result<void> Parameters::apply(const Json& changes, bool mapped_ram, bool zero_copy) {
    Json next = values_;
    for (const auto& [name, value] : changes.items())
        next[name] = value.is_null() ? Json("") : value;

    std::vector<const ParameterInfo*> checked;
    for (const ParameterInfo& info : table())
        if (info.check_order > 0 && changes.contains(info.name))
            checked.push_back(&info);
    std::sort(checked.begin(), checked.end(),
              [](const auto* a, const auto* b) { return a->check_order < b->check_order; });
    for (const ParameterInfo* info : checked)
        if (!in_range(*info, changes.at(std::string(info->name)).get<std::uint64_t>(), next))
            return out_of_range(*info);
    if (const auto engine = next.value("x-io-engine", "auto");
        engine != "auto" && engine != "io_uring" && engine != "pwritev")
        return Error{Errc::BadArgument,
                     "Parameter 'x-io-engine' expects auto, io_uring or pwritev, not '" + engine +
                         "'"};

    if (const auto verify = next.value("x-verify", "auto");
        verify != "auto" && verify != "require" && verify != "off")
        return Error{Errc::BadArgument,
                     "Parameter 'x-verify' expects auto, require or off, not '" + verify + "'"};

    if (const auto path = next.value("x-stop-eventfd", std::string());
        !path.empty() && !path.starts_with("/dev/fdset/"))
        return Error{Errc::BadArgument,
                     "Parameter 'x-stop-eventfd' expects /dev/fdset/N, not '" + path + "'"};

    const bool special = compressed(next) || tls(next);
    if (zero_copy && special)
        return Error{Errc::BadArgument,
                     "Zero copy only available for non-compressed non-TLS multifd migration"};
    // QEMU looks at the values in force, so that even the call that would mend them is refused. The
    // resulting values are what matters; the call that turns them on is accepted, as there, and
    // migrate refuses.
    if (mapped_ram && special && (compressed() || tls()))
        return Error{Errc::BadArgument,
                     "Mapped-ram only available for non-compressed non-TLS multifd migration"};
    values_ = std::move(next);
    return {};
}

Json Parameters::changed_values() const {
    const Parameters initial;
    Json changed = Json::object();
    for (const auto& [name, value] : values_.items())
        if (const auto was = initial.values_.find(name);
            was == initial.values_.end() || *was != value)
            changed[name] = value;
    return changed;
}

std::uint64_t Parameters::number(std::string_view name) const {
    return values_.at(std::string(name)).get<std::uint64_t>();
}

bool Parameters::flag(std::string_view name, bool otherwise) const {
    return values_.value(std::string(name), otherwise);
}

std::string Parameters::text(std::string_view name, std::string_view otherwise) const {
    return values_.value(std::string(name), std::string(otherwise));
}

bool Parameters::compressed(const Json& values) {
    return values.at("multifd-compression") != "none";
}

bool Parameters::tls(const Json& values) {
    return !values.at("tls-creds").get_ref<const std::string&>().empty();
}

} // namespace mfd
