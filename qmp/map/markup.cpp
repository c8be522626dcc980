#include "qmp/map/markup.hpp"

namespace mfd::map {

std::string escape_markup(std::string_view text) {
    std::string out;
    for (const char c : text) {
        switch (c) {
        case '&':
            out += "&amp;";
            break;
        case '<':
            out += "&lt;";
            break;
        case '>':
            out += "&gt;";
            break;
        case '"':
            out += "&quot;";
            break;
        case '\'':
            out += "&#39;";
            break;
        default: {
            const auto byte = static_cast<unsigned char>(c);
            out += byte < 0x20 || byte > 0x7e ? '?' : c;
        }
        }
    }
    return out;
}

} // namespace mfd::map
