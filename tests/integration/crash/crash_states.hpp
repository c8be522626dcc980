// All that a power cut may leave of a save, by the order in which its operations were completed: at
// every cut all of them, the last one torn, and any part of those that no sync has covered yet.
#pragma once

#include "disk.hpp"
#include "judge.hpp"
#include "trace.hpp"

#include <array>
#include <cstddef>
#include <cstdint>
#include <random>
#include <span>
#include <string>
#include <utility>
#include <vector>

namespace mfd::crash {

struct Rules {
    bool existed = false; // the file, before the save
    bool durable = true;  // the save had promised what x-sync means
    bool ignore_syncs = false;
    std::uint64_t seed = 0;
    std::uint64_t reorderings = 0; // at every cut that leaves something to reorder
};

struct Counts {
    std::uint64_t cuts = 0;
    std::uint64_t torn = 0;
    std::uint64_t reorderings = 0;
    std::array<std::uint64_t, 5> outcomes{}; // by Outcome, the wrong ones too
    std::uint64_t wrong = 0;
};

class CrashStates {
public:
    // The first wrong state is copied to `keep`.
    CrashStates(const std::vector<Op>& ops, Disk disk, Judge& judge, Rules rules, std::string keep)
        : ops_(ops), disk_(std::move(disk)), judge_(judge), rules_(rules), keep_(std::move(keep)),
          named_(rules.existed), name_is_stable_(rules.existed) {}

    void run();
    // With all operations applied, as a program finds the file that nothing happened to.
    [[nodiscard]] std::span<const std::byte> whole();

    [[nodiscard]] const Counts& counts() const { return counts_; }
    // The first of them: "cut 17, reordering 3: ..."
    [[nodiscard]] const std::vector<std::string>& findings() const { return findings_; }

private:
    void look_at(std::size_t cut);
    void take_note_of(std::size_t number);
    void apply_all(std::size_t end);
    void leave_out_each(std::size_t cut);
    void reorder(std::size_t cut, std::mt19937_64& random);
    void judge_state(std::size_t cut, const std::string& which);
    void add_finding(const std::string& which, const std::string& what);
    // Why this outcome must not be; "" if it may.
    [[nodiscard]] std::string fault(std::size_t cut, const Verdict& verdict) const;

    const std::vector<Op>& ops_;
    Disk disk_;
    Judge& judge_;
    Rules rules_;
    std::string keep_;
    std::size_t stable_ = 0; // operations before this one are on stable storage
    bool named_;
    bool name_is_stable_;
    Counts counts_;
    std::vector<std::string> findings_;
};

} // namespace mfd::crash
