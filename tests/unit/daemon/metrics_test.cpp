#include "daemon/metrics/job_metrics.hpp"
#include "daemon/metrics/metric_text.hpp"
#include "daemon/metrics/metrics_endpoint.hpp"

#include <catch2/catch_test_macros.hpp>

#include <array>
#include <memory>
#include <string>

using namespace mfd;

namespace {

JobReport ended_job(JobKind kind, unsigned channels, const std::string& cause = {}) {
    JobReport job;
    job.kind = kind;
    job.progress = std::make_shared<JobProgress>(channels);
    for (unsigned channel = 0; channel < channels; ++channel) {
        job.progress->counters.channel(channel).bytes += 4096;
        job.progress->counters.channel(channel).latency.add(std::chrono::microseconds(20));
    }
    job.started = JobReport::Clock::now();
    job.ended = job.started + std::chrono::seconds(2);
    job.stopped_since = *job.ended - std::chrono::milliseconds(50);
    job.error_cause = cause;
    return job;
}

std::string text_of(const JobMetrics& metrics, MigrationStatus status, const JobReport& job) {
    MetricText out(MetricFormat::Prometheus);
    metrics.write(out, status, job);
    return out.take();
}

} // namespace

TEST_CASE("both formats name a counter and an info as their readers expect", "[metrics]") {
    const auto write = [](MetricFormat format) {
        MetricText out(format);
        out.counter("a_bytes", "Bytes.");
        out.value({{"x", "1"}}, std::uint64_t{7});
        out.info("b", "It.");
        out.value({}, std::uint64_t{1});
        out.gauge("c", "Now.");
        out.value({}, 0.5);
        out.value({}, 2.0);
        return out.take();
    };
    CHECK(write(MetricFormat::Prometheus) == "# HELP a_bytes_total Bytes.\n"
                                             "# TYPE a_bytes_total counter\n"
                                             "a_bytes_total{x=\"1\"} 7\n"
                                             "# HELP b_info It.\n"
                                             "# TYPE b_info gauge\n"
                                             "b_info 1\n"
                                             "# HELP c Now.\n"
                                             "# TYPE c gauge\n"
                                             "c 0.5\n"
                                             "c 2.0\n");
    CHECK(write(MetricFormat::OpenMetrics) == "# HELP a_bytes Bytes.\n"
                                              "# TYPE a_bytes counter\n"
                                              "# UNIT a_bytes bytes\n"
                                              "a_bytes_total{x=\"1\"} 7\n"
                                              "# HELP b It.\n"
                                              "# TYPE b info\n"
                                              "b_info 1\n"
                                              "# HELP c Now.\n"
                                              "# TYPE c gauge\n"
                                              "c 0.5\n"
                                              "c 2.0\n"
                                              "# EOF\n");
}

TEST_CASE("labels keep their lines whatever their values are", "[metrics]") {
    MetricText out(MetricFormat::Prometheus);
    out.gauge("c", "Now.");
    out.value({{"x", "a\"b\\c\nd\xff"}, {"y", "\xc3\xa9"}}, std::uint64_t{1});
    CHECK(out.take().ends_with("c{x=\"a\\\"b\\\\c\\nd\xef\xbf\xbd\",y=\"\xc3\xa9\"} 1\n"));
}

TEST_CASE("a histogram ends with all of its values", "[metrics]") {
    MetricText out(MetricFormat::Prometheus);
    out.histogram("h_seconds", "It.");
    const std::array below{MetricBucket{0.000016, 1}, MetricBucket{1, 2}};
    out.buckets({{"x", "1"}}, below, 3, 2.5);
    CHECK(out.take().ends_with("h_seconds_bucket{x=\"1\",le=\"1.6e-05\"} 1\n"
                               "h_seconds_bucket{x=\"1\",le=\"1.0\"} 2\n"
                               "h_seconds_bucket{x=\"1\",le=\"+Inf\"} 3\n"
                               "h_seconds_count{x=\"1\"} 3\n"
                               "h_seconds_sum{x=\"1\"} 2.5\n"));
}

TEST_CASE("ended jobs add up, and a running one is added to them", "[metrics]") {
    JobMetrics metrics;
    metrics.note(MigrationStatus::Completed, ended_job(JobKind::Save, 1));
    metrics.note(MigrationStatus::Failed, ended_job(JobKind::Save, 2, "ENOSPC"));
    metrics.note(MigrationStatus::Active, ended_job(JobKind::Save, 2)); // not ended yet
    auto running = ended_job(JobKind::Save, 1);
    const auto text = text_of(metrics, MigrationStatus::Active, running);
    const auto has = [&](const std::string& line) {
        return text.find("\n" + line + "\n") != std::string::npos;
    };
    CHECK(has("multifdd_jobs_total{kind=\"save\",outcome=\"completed\"} 1"));
    CHECK(has("multifdd_jobs_total{kind=\"save\",outcome=\"failed\"} 1"));
    CHECK(has("multifdd_job_failures_total{kind=\"save\",cause=\"ENOSPC\"} 1"));
    CHECK(has("multifdd_job_running{kind=\"save\"} 1.0"));
    CHECK(has("multifdd_downtime_seconds_count 1"));
    CHECK(has("multifdd_last_downtime_seconds 0.05"));
    CHECK(has("multifdd_channel_bytes_total{kind=\"save\",channel=\"0\"} 12288"));
    CHECK(has("multifdd_channel_bytes_total{kind=\"save\",channel=\"1\"} 4096"));
    const std::string name = "multifdd_channel_transfer_seconds";
    CHECK(has(name + "_bucket{kind=\"save\",channel=\"0\",le=\"1.6e-05\"} 0"));
    CHECK(has(name + "_bucket{kind=\"save\",channel=\"0\",le=\"3.2e-05\"} 3"));
    CHECK(has(name + "_count{kind=\"save\",channel=\"0\"} 3"));
}

TEST_CASE("a job of an earlier process is not counted again", "[metrics]") {
    JobMetrics metrics;
    auto earlier = ended_job(JobKind::Load, 1);
    earlier.progress = nullptr;
    metrics.note(MigrationStatus::Completed, earlier);
    CHECK(text_of(metrics, MigrationStatus::Completed, earlier)
              .find("multifdd_jobs_total{kind=\"restore\",outcome=\"completed\"} 0\n") !=
          std::string::npos);
}

TEST_CASE("a cause has the name of its errno, or of its kind", "[metrics]") {
    CHECK(name_of_cause({Errc::Io, "x", 28}) == "ENOSPC");
    CHECK(name_of_cause({Errc::Io, "x", 0}) == "io");
    CHECK(name_of_cause({Errc::Io, "x", -1}) == "io");
    CHECK(name_of_cause({Errc::BadFormat, "x", 0}) == "bad-format");
}

TEST_CASE("metrics are for this machine's own addresses alone", "[metrics]") {
    const auto v4 = parse_loopback("127.0.0.2:9100");
    REQUIRE(v4.has_value());
    CHECK(v4->address == "127.0.0.2");
    CHECK(v4->port == 9100);
    CHECK(parse_loopback("[::1]:1")->address == "::1");
    for (const char* text :
         {"0.0.0.0:1", "10.0.0.1:1", "[::]:1", "::1:1", "[127.0.0.1]:1", "127.0.0.1",
          "127.0.0.1:", "127.0.0.1:65536", "127.0.0.1:1x", "localhost:1", ":1", ""})
        CHECK_FALSE(parse_loopback(text).has_value());
}
