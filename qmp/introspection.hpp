// The declared commands, events and types as query-qmp-schema describes them. Control thread, like
// the dispatcher it reads.
#pragma once

#include "qmp/dispatcher.hpp"
#include "qmp/json.hpp"
#include "qmp/schema.hpp"

#include <vector>

namespace mfd::qmp {

// Every type that commands and events mention, directly or not, each once: commands first, in order
// of their names, a type before those that only it mentions.
std::vector<const schema::Type*> reachable_types(const Dispatcher& dispatcher);

// The value of query-qmp-schema, and its type.
Json describe_schema(const Dispatcher& dispatcher);
schema::TypeRef schema_info();

} // namespace mfd::qmp
