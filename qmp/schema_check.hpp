// Checking a JSON value against its declaration, with QEMU's order and QEMU's texts: members in
// declared order, each for presence, type and range, then members that do not belong.
#pragma once

#include "qmp/json.hpp"
#include "qmp/schema.hpp"

#include <optional>
#include <string>

namespace mfd::qmp::schema {

// The text of the first fault, or nothing. On the way unsigned integers given as negative numbers
// become the ones they stand for, so that a handler reads every value as its declared type.
std::optional<std::string> check(const Type& type, Json& value);

// The same for a value that must not be changed: what we are about to send.
std::optional<std::string> find_mismatch(const Type& type, const Json& value);

} // namespace mfd::qmp::schema
