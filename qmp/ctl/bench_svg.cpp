// The plot of `bench`: rates over the number of channels, a line for each way, the raw write
// dashed.
#include "qmp/ctl/bench_result.hpp"
#include "qmp/map/markup.hpp"
#include "qmp/units.hpp"

#include <algorithm>
#include <array>
#include <cmath>
#include <set>
#include <string_view>

namespace mfd::ctl {

namespace {

constexpr double kWidth = 780;
constexpr double kHeight = 440;
constexpr double kLeft = 110;
constexpr double kRight = 200; // the legend's
constexpr double kTop = 60;
constexpr double kBottom = 60;

// Pixels, with a tenth: enough, and the same on every machine.
std::string px(double value) {
    const auto tenths = static_cast<long long>(std::llround(value * 10));
    return std::to_string(tenths / 10) + "." + std::to_string(std::abs(tenths % 10));
}

// 1, 2 or 5 times a power of ten of the unit that rates are shown in, so that up to six lines reach
// `top`.
double tick_step(double top) {
    double unit = 1;
    while (top / unit >= 1024)
        unit *= 1024;
    double step = std::pow(10, std::floor(std::log10(top / unit / 6)));
    for (const double factor : {2.0, 2.5, 2.0})
        if (top / unit / step > 6)
            step *= factor;
    return step * unit;
}

class Plot {
public:
    explicit Plot(const BenchResult& result) : result_(result) {
        std::set<unsigned> seen;
        double top = std::max(result.raw_direct.save, result.raw_buffered.save);
        for (const BenchRow& row : result.rows) {
            seen.insert(row.channels);
            top = std::max({top, row.rates.save, row.rates.restore});
        }
        channels_.assign(seen.begin(), seen.end());
        top_ = std::max(top * 1.05, 1.0);
    }

    std::string draw() {
        out_ = R"(<svg xmlns="http://www.w3.org/2000/svg" width=")" + px(kWidth) + R"(" height=")" +
               px(kHeight) + R"(" font-family="sans-serif" font-size="13">)" + "\n";
        out_ += R"(<rect width="100%" height="100%" fill="#ffffff"/>)"
                "\n";
        text(kLeft, 26, "start", "Saving and restoring a guest: " + result_.folder, 16);
        text(kLeft, 44, "start",
             result_.file_system + ", " + format_bytes(result_.guest_bytes) +
                 " of guest memory, median of " + std::to_string(result_.rounds));
        axes();
        const double raw = std::max(result_.raw_direct.save, result_.raw_buffered.save);
        const double right = kWidth - kRight;
        line(kLeft, y(raw), right, y(raw), "#777777", R"( stroke-dasharray="6 4")");
        legend("raw write", "#777777", R"( stroke-dasharray="6 4")");
        for (const Series& series : kSeries)
            curve(series);
        return out_ + "</svg>\n";
    }

private:
    struct Series {
        std::string_view name;
        bool direct;
        bool save;
        std::string_view colour;
    };
    // Told apart by colour-blind eyes as well.
    static constexpr std::array<Series, 4> kSeries{
        {{"save, direct", true, true, "#0072b2"},
         {"save, buffered", false, true, "#56b4e9"},
         {"restore, direct", true, false, "#d55e00"},
         {"restore, buffered", false, false, "#e69f00"}}};

    [[nodiscard]] double y(double rate) const {
        return kHeight - kBottom - rate / top_ * (kHeight - kTop - kBottom);
    }
    // The channels stand at even distances, whatever their numbers are.
    [[nodiscard]] double x(unsigned channels) const {
        const auto at = std::ranges::find(channels_, channels) - channels_.begin();
        const double share =
            (static_cast<double>(at) + 0.5) / static_cast<double>(channels_.size());
        return kLeft + share * (kWidth - kLeft - kRight);
    }

    void text(double at_x, double at_y, std::string_view anchor, const std::string& what,
              int size = 13) {
        out_ += "<text x=\"" + px(at_x) + "\" y=\"" + px(at_y) + "\" text-anchor=\"" +
                std::string(anchor) + "\" font-size=\"" + std::to_string(size) + "\">" +
                map::escape_markup(what) + "</text>\n";
    }
    void line(double x1, double y1, double x2, double y2, std::string_view colour,
              std::string_view style = {}) {
        out_ += "<line x1=\"" + px(x1) + "\" y1=\"" + px(y1) + "\" x2=\"" + px(x2) + "\" y2=\"" +
                px(y2) + "\" stroke=\"" + std::string(colour) + "\" stroke-width=\"2\"" +
                std::string(style) + "/>\n";
    }
    void axes() {
        const double right = kWidth - kRight;
        const double step = tick_step(top_);
        for (double rate = 0; rate <= top_; rate += step) {
            line(kLeft, y(rate), right, y(rate), "#e3e3e3");
            text(kLeft - 8, y(rate) + 4, "end", format_rate(rate));
        }
        for (const unsigned channels : channels_)
            text(x(channels), kHeight - kBottom + 20, "middle", std::to_string(channels));
        text((kLeft + right) / 2, kHeight - 18, "middle", "multifd-channels");
    }
    void legend(std::string_view name, std::string_view colour, std::string_view style = {}) {
        const double at = kTop + 12 + 24 * legend_lines_++;
        const double left = kWidth - kRight + 24;
        line(left, at, left + 28, at, colour, style);
        text(left + 36, at + 4, "start", std::string(name));
    }
    void curve(const Series& series) {
        std::string points;
        std::string dots;
        for (const BenchRow& row : result_.rows) {
            const double rate = series.save ? row.rates.save : row.rates.restore;
            if (row.direct != series.direct || rate == 0)
                continue;
            points += px(x(row.channels)) + "," + px(y(rate)) + " ";
            dots += "<circle cx=\"" + px(x(row.channels)) + "\" cy=\"" + px(y(rate)) +
                    "\" r=\"4\" fill=\"" + std::string(series.colour) + "\"/>\n";
        }
        if (points.empty())
            return;
        out_ += "<polyline points=\"" + points + "\" fill=\"none\" stroke=\"" +
                std::string(series.colour) + "\" stroke-width=\"2\"/>\n" + dots;
        legend(series.name, series.colour);
    }

    const BenchResult& result_;
    std::vector<unsigned> channels_;
    double top_ = 1;
    int legend_lines_ = 0;
    std::string out_;
};

} // namespace

std::string bench_svg(const BenchResult& result) {
    return Plot(result).draw();
}

} // namespace mfd::ctl
