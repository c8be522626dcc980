#include "daemon/options.hpp"

#include "daemon/accounts.hpp"
#include "daemon/keyval.hpp"
#include "daemon/service/log.hpp"
#include "daemon/size_text.hpp"
#include "daemon/version.hpp"
#include "qmp/cli_docs.hpp"

#include <CLI/CLI.hpp>

#include <algorithm>
#include <cctype>
#include <charconv>
#include <limits>
#include <string_view>
#include <utility>

namespace mfd {

namespace {

// QEMU's options that describe a machine. They are accepted, so that a command line written for
// QEMU works; here they have no meaning.
constexpr const char* kIgnoredFlags[] = {
    "nodefaults", "no-user-config", "nographic", "enable-kvm", "no-shutdown",
    "no-reboot",  "no-hpet",        "no-acpi",   "snapshot",   "only-migratable",
};
constexpr const char* kIgnoredOptions[] = {
    "display", "accel",      "cpu",  "smp",    "vga",   "serial",   "parallel",
    "monitor", "chardev",    "mon",  "net",    "nic",   "netdev",   "global",
    "boot",    "rtc",        "bios", "device", "drive", "blockdev", "numa",
    "msg",     "overcommit", "L",    "k",      "d",     "action",   "watchdog-action",
};

constexpr const char* kFooter =
    R"(Signals: SIGTERM and SIGINT end the daemon as they end QEMU: a running save is cancelled, clients
get SHUTDOWN. SIGHUP reads the log level again (--env-file) and opens the log file anew (-D).

Under systemd: Type=notify gets READY, RELOADING, STOPPING, a STATUS line and, with WatchdogSec=,
WATCHDOG; --daemonize needs NotifyAccess=all. Sockets named qmp or qmp-NAME (FileDescriptorName=)
are served in place of --qmp, those named qmp-ro or qmp-ro-NAME for queries and events only, those
named metrics or metrics-NAME beside --metrics.

Examples:
  multifdd --name db1 --object memory-backend-memfd,id=ram0,size=4G \
      --qmp unix:/run/db1.qmp,server=on,wait=off --daemonize
  multifdd --object memory-backend-memfd,id=ram0,size=4G --incoming file:ram.mig \
      --qmp unix:/run/db2.qmp,server=on,wait=off

Exit status: 0 ended as asked, 1 it could not start, or was told to load a file and could not.)";

Error bad(const std::string& option, const std::string& cause) {
    return {Errc::BadArgument, "-" + option + ": " + cause};
}

template <class T>
std::optional<T> parse_number(std::string_view text) {
    T value{};
    const auto [end, errc] = std::from_chars(text.data(), text.data() + text.size(), value);
    if (errc != std::errc{} || end != text.data() + text.size() || value < 0)
        return std::nullopt;
    return value;
}

// A required number of an option's key.
template <class T>
Result<T> number_of(const KeyValueList& list, const std::string& option, std::string_view key) {
    const auto text = list.find(key);
    if (!text)
        return bad(option, "Parameter '" + std::string(key) + "' is missing");
    const auto value = parse_number<T>(*text);
    if (!value)
        return bad(option, "Parameter '" + std::string(key) +
                               "' expects a non-negative number, not '" + std::string(*text) + "'");
    return *value;
}

template <std::size_t N>
Result<void> refuse_unknown(const KeyValueList& list, const std::string& option,
                            const std::string_view (&known)[N]) {
    if (const auto key = list.first_unknown(known))
        return bad(option, "Invalid parameter '" + std::string(*key) + "'");
    return {};
}

Result<bool> flag_of(const KeyValueList& list, const std::string& option, std::string_view key,
                     bool otherwise) {
    const auto text = list.find(key);
    if (!text)
        return otherwise;
    auto value = parse_on_off(key, *text);
    if (!value.has_value())
        return bad(option, value.error().what);
    return *value;
}

Result<KeyValueList> keyval(const std::string& option, std::string_view text,
                            std::string_view implied_key) {
    auto list = parse_keyval(text, implied_key);
    if (!list.has_value())
        return bad(option, list.error().what);
    return list;
}

Result<mode_t> parse_mode(const std::string& option, std::string_view text) {
    constexpr unsigned all = 0777;
    mode_t mode = 0;
    const auto [end, errc] = std::from_chars(text.data(), text.data() + text.size(), mode, 8);
    if (errc != std::errc{} || end != text.data() + text.size() || mode > all)
        return bad(option, "mode '" + std::string(text) + "' is not an octal number up to 0777");
    return mode;
}

// The result of a search for a user or a group, with the option that asked.
template <class Id>
Result<Id> account(const std::string& option, Result<Id> found) {
    if (!found.has_value())
        return bad(option, found.error().what);
    return found;
}

// QEMU's form has keys behind on and off: which system calls it forbids. Here that is one list.
Result<SandboxMode> parse_sandbox(const std::string& text) {
    const std::string_view word = std::string_view(text).substr(0, text.find(','));
    if (word == "on")
        return SandboxMode::On;
    if (word == "off")
        return SandboxMode::Off;
    if (word == "strict")
        return SandboxMode::Strict;
    return bad("sandbox", "'" + text + "' is neither on, off nor strict");
}

Result<QmpEndpoint> parse_qmp(const std::string& text) {
    constexpr std::string_view kUnix = "unix:";
    if (!text.starts_with(kUnix))
        return bad("qmp", "'" + text + "' is not unix:PATH,server=on,wait=off");
    MFD_TRY(const auto list, keyval("qmp", std::string_view(text).substr(kUnix.size()), "path"));
    MFD_CHECK(
        refuse_unknown(list, "qmp", {"path", "fd", "server", "wait", "readonly", "mode", "group"}));
    MFD_TRY(const bool server, flag_of(list, "qmp", "server", false));
    MFD_TRY([[maybe_unused]] const bool wait, flag_of(list, "qmp", "wait", true));
    if (!server)
        return bad("qmp", "'" + text + "' lacks server=on: multifdd listens, it does not connect");
    QmpEndpoint endpoint;
    MFD_TRY(endpoint.read_only, flag_of(list, "qmp", "readonly", false));
    endpoint.path = std::string(list.find("path").value_or(""));
    if (endpoint.path.empty() == !list.find("fd"))
        return bad("qmp", "'" + text + "' needs either a path or fd=N");
    const auto mode = list.find("mode");
    const auto group = list.find("group");
    if (endpoint.path.empty() && (mode || group))
        return bad("qmp", "mode and group belong to a path; the socket of fd=N has its own");
    if (mode) {
        MFD_TRY(endpoint.mode, parse_mode("qmp", *mode));
    }
    if (group) {
        MFD_TRY(endpoint.group, account("qmp", find_group(std::string(*group))));
    }
    if (endpoint.path.empty()) {
        MFD_TRY(endpoint.fd, number_of<int>(list, "qmp", "fd"));
    }
    return endpoint;
}

Result<MetricsEndpoint> parse_metrics(const std::string& text) {
    constexpr std::string_view kUnix = "unix:";
    constexpr std::string_view kTcp = "tcp:";
    if (text.starts_with(kTcp)) {
        auto endpoint = parse_loopback(std::string_view(text).substr(kTcp.size()));
        if (!endpoint.has_value())
            return bad("metrics", endpoint.error().what);
        return endpoint;
    }
    if (!text.starts_with(kUnix))
        return bad("metrics", "'" + text + "' is neither unix:PATH nor tcp:127.0.0.1:PORT");
    MFD_TRY(const auto list,
            keyval("metrics", std::string_view(text).substr(kUnix.size()), "path"));
    MFD_CHECK(refuse_unknown(list, "metrics", {"path", "mode", "group"}));
    MetricsEndpoint endpoint;
    endpoint.path = std::string(list.find("path").value_or(""));
    if (endpoint.path.empty())
        return bad("metrics", "'" + text + "' names no path");
    if (const auto mode = list.find("mode")) {
        MFD_TRY(endpoint.mode, parse_mode("metrics", *mode));
    }
    if (const auto group = list.find("group")) {
        MFD_TRY(endpoint.group, account("metrics", find_group(std::string(*group))));
    }
    return endpoint;
}

Result<InheritedFd> parse_add_fd(const std::string& text) {
    MFD_TRY(const auto list, keyval("add-fd", text, ""));
    MFD_CHECK(refuse_unknown(list, "add-fd", {"set", "fd", "opaque"}));
    InheritedFd inherited;
    MFD_TRY(inherited.set_id, number_of<std::int64_t>(list, "add-fd", "set"));
    MFD_TRY(inherited.fd, number_of<int>(list, "add-fd", "fd"));
    if (inherited.fd <= 2)
        return bad("add-fd", "fd cannot be a standard I/O stream");
    if (const auto opaque = list.find("opaque"))
        inherited.opaque = std::string(*opaque);
    return inherited;
}

Result<std::uint64_t> parse_memory(const std::string& text) {
    MFD_TRY(const auto list, keyval("m", text, "size"));
    const std::string_view size = list.find("size").value_or("");
    const auto bytes = parse_size_text(size);
    if (!bytes.has_value() || *bytes == 0)
        return bad("m", "'" + std::string(size) + "' is not a size");
    // As in QEMU, a plain number means MiB.
    const bool plain =
        std::all_of(size.begin(), size.end(), [](unsigned char c) { return std::isdigit(c) != 0; });
    constexpr unsigned kMiBShift = 20;
    if (plain && *bytes > std::numeric_limits<std::uint64_t>::max() >> kMiBShift)
        return bad("m", "'" + std::string(size) + "' is too large");
    return plain ? *bytes << kMiBShift : *bytes;
}

// "-object" as "--object", so that both spellings mean the same; short options stay.
std::vector<std::string> normalise(int argc, const char* const* argv) {
    std::vector<std::string> args(argv + 1, argv + argc);
    for (std::string& arg : args)
        if (arg.size() > 2 && arg[0] == '-' && arg[1] != '-' &&
            std::isalpha(static_cast<unsigned char>(arg[1])) != 0)
            arg.insert(0, 1, '-');
    std::reverse(args.begin(), args.end()); // as CLI11 wants them
    return args;
}

// The raw texts, as they stand on the command line.
struct RawOptions {
    std::vector<std::string> qmp;
    std::vector<std::string> metrics;
    std::vector<std::string> add_fd;
    std::string machine;
    std::string memory;
    std::string name;
    std::string uuid;
    std::vector<std::string> allow_users;
    std::vector<std::string> allow_groups;
    std::string sandbox;
    std::vector<std::string> allow_directories;
    bool descriptors_only = false;
    std::string keep_state;
    std::vector<std::string> ignored_values;
    bool ignored_flag = false;
};

void declare_sandbox(CLI::App& app, RawOptions& raw) {
    app.add_option("--allow-uid", raw.allow_users,
                   "NAME or number: who may connect (default: this user, root and the group of the "
                   "socket's file)")
        ->take_all()
        ->allow_extra_args(false);
    app.add_option("--allow-gid", raw.allow_groups,
                   "NAME or number: whose members may connect, beside those of --allow-uid")
        ->take_all()
        ->allow_extra_args(false);
    app.add_option("--sandbox", raw.sandbox,
                   "on, off or strict: give up rights, paths and system calls once started; strict "
                   "refuses to start where the kernel cannot do all of it");
    auto* const directories =
        app.add_option("--allow-dir", raw.allow_directories,
                       "DIR: clients may name files below it, and no others (default: any file)")
            ->take_all()
            ->allow_extra_args(false);
    app.add_flag("--fd-only", raw.descriptors_only,
                 "clients may name no files, they pass descriptors")
        ->excludes(directories);
}

void declare(CLI::App& app, Options& options, RawOptions& raw) {
    app.set_version_flag("--version", std::string("multifdd ") + kVersionText);
    app.add_option("--object", options.objects,
                   "TYPE,id=ID,size=SIZE,...: a memory backend (memory-backend-memfd, -file, -ram, "
                   "-shm) or x-guest-workload")
        ->take_all()
        ->allow_extra_args(false);
    app.add_option("--qmp", raw.qmp,
                   "unix:PATH,server=on,wait=off[,readonly=on][,mode=0660][,group=NAME]: serve QMP "
                   "there")
        ->take_all()
        ->allow_extra_args(false);
    app.add_option("--metrics", raw.metrics,
                   "unix:PATH[,mode=0660][,group=NAME]|tcp:127.0.0.1:PORT: serve metrics there, at "
                   "/metrics, in the formats of Prometheus and OpenMetrics (default: nowhere)")
        ->take_all()
        ->allow_extra_args(false);
    app.add_option("--add-fd", raw.add_fd,
                   "set=N,fd=N[,opaque=TEXT]: put an inherited descriptor into a set")
        ->take_all()
        ->allow_extra_args(false);
    app.add_option("--machine,-M", raw.machine,
                   "NAME[,memory-backend=ID]: the name in the file's configuration section");
    app.add_option("-m", raw.memory, "SIZE: with no -object, guest RAM of this size, id 'ram'");
    app.add_option("--name", raw.name, "the guest's name");
    app.add_option("--uuid", raw.uuid, "the guest's UUID");
    app.add_option("--incoming", options.incoming,
                   "URI|defer: load from there, or wait for migrate-incoming");
    app.add_flag("--incoming-create-blocks", options.create_blocks,
                 "make the RAM blocks that the loaded file lists");
    app.add_flag("-S", options.start_paused, "start paused");
    app.add_option("--keep-state", raw.keep_state,
                   "hand the guest to the next process of the service, through the service "
                   "manager's descriptor store: on, off, or auto: where FDSTORE says there is one")
        ->check(CLI::IsMember({"on", "off", "auto"}));
    app.add_flag("--daemonize", options.daemonize, "go to the background once ready");
    app.add_option("--pidfile", options.pid_file, "write the process id there");
    app.add_option("-D", options.log_file,
                   "log to this file; else to the journal if stderr leads there, or to stderr");
    app.add_option("--log-level", options.log_level, "how much is logged")
        ->check(CLI::IsMember(std::vector<std::string>(kLogLevels.begin(), kLogLevels.end())));
    app.add_option("--env-file", options.env_file,
                   "take the log level from the line MULTIFDD_LOG_LEVEL=LEVEL of this file: at the "
                   "start unless --log-level is given, and at SIGHUP");
    app.add_flag("--print-qmp-reference", options.print_qmp_reference,
                 "write the reference page of all commands and events (Markdown) and leave");
    declare_sandbox(app, raw);
    // An empty group keeps them out of the help.
    const auto hidden = [&](const char* name) {
        const std::string text(name);
        return text.size() == 1 ? "-" + text : "--" + text;
    };
    for (const char* name : kIgnoredFlags)
        app.add_flag(hidden(name), raw.ignored_flag)->group("");
    for (const char* name : kIgnoredOptions)
        app.add_option(hidden(name), raw.ignored_values)
            ->take_all()
            ->allow_extra_args(false)
            ->group("");
}

Result<void> convert(const RawOptions& raw, Options& options) {
    for (const std::string& text : raw.qmp) {
        MFD_TRY(auto endpoint, parse_qmp(text));
        options.qmp.push_back(std::move(endpoint));
    }
    for (const std::string& text : raw.metrics) {
        MFD_TRY(auto endpoint, parse_metrics(text));
        options.metrics.push_back(std::move(endpoint));
    }
    for (const std::string& text : raw.add_fd) {
        MFD_TRY(auto inherited, parse_add_fd(text));
        options.add_fd.push_back(std::move(inherited));
    }
    for (const std::string& user : raw.allow_users) {
        MFD_TRY(const uid_t id, account("allow-uid", find_user(user)));
        options.allow_users.push_back(id);
    }
    for (const std::string& group : raw.allow_groups) {
        MFD_TRY(const gid_t id, account("allow-gid", find_group(group)));
        options.allow_groups.push_back(id);
    }
    if (!raw.sandbox.empty()) {
        MFD_TRY(options.sandbox, parse_sandbox(raw.sandbox));
    }
    MFD_TRY(options.files, FilePolicy::make(raw.descriptors_only, raw.allow_directories));
    options.files.set_rights_dropped(options.sandbox != SandboxMode::Off);
    if (!raw.keep_state.empty() && raw.keep_state != "auto")
        options.keep_state = raw.keep_state == "on" ? KeepState::On : KeepState::Off;
    if (!raw.machine.empty()) {
        MFD_TRY(const auto list, keyval("machine", raw.machine, "type"));
        if (const auto type = list.find("type"))
            options.machine = std::string(*type);
        options.memory_backend = std::string(list.find("memory-backend").value_or(""));
    }
    if (!raw.memory.empty()) {
        MFD_TRY(options.memory_bytes, parse_memory(raw.memory));
    }
    if (!raw.name.empty()) {
        MFD_TRY(const auto list, keyval("name", raw.name, "guest"));
        options.name = std::string(list.find("guest").value_or(""));
    }
    if (!raw.uuid.empty()) {
        MFD_TRY(options.uuid_bytes, parse_uuid(raw.uuid));
        options.uuid = raw.uuid;
        std::transform(options.uuid.begin(), options.uuid.end(), options.uuid.begin(),
                       [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
    }
    if (options.create_blocks && options.incoming.empty())
        return bad("incoming-create-blocks", "works with -incoming only");
    if (options.create_blocks && !options.memory_backend.empty())
        return bad("incoming-create-blocks",
                   "does not go with -machine memory-backend=, which says what guest RAM is");
    return {};
}

} // namespace

Result<std::array<std::byte, 16>> parse_uuid(const std::string& text) {
    std::array<std::byte, 16> bytes{};
    std::size_t digits = 0;
    for (std::size_t i = 0; i < text.size(); ++i) {
        const bool dash = i == 8 || i == 13 || i == 18 || i == 23;
        const auto c = static_cast<unsigned char>(text[i]);
        if (text.size() != 36 || dash != (c == '-') || (!dash && std::isxdigit(c) == 0))
            return bad("uuid", "failed to parse UUID string: '" + text + "' has the wrong format");
        if (dash)
            continue;
        const int value = std::isdigit(c) != 0 ? c - '0' : std::tolower(c) - 'a' + 10;
        auto& byte = bytes[digits++ / 2];
        byte = byte << 4 | static_cast<std::byte>(value);
    }
    if (digits != 32)
        return bad("uuid", "failed to parse UUID string: it is empty");
    return bytes;
}

ParsedOptions parse_options(int argc, const char* const* argv) {
    CLI::App app{
        "Migration daemon for QEMU's mapped-ram files: owns or maps guest RAM, speaks QMP, "
        "saves and restores with several threads.",
        "multifdd"};
    Options options;
    RawOptions raw;
    declare(app, options, raw);
    app.footer(kFooter);
    cli::declare_print_options(app, kVersionText);
    ParsedOptions parsed;
    try {
        app.parse(normalise(argc, argv));
    } catch (const CLI::Success& wanted) { // --help, --version
        std::ostringstream out;
        parsed.exit_status = app.exit(wanted, out, out);
        parsed.text = out.str();
        return parsed;
    } catch (const CLI::ParseError& error) {
        parsed.text = std::string("multifdd: ") + error.what() + "\n";
        parsed.exit_status = 1;
        return parsed;
    }
    for (const CLI::Option* option : app.get_options())
        if (option->get_group().empty() && option->count() > 0)
            options.ignored.push_back("-" + option->get_single_name());
    if (const auto converted = convert(raw, options); !converted.has_value()) {
        parsed.text = "multifdd: " + converted.error().what + "\n";
        parsed.exit_status = 1;
        return parsed;
    }
    parsed.options = std::move(options);
    return parsed;
}

} // namespace mfd
