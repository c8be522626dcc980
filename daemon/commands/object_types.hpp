// The type of object-add's arguments, learned from the functions that read an object's properties.
#pragma once

#include "qmp/schema.hpp"

namespace mfd::object_types {

qmp::schema::TypeRef object_options();

} // namespace mfd::object_types
