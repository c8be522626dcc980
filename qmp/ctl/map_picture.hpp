// The pictures of `multifdctl map`: the pages are walked once for each.
#pragma once

#include "qmp/files/output_file.hpp"
#include "qmp/files/saved_file.hpp"
#include "qmp/map/picture.hpp"
#include "qmp/map/terminal_writer.hpp"

#include <span>
#include <string>
#include <vector>

namespace mfd::ctl {

struct MapSubject {
    const files::SavedFile& saved;
    const files::SavedFile* other; // or nullptr
    std::vector<const DecodedBlock*> blocks;
    map::Facts facts; // its counts are filled by what walks the pages
};

// The blocks with these names, all of the file if there are none; without those whose bitmap a
// damaged file does not have. An error: a name that is not in the file.
Result<void> choose_blocks(MapSubject& subject, std::span<const std::string> names);

// Into a new file of the kind that its name ends with: .svg, .png or .html.
Result<void> map_into_file(MapSubject& subject, const std::string& path, std::uint32_t width,
                           Existing existing);

Result<std::string> map_for_terminal(MapSubject& subject, map::TerminalSize size, map::Paint paint);

// "52 744 stored, 217 261 zero, 0 stale": of a picture that was made.
std::string map_totals_text(const map::Facts& facts);

} // namespace mfd::ctl
