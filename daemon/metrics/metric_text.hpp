// Writes metrics as text: the format of Prometheus (0.0.4) and OpenMetrics 1.0, which differ in a
// few words. Pure.
#pragma once

#include <cstdint>
#include <initializer_list>
#include <span>
#include <string>
#include <string_view>
#include <utility>

namespace mfd {

enum class MetricFormat : std::uint8_t { Prometheus, OpenMetrics };

using MetricLabel = std::pair<std::string_view, std::string_view>;
using MetricLabels = std::initializer_list<MetricLabel>;

// A bucket of a histogram: how many values were at or below the bound.
struct MetricBucket {
    double bound = 0;
    std::uint64_t count = 0;
};

// A family is begun by counter(), gauge(), histogram() or info(), and holds what follows until the
// next one begins.
class MetricText {
public:
    explicit MetricText(MetricFormat format) : format_(format) {}

    // The name of a counter is written without "_total", that of an info without "_info".
    void counter(std::string_view name, std::string_view help);
    void gauge(std::string_view name, std::string_view help);
    void histogram(std::string_view name, std::string_view help);
    void info(std::string_view name, std::string_view help);

    void value(MetricLabels labels, std::uint64_t value);
    void value(MetricLabels labels, double value);
    // `below` in ascending order, each count with those of the buckets before it.
    void buckets(MetricLabels labels, std::span<const MetricBucket> below, std::uint64_t count,
                 double sum);

    // The whole text; call once.
    std::string take();

private:
    void family(std::string_view name, std::string_view type, std::string_view suffix,
                std::string_view help);
    void line(std::string_view suffix, MetricLabels labels, const MetricLabel* last,
              std::string_view value);

    MetricFormat format_;
    std::string name_;
    std::string suffix_; // of the samples of this family
    std::string text_;
};

} // namespace mfd
