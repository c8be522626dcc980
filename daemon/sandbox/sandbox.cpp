#include "daemon/sandbox/sandbox.hpp"

#include "daemon/sandbox/landlock.hpp"
#include "daemon/sandbox/privileges.hpp"
#include "daemon/sandbox/system_calls.hpp"

#include <ctime>
#include <filesystem>
#include <system_error>
#include <utility>

namespace mfd {

namespace {

namespace fs = std::filesystem;

struct PathRule {
    std::string path;
    std::uint8_t access;
};

constexpr std::uint8_t kReadOnly = static_cast<std::uint8_t>(PathAccess::Read);
constexpr std::uint8_t kReadWrite = PathAccess::Read | PathAccess::Write;
constexpr std::uint8_t kAll = kReadWrite | PathAccess::Make | PathAccess::Remove;
constexpr std::uint8_t kRemoveOnly = static_cast<std::uint8_t>(PathAccess::Remove);

std::string directory_of(const std::string& file) {
    std::error_code failed;
    return fs::absolute(file, failed).parent_path().string();
}

std::vector<PathRule> rules_of(const SandboxPlan& plan) {
    if (plan.files.anywhere())
        return {{"/", kAll}};
    std::vector<PathRule> rules{
        {"/proc/self/pagemap", kReadOnly}, // resident and dirty pages
        {"/dev/userfaultfd", kReadWrite},
        {"/sys/devices/system/node", kReadOnly},
        {"/sys/devices/system/cpu", kReadOnly},
    };
    if (!plan.files.descriptors_only())
        rules.push_back({"/dev/shm", kAll}); // memory-backend-shm
    for (const std::string& directory : plan.files.directories())
        rules.push_back({directory, kAll});
    for (const std::string& file : plan.read_again)
        rules.push_back({directory_of(file), kReadOnly});
    for (const std::string& file : plan.write_again)
        rules.push_back({directory_of(file), PathAccess::Write | PathAccess::Make});
    for (const std::string& file : plan.remove_at_end)
        rules.push_back({directory_of(file), kRemoveOnly});
    return rules;
}

std::string describe(const FilePolicy& files, int abi) {
    const std::string by = " (Landlock ABI " + std::to_string(abi) + ")";
    if (files.anywhere())
        return "no execution of files, no devices" + by;
    if (files.descriptors_only())
        return "no files" + by;
    return "files of " + std::to_string(files.directories().size()) + " directories" + by;
}

Result<void> restrict_paths(const SandboxPlan& plan, int abi, Sandbox& sandbox) {
    MFD_TRY(Landlock landlock, Landlock::make(abi));
    for (const PathRule& rule : rules_of(plan)) {
        auto allowed = landlock.allow(rule.path, rule.access);
        // Not every system has each of our own; a directory of the plan has been seen to exist.
        if (!allowed.has_value() && allowed.error().sys == ENOENT)
            continue;
        MFD_TRY(UniqueFd pinned, std::move(allowed));
        sandbox.pinned_paths.push_back(std::move(pinned));
    }
    return landlock.restrict_self();
}

} // namespace

SandboxMode default_sandbox_mode() {
#ifdef MFD_SANITIZED
    return SandboxMode::Off;
#else
    return SandboxMode::On;
#endif
}

Result<Sandbox> enter_sandbox(const SandboxPlan& plan) {
    Sandbox sandbox;
    if (plan.mode == SandboxMode::Off)
        return sandbox;
    ::tzset(); // the time zone's file is read now, while it can be

    const auto note = [&sandbox](const Result<void>& done, const std::string& what) {
        if (!done.has_value())
            sandbox.lacks.push_back(done.error().what);
        else
            sandbox.applied += (sandbox.applied.empty() ? "" : ", ") + what;
    };
    // In this order, since each step takes away what those before it need.
    note(set_no_new_privileges(), "no new privileges");
    note(drop_capabilities(), "no capabilities");
    if (const auto support = Landlock::support(); support.abi == 0)
        sandbox.lacks.push_back(support.lacks);
    else
        note(restrict_paths(plan, support.abi, sandbox), describe(plan.files, support.abi));
    note(allow_only_needed_system_calls(), "a filter of system calls");

    if (plan.mode == SandboxMode::Strict && !sandbox.lacks.empty()) {
        std::string text = "--sandbox strict: this system lacks";
        for (const std::string& lack : sandbox.lacks)
            text += (&lack == &sandbox.lacks.front() ? " " : "; ") + lack;
        return Error{Errc::Unsupported, std::move(text)};
    }
    return sandbox;
}

} // namespace mfd
