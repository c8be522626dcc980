#include "daemon/metrics/http_request.hpp"

#include <catch2/catch_test_macros.hpp>
#include <catch2/generators/catch_generators.hpp>

#include <string>

using mfd::HttpParse;
using mfd::MetricFormat;
using mfd::negotiate_format;
using mfd::parse_http_request;
using Outcome = HttpParse::Outcome;

namespace {

const std::string kPlain = "GET /metrics?x=1 HTTP/1.1\r\nHost: a\r\nAccept: text/plain\r\n\r\n";

unsigned refusal_of(const std::string& head) {
    const auto parsed = parse_http_request(head);
    CHECK(parsed.outcome == Outcome::Refused);
    CHECK_FALSE(parsed.reason.empty());
    return parsed.status;
}

} // namespace

TEST_CASE("a request is taken whole, and every part of it wants more", "[metrics]") {
    for (std::size_t length = 0; length < kPlain.size(); ++length)
        CHECK(parse_http_request(kPlain.substr(0, length)).outcome == Outcome::NeedsMore);
    const auto parsed = parse_http_request(kPlain + "GET /next");
    REQUIRE(parsed.outcome == Outcome::Request);
    CHECK(parsed.consumed == kPlain.size());
    CHECK(parsed.request.method == "GET");
    CHECK(parsed.request.path == "/metrics");
    CHECK(parsed.request.accept == "text/plain");
    CHECK(parsed.request.keep_alive);
}

TEST_CASE("a connection stays as HTTP's version and the client say", "[metrics]") {
    const auto keeps = [](const std::string& head) {
        return parse_http_request(head + "\r\n\r\n").request.keep_alive;
    };
    CHECK(keeps("GET / HTTP/1.1\r\nHost: a"));
    CHECK_FALSE(keeps("GET / HTTP/1.1\r\nHost: a\r\nConnection: x, Close"));
    CHECK_FALSE(keeps("GET / HTTP/1.0"));
    CHECK(keeps("GET / HTTP/1.0\r\nconnection:keep-alive"));
}

TEST_CASE("what a proxy might read in another way is refused", "[metrics]") {
    CHECK(refusal_of("GET /metrics HTTP/1.1\r\n\r\n") == 400);
    CHECK(refusal_of("GET /metrics HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n") == 400);
    CHECK(refusal_of("GET /metrics HTTP/1.1\r\nHost : a\r\n\r\n") == 400);
    CHECK(refusal_of("GET /metrics HTTP/1.1\r\nHost: a\r\n b\r\n\r\n") == 400);
    CHECK(refusal_of("GET /metrics HTTP/1.1\r\nHost: a\nX: b\r\n\r\n") == 400);
    CHECK(refusal_of("GET  /metrics HTTP/1.1\r\nHost: a\r\n\r\n") == 400);
    CHECK(refusal_of("GET metrics HTTP/1.1\r\nHost: a\r\n\r\n") == 400);
    CHECK(refusal_of("GET /metrics HTTP/1.1 \r\nHost: a\r\n\r\n") == 505);
    CHECK(refusal_of("GET /metrics HTTP/1.2\r\nHost: a\r\n\r\n") == 505);
    CHECK(refusal_of("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\n\r\n") == 400);
    CHECK(refusal_of("GET / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n") == 400);
    CHECK(refusal_of("GET /\x01 HTTP/1.1\r\nHost: a\r\n\r\n") == 400);
    CHECK(refusal_of("\n") == 400);
}

TEST_CASE("a head is as long as the limit and no longer", "[metrics]") {
    const std::string start = "GET / HTTP/1.1\r\nHost: a\r\nX: ";
    const std::string fits(mfd::kMaxHttpHeadBytes - start.size(), 'x');
    CHECK(parse_http_request(start + fits + "\r\n\r\n").outcome == Outcome::Request);
    CHECK(refusal_of(start + fits + "x\r\n\r\n") == 431);
    CHECK(refusal_of(start + fits + "x") == 431);
}

TEST_CASE("a body of no bytes is none", "[metrics]") {
    CHECK(parse_http_request("GET / HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\n\r\n").outcome ==
          Outcome::Request);
}

TEST_CASE("OpenMetrics is given to those who like it better than plain text", "[metrics]") {
    const std::string open = "application/openmetrics-text";
    CHECK(negotiate_format("") == MetricFormat::Prometheus);
    CHECK(negotiate_format("*/*") == MetricFormat::Prometheus);
    CHECK(negotiate_format("image/png") == MetricFormat::Prometheus);
    CHECK(negotiate_format(open) == MetricFormat::OpenMetrics);
    CHECK(negotiate_format(open + ";version=1.0.0,text/plain;q=0.5,*/*;q=0.1") ==
          MetricFormat::OpenMetrics);
    CHECK(negotiate_format("Application/OpenMetrics-Text ; q=0.6 , text/*;q=0.5") ==
          MetricFormat::OpenMetrics);
    CHECK(negotiate_format(open + ";q=0.5,text/plain") == MetricFormat::Prometheus);
    CHECK(negotiate_format(open + ";q=0") == MetricFormat::Prometheus);
    CHECK(negotiate_format(open + ";q=2") == MetricFormat::Prometheus);
    CHECK(negotiate_format(open + ";q=0.5,text/plain;q=0.1,*/*") == MetricFormat::OpenMetrics);
}

TEST_CASE("an answer says its length, also without its body", "[metrics]") {
    const mfd::HttpResponse response{.body = "abc"};
    const auto whole = mfd::encode_http_response(response, true, false);
    CHECK(whole.starts_with("HTTP/1.1 200 OK\r\n"));
    CHECK(whole.find("Content-Length: 3\r\n") != std::string::npos);
    CHECK(whole.ends_with("\r\n\r\nabc"));
    CHECK(whole.find("Connection: close") == std::string::npos);
    const auto head = mfd::encode_http_response(response, false, true);
    CHECK(head.find("Content-Length: 3\r\n") != std::string::npos);
    CHECK(head.find("Connection: close\r\n") != std::string::npos);
    CHECK(head.ends_with("\r\n\r\n"));
}
