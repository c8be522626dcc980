// The reference page of the protocol, written from the declarations alone.
#pragma once

#include "qmp/dispatcher.hpp"

#include <ostream>

namespace mfd::qmp {

// Markdown: commands, events, types, each in order of their names.
void write_reference(std::ostream& out, const Dispatcher& dispatcher);

} // namespace mfd::qmp
