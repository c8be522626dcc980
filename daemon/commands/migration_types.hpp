// The types of the migration commands, made from the tables of capabilities and parameters.
#pragma once

#include "qmp/schema.hpp"

namespace mfd::migration_types {

qmp::schema::TypeRef capability();
qmp::schema::TypeRef capability_status(); // {"capability", "state"}
qmp::schema::TypeRef parameters();        // all members optional
qmp::schema::TypeRef status();
qmp::schema::TypeRef migrate_arguments();
qmp::schema::TypeRef migrate_incoming_arguments();
qmp::schema::TypeRef info(); // of query-migrate

} // namespace mfd::migration_types
