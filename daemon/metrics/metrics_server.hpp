// Serves metrics over HTTP/1.1: GET /metrics. On the control thread, which it never keeps: every
// read and write is asynchronous, a text is made in one go from counters in memory.
//
// Limits: kMaxClients at a time, others wait in the kernel's queue; a request's head of
// kMaxHttpHeadBytes; kClientTimeout for a request, an answer, and the pause between two.
#pragma once

#include "channels/unique_fd.hpp"
#include "daemon/metrics/metric_text.hpp"
#include "proto/error.hpp"

#include <boost/asio/io_context.hpp>

#include <functional>
#include <memory>
#include <string>

namespace mfd {

class MetricsServer {
public:
    using Render = std::function<std::string(MetricFormat)>;

    // `render` is called for every request, until close().
    MetricsServer(boost::asio::io_context& control, Render render);
    ~MetricsServer();
    MetricsServer(const MetricsServer&) = delete;
    MetricsServer& operator=(const MetricsServer&) = delete;

    // A socket of open_metrics_socket(). A file at `path` is removed at the end; empty: none.
    Result<void> listen(UniqueFd socket, const std::string& path);
    // Nobody is served any more.
    void close();

private:
    class Impl;
    std::shared_ptr<Impl> impl_;
};

} // namespace mfd
