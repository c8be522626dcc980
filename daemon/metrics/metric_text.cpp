#include "daemon/metrics/metric_text.hpp"

#include "qmp/utf8.hpp"

#include <array>
#include <charconv>

namespace mfd {

namespace {

// As OpenMetrics wants the bounds of buckets: a whole number has a fraction, too.
std::string number_text(double value) {
    std::array<char, 32> buffer{};
    const auto [end, fault] = std::to_chars(buffer.data(), buffer.data() + buffer.size(), value);
    std::string text(buffer.data(), fault == std::errc{} ? end : buffer.data());
    if (text.find_first_not_of("0123456789-") == std::string::npos)
        text += ".0";
    return text;
}

void append_label_value(std::string& out, std::string_view value) {
    while (!value.empty()) {
        const auto step = qmp::decode_utf8(value);
        if (!step.code_point)
            out += "\xef\xbf\xbd"; // U+FFFD: a guest's name may be any bytes
        else if (*step.code_point == '\\')
            out += "\\\\";
        else if (*step.code_point == '"')
            out += "\\\"";
        else if (*step.code_point == '\n')
            out += "\\n";
        else
            out += value.substr(0, step.length);
        value.remove_prefix(step.length);
    }
}

} // namespace

void MetricText::family(std::string_view name, std::string_view type, std::string_view suffix,
                        std::string_view help) {
    name_ = name;
    suffix_ = suffix;
    const bool open = format_ == MetricFormat::OpenMetrics;
    // Prometheus' own format knows families by the name of their samples, and no info.
    const std::string full = open ? name_ : name_ + suffix_;
    text_.append("# HELP ").append(full).append(" ").append(help).append("\n");
    text_.append("# TYPE ").append(full).append(" ");
    text_.append(!open && type == "info" ? "gauge" : type).append("\n");
    for (const std::string_view unit : {"seconds", "bytes"})
        if (open && name_.ends_with("_" + std::string(unit)))
            text_.append("# UNIT ").append(full).append(" ").append(unit).append("\n");
}

void MetricText::counter(std::string_view name, std::string_view help) {
    family(name, "counter", "_total", help);
}

void MetricText::gauge(std::string_view name, std::string_view help) {
    family(name, "gauge", "", help);
}

void MetricText::histogram(std::string_view name, std::string_view help) {
    family(name, "histogram", "", help);
}

void MetricText::info(std::string_view name, std::string_view help) {
    family(name, "info", "_info", help);
}

void MetricText::line(std::string_view suffix, MetricLabels labels, const MetricLabel* last,
                      std::string_view value) {
    text_.append(name_).append(suffix);
    char before = '{';
    const auto add = [&](const MetricLabel& label) {
        text_.push_back(before);
        text_.append(label.first).append("=\"");
        append_label_value(text_, label.second);
        text_.push_back('"');
        before = ',';
    };
    for (const MetricLabel& label : labels)
        add(label);
    if (last != nullptr)
        add(*last);
    text_.append(before == ',' ? "} " : " ").append(value).append("\n");
}

void MetricText::value(MetricLabels labels, std::uint64_t value) {
    line(suffix_, labels, nullptr, std::to_string(value));
}

void MetricText::value(MetricLabels labels, double value) {
    line(suffix_, labels, nullptr, number_text(value));
}

void MetricText::buckets(MetricLabels labels, std::span<const MetricBucket> below,
                         std::uint64_t count, double sum) {
    for (const MetricBucket& bucket : below) {
        const std::string bound = number_text(bucket.bound);
        const MetricLabel le{"le", bound};
        line("_bucket", labels, &le, std::to_string(bucket.count));
    }
    const MetricLabel le{"le", "+Inf"};
    line("_bucket", labels, &le, std::to_string(count));
    line("_count", labels, nullptr, std::to_string(count));
    line("_sum", labels, nullptr, number_text(sum));
}

std::string MetricText::take() {
    if (format_ == MetricFormat::OpenMetrics)
        text_ += "# EOF\n";
    return std::move(text_);
}

} // namespace mfd
