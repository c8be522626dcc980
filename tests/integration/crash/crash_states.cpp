#include "crash_states.hpp"

#include <algorithm>
#include <fstream>
#include <utility>

namespace mfd::crash {

namespace {

constexpr std::uint64_t kSector = 512; // what no disk tears
constexpr std::uint64_t kPhysicalSector = 4096;
constexpr std::size_t kFindingsKept = 20;

std::uint64_t below(std::mt19937_64& random, std::uint64_t limit) {
    return std::uniform_int_distribution<std::uint64_t>(0, limit - 1)(random);
}

} // namespace

void CrashStates::run() {
    for (std::size_t cut = 0; cut <= ops_.size(); ++cut) {
        if (cut > 0)
            take_note_of(cut - 1);
        look_at(cut);
    }
}

// The operation of this number is completed.
void CrashStates::take_note_of(std::size_t number) {
    const OpKind kind = ops_[number].kind;
    if (kind == OpKind::Named) {
        named_ = true;
    } else if (kind == OpKind::NameSync) {
        name_is_stable_ = named_ && !rules_.ignore_syncs;
    } else if (kind == OpKind::Sync && !rules_.ignore_syncs) {
        for (; stable_ < number; ++stable_)
            if (ops_[stable_].changes_data())
                disk_.make_stable(ops_[stable_]);
    }
}

void CrashStates::look_at(std::size_t cut) {
    const std::string name = "cut " + std::to_string(cut);
    ++counts_.cuts;
    apply_all(cut);
    disk_.finish();
    judge_state(cut, name);
    if (!named_)
        return; // nobody finds the file, whatever is in it
    if (!name_is_stable_)
        ++counts_.outcomes[static_cast<std::size_t>(Outcome::Absent)];
    if (!name_is_stable_ && rules_.durable && cut == ops_.size())
        add_finding(name, "completed, and yet the name can be lost");

    std::mt19937_64 random(rules_.seed * 1'000'003 + cut);
    if (cut > stable_ && ops_[cut - 1].kind == OpKind::Write && ops_[cut - 1].length > kSector) {
        ++counts_.torn;
        const std::uint64_t sectors = 1 + below(random, (ops_[cut - 1].length - 1) / kSector);
        apply_all(cut - 1);
        disk_.apply_sectors(ops_[cut - 1], kSector,
                            [&](std::uint64_t sector) { return sector < sectors; });
        disk_.finish();
        judge_state(cut, name + ", " + std::to_string(sectors) + " sectors of the last write");
    }
    const auto first = ops_.begin() + static_cast<std::ptrdiff_t>(stable_);
    const auto last = ops_.begin() + static_cast<std::ptrdiff_t>(cut);
    if (std::none_of(first, last, [](const Op& op) { return op.changes_data(); }))
        return;
    for (std::uint64_t i = 0; i < rules_.reorderings; ++i) {
        ++counts_.reorderings;
        reorder(cut, random);
        judge_state(cut, name + ", reordering " + std::to_string(i));
    }
    if (cut == ops_.size() || !ops_[cut].changes_data())
        leave_out_each(cut);
}

void CrashStates::apply_all(std::size_t end) {
    disk_.begin();
    for (std::size_t i = stable_; i < end; ++i)
        if (ops_[i].changes_data())
            disk_.apply(ops_[i]);
}

// Where a sync or the end follows: all but one operation, for each of them.
void CrashStates::leave_out_each(std::size_t cut) {
    for (std::size_t left_out = stable_; left_out < cut; ++left_out) {
        if (!ops_[left_out].changes_data())
            continue;
        ++counts_.reorderings;
        disk_.begin();
        for (std::size_t i = stable_; i < cut; ++i)
            if (i != left_out && ops_[i].changes_data())
                disk_.apply(ops_[i]);
        disk_.finish();
        judge_state(cut, "cut " + std::to_string(cut) + " without operation " +
                             std::to_string(left_out + 1));
    }
}

// Any part of what is not on stable storage: most of it, half, or little.
void CrashStates::reorder(std::size_t cut, std::mt19937_64& random) {
    constexpr std::array<std::uint64_t, 3> eighths = {1, 4, 7};
    const std::uint64_t kept_eighths = eighths[below(random, eighths.size())];
    const bool may_tear = below(random, 2) == 0;
    const std::uint64_t sector = below(random, 2) == 0 ? kSector : kPhysicalSector;
    disk_.begin();
    for (std::size_t i = stable_; i < cut; ++i) {
        const Op& op = ops_[i];
        if (!op.changes_data() || below(random, 8) >= kept_eighths)
            continue;
        if (op.kind == OpKind::Write && may_tear && below(random, 8) == 0)
            disk_.apply_sectors(op, sector,
                                [&](std::uint64_t /*sector*/) { return below(random, 2) == 0; });
        else
            disk_.apply(op);
    }
    disk_.finish();
}

void CrashStates::judge_state(std::size_t cut, const std::string& which) {
    const Verdict verdict = named_ ? judge_.restore(disk_.path()) : Verdict{};
    ++counts_.outcomes[static_cast<std::size_t>(verdict.outcome)];
    if (const std::string what = fault(cut, verdict); !what.empty())
        add_finding(which, what);
}

void CrashStates::add_finding(const std::string& which, const std::string& what) {
    if (counts_.wrong++ == 0 && !keep_.empty()) {
        const auto state = disk_.state();
        std::ofstream(keep_, std::ios::binary)
            .write(reinterpret_cast<const char*>(state.data()),
                   static_cast<std::streamsize>(state.size()));
    }
    if (findings_.size() < kFindingsKept)
        findings_.push_back(which + ": " + what);
}

std::string CrashStates::fault(std::size_t cut, const Verdict& verdict) const {
    if (verdict.outcome == Outcome::Other)
        return "accepted with memory that the guest never had";
    if (rules_.durable && cut == ops_.size() && verdict.outcome != Outcome::New)
        return "completed, and yet not what was saved: " + verdict.why;
    // The first sync of a save makes sure that what stood in the file before is gone.
    if (rules_.durable && stable_ > 0 && verdict.outcome == Outcome::Old)
        return "the old save is accepted while a new one takes its place";
    return "";
}

std::span<const std::byte> CrashStates::whole() {
    apply_all(ops_.size());
    disk_.finish();
    return disk_.state();
}

} // namespace mfd::crash
