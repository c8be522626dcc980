// Settings, descriptors and following of a job, against a scripted server.
#include "qmp/ctl/job.hpp"
#include "qmp/ctl/job_file.hpp"
#include "tests/support/temp_folder.hpp"
#include "tests/unit/qmp_client/scripted_server.hpp"

#include <catch2/catch_test_macros.hpp>

#include <csignal>
#include <filesystem>
#include <fstream>
#include <map>

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

using namespace mfd;
using namespace mfd::ctl;
using mfd::test::Scripted;
using mfd::test::ScriptedServer;
using mfd::test::TempFolder;

namespace {

// Answers each command with the next of its replies, `{}` when there is none left; writes down what
// it was asked, and the access modes of what was passed. Ends when the client goes.
struct Monitor {
    std::map<std::string, std::deque<Json>> replies;
    std::vector<std::string> asked; // "command arguments"
    std::vector<int> flags;         // O_ACCMODE and O_DIRECT of the descriptors, in order

    void serve(ScriptedServer& server) {
        server.greet();
        for (;;) {
            const Json request = server.request();
            const auto name = request["execute"].get<std::string>();
            asked.push_back(request.contains("arguments") ? name + " " + request["arguments"].dump()
                                                          : name);
            for (const auto& fd : server.received)
                flags.push_back(::fcntl(fd.get(), F_GETFL) & (O_ACCMODE | O_DIRECT));
            server.received.clear();
            auto& queue = replies[name];
            Json reply = queue.empty() ? Json{{"return", Json::object()}} : queue.front();
            if (!queue.empty())
                queue.pop_front();
            reply["id"] = request["id"];
            server.line(reply.dump());
        }
    }
};

Json returns(Json value) {
    return Json{{"return", std::move(value)}};
}
Json status(const char* name) {
    return returns(Json{{"status", name}});
}

// Runs `use` with a client of `monitor`, and waits until the monitor has ended.
void with_client(Monitor& monitor, const std::function<void(Client&)>& use) {
    Scripted server([&](ScriptedServer& s) { monitor.serve(s); });
    {
        auto client = Client::adopt(server.client_end());
        REQUIRE(client.has_value());
        use(*client);
    }
    CHECK(server.join() == "the client closed its end");
}

Monitor with_settings() {
    Monitor monitor;
    monitor.replies["query-migrate-capabilities"] = {
        returns({{{"capability", "mapped-ram"}, {"state", false}},
                 {{"capability", "multifd"}, {"state", true}}})};
    monitor.replies["query-migrate-parameters"] = {
        returns({{"multifd-channels", 2}, {"direct-io", true}, {"max-bandwidth", 0}})};
    return monitor;
}

} // namespace

TEST_CASE("settings are put back where the job changed them, and only there", "[ctl]") {
    auto monitor = with_settings();
    with_client(monitor, [](Client& client) {
        auto settings = Settings::read(client);
        REQUIRE(settings.has_value());
        CHECK(settings->has_capability("mapped-ram"));
        CHECK_FALSE(settings->has_capability("xbzrle"));
        CHECK(settings->has_parameter("direct-io"));
        REQUIRE(settings
                    ->apply(client, {{"mapped-ram", true}, {"multifd", true}},
                            Json{{"multifd-channels", 8}, {"direct-io", true}})
                    .has_value());
        REQUIRE(settings->put_back(client).has_value());
        REQUIRE(settings->put_back(client).has_value()); // nothing is left to do
    });
    CHECK(
        monitor.asked ==
        std::vector<std::string>{
            "query-migrate-capabilities", "query-migrate-parameters",
            R"(migrate-set-capabilities {"capabilities":[{"capability":"mapped-ram","state":true},{"capability":"multifd","state":true}]})",
            R"(migrate-set-parameters {"direct-io":true,"multifd-channels":8})",
            R"(migrate-set-parameters {"multifd-channels":2})",
            R"(migrate-set-capabilities {"capabilities":[{"capability":"mapped-ram","state":false}]})"});
}

TEST_CASE("refused parameters put the capabilities back", "[ctl]") {
    auto monitor = with_settings();
    monitor.replies["migrate-set-parameters"] = {
        Json{{"error", {{"class", "GenericError"}, {"desc", "no"}}}}};
    with_client(monitor, [](Client& client) {
        auto settings = Settings::read(client);
        REQUIRE(settings.has_value());
        const auto applied =
            settings->apply(client, {{"mapped-ram", true}}, Json{{"multifd-channels", 8}});
        REQUIRE_FALSE(applied.has_value());
        CHECK(applied.error().what == "migrate-set-parameters: no");
    });
    CHECK(
        monitor.asked.back() ==
        R"(migrate-set-capabilities {"capabilities":[{"capability":"mapped-ram","state":false}]})");
}

