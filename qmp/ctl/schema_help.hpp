// What a server's schema (query-qmp-schema) knows about commands, for completion and help. Pure: it
// is made once from the reply and only read from then on.
#pragma once

#include "qmp/json.hpp"

#include <map>
#include <string>
#include <string_view>
#include <vector>

namespace mfd::ctl {

class SchemaHelp {
public:
    struct Argument {
        std::string name;
        std::string type; // by its name in the schema
        bool optional = false;
    };

    // Odd entries are passed over; an empty array is fine, there is just nothing to offer then.
    explicit SchemaHelp(const qmp::Json& schema);

    [[nodiscard]] std::vector<std::string> commands() const;
    // What may stand in the place of `word`, after `before` on the same line: commands, arguments
    // ("key="), or values ("key=true"); in a line that starts with "{" names within quotes.
    [[nodiscard]] std::vector<std::string> complete(std::string_view before,
                                                    std::string_view word) const;
    // One line per argument; empty for an unknown command.
    [[nodiscard]] std::string describe(const std::string& command) const;

    // What `command` takes, the members of all variants included.
    [[nodiscard]] std::vector<Argument> arguments(const std::string& command) const;
    // "int", "bool", "str" of a builtin, else "enum", "array", "object", "alternate"; empty for a
    // type that the schema does not have.
    [[nodiscard]] std::string kind(const std::string& type) const;
    // All values of an enumeration or of "bool"; empty for others.
    [[nodiscard]] std::vector<std::string> values(const std::string& type) const;

private:
    [[nodiscard]] const qmp::Json* entity(const std::string& name) const;
    // Members of an object type, those of all its variants included.
    [[nodiscard]] std::vector<Argument> members(const std::string& type) const;
    [[nodiscard]] std::string argument_type(const std::string& command) const;
    [[nodiscard]] std::string type_text(const std::string& type) const;
    [[nodiscard]] std::vector<std::string> complete_argument(const std::string& command,
                                                             std::string_view word) const;
    [[nodiscard]] std::vector<std::string> complete_json(std::string_view before) const;

    std::map<std::string, qmp::Json, std::less<>> entities_;
};

} // namespace mfd::ctl
