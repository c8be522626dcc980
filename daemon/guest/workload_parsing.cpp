// Emulated guests from the texts of QMP and the command line.
#include "daemon/guest/property_source.hpp"
#include "daemon/guest/workload.hpp"

#include <array>
#include <utility>

namespace mfd {

namespace {

constexpr std::array<std::string_view, 5> kPatterns{"sequential", "random", "hot-cold", "zeroing",
                                                    "mix"};
// More threads than any machine has use for; each costs a stack.
constexpr std::uint32_t kMaxThreads = 256;

Result<WorkloadProperties> read_workload(PropertySource& from) {
    WorkloadProperties p;
    MFD_TRY(const std::string type, from.required_text("qom-type"));
    if (type != kWorkloadTypeName)
        return Error{Errc::BadArgument,
                     "Parameter 'qom-type' does not accept value '" + type + "'"};
    MFD_TRY(p.id, from.required_text("id"));
    MFD_CHECK(read_workload_properties(from, p));
    MFD_CHECK(from.finish());
    if (!is_identifier(p.id))
        return Error{Errc::BadArgument, "Parameter 'id' expects an identifier"};
    if (p.threads == 0 || p.threads > kMaxThreads)
        return Error{Errc::BadArgument, "property 'threads' of " + std::string(kWorkloadTypeName) +
                                            " expects a number from 1 to " +
                                            std::to_string(kMaxThreads)};
    return p;
}

} // namespace

Result<void> read_workload_properties(PropertySource& from, WorkloadProperties& p) {
    MFD_TRY(p.memdev, from.required_text("memdev"));
    MFD_TRY(const auto pattern, from.choice("pattern", kPatterns));
    if (pattern)
        p.pattern = static_cast<WorkloadPattern>(*pattern);
    MFD_TRY(const auto rate, from.size("rate"));
    p.rate = rate.value_or(p.rate);
    MFD_TRY(const auto seed, from.number64("seed"));
    p.seed = seed.value_or(p.seed);
    MFD_TRY(const auto threads, from.number32("threads"));
    p.threads = threads.value_or(p.threads);
    return {};
}

std::string_view workload_pattern_name(WorkloadPattern pattern) {
    return kPatterns.at(static_cast<std::size_t>(pattern));
}

Result<WorkloadProperties> workload_properties_from_json(const nlohmann::json& arguments) {
    JsonSource source(arguments);
    return read_workload(source);
}

Result<WorkloadProperties> workload_properties_from_keyval(const KeyValueList& options) {
    KeyvalSource source(options);
    return read_workload(source);
}

nlohmann::json workload_arguments(const WorkloadProperties& p) {
    return {{"qom-type", kWorkloadTypeName},
            {"id", p.id},
            {"memdev", p.memdev},
            {"pattern", workload_pattern_name(p.pattern)},
            {"rate", p.rate},
            {"seed", p.seed},
            {"threads", p.threads}};
}

} // namespace mfd