TEST_CASE("a file for a save goes to a new fdset, buffered and direct", "[ctl]") {
    const TempFolder folder;
    Monitor monitor;
    monitor.replies["add-fd"] = {returns({{"fdset-id", 5}, {"fd", 20}}),
                                 returns({{"fdset-id", 5}, {"fd", 21}})};
    // Listed twice more, then gone.
    const auto listed = returns({{{"fdset-id", 5}, {"fds", Json::array()}}});
    monitor.replies["query-fdsets"] = {listed, listed, returns(Json::array())};
    std::vector<int> expected{O_WRONLY};
    std::size_t sets_asked = 3;
    with_client(monitor, [&](Client& client) {
        auto file = JobFile::open_for_save(folder.file("f"), DirectIo::IfPossible);
        REQUIRE(file.has_value());
        if (file->direct())
            expected.push_back(O_WRONLY | O_DIRECT);
        const auto fdset = file->add_to(client, "save");
        REQUIRE(fdset.has_value());
        CHECK(*fdset == 5);
        REQUIRE(file->remove_from(client).has_value());
        REQUIRE(file->remove_from(client).has_value()); // nothing is left to do
    });
    CHECK(monitor.flags == expected);
    CHECK(monitor.asked.front() == R"(add-fd {"opaque":"multifdctl-save"})");
    CHECK(monitor.asked[expected.size()] == R"(remove-fd {"fdset-id":5})");
    CHECK(monitor.asked.size() == expected.size() + 1 + sets_asked);
}

TEST_CASE("a saved file keeps its bytes or is private and appears when it is complete", "[ctl]") {
    const TempFolder folder;
    std::ofstream(folder.file("old")) << "header";
    auto old = JobFile::open_for_save(folder.file("old"), DirectIo::No);
    REQUIRE(old.has_value());
    CHECK(std::filesystem::file_size(folder.file("old")) == 6);
    CHECK_FALSE(old->unnamed());

    const auto left = JobFile::open_for_save(folder.file("left"), DirectIo::IfPossible);
    REQUIRE(left.has_value());
    CHECK(left->unnamed());
    CHECK_FALSE(std::filesystem::exists(folder.file("left")));

    auto fresh = JobFile::open_for_save(folder.file("new"), DirectIo::No);
    REQUIRE(fresh.has_value());
    CHECK_FALSE(std::filesystem::exists(folder.file("new")));
    REQUIRE(fresh->complete().has_value());
    CHECK_FALSE(fresh->unnamed());
    CHECK((std::filesystem::status(folder.file("new")).permissions() &
           std::filesystem::perms(077)) == std::filesystem::perms::none);

    auto late = JobFile::open_for_save(folder.file("late"), DirectIo::No);
    REQUIRE(late.has_value());
    std::ofstream(folder.file("late")) << "somebody else's";
    const auto refused = late->complete();
    REQUIRE(refused.has_error());
    CHECK(refused.error().sys == EEXIST);
    CHECK(std::filesystem::file_size(folder.file("late")) == 15);
}

TEST_CASE("a file without O_DIRECT is used through the page cache, with a note", "[ctl]") {
    const auto file = JobFile::open_for_restore("/dev/null", DirectIo::IfPossible);
    REQUIRE(file.has_value());
    CHECK_FALSE(file->direct());
    CHECK(file->note().find("/dev/null has no O_DIRECT") != std::string::npos);
}

TEST_CASE("a file that cannot be opened is named with the reason", "[ctl]") {
    const auto file = JobFile::open_for_restore("/nonexistent/f", DirectIo::No);
    REQUIRE_FALSE(file.has_value());
    CHECK(file.error().what == "open /nonexistent/f: No such file or directory");
}

