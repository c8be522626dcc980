// Migration capabilities and parameters for one job, and the way back: the server keeps them after
// the job, and the next one may be somebody else's.
#pragma once

#include "proto/error.hpp"
#include "qmp/client.hpp"

#include <map>
#include <string>

namespace mfd::ctl {

class Settings {
public:
    // Reads what is set now. `parameters` of the server are known from then on.
    static Result<Settings> read(qmp::Client& client);
    [[nodiscard]] bool has_capability(const std::string& name) const;
    [[nodiscard]] bool has_parameter(const std::string& name) const;

    // Sets these, leaves all others alone. If the parameters are refused, the capabilities are put
    // back before this returns.
    Result<void> apply(qmp::Client& client, const std::map<std::string, bool>& capabilities,
                       const qmp::Json& parameters);
    // Puts back what apply() changed.
    Result<void> put_back(qmp::Client& client);

private:
    static Result<void> set_capabilities(qmp::Client& client,
                                         const std::map<std::string, bool>& capabilities);

    std::map<std::string, bool> capabilities_;
    qmp::Json parameters_;
    std::map<std::string, bool> changed_capabilities_; // with their former values
    qmp::Json changed_parameters_ = qmp::Json::object();
};

} // namespace mfd::ctl
