// The numbers and fixed-size records of the stream, as they stand in the file. Only encoder,
// planner and decoder need these; what they mean is in FORMAT.md.
#pragma once

#include "proto/big.hpp"

#include <array>
#include <cstddef>
#include <cstdint>
#include <string_view>

namespace mfd::wire {

inline constexpr std::uint32_t kMagic = 0x5145564d; // "QEVM"
inline constexpr std::uint32_t kVersion = 3;
inline constexpr std::uint32_t kObsoleteVersion = 2;

// First byte of everything that follows the configuration.
enum class Mark : std::uint8_t {
    Eof = 0x00,
    Start = 0x01,
    Part = 0x02,
    End = 0x03,
    Full = 0x04,
    Subsection = 0x05,
    Vmdescription = 0x06,
    Configuration = 0x07,
    Command = 0x08,
    Footer = 0x7e,
};

inline constexpr std::uint16_t kCommandSwitchoverStart = 11;

inline constexpr std::string_view kRamIdstr = "ram";
inline constexpr std::uint32_t kRamSectionId = 1; // QEMU's on every machine tried; readers take any
inline constexpr std::uint32_t kRamVersion = 4;
inline constexpr std::uint32_t kMappedRamVersion = 1;

// Low bits of the words in a RAM section.
inline constexpr std::uint64_t kRamFlagZeroPage = 0x02; // of an ordinary stream
inline constexpr std::uint64_t kRamFlagBlockList = 0x04;
inline constexpr std::uint64_t kRamFlagPage = 0x08; // of an ordinary stream
inline constexpr std::uint64_t kRamFlagEos = 0x10;
inline constexpr std::uint64_t kRamFlagContinue = 0x20; // the block of the page before
// Flags of other ways to send RAM (zero page, page, xbzrle, hook, multifd flush); never in our
// files.
inline constexpr std::uint64_t kRamFlagsUnexpected = 0x02 | 0x08 | 0x40 | 0x80 | 0x200;

inline constexpr std::string_view kConfigurationPrefix = "configuration/";
inline constexpr std::string_view kCapabilitiesName = "configuration/capabilities";
inline constexpr std::string_view kUuidName = "configuration/uuid";
inline constexpr std::string_view kTargetPageBitsName = "configuration/target-page-bits";
inline constexpr std::string_view kMappedRamCapability = "mapped-ram";
inline constexpr std::string_view kIgnoreSharedCapability = "x-ignore-shared";
inline constexpr std::uint32_t kSubsectionVersion = 1;

// QEMU's alignment of page areas. Of the absolute file offset, whatever the stream's offset is.
inline constexpr std::uint64_t kPageAreaAlignment = 0x100000;

inline constexpr std::uint64_t kNameMaxBytes = 255; // one length byte
inline constexpr std::uint64_t kFooterBytes = 5;
inline constexpr std::uint64_t kEosBytes = 8;
inline constexpr std::uint64_t kPartBytes = 5 + kEosBytes + kFooterBytes;

struct MappedRamHeader {
    Big<std::uint32_t> version;
    Big<std::uint64_t> page_size;
    Big<std::uint64_t> bitmap_offset;
    Big<std::uint64_t> pages_offset;
};
static_assert(sizeof(MappedRamHeader) == 28 && alignof(MappedRamHeader) == 1);

// The head of a trailer: TrailerHead, a TrailerBlock for each block, u64 checksum of all that. The
// start and the checksum stand so in every version.
inline constexpr std::uint64_t kTrailerMagic = 0x6d66642d73756d73; // "mfd-sums"
inline constexpr std::uint32_t kTrailerVersion = 1;

struct TrailerStart {
    Big<std::uint64_t> magic;
    Big<std::uint32_t> version;
    Big<std::uint32_t> head_bytes; // with its checksum
};

struct TrailerHead {
    TrailerStart start;
    Big<std::uint64_t> trailer_bytes; // head and tables
    Big<std::uint64_t> id;
    Big<std::uint64_t> stream_offset;
    Big<std::uint64_t> stream_end;
    Big<std::uint64_t> configuration_checksum;
    Big<std::uint64_t> sections_checksum;
    Big<std::uint64_t> vmdescription_checksum;
    Big<std::uint64_t> blocks;
};
static_assert(sizeof(TrailerHead) == 80 && alignof(TrailerHead) == 1);

struct TrailerBlock {
    Big<std::uint64_t> pages;
    Big<std::uint64_t> table_offset; // in the file
    Big<std::uint64_t> entry_checksum;
    Big<std::uint64_t> bitmap_checksum;
};
static_assert(sizeof(TrailerBlock) == 32 && alignof(TrailerBlock) == 1);

} // namespace mfd::wire