TEST_CASE("a job is followed to its end", "[ctl]") {
    const std::map<const char*, JobEnd::How> ends{{"completed", JobEnd::How::Completed},
                                                  {"failed", JobEnd::How::Failed},
                                                  {"cancelled", JobEnd::How::Cancelled}};
    for (const auto& entry : ends) { // Clang 14 captures no structured bindings
        Monitor monitor;
        monitor.replies["query-migrate"] = {status("setup"), status("active"), status(entry.first)};
        with_client(monitor, [&](Client& client) {
            auto interrupts = Interrupts::make();
            REQUIRE(interrupts.has_value());
            ProgressDisplay display("save", ProgressMode::Off);
            const auto end = follow_job(client, Follow::Save, *interrupts, display);
            REQUIRE(end.has_value());
            CHECK(end->how == entry.second);
            CHECK_FALSE(end->interrupted);
        });
        CHECK(monitor.asked.size() == 3);
    }
}

TEST_CASE("an interrupted save is cancelled and followed on", "[ctl]") {
    Monitor monitor;
    monitor.replies["query-migrate"] = {status("active"), status("cancelling"),
                                        status("cancelled")};
    with_client(monitor, [](Client& client) {
        auto interrupts = Interrupts::make();
        REQUIRE(interrupts.has_value());
        REQUIRE(std::raise(SIGINT) == 0);
        ProgressDisplay display("save", ProgressMode::Off);
        const auto end = follow_job(client, Follow::Save, *interrupts, display);
        REQUIRE(end.has_value());
        CHECK(end->how == JobEnd::How::Cancelled);
        CHECK(end->interrupted);
    });
    CHECK(monitor.asked == std::vector<std::string>{"query-migrate", "migrate_cancel",
                                                    "query-migrate", "query-migrate"});
}

TEST_CASE("an interrupted restore is left alone", "[ctl]") {
    Monitor monitor;
    monitor.replies["query-migrate"] = {status("active")};
    with_client(monitor, [](Client& client) {
        auto interrupts = Interrupts::make();
        REQUIRE(interrupts.has_value());
        REQUIRE(std::raise(SIGTERM) == 0);
        ProgressDisplay display("restore", ProgressMode::Off);
        const auto end = follow_job(client, Follow::Restore, *interrupts, display);
        REQUIRE(end.has_value());
        CHECK(end->how == JobEnd::How::Left);
    });
    CHECK(monitor.asked == std::vector<std::string>{"query-migrate"});
}

TEST_CASE("settings go back only after the job's descriptors are gone", "[ctl]") {
    const TempFolder folder;
    auto monitor = with_settings();
    monitor.replies["add-fd"] = {returns({{"fdset-id", 1}, {"fd", 20}})};
    monitor.replies["query-status"] = {status("finish-migrate"), status("postmigrate")};
    monitor.replies["query-fdsets"] = {returns({{{"fdset-id", 1}, {"fds", Json::array()}}}),
                                       returns(Json::array())};
    with_client(monitor, [&](Client& client) {
        auto settings = Settings::read(client);
        REQUIRE(settings.has_value());
        REQUIRE(settings->apply(client, {}, Json{{"multifd-channels", 8}}).has_value());
        auto file = JobFile::open_for_save(folder.file("f"), DirectIo::No);
        REQUIRE(file.has_value());
        REQUIRE(file->add_to(client, "save").has_value());
        end_job(client, "save", &*file, *settings);
    });
    const std::vector<std::string> tail(monitor.asked.end() - 6, monitor.asked.end());
    CHECK(tail == std::vector<std::string>{
                      "query-status", "query-status", R"(remove-fd {"fdset-id":1})", "query-fdsets",
                      "query-fdsets", R"(migrate-set-parameters {"multifd-channels":2})"});
}

TEST_CASE("O_DIRECT is wanted unless the options or the server speak against it", "[ctl]") {
    auto monitor = with_settings();
    with_client(monitor, [](Client& client) {
        const auto settings = Settings::read(client);
        REQUIRE(settings.has_value());
        JobOptions options;
        CHECK(*wants_direct_io(options, *settings));
        options.by_path = true;
        CHECK_FALSE(*wants_direct_io(options, *settings));
        options.direct_io = true;
        CHECK(*wants_direct_io(options, *settings));
        options.no_multifd = true;
        CHECK_FALSE(wants_direct_io(options, *settings).has_value());
        options.direct_io = false;
        CHECK_FALSE(*wants_direct_io(options, *settings));
        CHECK(wants_direct_io(options, Settings()).error().code == Errc::Unsupported);
    });
}

TEST_CASE("the URI carries an offset only if there is one", "[ctl]") {
    JobOptions options;
    CHECK(job_uri("/dev/fdset/3", options) == "file:/dev/fdset/3");
    options.offset = "64K";
    CHECK(job_uri("/x,y", options) == "file:/x,y,offset=65536");
}
