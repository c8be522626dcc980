#include "daemon/guest/guest_objects.hpp"

#include <algorithm>
#include <optional>
#include <utility>

namespace mfd {

namespace {

using nlohmann::json;

enum class Node : std::uint8_t { Root, Objects, Object };

struct Resolved {
    Node node = Node::Root;
    std::string_view id; // of an object
};

std::vector<std::string_view> path_parts(std::string_view path) {
    std::vector<std::string_view> parts;
    while (!path.empty()) {
        const std::size_t end = std::min(path.find('/'), path.size());
        if (end != 0)
            parts.push_back(path.substr(0, end));
        path.remove_prefix(std::min(end + 1, path.size()));
    }
    return parts;
}

json name_and_type(std::string_view name, std::string_view type) {
    return {{"name", name}, {"type", type}};
}

std::string child_of(std::string_view type) {
    return "child<" + std::string(type) + ">";
}

// Said in full, since the library lets a JSON value turn into anything, an Error too.
Result<json> as_result(json value) {
    return Result<json>(boost::system::in_place_value, std::move(value));
}

Error unknown_path(std::string_view path) {
    return Error{Errc::NotFound, "Device '" + std::string(path) + "' not found"};
}

} // namespace

Result<void> GuestObjects::add(const json& arguments) {
    const auto type = arguments.find("qom-type");
    if (type != arguments.end() && *type == kWorkloadTypeName) {
        MFD_TRY(auto workload, workload_properties_from_json(arguments));
        return add_workload(std::move(workload));
    }
    MFD_TRY(auto backend, backend_properties_from_json(arguments));
    return add_backend(std::move(backend));
}

Result<void> GuestObjects::add_option(std::string_view text) {
    if (text.starts_with('{')) {
        const json parsed = json::parse(text, nullptr, false);
        if (!parsed.is_object())
            return Error{Errc::BadArgument, "the value is neither options nor a JSON object"};
        return add(parsed);
    }
    MFD_TRY(const KeyValueList list, parse_keyval(text, "qom-type"));
    if (list.find("qom-type") == kWorkloadTypeName) {
        MFD_TRY(auto workload, workload_properties_from_keyval(list));
        return add_workload(std::move(workload));
    }
    MFD_TRY(auto backend, backend_properties_from_keyval(list));
    return add_backend(std::move(backend));
}

bool GuestObjects::is_workload(std::string_view text) {
    if (text.starts_with('{')) {
        const json parsed = json::parse(text, nullptr, false);
        return parsed.is_object() && parsed.value("qom-type", json()) == kWorkloadTypeName;
    }
    const auto list = parse_keyval(text, "qom-type");
    return list.has_value() && list->find("qom-type") == kWorkloadTypeName;
}

Result<void> GuestObjects::add_backend(BackendProperties properties) {
    MFD_CHECK(check_id_is_free(properties.id));
    MFD_CHECK(memory_.add(std::move(properties)));
    return {};
}

Result<void> GuestObjects::add_workload(WorkloadProperties properties) {
    MFD_CHECK(check_id_is_free(properties.id));
    const MemoryBackend* const memory = memory_.find(properties.memdev);
    if (memory == nullptr)
        return Error{Errc::BadArgument, "property 'memdev' of " + std::string(kWorkloadTypeName) +
                                            ": object '" + properties.memdev + "' not found"};
    // Two of them on one memory would tear each other's pages.
    if (const auto user = memory_.user(properties.memdev))
        return Error{Errc::BadArgument, "property 'memdev' of " + std::string(kWorkloadTypeName) +
                                            ": memory '" + properties.memdev +
                                            "' is already used by object '" + *user + "'"};
    MFD_TRY(auto workload, GuestWorkload::make(std::move(properties), *memory));
    static_cast<void>(memory_.set_user(memory->id(), workload->properties().id));
    workload->set_throttle(throttle_);
    if (!paused_)
        workload->resume();
    workloads_.push_back(std::move(workload));
    return {};
}

Result<void> GuestObjects::check_id_is_free(std::string_view id) const {
    if (memory_.find(id) != nullptr || find_workload(id) != nullptr)
        return Error{Errc::BadArgument, "attempt to add duplicate property '" + std::string(id) +
                                            "' to object (type 'container')"};
    return {};
}

GuestWorkload* GuestObjects::find_workload(std::string_view id) const {
    for (const auto& workload : workloads_)
        if (workload->properties().id == id)
            return workload.get();
    return nullptr;
}

Result<void> GuestObjects::remove(std::string_view id) {
    const auto found =
        std::find_if(workloads_.begin(), workloads_.end(),
                     [id](const auto& workload) { return workload->properties().id == id; });
    if (found == workloads_.end())
        return memory_.remove(id);
    const std::string memdev = (*found)->properties().memdev;
    workloads_.erase(found);
    memory_.clear_user(memdev);
    return {};
}

std::vector<std::pair<std::string_view, std::string_view>> GuestObjects::ids_and_types() const {
    std::vector<std::pair<std::string_view, std::string_view>> objects;
    for (const MemoryBackend* backend : memory_.all())
        objects.emplace_back(backend->id(), backend_type_name(backend->type()));
    for (const auto& workload : workloads_)
        objects.emplace_back(workload->properties().id, kWorkloadTypeName);
    return objects;
}

std::vector<QomProperty> GuestObjects::properties_of(std::string_view id) const {
    if (const MemoryBackend* backend = memory_.find(id); backend != nullptr)
        return backend_qom_properties(backend->properties());
    const GuestWorkload* const workload = find_workload(id);
    return workload == nullptr ? std::vector<QomProperty>() : workload->qom_properties();
}

namespace {

// A path from the root, or the end of one if only one object has it.
template <class Exists>
Result<Resolved> resolve(std::string_view path, const Exists& exists) {
    const auto parts = path_parts(path);
    const auto from = [&](std::size_t first) -> std::optional<Resolved> {
        if (parts.size() == first)
            return Resolved{Node::Root, {}};
        if (parts[first] != "objects" || parts.size() > first + 2)
            return std::nullopt;
        if (parts.size() == first + 1)
            return Resolved{Node::Objects, {}};
        if (!exists(parts[first + 1]))
            return std::nullopt;
        return Resolved{Node::Object, parts[first + 1]};
    };
    if (path.starts_with('/')) {
        if (const auto found = from(0))
            return *found;
        return unknown_path(path);
    }
    const auto absolute = parts.empty() ? std::nullopt : from(0);
    const bool is_id = parts.size() == 1 && exists(parts[0]);
    if (path.empty() || (absolute && is_id))
        return Error{Errc::BadArgument, "Path '" + std::string(path) + "' is ambiguous"};
    if (is_id)
        return Resolved{Node::Object, parts[0]};
    if (absolute)
        return *absolute;
    return unknown_path(path);
}

} // namespace

Result<json> GuestObjects::list(std::string_view path) const {
    const auto exists = [this](std::string_view id) { return !properties_of(id).empty(); };
    MFD_TRY(const Resolved found, resolve(path, exists));
    json answer = json::array();
    switch (found.node) {
    case Node::Root:
        answer.push_back(name_and_type("type", "string"));
        answer.push_back(name_and_type("objects", "child<container>"));
        break;
    case Node::Objects:
        answer.push_back(name_and_type("type", "string"));
        for (const auto& [id, type] : ids_and_types())
            answer.push_back(name_and_type(id, child_of(type)));
        break;
    case Node::Object:
        for (const QomProperty& property : properties_of(found.id))
            answer.push_back(name_and_type(property.name, property.type));
        break;
    }
    return as_result(std::move(answer));
}

Result<json> GuestObjects::get(std::string_view path, std::string_view property) const {
    if (path.empty())
        return unknown_path(path); // where qom-list says "ambiguous", qom-get says this
    const auto exists = [this](std::string_view id) { return !properties_of(id).empty(); };
    MFD_TRY(const Resolved found, resolve(path, exists));
    json type = "container";
    if (found.node == Node::Object) {
        const auto properties = properties_of(found.id);
        for (const QomProperty& candidate : properties)
            if (candidate.name == property)
                return as_result(candidate.value);
        type = properties.front().value;
    } else if (property == "type") {
        return as_result(std::move(type));
    } else if (found.node == Node::Root && property == "objects") {
        return as_result("/objects");
    } else if (found.node == Node::Objects && exists(property)) {
        return as_result("/objects/" + std::string(property));
    }
    return Error{Errc::BadArgument, "Property '" + type.get<std::string>() + "." +
                                        std::string(property) + "' not found"};
}

void GuestObjects::pause_guest() {
    paused_ = true;
    for (const auto& workload : workloads_)
        workload->pause();
}

void GuestObjects::resume_guest() {
    paused_ = false;
    for (const auto& workload : workloads_)
        workload->resume();
}

void GuestObjects::set_guest_throttle(std::uint32_t percent) {
    throttle_ = percent;
    for (const auto& workload : workloads_)
        workload->set_throttle(percent);
}

std::vector<GuestWorkload*> GuestObjects::workloads() const {
    std::vector<GuestWorkload*> all;
    for (const auto& workload : workloads_)
        all.push_back(workload.get());
    return all;
}

} // namespace mfd
