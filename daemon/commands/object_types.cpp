#include "daemon/commands/object_types.hpp"

#include "daemon/guest/backend_properties.hpp"
#include "daemon/guest/property_source.hpp"
#include "daemon/guest/workload.hpp"

#include <string>
#include <utility>
#include <vector>

namespace mfd::object_types {

namespace schema = qmp::schema;

namespace {

// Has no properties, and notes which it is asked for, and as what.
class SchemaSource final : public PropertySource {
public:
    Result<std::optional<bool>> flag(std::string_view name) override {
        return note<bool>(name, schema::boolean());
    }
    Result<std::optional<std::uint64_t>> size(std::string_view name) override {
        return note<std::uint64_t>(name, schema::size());
    }
    Result<std::optional<std::uint32_t>> number32(std::string_view name) override {
        return note<std::uint32_t>(name, schema::uint32());
    }
    Result<std::optional<std::uint64_t>> number64(std::string_view name) override {
        return note<std::uint64_t>(name, schema::uint64());
    }
    Result<std::optional<std::string>> text(std::string_view name) override {
        return note<std::string>(name, schema::str());
    }
    Result<std::optional<std::vector<std::uint16_t>>> nodes(std::string_view name) override {
        return note<std::vector<std::uint16_t>>(name, schema::array(schema::uint16()));
    }
    Result<std::string> required_text(std::string_view name) override {
        members_.push_back(schema::required(std::string(name), schema::str()));
        return std::string("-");
    }
    Result<std::uint64_t> required_size(std::string_view name) override {
        members_.push_back(schema::required(std::string(name), schema::size()));
        return std::uint64_t{1};
    }
    Result<std::optional<std::size_t>> choice(std::string_view name,
                                              std::span<const std::string_view> names) override {
        std::vector<schema::EnumValue> values;
        for (const auto value : names)
            values.emplace_back(std::string(value).c_str());
        return note<std::size_t>(name, schema::enumeration(std::string(name), std::move(values)));
    }
    Result<void> finish() override { return {}; }

    std::vector<schema::Member> take_members() { return std::exchange(members_, {}); }

private:
    template <class T>
    Result<std::optional<T>> note(std::string_view name, schema::TypeRef type) {
        members_.push_back(schema::optional(std::string(name), std::move(type)));
        return std::optional<T>();
    }
    std::vector<schema::Member> members_;
};

schema::Case backend_case(BackendType type) {
    SchemaSource source;
    BackendProperties properties;
    properties.type = type;
    // It has no property that could be refused.
    static_cast<void>(read_backend_properties(source, properties).has_value());
    const std::string name(backend_type_name(type));
    return {name, schema::object(name, source.take_members())};
}

schema::Case workload_case() {
    SchemaSource source;
    WorkloadProperties properties;
    static_cast<void>(read_workload_properties(source, properties).has_value());
    const std::string name(kWorkloadTypeName);
    return {name, schema::object(name, source.take_members())};
}

} // namespace

schema::TypeRef object_options() {
    std::vector<schema::Case> cases;
    for (const BackendType type :
         {BackendType::Ram, BackendType::Memfd, BackendType::Shm, BackendType::File})
        cases.push_back(backend_case(type));
    cases.push_back(workload_case());
    std::vector<schema::EnumValue> types;
    types.reserve(cases.size());
    for (const schema::Case& one : cases)
        types.emplace_back(one.name.c_str());
    return schema::object(
        "ObjectOptions",
        {schema::required("qom-type", schema::enumeration("ObjectType", std::move(types))),
         schema::required("id", schema::str())},
        {.tag = "qom-type", .cases = std::move(cases)});
}

} // namespace mfd::object_types
