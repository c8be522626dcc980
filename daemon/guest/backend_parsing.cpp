// Memory backends from and to the texts of QMP and the command line.
#include "daemon/guest/backend_properties.hpp"
#include "daemon/guest/property_source.hpp"

#include <algorithm>
#include <array>
#include <utility>

namespace mfd {

namespace {

constexpr std::array<std::string_view, 4> kPolicies{"default", "preferred", "bind", "interleave"};
constexpr std::array<std::string_view, 3> kOnOffAuto{"auto", "on", "off"};

template <class T, class U>
void take(const std::optional<T>& from, U& to) {
    if (from)
        to = static_cast<U>(*from);
}

// The properties of all types, in the order in which QEMU looks at them: with two faults the client
// is told of the same one.
Result<void> read_common(PropertySource& from, BackendProperties& p) {
    MFD_TRY(const auto dump, from.flag("dump"));
    take(dump, p.dump);
    MFD_TRY(const auto nodes, from.nodes("host-nodes"));
    take(nodes, p.host_nodes);
    std::sort(p.host_nodes.begin(), p.host_nodes.end());
    p.host_nodes.erase(std::unique(p.host_nodes.begin(), p.host_nodes.end()), p.host_nodes.end());
    MFD_TRY(const auto merge, from.flag("merge"));
    take(merge, p.merge);
    MFD_TRY(const auto policy, from.choice("policy", kPolicies));
    take(policy, p.policy);
    MFD_TRY(const auto prealloc, from.flag("prealloc"));
    take(prealloc, p.prealloc);
    MFD_TRY(const auto threads, from.number32("prealloc-threads"));
    take(threads, p.prealloc_threads);
    MFD_TRY(const auto context, from.text("prealloc-context"));
    if (context && !context->empty())
        return Error{Errc::Unsupported, "property 'prealloc-context': there are no thread contexts "
                                        "here; 'prealloc-threads' sets how many threads work"};
    MFD_TRY(const auto share, from.flag("share"));
    take(share, p.share);
    MFD_TRY(const auto reserve, from.flag("reserve"));
    take(reserve, p.reserve);
    MFD_TRY(p.size, from.required_size("size"));
    MFD_TRY(const auto canonical, from.flag("x-use-canonical-path-for-ramblock-id"));
    take(canonical, p.canonical_block_name);
    return {};
}

Result<void> read_file(PropertySource& from, BackendProperties& p) {
    MFD_TRY(const auto align, from.size("align"));
    take(align, p.align);
    MFD_TRY(const auto offset, from.size("offset"));
    take(offset, p.offset);
    MFD_TRY(const auto discard, from.flag("discard-data"));
    take(discard, p.discard_data);
    MFD_TRY(p.mem_path, from.required_text("mem-path"));
    if (p.mem_path.find('\0') != std::string::npos)
        return Error{Errc::BadArgument, "property 'mem-path' has a zero byte in it"};
    MFD_TRY(const auto pmem, from.flag("pmem"));
    take(pmem, p.pmem);
    MFD_TRY(const auto readonly, from.flag("readonly"));
    take(readonly, p.readonly);
    MFD_TRY(const auto rom, from.choice("rom", kOnOffAuto));
    take(rom, p.rom);
    return {};
}

Result<void> read_memfd(PropertySource& from, BackendProperties& p) {
    MFD_TRY(const auto hugetlb, from.flag("hugetlb"));
    take(hugetlb, p.hugetlb);
    MFD_TRY(const auto hugetlb_size, from.size("hugetlbsize"));
    if (hugetlb_size == 0U)
        return Error{Errc::BadArgument,
                     "Property 'memory-backend-memfd.hugetlbsize' doesn't take value '0'"};
    p.hugetlb_size = hugetlb_size.value_or(0);
    MFD_TRY(const auto seal, from.flag("seal"));
    take(seal, p.seal);
    return {};
}

Result<void> read_ours(PropertySource& from, BackendProperties& p) {
    MFD_TRY(const auto ramblock, from.text("x-ramblock"));
    if (ramblock && ramblock->empty())
        return Error{Errc::BadArgument, "property 'x-ramblock' doesn't take an empty name"};
    take(ramblock, p.ramblock);
    MFD_TRY(const auto log, from.text("x-dirty-log"));
    if (log && !log->starts_with("/dev/fdset/"))
        return Error{
            Errc::BadArgument,
            "property 'x-dirty-log' expects /dev/fdset/N, a descriptor passed with add-fd"};
    take(log, p.dirty_log);
    return {};
}

} // namespace

Result<void> read_backend_properties(PropertySource& from, BackendProperties& p) {
    MFD_CHECK(read_common(from, p));
    if (p.type == BackendType::File)
        MFD_CHECK(read_file(from, p));
    if (p.type == BackendType::Memfd)
        MFD_CHECK(read_memfd(from, p));
    return read_ours(from, p);
}

namespace {

Result<BackendProperties> read_backend(PropertySource& from) {
    MFD_TRY(const std::string type_name, from.required_text("qom-type"));
    const auto type = backend_type_from_name(type_name);
    if (!type)
        return Error{Errc::BadArgument,
                     "Parameter 'qom-type' does not accept value '" + type_name + "'"};
    BackendProperties p;
    p.type = *type;
    p.share = *type == BackendType::Memfd || *type == BackendType::Shm;
    MFD_TRY(p.id, from.required_text("id"));
    MFD_CHECK(read_backend_properties(from, p));
    MFD_CHECK(from.finish());
    MFD_CHECK(check_backend_values(p));
    return p;
}

} // namespace

Result<BackendProperties> backend_properties_from_json(const nlohmann::json& arguments) {
    JsonSource source(arguments);
    return read_backend(source);
}

Result<BackendProperties> backend_properties_from_keyval(const KeyValueList& options) {
    KeyvalSource source(options);
    return read_backend(source);
}

std::vector<QomProperty> backend_qom_properties(const BackendProperties& p) {
    std::vector<QomProperty> list{
        {"type", "string", backend_type_name(p.type)},
        {"share", "bool", p.share},
        {"size", "int", p.size},
        {"dump", "bool", p.dump},
        {"prealloc-threads", "int", p.prealloc_threads},
        {"x-use-canonical-path-for-ramblock-id", "bool", p.canonical_block_name},
        {"policy", "HostMemPolicy", numa_policy_name(p.policy)},
        {"prealloc-context", "link<thread-context>", ""},
        {"prealloc", "bool", p.prealloc},
        {"reserve", "bool", p.reserve},
        {"host-nodes", "int", p.host_nodes},
        {"merge", "bool", p.merge},
    };
    const auto add = [&list](const char* name, const char* type, nlohmann::json value) {
        list.push_back({name, type, std::move(value)});
    };
    if (p.type == BackendType::Memfd) {
        add("hugetlb", "bool", p.hugetlb);
        add("seal", "bool", p.seal);
        add("hugetlbsize", "int", p.hugetlb_size);
    }
    if (p.type == BackendType::File) {
        add("pmem", "bool", p.pmem);
        add("align", "int", p.align);
        add("offset", "int", p.offset);
        add("mem-path", "string", p.mem_path);
        // QEMU shows what "auto" came to.
        const bool rom = p.rom == OnOffAuto::Auto ? p.readonly : p.rom == OnOffAuto::On;
        add("rom", "OnOffAuto", rom ? "on" : "off");
        add("discard-data", "bool", p.discard_data);
        add("readonly", "bool", p.readonly);
    }
    add("x-ramblock", "string", p.block_name());
    add("x-dirty-log", "string", p.dirty_log);
    return list;
}

nlohmann::json backend_arguments(const BackendProperties& p) {
    nlohmann::json arguments = {{"qom-type", backend_type_name(p.type)}, {"id", p.id}};
    for (QomProperty& property : backend_qom_properties(p))
        if (property.name != "type" && property.value != nlohmann::json(std::string()))
            arguments[property.name] = std::move(property.value);
    // What was not given is not shown as it was: these defaults are no values to ask for.
    if (p.hugetlb_size == 0)
        arguments.erase("hugetlbsize");
    if (p.ramblock.empty())
        arguments.erase("x-ramblock");
    if (p.rom == OnOffAuto::Auto)
        arguments.erase("rom");
    return arguments;
}

nlohmann::json backend_memdev_json(const BackendProperties& p) {
    return {{"id", p.id},
            {"size", p.size},
            {"merge", p.merge},
            {"dump", p.dump},
            {"prealloc", p.prealloc},
            {"share", p.share},
            {"reserve", p.reserve},
            {"host-nodes", p.host_nodes},
            {"policy", numa_policy_name(p.policy)}};
}

} // namespace mfd
