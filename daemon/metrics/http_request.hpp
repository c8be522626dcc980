// The little of HTTP/1.1 (RFC 9112) that a collector of metrics speaks: a request without a body.
// Strict: what a proxy might read in another way is refused. Pure.
#pragma once

#include "daemon/metrics/metric_text.hpp"

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace mfd {

struct HttpRequest {
    std::string method;
    std::string path;   // without the query
    std::string accept; // all Accept fields, joined as a list; empty: none
    bool keep_alive = false;
};

// Chosen: Prometheus sends about 400 bytes.
inline constexpr std::size_t kMaxHttpHeadBytes = 8192;

struct HttpParse {
    enum class Outcome : std::uint8_t { NeedsMore, Request, Refused };
    Outcome outcome = Outcome::NeedsMore;
    HttpRequest request;
    std::size_t consumed = 0; // bytes of the request
    unsigned status = 0;      // of a refusal: 400, 431 or 505
    std::string reason;       // likewise, for the body
};

// The first request in `bytes`, which hold what was received so far.
HttpParse parse_http_request(std::string_view bytes);

// Which format the field Accept asks for: OpenMetrics only if it is liked better than plain text.
MetricFormat negotiate_format(std::string_view accept);

struct HttpResponse {
    unsigned status = 200;
    std::string content_type = "text/plain; charset=utf-8";
    std::string body;
    std::string extra_fields = {}; // "Name: value\r\n" each
};

// As bytes. `head_only`: the answer to HEAD, with the length of the body and without it.
std::string encode_http_response(const HttpResponse& response, bool keep_alive, bool head_only);

} // namespace mfd
