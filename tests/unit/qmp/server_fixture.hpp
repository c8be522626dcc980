// A server with a few commands on a socket of its own.
#pragma once

#include "test_client.hpp"

#include "qmp/server.hpp"

#include <boost/asio/io_context.hpp>

#include <deque>
#include <memory>
#include <string>
#include <utility>
#include <vector>

namespace mfd::qmp {

struct ServerFixture {
    ServerFixture() {
        dispatcher.add(
            Command{.name = "query-status",
                    .returns = schema::any(),
                    .access = Access::Query,
                    .handler = immediate([](const Json&) -> Outcome { return Json("fine"); })});
        dispatcher.add(
            Command{.name = "add-fd", .returns = schema::any(), .handler = [this](Call call) {
                        auto fd = call.take_fd();
                        if (!fd)
                            return call.fail(generic("no descriptor"));
                        taken.push_back(std::move(*fd));
                        call.reply(taken.size());
                    }});
        dispatcher.add(Command{.name = "slow",
                               .handler = [this](Call call) { kept.push_back(std::move(call)); }});
        dispatcher.add(Command{.name = "huge",
                               .returns = schema::any(),
                               .handler = immediate([](const Json&) -> Outcome {
                                   return Json(std::string(700000, 'x'));
                               })});
        dispatcher.add(Command{.name = "quit", .handler = [this](Call call) {
                                   server->emit("SHUTDOWN");
                                   server->shutdown([this] { ended = true; });
                                   call.reply();
                               }});
        dispatcher.add(EventType{.name = "STOP"});
        dispatcher.add(EventType{.name = "SHUTDOWN"});
        dispatcher.add(
            EventType{.name = "MIGRATION",
                      .data = schema::object("M", {schema::required("status", schema::str())})});
        server = std::make_unique<Server>(io, dispatcher);
    }

    [[nodiscard]] std::string path() const { return directory.file("qmp.sock"); }
    void run() { settle(io); }

    // A client that has negotiated.
    TestClient connect(const std::string& socket) {
        TestClient client(socket);
        client.send(R"({"execute": "qmp_capabilities"})");
        run();
        (void)client.take();
        return client;
    }

    // Sends, and returns what comes back.
    std::vector<Json> ask(TestClient& client, std::string_view text,
                          const std::vector<int>& fds = {}) {
        client.send(text, fds);
        run();
        return client.take();
    }

    test::TempFolder directory;
    boost::asio::io_context io;
    Dispatcher dispatcher{Version{10, 0, 0, "test"}};
    std::unique_ptr<Server> server;
    std::deque<Call> kept;
    std::vector<UniqueFd> taken;
    bool ended = false;
};

} // namespace mfd::qmp
