#include "daemon/metrics/http_request.hpp"

#include <algorithm>
#include <cctype>
#include <charconv>

namespace mfd {

namespace {

constexpr std::string_view kBlank = " \t";

std::string lower(std::string_view text) {
    std::string out(text);
    std::transform(out.begin(), out.end(), out.begin(),
                   [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
    return out;
}

std::string_view trim(std::string_view text) {
    const auto first = text.find_first_not_of(kBlank);
    if (first == std::string_view::npos)
        return {};
    return text.substr(first, text.find_last_not_of(kBlank) - first + 1);
}

// What stands before `separator`, taken off `text`.
std::string_view take_until(std::string_view& text, char separator) {
    const auto at = text.find(separator);
    const auto part = text.substr(0, at);
    text.remove_prefix(at == std::string_view::npos ? text.size() : at + 1);
    return part;
}

bool is_token(std::string_view text) {
    return !text.empty() && std::all_of(text.begin(), text.end(), [](unsigned char c) {
        return std::isalnum(c) != 0 ||
               std::string_view("!#$%&'*+-.^_`|~").find(static_cast<char>(c)) !=
                   std::string_view::npos;
    });
}

bool has_control(std::string_view text) {
    return std::any_of(text.begin(), text.end(),
                       [](unsigned char c) { return (c < 0x20 && c != '\t') || c == 0x7f; });
}

HttpParse refuse_request(unsigned status, std::string reason) {
    HttpParse refused;
    refused.outcome = HttpParse::Outcome::Refused;
    refused.status = status;
    refused.reason = std::move(reason);
    return refused;
}

// What the fields of the head say that matters here.
struct Fields {
    unsigned hosts = 0;
    bool body = false;
    bool close = false;
    bool keep = false;
    std::string accept;
};

void note_field(Fields& fields, const std::string& name, std::string_view value) {
    if (name == "host") {
        ++fields.hosts;
    } else if (name == "transfer-encoding") {
        fields.body = true;
    } else if (name == "content-length") {
        fields.body = fields.body || value != "0";
    } else if (name == "connection") {
        std::string_view rest = value;
        while (!rest.empty()) {
            const auto option = lower(trim(take_until(rest, ',')));
            fields.close = fields.close || option == "close";
            fields.keep = fields.keep || option == "keep-alive";
        }
    } else if (name == "accept") {
        fields.accept += (fields.accept.empty() ? "" : ",") + std::string(value);
    }
}

// q=0.5 in thousandths; 1000 where it is not given, nothing where it is wrong.
std::optional<unsigned> quality_of(std::string_view parameters) {
    while (!parameters.empty()) {
        auto parameter = trim(take_until(parameters, ';'));
        const auto name = lower(trim(take_until(parameter, '=')));
        if (name != "q")
            continue;
        double value = 0;
        const auto text = trim(parameter);
        const auto [end, fault] = std::from_chars(text.data(), text.data() + text.size(), value,
                                                  std::chars_format::fixed);
        if (fault != std::errc{} || end != text.data() + text.size() || value < 0 || value > 1)
            return std::nullopt;
        return static_cast<unsigned>(value * 1000);
    }
    return 1000;
}

std::string_view phrase_of(unsigned status) {
    switch (status) {
    case 200:
        return "OK";
    case 404:
        return "Not Found";
    case 405:
        return "Method Not Allowed";
    case 408:
        return "Request Timeout";
    case 431:
        return "Request Header Fields Too Large";
    case 503:
        return "Service Unavailable";
    case 505:
        return "HTTP Version Not Supported";
    default:
        return "Bad Request";
    }
}

} // namespace

HttpParse parse_http_request(std::string_view bytes) {
    const auto end = bytes.find("\r\n\r\n");
    if (end == std::string_view::npos) {
        if (bytes.size() > kMaxHttpHeadBytes)
            return refuse_request(431, "the head of the request is too long");
        // A line that ends otherwise never becomes a head: say so rather than wait.
        const auto feed = bytes.find('\n');
        if (feed != std::string_view::npos && (feed == 0 || bytes[feed - 1] != '\r'))
            return refuse_request(400, "lines end with CR LF");
        return {};
    }
    if (end > kMaxHttpHeadBytes)
        return refuse_request(431, "the head of the request is too long");
    std::string_view head = bytes.substr(0, end);
    const auto next_line = [&head] {
        const auto at = head.find("\r\n");
        const auto line = head.substr(0, at);
        head.remove_prefix(at == std::string_view::npos ? head.size() : at + 2);
        return line;
    };

    std::string_view line = next_line();
    if (has_control(line))
        return refuse_request(400, "control characters in the request line");
    HttpParse parsed;
    parsed.request.method = take_until(line, ' ');
    std::string_view target = take_until(line, ' ');
    if (!is_token(parsed.request.method) || target.empty() || target[0] != '/' ||
        !line.starts_with("HTTP/"))
        return refuse_request(400, "the request line is not METHOD /PATH HTTP/1.1");
    if (line != "HTTP/1.1" && line != "HTTP/1.0")
        return refuse_request(505, "HTTP/1.1 is spoken here");
    parsed.request.path = target.substr(0, target.find('?'));

    Fields fields;
    while (!head.empty()) {
        std::string_view field = next_line();
        if (has_control(field))
            return refuse_request(400, "control characters in a field");
        const auto name = take_until(field, ':');
        if (!is_token(name)) // a blank before the colon and folded lines, too
            return refuse_request(400, "a field is not NAME: VALUE");
        note_field(fields, lower(name), trim(field));
    }
    const bool current = line == "HTTP/1.1";
    if (fields.body)
        return refuse_request(400, "a request for metrics has no body");
    if (current && fields.hosts != 1)
        return refuse_request(400, "HTTP/1.1 wants one field Host");
    parsed.request.accept = std::move(fields.accept);
    parsed.request.keep_alive = current ? !fields.close : fields.keep && !fields.close;
    parsed.outcome = HttpParse::Outcome::Request;
    parsed.consumed = end + 4;
    return parsed;
}

MetricFormat negotiate_format(std::string_view accept) {
    unsigned open = 0;
    std::optional<unsigned> plain;
    std::optional<unsigned> any_text;
    std::optional<unsigned> any;
    while (!accept.empty()) {
        std::string_view range = take_until(accept, ',');
        const auto type = lower(trim(take_until(range, ';')));
        const auto quality = quality_of(range);
        if (!quality)
            continue;
        const auto better = [&](std::optional<unsigned>& known) {
            known = std::max(known.value_or(0), *quality);
        };
        if (type == "application/openmetrics-text")
            open = std::max(open, *quality);
        else if (type == "text/plain")
            better(plain);
        else if (type == "text/*")
            better(any_text);
        else if (type == "*/*")
            better(any);
    }
    // The most specific range counts, as everywhere in HTTP.
    const unsigned text = plain ? *plain : any_text ? *any_text : any.value_or(0);
    return open > text ? MetricFormat::OpenMetrics : MetricFormat::Prometheus;
}

std::string encode_http_response(const HttpResponse& response, bool keep_alive, bool head_only) {
    std::string bytes = "HTTP/1.1 " + std::to_string(response.status) + " ";
    bytes += phrase_of(response.status);
    bytes += "\r\nContent-Type: " + response.content_type +
             "\r\nContent-Length: " + std::to_string(response.body.size()) +
             "\r\nCache-Control: no-store\r\n" + response.extra_fields;
    if (!keep_alive)
        bytes += "Connection: close\r\n";
    bytes += "\r\n";
    if (!head_only)
        bytes += response.body;
    return bytes;
}

} // namespace mfd
