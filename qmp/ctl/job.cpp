#include "qmp/ctl/job.hpp"

#include "qmp/ctl/reply_fields.hpp"
#include "qmp/units.hpp"

#include <chrono>
#include <map>

namespace mfd::ctl {

namespace {

using Clock = std::chrono::steady_clock;

// How often query-migrate is asked while no event comes: smooth for a bar, and no burden.
constexpr Millis kTick{200};

std::optional<JobEnd::How> end_of(const std::string& status) {
    if (status == "completed")
        return JobEnd::How::Completed;
    if (status == "failed")
        return JobEnd::How::Failed;
    if (status == "cancelled")
        return JobEnd::How::Cancelled;
    return std::nullopt;
}

} // namespace

std::string check_size(std::string& text) {
    const auto size = parse_size(text);
    return size ? std::string() : size.error().what;
}

Exit run_job(const Invocation& invocation, const char* command,
             const std::function<Exit(Client, Interrupts)>& run) {
    auto interrupts = Interrupts::make();
    if (!interrupts)
        return fail(command, interrupts.error());
    auto client = connect(invocation);
    if (!client)
        return fail(command, client.error(), Exit::Usage);
    return run(std::move(*client), std::move(*interrupts));
}

void add_job_options(CLI::App& command, JobOptions& options) {
    command.add_option("FILE", options.file, "The file")
        ->required()
        ->check([](const std::string& name) { return name.empty() ? "an empty name" : ""; }, "");
    command.add_option("--channels", options.channels, "Number of multifd channels")
        ->check(CLI::Range(1, 255));
    auto* direct = command.add_flag("--direct-io", options.direct_io,
                                    "Bypass the page cache (default where the file allows it)");
    command.add_flag("--no-direct-io", options.no_direct_io, "Go through the page cache")
        ->excludes(direct);
    command.add_option("--offset", options.offset, "Where in the file the stream begins")
        ->check(CLI::Validator(check_size, "SIZE"));
    command
        .add_option("--max-bandwidth", options.max_bandwidth,
                    "Bytes per second at most; 0, the default, is no limit")
        ->check(CLI::Validator(check_size, "SIZE"));
    command
        .add_option("--zero-page-detection", options.zero_page_detection,
                    "Where zero pages are found")
        ->check(CLI::IsMember({"none", "legacy", "multifd"}));
    command.add_flag("--no-multifd", options.no_multifd, "One thread does it all");
    command.add_flag("--by-path", options.by_path,
                     "The server opens FILE itself, instead of getting descriptors");
    command.add_flag("-q,--quiet", options.quiet, "No progress, no summary");
    command.add_flag("--json", options.json,
                     "The end as an object: file, direct-io, and the server's query-migrate");
}

Json job_json(const JobOptions& options, const JobEnd& end, bool direct) {
    return {{"file", options.file}, {"direct-io", direct}, {"query-migrate", end.info}};
}

Result<bool> wants_direct_io(const JobOptions& options, const Settings& settings) {
    if (!settings.has_capability("mapped-ram"))
        return Error{Errc::Unsupported,
                     "the server has no mapped-ram (QEMU has it from 9.0), so it cannot save to a "
                     "file in this format",
                     0};
    const bool offered = settings.has_parameter("direct-io");
    if (options.direct_io && !offered)
        return Error{Errc::Unsupported,
                     "the server has no direct-io (QEMU has it from 9.1); leave out --direct-io",
                     0};
    if (options.direct_io && options.no_multifd)
        return Error{Errc::BadArgument,
                     "--direct-io needs multifd channels: leave out one of "
                     "--direct-io and --no-multifd",
                     0};
    if (options.no_multifd || options.no_direct_io || !offered)
        return false;
    return options.direct_io || !options.by_path;
}

Result<void> apply_job_settings(Settings& settings, Client& client, const JobOptions& options,
                                bool direct) {
    const std::map<std::string, bool> capabilities{
        {"events", true}, {"mapped-ram", true}, {"multifd", !options.no_multifd}};
    MFD_TRY(const auto bandwidth, parse_size(options.max_bandwidth));
    Json parameters{{"max-bandwidth", bandwidth}};
    if (options.channels)
        parameters["multifd-channels"] = *options.channels;
    // Said either way: it sticks to the server from one job to the next.
    if (settings.has_parameter("direct-io"))
        parameters["direct-io"] = direct;
    if (options.zero_page_detection)
        parameters["zero-page-detection"] = *options.zero_page_detection;
    return settings.apply(client, capabilities, parameters);
}

std::string job_uri(const std::string& name, const JobOptions& options) {
    std::string uri = "file:" + name;
    if (const auto offset = parse_size(options.offset); offset && *offset != 0)
        uri += ",offset=" + std::to_string(*offset);
    return uri;
}

Result<JobEnd> follow_job(Client& client, Follow kind, Interrupts& interrupts,
                          ProgressDisplay& display) {
    const char* const command = kind == Follow::Save ? "save" : "restore";
    const auto start = Clock::now();
    client.interrupt_on(interrupts.fd());
    client.on_event([](const qmp::Event& event) { return event.name == "MIGRATION"; });
    JobEnd end;
    for (;;) {
        MFD_TRY(end.info, client.call("query-migrate"));
        end.elapsed = std::chrono::duration_cast<Millis>(Clock::now() - start);
        const std::string status = text_in(end.info, "status");
        if (const auto how = end_of(status)) {
            end.how = *how;
            display.clear();
            return end;
        }
        display.show(make_sample(end.info, end.elapsed));
        auto event = client.wait_event("MIGRATION", kTick);
        if (event)
            continue;
        if (event.error().code != Errc::Cancelled)
            return std::move(event).error();
        if (interrupts.take() == 0)
            continue;
        display.clear();
        if (kind == Follow::Restore || end.interrupted) {
            end.how = JobEnd::How::Left;
            end.interrupted = true;
            return end;
        }
        end.interrupted = true;
        say(command, "cancelling (interrupt again to leave without waiting)");
        MFD_CHECK(client.call("migrate_cancel"));
    }
}

namespace {

Result<void> wait_for_run_state(Client& client) {
    for (;;) {
        MFD_TRY(const auto guest, client.call("query-status"));
        if (text_in(guest, "status") != "finish-migrate")
            return {};
        MFD_CHECK(client.wait_event("STOP", Millis(20)));
    }
}

} // namespace

void end_job(Client& client, const char* command, JobFile* file, Settings& settings) {
    client.interrupt_on(FdRef()); // there is nothing left to cancel
    const auto complain = [command](const Result<void>& result) {
        if (!result)
            say(command, "tidying up: " + result.error().what);
        return result.has_value();
    };
    if (!complain(wait_for_run_state(client)))
        return; // the connection is gone, and all else with it
    if (file != nullptr && !complain(file->remove_from(client))) {
        say(command, "capabilities and parameters stay as the job had them");
        return;
    }
    complain(settings.put_back(client));
}

std::string failure_text(const Json& info) {
    const auto text = text_in(info, "error-desc");
    return text.empty() ? "the server gives no reason; its log may" : text;
}

} // namespace mfd::ctl
