#include "qmp/map/curve.hpp"

#include <cstdlib>

namespace mfd::map {

namespace {

struct Vector {
    std::int64_t x = 0;
    std::int64_t y = 0;
    Vector operator+(Vector o) const { return {x + o.x, y + o.y}; }
    Vector operator-(Vector o) const { return {x - o.x, y - o.y}; }
    Vector operator-() const { return {-x, -y}; }
    // Rounded down, also below zero: the curve depends on it.
    [[nodiscard]] Vector half() const { return {x >> 1, y >> 1}; }
    [[nodiscard]] std::int64_t length() const { return std::abs(x + y); } // along one axis
    [[nodiscard]] Vector unit() const { return {(x > 0) - (x < 0), (y > 0) - (y < 0)}; }
};

class Gilbert {
public:
    explicit Gilbert(std::vector<Cell2d>& out) : out_(out) {}

    // The rectangle that `along` and `across` span from `at`, from its corner `at` to the one at
    // the end of `along`. The depth is logarithmic. NOLINTNEXTLINE(misc-no-recursion)
    void walk(Vector at, Vector along, Vector across) {
        const std::int64_t width = along.length();
        const std::int64_t height = across.length();
        if (height == 1 || width == 1) {
            const Vector step = height == 1 ? along.unit() : across.unit();
            for (std::int64_t i = height == 1 ? width : height; i > 0; --i, at = at + step)
                out_.push_back(
                    {static_cast<std::uint32_t>(at.x), static_cast<std::uint32_t>(at.y)});
            return;
        }
        Vector a = along.half();
        Vector b = across.half();
        if (2 * width > 3 * height) { // long: two halves side by side
            if (a.length() % 2 != 0 && width > 2)
                a = a + along.unit();
            walk(at, a, across);
            walk(at + a, along - a, across);
            return;
        }
        if (b.length() % 2 != 0 && height > 2)
            b = b + across.unit();
        walk(at, b, a);
        walk(at + b, along, across - b);
        walk(at + (along - along.unit()) + (b - across.unit()), -b, -(along - a));
    }

private:
    std::vector<Cell2d>& out_;
};

} // namespace

std::vector<Cell2d> cell_order(Order order, std::uint32_t columns, std::uint32_t rows) {
    std::vector<Cell2d> out;
    out.reserve(std::size_t{columns} * rows);
    if (order == Order::Rows) {
        for (std::uint32_t y = 0; y < rows; ++y)
            for (std::uint32_t x = 0; x < columns; ++x)
                out.push_back({x, y});
        return out;
    }
    const Vector right{columns, 0};
    const Vector down{0, rows};
    Gilbert(out).walk({}, columns >= rows ? right : down, columns >= rows ? down : right);
    return out;
}

} // namespace mfd::map
