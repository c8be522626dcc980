// Any conversation with a server in this process, over a real socket. The input is what the client
// sends, except that a backtick and the byte after it are an order to the outside world:
//
//   `f  the next bytes carry two descriptors     `a  the oldest slow command is answered
//   `r  the client reads                         `d  it is dropped instead, so never answered
//   `e  an event is sent                         `h  the client closes its sending side
//   `s  the daemon shuts the server down         other: nothing, the bytes so far are sent
//
// Whatever happens: what the client reads are lines of JSON, the first of them the greeting, and
// afterwards no descriptor is left open.
#include "channels/unique_fd.hpp"
#include "qmp/server.hpp"

#include <boost/asio/io_context.hpp>

#include <algorithm>
#include <array>
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <deque>
#include <string>
#include <string_view>
#include <utility>

#include <fcntl.h>
#include <sys/socket.h>

namespace {

using namespace mfd;
using namespace mfd::qmp;

void require(bool condition) {
    if (!condition)
        std::abort();
}

UniqueFd open_null() {
    return UniqueFd(::open("/dev/null", O_RDONLY | O_CLOEXEC));
}

class World {
public:
    World() : dispatcher_(Version{10, 0, 0, "fuzz"}), server_(io_, dispatcher_) {
        const auto keep = [this](Call call) { kept_.push_back(std::move(call)); };
        dispatcher_.add(Command{.name = "slow", .returns = schema::any(), .handler = keep});
        dispatcher_.add(Command{.name = "urgent",
                                .returns = schema::any(),
                                .out_of_band = OutOfBand::Allowed,
                                .handler = keep});
        dispatcher_.add(
            Command{.name = "add-fd",
                    .arguments =
                        schema::object("A", {schema::optional("id", schema::int64()),
                                             schema::optional("u", schema::uint8()),
                                             schema::optional("s", schema::str_or_null()),
                                             schema::optional("l", schema::array(schema::size()))}),
                    .returns = schema::boolean(),
                    .handler = [](Call call) { call.reply(call.take_fd().has_value()); }});
        dispatcher_.add(Command{.name = "quit", .handler = [this](Call call) {
                                    shut_down();
                                    call.reply();
                                }});
        dispatcher_.add(EventType{.name = "STOP"});

        std::array<int, 2> ends{};
        require(::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, ends.data()) ==
                0);
        client_ = UniqueFd(ends[0]);
        require(server_.adopt_connection(UniqueFd(ends[1])).has_value());
        run();
    }

    void send(std::string_view bytes) {
        const UniqueFd first = with_fds_ ? open_null() : UniqueFd();
        const std::array<int, 2> fds{first.get(), first.get()};
        alignas(cmsghdr) std::array<char, CMSG_SPACE(sizeof(fds))> control{};
        std::string copy(bytes);
        iovec vector{copy.data(), copy.size()};
        msghdr message{};
        message.msg_iov = &vector;
        message.msg_iovlen = 1;
        if (std::exchange(with_fds_, false)) {
            message.msg_control = control.data();
            message.msg_controllen = control.size();
            cmsghdr* header = CMSG_FIRSTHDR(&message);
            header->cmsg_level = SOL_SOCKET;
            header->cmsg_type = SCM_RIGHTS;
            header->cmsg_len = CMSG_LEN(sizeof(fds));
            std::memcpy(CMSG_DATA(header), fds.data(), sizeof(fds));
        }
        (void)::sendmsg(client_.get(), &message, MSG_NOSIGNAL);
        run();
    }

    void order(char what) {
        if (what == 'f')
            with_fds_ = true;
        else if (what == 'r')
            read();
        else if (what == 'e')
            server_.emit("STOP");
        else if (what == 'h')
            ::shutdown(client_.get(), SHUT_WR);
        else if (what == 's')
            shut_down();
        else if ((what == 'a' || what == 'd') && !kept_.empty())
            end_oldest(what == 'a');
        run();
    }

    // Reads everything that came and looks at the lines.
    void finish() {
        for (std::size_t before = 0; before != output_.size() || before == 0;) {
            before = output_.size();
            read();
            run();
        }
        std::string_view rest = output_;
        for (bool greeting = true; !rest.empty(); greeting = false) {
            const std::size_t end = rest.find("\r\n");
            require(end != std::string_view::npos);
            const Json line = Json::parse(rest.substr(0, end), nullptr, false);
            require(line.is_object());
            require(line.contains(greeting ? "QMP" : "return") || line.contains("error") ||
                    line.contains("event"));
            rest.remove_prefix(end + 2);
        }
    }

private:
    void end_oldest(bool answer) {
        Call call = std::move(kept_.front());
        kept_.pop_front();
        if (answer)
            call.reply("done");
    }

    void shut_down() {
        if (!std::exchange(shut_down_, true))
            server_.shutdown([] {});
    }

    void read() {
        std::array<char, 4096> buffer{};
        for (ssize_t count = 1; count > 0;) {
            count = ::recv(client_.get(), buffer.data(), buffer.size(), 0);
            output_.append(buffer.data(), count > 0 ? static_cast<std::size_t>(count) : 0);
        }
    }

    void run() {
        do
            io_.restart();
        while (io_.poll() > 0);
    }

    boost::asio::io_context io_;
    Dispatcher dispatcher_;
    Server server_;
    UniqueFd client_;
    std::string output_;
    std::deque<Call> kept_;
    bool with_fds_ = false;
    bool shut_down_ = false;
};

} // namespace

// libFuzzer's name. NOLINTNEXTLINE(readability-identifier-naming)
extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    const int free_before = open_null().get();
    {
        World world;
        std::string_view rest(reinterpret_cast<const char*>(data), size);
        while (!rest.empty()) {
            const std::size_t mark = rest.find('`');
            if (mark != 0)
                world.send(rest.substr(0, mark));
            rest.remove_prefix(std::min(mark, rest.size()));
            if (rest.size() < 2)
                break;
            world.order(rest[1]);
            rest.remove_prefix(2);
        }
        world.finish();
    }
    // The lowest free number is the same again, so nothing below stayed open.
    require(open_null().get() == free_before);
    return 0;
}
