#include "qmp/map/bitmap_font.hpp"
#include "qmp/map/writers.hpp"

#include <algorithm>
#include <limits>

#include <png.h>

namespace mfd::map {

namespace {

class Canvas {
public:
    explicit Canvas(const Picture& picture)
        : width_(picture.width), height_(picture.height),
          pixels_(std::size_t{width_} * height_, kPaper) {}

    void fill(const Box& box) {
        const std::uint32_t right = std::min(box.x + box.width, width_);
        const std::uint32_t bottom = std::min(box.y + box.height, height_);
        for (std::uint32_t y = box.y; y < bottom; ++y)
            for (std::uint32_t x = box.x; x < right; ++x)
                pixels_[std::size_t{y} * width_ + x] = box.ink;
    }
    void fill(const CellArea& area) {
        std::size_t at = 0;
        for (std::uint32_t y = 0; y < area.rows; ++y)
            for (std::uint32_t x = 0; x < area.columns; ++x)
                fill(Box{area.x + x * area.cell, area.y + y * area.cell, area.cell, area.cell,
                         area.inks[at++]});
    }
    void write(const Text& text, std::uint32_t scale) {
        std::uint32_t left = text.x;
        for (const char character : text.text) {
            const GlyphRows& rows = glyph(character, text.weight);
            for (std::uint32_t y = 0; y < kTextHeight; ++y)
                for (std::uint32_t x = 0; x < kTextWidth; ++x)
                    if ((rows[y] >> (kTextWidth - 1 - x) & 1U) != 0)
                        fill(Box{left + x * scale, text.y + y * scale, scale, scale, text.ink});
            left += kTextWidth * scale;
        }
    }
    [[nodiscard]] const std::uint8_t* pixels() const { return pixels_.data(); }

private:
    std::uint32_t width_;
    std::uint32_t height_;
    std::vector<std::uint8_t> pixels_;
};

} // namespace

Result<std::string> write_png(const Picture& picture) {
    Canvas canvas(picture);
    for (const Box& box : picture.boxes)
        canvas.fill(box);
    for (const CellArea& area : picture.areas)
        canvas.fill(area);
    for (const Text& text : picture.texts)
        canvas.write(text, picture.scale);
    std::array<std::uint8_t, 3 * kInks> colours{};
    std::size_t at = 0;
    for (const Rgb colour : palette(Theme::Paper)) {
        colours[at++] = colour.red;
        colours[at++] = colour.green;
        colours[at++] = colour.blue;
    }
    png_image image{};
    image.version = PNG_IMAGE_VERSION;
    image.width = picture.width;
    image.height = picture.height;
    image.format = PNG_FORMAT_RGB_COLORMAP;
    image.colormap_entries = kInks;
    png_alloc_size_t bytes = 0;
    const auto write = [&](void* into) {
        return png_image_write_to_memory(&image, into, &bytes, 0, canvas.pixels(), 0,
                                         colours.data());
    };
    if (write(nullptr) == 0) // how large it will be
        return Error{Errc::Io, std::string("make a PNG: ") + image.message, 0};
    std::string out(bytes, '\0');
    if (write(out.data()) == 0)
        return Error{Errc::Io, std::string("make a PNG: ") + image.message, 0};
    out.resize(bytes);
    return out;
}

} // namespace mfd::map
