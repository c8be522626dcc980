// What a client or the command line says about a memory backend, as typed values. Pure functions:
// no file is opened and no memory mapped here. The names are QEMU's; "x-" marks our own.
#pragma once

#include "daemon/keyval.hpp"
#include "proto/error.hpp"

#include <nlohmann/json.hpp>

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace mfd {

class PropertySource;

enum class BackendType : std::uint8_t { Ram, Memfd, Shm, File };
enum class NumaPolicy : std::uint8_t { Default, Preferred, Bind, Interleave };
enum class OnOffAuto : std::uint8_t { Auto, On, Off };

// "memory-backend-ram" and so on.
[[nodiscard]] std::string_view backend_type_name(BackendType type);
[[nodiscard]] std::optional<BackendType> backend_type_from_name(std::string_view name);
[[nodiscard]] std::string_view numa_policy_name(NumaPolicy policy);

// Half of a 57-bit address space. A larger backend is refused as out of memory, before any sum with
// its size is formed; smaller ones are for the kernel to refuse.
inline constexpr std::uint64_t kMaxBackendBytes = std::uint64_t{1} << 56;

struct BackendProperties {
    BackendType type = BackendType::Ram;
    std::string id;
    std::uint64_t size = 0;
    bool share = false; // the type's default until asked otherwise: on for memfd and shm
    bool prealloc = false;
    std::uint32_t prealloc_threads = 1;
    bool reserve = true;
    bool merge = true; // kept and reported; the daemon has no use for it
    bool dump = true;  // likewise
    NumaPolicy policy = NumaPolicy::Default;
    std::vector<std::uint16_t> host_nodes; // ascending, each once
    bool canonical_block_name = false;     // x-use-canonical-path-for-ramblock-id

    // memory-backend-memfd
    bool hugetlb = false;
    std::uint64_t hugetlb_size = 0; // 0: the system's default size
    bool seal = true;

    // memory-backend-file
    std::string mem_path;
    std::uint64_t offset = 0;
    std::uint64_t align = 0;
    bool readonly = false;
    OnOffAuto rom = OnOffAuto::Auto;
    bool pmem = false;
    bool discard_data = false;

    // ours
    std::string ramblock;  // x-ramblock: the block's name in the stream; empty: from the id
    std::string dirty_log; // x-dirty-log: /dev/fdset/N of a shared dirty bitmap; empty: none

    [[nodiscard]] std::string block_name() const;
};

// From the arguments of object-add (flat: qom-type, id, properties). Types, missing and unexpected
// members are checked in QEMU's order and with its texts; then check_backend_values().
[[nodiscard]] Result<BackendProperties>
backend_properties_from_json(const nlohmann::json& arguments);

// The arguments of an object-add that makes the same backend.
[[nodiscard]] nlohmann::json backend_arguments(const BackendProperties& properties);

// From "TYPE,id=...,size=..." of --object, parsed with the implied key "qom-type".
[[nodiscard]] Result<BackendProperties> backend_properties_from_keyval(const KeyValueList& options);

// Asks `from` for every property of the type p.type but "qom-type" and "id". What a type has is
// written down here alone: a source that only notes what it is asked for learns the type's schema.
[[nodiscard]] Result<void> read_backend_properties(PropertySource& from, BackendProperties& p);

// What can be said about the values without touching the system: size not 0, identifier, multiples
// of 4 KiB, contradicting properties. Both functions above have done it.
[[nodiscard]] Result<void> check_backend_values(const BackendProperties& properties);

// Letters, digits, '-', '.', '_', the first one a letter.
[[nodiscard]] bool is_identifier(std::string_view text);

struct QomProperty {
    std::string name;
    std::string type; // QEMU's word: "bool", "int", "string", an enumeration's name
    nlohmann::json value;
};

// Every property of the backend as qom-list and qom-get show it, "type" first.
[[nodiscard]] std::vector<QomProperty> backend_qom_properties(const BackendProperties& properties);

// One element of query-memdev's answer.
[[nodiscard]] nlohmann::json backend_memdev_json(const BackendProperties& properties);

} // namespace mfd
