#include "qmp/map/markup.hpp"
#include "qmp/map/writers.hpp"

#include <algorithm>
#include <map>
#include <utility>

namespace mfd::map {

namespace {

std::string attribute(const char* name, std::uint32_t value) {
    return std::string(" ") + name + "=\"" + std::to_string(value) + "\"";
}

// One path for each colour: most of the file, so it is kept short.
std::string area_svg(const CellArea& area, const std::array<Rgb, kInks>& colours) {
    std::map<Ink, std::string> paths;
    for (const Box& box : join_cells(area)) {
        std::string& path = paths[box.ink];
        path.append("M").append(std::to_string(box.x));
        path.append(" ").append(std::to_string(box.y));
        path.append("h").append(std::to_string(box.width));
        path.append("v").append(std::to_string(box.height));
        path.append("h-").append(std::to_string(box.width)).append("z");
    }
    std::string out = "<g shape-rendering=\"crispEdges\" transform=\"translate(" +
                      std::to_string(area.x) + " " + std::to_string(area.y) + ") scale(" +
                      std::to_string(area.cell) + ")\">\n";
    for (const auto& [ink, path] : paths)
        out += "<path fill=\"" + css_colour(colours[ink]) + "\" d=\"" + path + "\"/>\n";
    return out + "</g>\n";
}

} // namespace

std::vector<Box> join_cells(const CellArea& area) {
    std::vector<Box> done;
    std::vector<Box> open; // end in the row above, in ascending order of x
    for (std::uint32_t y = 0; y < area.rows; ++y) {
        std::vector<Box> row;
        for (std::uint32_t x = 0; x < area.columns; ++x) {
            const Ink ink = area.inks[std::size_t{y} * area.columns + x];
            if (!row.empty() && row.back().ink == ink)
                ++row.back().width;
            else
                row.push_back({x, y, 1, 1, ink});
        }
        auto above = open.begin();
        for (Box& box : row) {
            while (above != open.end() && above->x < box.x)
                ++above;
            if (above != open.end() && above->x == box.x && above->width == box.width &&
                above->ink == box.ink) {
                box.y = above->y;
                box.height = above->height + 1;
                above->height = 0; // goes on here
            }
        }
        std::ranges::copy_if(open, std::back_inserter(done),
                             [](const Box& box) { return box.height != 0; });
        open = std::move(row);
    }
    done.insert(done.end(), open.begin(), open.end());
    std::erase_if(done, [](const Box& box) { return box.ink == kPaper; });
    return done;
}

std::string write_svg(const Picture& picture) {
    const auto colours = palette(Theme::Paper);
    const std::uint32_t s = picture.scale;
    std::string out = "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n"
                      "<svg xmlns=\"http://www.w3.org/2000/svg\"" +
                      attribute("width", picture.width) + attribute("height", picture.height) +
                      " viewBox=\"0 0 " + std::to_string(picture.width) + " " +
                      std::to_string(picture.height) +
                      "\" font-family=\"DejaVu Sans Mono, Consolas, Menlo, monospace\"" +
                      attribute("font-size", kTextHeight * s) + ">\n";
    for (const Box& box : picture.boxes)
        out += "<rect" + attribute("x", box.x) + attribute("y", box.y) +
               attribute("width", box.width) + attribute("height", box.height) + " fill=\"" +
               css_colour(colours[box.ink]) + "\"/>\n";
    for (const CellArea& area : picture.areas)
        out += area_svg(area, colours);
    constexpr std::uint32_t kBaseline = 11; // of a line's top
    for (const Text& text : picture.texts)
        out += "<text xml:space=\"preserve\"" + attribute("x", text.x) +
               attribute("y", text.y + kBaseline * s) + " fill=\"" + css_colour(colours[text.ink]) +
               "\"" + (text.weight == Weight::Bold ? " font-weight=\"bold\"" : "") + ">" +
               escape_markup(text.text) + "</text>\n";
    return out + "</svg>\n";
}

} // namespace mfd::map
