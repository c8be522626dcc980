// A session without a socket: what a client sends goes in as text, what it would read comes out as
// values. Commands that answer later keep their Call here until the test answers.
#pragma once

#include "qmp/session.hpp"

#include <boost/asio/io_context.hpp>
#include <boost/asio/post.hpp>

#include <deque>
#include <memory>
#include <string>
#include <utility>
#include <vector>

namespace mfd::qmp {

class SessionFixture {
public:
    SessionFixture() : dispatcher_(Version{10, 0, 0, "test"}) {
        dispatcher_.add(
            Command{.name = "query-status",
                    .returns = schema::any(),
                    .access = Access::Query,
                    .handler = immediate([](const Json&) -> Outcome { return Json("fine"); })});
        dispatcher_.add(
            Command{.name = "add-fd",
                    .arguments = schema::object("AddFd", {schema::optional("id", schema::int64())}),
                    .returns = schema::any(),
                    .handler = [](Call call) {
                        const auto fd = call.take_fd();
                        return call.reply(fd ? Json(true) : Json(false));
                    }});
        dispatcher_.add(Command{.name = "slow", .returns = schema::any(), .handler = keep()});
        dispatcher_.add(
            Command{.name = "urgent",
                    .returns = schema::any(),
                    .out_of_band = OutOfBand::Allowed,
                    .handler = immediate([](const Json&) -> Outcome { return Json("now"); })});
        dispatcher_.add(Command{.name = "urgent-slow",
                                .returns = schema::any(),
                                .out_of_band = OutOfBand::Allowed,
                                .handler = keep()});
        dispatcher_.add(Command{.name = "forgotten", .handler = [](const Call&) {}});
        dispatcher_.add(
            Command{.name = "failing", .handler = immediate([](const Json&) -> Outcome {
                                           return Error{Errc::Io, "the disk is on fire", 5};
                                       })});
        start({});
    }

    // Begins anew, with a greeting.
    void start(ListenOptions options) {
        if (session_)
            session_->abandon();
        output_.clear();
        session_ = std::make_shared<Session>(
            io_.get_executor(), dispatcher_, Peer{1, 2, 3}, std::move(options),
            SessionHooks{[this](const std::string& line) { output_.push_back(line); },
                         [this] { return may_start_; }, [] {}});
        session_->greet();
        run();
    }

    // On the event loop, as a connection does it: there an answer at once is delivered at once.
    void send(std::string text, UniqueFd fd = {}) {
        boost::asio::post(
            io_, [this, &text, &fd] { session_->receive(std::move(text), std::move(fd)); });
        run();
    }

    void resume() {
        boost::asio::post(io_, [this] { session_->resume(); });
        run();
    }

    // Negotiates, and forgets the greeting and the reply.
    void negotiate(const std::string& enable = "") {
        send(R"({"execute": "qmp_capabilities", "arguments": {"enable": [)" + enable + "]}}");
        (void)take();
    }

    // Lets everything happen that is ready to.
    void run() {
        io_.restart();
        io_.poll();
    }

    // What came out since the last time, one text for each line, without the line end.
    std::vector<std::string> take() {
        std::vector<std::string> lines = std::exchange(output_, {});
        for (std::string& line : lines)
            line.resize(line.size() - 2);
        return lines;
    }

    Session& session() { return *session_; }
    Dispatcher& dispatcher() { return dispatcher_; }
    boost::asio::io_context& io() { return io_; }
    std::deque<Call>& kept() { return kept_; }
    void allow_start(bool allowed) { may_start_ = allowed; }

    void answer_first(Json value) {
        Call call = std::move(kept_.front());
        kept_.pop_front();
        call.reply(std::move(value));
        run();
    }

private:
    Handler keep() {
        return [this](Call call) { kept_.push_back(std::move(call)); };
    }

    boost::asio::io_context io_;
    Dispatcher dispatcher_;
    bool may_start_ = true;
    std::vector<std::string> output_;
    std::shared_ptr<Session> session_;
    std::deque<Call> kept_; // dies before the io_context, which unanswered calls post to
};

} // namespace mfd::qmp
