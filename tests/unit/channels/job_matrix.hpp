// The ways a job can move its pages, and a file to try them on.
#pragma once

#include "channels/io_engine.hpp"
#include "channels/migration_file.hpp"

#include "temp_file.hpp"

#include <catch2/catch_test_macros.hpp>
#include <catch2/generators/catch_generators.hpp>

namespace mfd::test {

struct JobWay {
    EngineKind engine = EngineKind::Auto;
    unsigned channels = 1;
    PageIo page_io = PageIo::Buffered;
};

// Every way that this machine offers.
inline JobWay any_way() {
    const auto engine = GENERATE(EngineKind::Pwritev, EngineKind::Uring);
    const auto page_io = GENERATE(PageIo::Buffered, PageIo::Direct);
    const auto channels = GENERATE(1U, 2U, 8U);
    if (engine == EngineKind::Uring && !probe_engines().uring)
        SKIP("no io_uring: " << probe_engines().uring_reason);
    if (page_io == PageIo::Direct && !TempFile().offers_direct_io())
        SKIP("the file system of the temporary folder has no O_DIRECT");
    return {engine, channels, page_io};
}

inline MigrationFile open_job_file(const TempFile& path, FileUse use, PageIo page_io) {
    FdSets no_sets;
    auto target = resolve_target(no_sets, path.path(), 0, use, page_io);
    REQUIRE(target.has_value());
    auto file = use == FileUse::Save ? MigrationFile::open_save(std::move(*target))
                                     : MigrationFile::open_load(std::move(*target));
    REQUIRE(file.has_value());
    return std::move(*file);
}

} // namespace mfd::test
