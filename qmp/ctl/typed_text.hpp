// Values as people type them, turned into what a command of the server takes. Pure functions.
#pragma once

#include "proto/error.hpp"
#include "qmp/ctl/schema_help.hpp"
#include "qmp/json.hpp"

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace mfd::ctl {

// What a number counts: the schema does not tell.
enum class Unit : std::uint8_t { None, Bytes, BytesPerSecond, Milliseconds, Percent };
// Of a migration parameter.
Unit unit_of_parameter(std::string_view name);

// `text` for an argument of type `type`: on, off for booleans; sizes, rates and times with their
// units; a name of an enumeration; "1,3" or a JSON text for an array. `name` is for the error's
// text, which says what would do.
Result<qmp::Json> typed_value(const SchemaHelp& schema, const std::string& name,
                              const std::string& type, Unit unit, std::string_view text);
// "on" and "off", and their other spellings.
Result<bool> parse_switch(std::string_view name, std::string_view text);

// The argument of `command` that is called `name`. The error of an unknown one names the nearest.
Result<SchemaHelp::Argument> find_argument(const SchemaHelp& schema, const std::string& command,
                                           const std::string& name);

// " Did you mean 'mapped-ram'?" if one of `known` is close to `word`, else nothing.
std::string suggestion(std::string_view word, const std::vector<std::string>& known);

// "TYPE,id=ID,size=1G": the arguments of object-add. A comma within a value is written twice.
Result<qmp::Json> object_arguments(const SchemaHelp& schema, std::string_view text);

// A parameter's value as people read it: "64.00 MiB/s", "300 ms", "on".
std::string parameter_text(const std::string& name, const qmp::Json& value);

} // namespace mfd::ctl
