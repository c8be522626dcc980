#include "qmp/ctl/settings.hpp"

#include "qmp/ctl/reply_fields.hpp"

#include <utility>

namespace mfd::ctl {

using qmp::Client;
using qmp::Json;

Result<Settings> Settings::read(Client& client) {
    Settings settings;
    MFD_TRY(const auto capabilities, client.call("query-migrate-capabilities"));
    for (const auto& entry : capabilities)
        settings.capabilities_[text_in(entry, "capability")] = flag_in(entry, "state");
    MFD_TRY(settings.parameters_, client.call("query-migrate-parameters"));
    return settings;
}

bool Settings::has_capability(const std::string& name) const {
    return capabilities_.contains(name);
}

bool Settings::has_parameter(const std::string& name) const {
    return parameters_.contains(name);
}

Result<void> Settings::set_capabilities(Client& client,
                                        const std::map<std::string, bool>& capabilities) {
    if (capabilities.empty())
        return {};
    Json list = Json::array();
    for (const auto& [name, state] : capabilities)
        list.push_back(Json{{"capability", name}, {"state", state}});
    MFD_CHECK(client.call("migrate-set-capabilities", Json{{"capabilities", std::move(list)}}));
    return {};
}

Result<void> Settings::apply(Client& client, const std::map<std::string, bool>& capabilities,
                             const Json& parameters) {
    MFD_CHECK(set_capabilities(client, capabilities));
    for (const auto& [name, state] : capabilities)
        if (const auto before = capabilities_.find(name);
            before != capabilities_.end() && before->second != state)
            changed_capabilities_[name] = before->second;

    auto set = client.call("migrate-set-parameters", parameters);
    if (!set) {
        // The refusal is what the user wants to read, not what the way back may say.
        static_cast<void>(put_back(client).has_value());
        return std::move(set).error();
    }
    for (const auto& [name, value] : parameters.items())
        if (const auto before = parameters_.find(name);
            before != parameters_.end() && *before != value)
            changed_parameters_[name] = *before;
    return {};
}

Result<void> Settings::put_back(Client& client) {
    const auto capabilities = std::exchange(changed_capabilities_, {});
    const auto parameters = std::exchange(changed_parameters_, Json::object());
    if (!parameters.empty())
        MFD_CHECK(client.call("migrate-set-parameters", parameters));
    return set_capabilities(client, capabilities);
}

} // namespace mfd::ctl
