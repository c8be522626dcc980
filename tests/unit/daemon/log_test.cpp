// What the journal gets, and where the log level comes from.
#include "daemon/service/env_file.hpp"
#include "daemon/service/journal_sink.hpp"

#include <catch2/catch_test_macros.hpp>
#include <catch2/generators/catch_generators.hpp>
#include <spdlog/logger.h>

#include <memory>
#include <string>
#include <thread>
#include <vector>

using mfd::find_assignment;
using mfd::JournalSink;

namespace {

using Entry = std::vector<std::string>;

struct Journal {
    std::vector<Entry> entries;
    JournalSink::Send send() {
        return [this](std::span<const iovec> fields) {
            Entry entry;
            for (const iovec& field : fields)
                entry.emplace_back(static_cast<const char*>(field.iov_base), field.iov_len);
            entries.push_back(std::move(entry));
            return 0;
        };
    }
};

} // namespace

TEST_CASE("an entry has text, severity, guest and job, whatever thread it comes from", "[log]") {
    Journal journal;
    const auto sink = std::make_shared<JournalSink>("db1", journal.send());
    spdlog::logger logger("test", sink);
    logger.warn("before any job");
    sink->set_job("0123");
    std::thread([&] { logger.error("a=b\nc"); }).join();
    CHECK(journal.entries ==
          std::vector<Entry>{
              {"MESSAGE=before any job", "PRIORITY=4", "MULTIFD_GUEST=db1"},
              {"MESSAGE=a=b\nc", "PRIORITY=3", "MULTIFD_GUEST=db1", "MULTIFD_JOB=0123"}});
}

TEST_CASE("an entry has the fields that its message comes with, and none for no guest", "[log]") {
    Journal journal;
    JournalSink sink("", journal.send());
    sink.send(spdlog::level::info, "save started",
              {{"MESSAGE_ID", "aa"}, {"MULTIFD_URI", "file:/x=y"}});
    CHECK(journal.entries == std::vector<Entry>{{"MESSAGE=save started", "PRIORITY=6",
                                                 "MESSAGE_ID=aa", "MULTIFD_URI=file:/x=y"}});
}

TEST_CASE("an assignment is found as systemd reads it from an environment file", "[log]") {
    struct Case {
        const char* text;
        std::optional<std::string> value;
    };
    const auto c =
        GENERATE(Case{"LEVEL=debug", "debug"}, Case{"LEVEL=debug\n", "debug"},
                 Case{"# LEVEL=no\n;LEVEL=no\n\nOTHER=x\n", std::nullopt}, Case{"", std::nullopt},
                 Case{"LEVEL=a\nLEVEL=b\n", "b"}, Case{"  LEVEL = \"a b\" \r\n", "a b"},
                 Case{"LEVEL='x'", "x"}, Case{"LEVEL=\"", "\""}, Case{"LEVEL=", ""},
                 Case{"LEVELS=x\nXLEVEL=y", std::nullopt}, Case{"LEVEL", std::nullopt},
                 Case{"LEVEL=a=b", "a=b"});
    CAPTURE(c.text);
    CHECK(find_assignment(c.text, "LEVEL") == c.value);
}

TEST_CASE("a file that cannot be read is an error with its path and the cause", "[log]") {
    CHECK(mfd::read_assignment("/no/such/file", "LEVEL").error().what ==
          "open /no/such/file: No such file or directory");
    CHECK(mfd::read_assignment("/", "LEVEL").error().what == "read /: Is a directory");
    CHECK(mfd::read_assignment("/dev/zero", "LEVEL").error().what ==
          "read /dev/zero: more than 64 KiB");
}
