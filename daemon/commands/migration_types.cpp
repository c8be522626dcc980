#include "daemon/commands/migration_types.hpp"

#include "daemon/capabilities.hpp"
#include "daemon/migration_state.hpp"
#include "daemon/parameters.hpp"

#include <string>
#include <utility>
#include <vector>

namespace mfd::migration_types {

namespace schema = qmp::schema;
using schema::optional;
using schema::required;
using schema::TypeRef;

namespace {

TypeRef bitmap_mapping() {
    const auto transform = schema::object("BitmapMigrationBitmapAliasTransform",
                                          {optional("persistent", schema::boolean())});
    const auto bitmap =
        schema::object("BitmapMigrationBitmapAlias",
                       {required("name", schema::str()), required("alias", schema::str()),
                        optional("transform", transform)});
    return schema::array(
        schema::object("BitmapMigrationNodeAlias",
                       {required("node-name", schema::str()), required("alias", schema::str()),
                        required("bitmaps", schema::array(bitmap))}));
}

TypeRef type_of(ParameterType type) {
    switch (type) {
    case ParameterType::Uint8:
        return schema::uint8();
    case ParameterType::Uint32:
        return schema::uint32();
    case ParameterType::Uint64:
        return schema::uint64();
    case ParameterType::Size:
        return schema::size();
    case ParameterType::Bool:
        return schema::boolean();
    case ParameterType::String:
        return schema::str();
    case ParameterType::StrOrNull:
        return schema::str_or_null();
    case ParameterType::Compression:
        return schema::enumeration("MultiFDCompression", {"none", "zlib", "zstd"});
    case ParameterType::Mode:
        return schema::enumeration("MigMode", {"normal", "cpr-reboot", "cpr-transfer"});
    case ParameterType::ZeroPages:
        return schema::enumeration("ZeroPageDetection", {"none", "legacy", "multifd"});
    case ParameterType::BitmapMapping:
        return bitmap_mapping();
    }
    return schema::any();
}

TypeRef socket_address() {
    const auto inet = schema::object(
        "InetSocketAddress", {required("host", schema::str()), required("port", schema::str())});
    const auto path = schema::object("UnixSocketAddress", {required("path", schema::str())});
    const auto vsock = schema::object(
        "VsockSocketAddress", {required("cid", schema::str()), required("port", schema::str())});
    const auto fd = schema::object("FdSocketAddress", {required("str", schema::str())});
    return schema::object(
        "SocketAddress",
        {required("type",
                  schema::enumeration("SocketAddressType", {"inet", "unix", "vsock", "fd"}))},
        {.tag = "type", .cases = {{"inet", inet}, {"unix", path}, {"vsock", vsock}, {"fd", fd}}});
}

TypeRef channel() {
    const auto file = schema::object(
        "FileMigrationArgs",
        {required("filename", schema::str(), "a path, or /dev/fdset/N"),
         required("offset", schema::uint64(), "bytes of the file before the stream")});
    const auto exec =
        schema::object("MigrationExecCommand", {required("args", schema::array(schema::str()))});
    const auto rdma = schema::object(
        "MigrationRdmaAddress", {required("host", schema::str()), required("port", schema::str())});
    const auto address = schema::object(
        "MigrationAddress",
        {required("transport",
                  schema::enumeration("MigrationAddressType", {"socket", "exec", "rdma", "file"}))},
        {.tag = "transport",
         .cases = {{"socket", socket_address()}, {"exec", exec}, {"rdma", rdma}, {"file", file}}},
        "Only file can be used with mapped-ram.");
    return schema::object(
        "MigrationChannel",
        {required("channel-type", schema::enumeration("MigrationChannelType", {"main", "cpr"})),
         required("addr", address)});
}

TypeRef ram() {
    std::vector<schema::Member> members;
    for (const char* name :
         {"total", "page-size", "remaining", "normal", "normal-bytes", "duplicate", "transferred",
          "multifd-bytes", "precopy-bytes", "downtime-bytes", "dirty-sync-count",
          "dirty-pages-rate", "pages-per-second", "postcopy-requests", "postcopy-bytes",
          "dirty-sync-missed-zero-copy"})
        members.push_back(required(name, schema::int64()));
    members.push_back(required("mbps", schema::number()));
    return schema::object("MigrationRAMStats", std::move(members));
}

TypeRef latency() {
    return schema::object("XMultifdLatency",
                          {required("p50", schema::int64()), required("p90", schema::int64()),
                           required("p99", schema::int64()), required("max", schema::int64())},
                          "Microseconds from the start of a transfer to its completion.");
}

TypeRef details() {
    const auto latency_type = latency();
    const auto per_channel = schema::object(
        "XMultifdChannel",
        {required("id", schema::int64()), required("bytes", schema::int64()),
         required("normal", schema::int64()), required("duplicate", schema::int64()),
         required("transfers", schema::int64()),
         required("queue-wait-us", schema::int64(), "waited with all its transfers in flight"),
         required("latency-us", latency_type)});
    return schema::object(
        "XMultifdInfo",
        {required("channels", schema::array(per_channel)), optional("bytes", schema::int64()),
         optional("latency-us", latency_type),
         optional("ram", ram(), "of a load, for which QEMU gives no numbers"),
         optional("verified", schema::boolean(), "of a load: the file's checksums were compared")});
}

TypeRef not_converging() {
    return schema::object(
        "XNotConverging",
        {required("looks", schema::int64(),
                  "looks at the dirty pages since they last became fewer"),
         required("bandwidth", schema::int64(), "bytes of pages per second that the file takes")},
        "The guest writes as fast as the save. Stop it, throttle it "
        "(auto-converge), or raise downtime-limit or max-bandwidth.");
}

} // namespace

TypeRef capability() {
    static const TypeRef type = [] {
        std::vector<schema::EnumValue> values;
        for (const CapabilityInfo& info : capability_table())
            values.emplace_back(info.name.data(), std::string(info.doc));
        return schema::enumeration("MigrationCapability", std::move(values));
    }();
    return type;
}

TypeRef capability_status() {
    static const TypeRef type =
        schema::object("MigrationCapabilityStatus", {required("capability", capability()),
                                                     required("state", schema::boolean())});
    return type;
}

TypeRef parameters() {
    static const TypeRef type = [] {
        std::vector<schema::Member> members;
        for (const ParameterInfo& info : parameter_table())
            members.push_back(
                optional(std::string(info.name), type_of(info.type), std::string(info.doc)));
        return schema::object("MigrationParameters", std::move(members));
    }();
    return type;
}

TypeRef status() {
    static const TypeRef type = [] {
        std::vector<schema::EnumValue> values;
        values.reserve(kMigrationStatusNames.size());
        for (const auto name : kMigrationStatusNames)
            values.emplace_back(name.data());
        return schema::enumeration("MigrationStatus", std::move(values));
    }();
    return type;
}

TypeRef migrate_arguments() {
    return schema::object(
        "MigrateArguments",
        {optional("uri", schema::str(), "file:PATH[,offset=N] or file:/dev/fdset/N[,offset=N]"),
         optional("channels", schema::array(channel()), "the same as an object; instead of uri"),
         optional("detach", schema::boolean(), "ignored"),
         optional("resume", schema::boolean(), "refused if true")});
}

TypeRef migrate_incoming_arguments() {
    return schema::object("MigrateIncomingArguments",
                          {optional("uri", schema::str(), "as for migrate"),
                           optional("channels", schema::array(channel()), "as for migrate"),
                           optional("exit-on-error", schema::boolean(),
                                    "end the daemon if the load fails "
                                    "(default true)")});
}

TypeRef info() {
    return schema::object("MigrationInfo",
                          {optional("status", status()), optional("ram", ram()),
                           optional("total-time", schema::int64(), "ms"),
                           optional("expected-downtime", schema::int64(), "ms"),
                           optional("downtime", schema::int64(), "ms"),
                           optional("setup-time", schema::int64(), "ms"),
                           optional("error-desc", schema::str()),
                           optional("cpu-throttle-percentage", schema::int64(),
                                    "while auto-converge throttles the guest"),
                           optional("x-not-converging", not_converging(),
                                    "only of a live save that does not come nearer to its end"),
                           optional("x-waits-for-stop", schema::boolean(),
                                    "true: the owner of the memory must stop now; only then"),
                           optional("x-multifd", details(), "only if it was asked for")});
}

} // namespace mfd::migration_types
