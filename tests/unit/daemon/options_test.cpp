#include "daemon/options.hpp"

#include <catch2/catch_test_macros.hpp>
#include <catch2/generators/catch_generators.hpp>

#include <vector>

namespace {

mfd::ParsedOptions parse(std::vector<const char*> args) {
    args.insert(args.begin(), "multifdd");
    return mfd::parse_options(static_cast<int>(args.size()), args.data());
}

} // namespace

TEST_CASE("a command line written for QEMU is understood, with one dash or two", "[options]") {
    const auto dash = GENERATE(std::string("-"), std::string("--"));
    const auto o = [&](const char* name) { return dash + name; };
    const auto machine = o("machine"), object = o("object"), qmp = o("qmp"), name = o("name"),
               incoming = o("incoming"), add_fd = o("add-fd"), display = o("display"),
               nodefaults = o("nodefaults");
    const auto parsed = parse(
        {nodefaults.c_str(), display.c_str(), "none", "-S", "-m", "67108864B", machine.c_str(),
         "none,memory-backend=ram", object.c_str(), "memory-backend-ram,id=ram,size=67108864",
         qmp.c_str(), "unix:/run/q.sock,server=on,wait=off", incoming.c_str(), "defer",
         name.c_str(), "guest one", add_fd.c_str(), "set=0,fd=5,opaque=libvirt,,x"});
    INFO(parsed.text);
    REQUIRE(parsed.options);
    const auto& options = *parsed.options;
    CHECK(options.start_paused);
    CHECK(options.machine == "none");
    CHECK(options.memory_backend == "ram");
    CHECK(options.memory_bytes == 67108864);
    CHECK(options.objects == std::vector<std::string>{"memory-backend-ram,id=ram,size=67108864"});
    REQUIRE(options.qmp.size() == 1);
    CHECK(options.qmp[0].path == "/run/q.sock");
    CHECK(options.incoming == "defer");
    CHECK(options.name == "guest one");
    REQUIRE(options.add_fd.size() == 1);
    CHECK(options.add_fd[0].set_id == 0);
    CHECK(options.add_fd[0].fd == 5);
    CHECK(options.add_fd[0].opaque == "libvirt,x");
    CHECK(options.ignored == std::vector<std::string>{"-nodefaults", "-display"});
}

TEST_CASE("a plain memory size means MiB", "[options]") {
    CHECK(parse({"-m", "64"}).options->memory_bytes == 64 << 20);
    CHECK(parse({"-m", "size=1G"}).options->memory_bytes == 1 << 30);
}

TEST_CASE("what cannot be understood ends with a text that names it", "[options]") {
    struct Case {
        std::vector<const char*> args;
        const char* text;
    };
    const auto c = GENERATE(
        Case{{"-qmp", "tcp:1:2"},
             "multifdd: -qmp: 'tcp:1:2' is not unix:PATH,server=on,wait=off\n"},
        Case{{"-qmp", "unix:/x"},
             "multifdd: -qmp: 'unix:/x' lacks server=on: multifdd listens, it does not connect\n"},
        Case{{"-add-fd", "fd=5"}, "multifdd: -add-fd: Parameter 'set' is missing\n"},
        Case{{"-add-fd", "set=1,fd=1"}, "multifdd: -add-fd: fd cannot be a standard I/O stream\n"},
        Case{{"-add-fd", "set=-1,fd=5"},
             "multifdd: -add-fd: Parameter 'set' expects a non-negative number, not '-1'\n"},
        Case{{"-m", "lots"}, "multifdd: -m: 'lots' is not a size\n"},
        Case{{"-sandbox", "maybe"}, "multifdd: -sandbox: 'maybe' is neither on, off nor strict\n"},
        // To chown(2) and its like this number says that nobody is meant.
        Case{{"-allow-gid", "4294967295"},
             "multifdd: -allow-gid: there is no group '4294967295'\n"},
        Case{{"-allow-uid", "no-such-user"},
             "multifdd: -allow-uid: there is no user 'no-such-user'\n"},
        Case{{"-qmp", "unix:/x,server=on,mode=0999"},
             "multifdd: -qmp: mode '0999' is not an octal number up to 0777\n"},
        Case{{"-qmp", "unix:fd=5,server=on,group=root"},
             "multifdd: -qmp: mode and group belong to a path; the socket of fd=N has its own\n"},
        Case{{"-uuid", "1234"},
             "multifdd: -uuid: failed to parse UUID string: '1234' has the wrong format\n"});
    const auto parsed = parse(c.args);
    REQUIRE_FALSE(parsed.options);
    CHECK(parsed.exit_status == 1);
    CHECK(parsed.text == c.text);
}

TEST_CASE("an unknown option is refused", "[options]") {
    const auto parsed = parse({"--no-such-option"});
    REQUIRE_FALSE(parsed.options);
    CHECK(parsed.exit_status == 1);
}

TEST_CASE("help and version leave with success", "[options]") {
    CHECK(parse({"--help"}).exit_status == 0);
    CHECK(parse({"--version"}).text.starts_with("multifdd "));
}

TEST_CASE("the log level is one of those that exist, or open to the environment file",
          "[options]") {
    const auto open = parse({"--env-file", "/etc/multifdd/db1.env"});
    REQUIRE(open.options);
    CHECK_FALSE(open.options->log_level);
    CHECK(open.options->env_file == "/etc/multifdd/db1.env");
    CHECK(parse({"--log-level", "warning"}).options->log_level == "warning");
    CHECK_FALSE(parse({"--log-level", "loud"}).options);
}

TEST_CASE("the sandbox is on unless said otherwise, in QEMU's spelling too", "[options]") {
    CHECK(parse({}).options->sandbox == mfd::default_sandbox_mode());
    CHECK(parse({"-sandbox", "off"}).options->sandbox == mfd::SandboxMode::Off);
    CHECK(parse({"--sandbox", "strict"}).options->sandbox == mfd::SandboxMode::Strict);
    CHECK(parse({"-sandbox", "on,obsolete=deny,elevateprivileges=deny,spawn=deny"})
              .options->sandbox == mfd::SandboxMode::On);
}

TEST_CASE("users, groups and the socket's mode are numbers or names", "[options]") {
    const auto parsed = parse({"--allow-uid", "root", "--allow-uid", "1234", "--allow-gid", "root",
                               "--qmp", "unix:/x,server=on,mode=0660,group=root"});
    INFO(parsed.text);
    REQUIRE(parsed.options);
    CHECK(parsed.options->allow_users == std::vector<uid_t>{0, 1234});
    CHECK(parsed.options->allow_groups == std::vector<gid_t>{0});
    CHECK(parsed.options->qmp[0].mode == 0660);
    CHECK(parsed.options->qmp[0].group == gid_t{0});
    CHECK(parse({"--qmp", "unix:/x,server=on"}).options->qmp[0].mode == 0600);
}
