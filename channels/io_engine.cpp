#include "channels/io_engine.hpp"

#include "channels/pwritev_engine.hpp"
#include "channels/uring_engine.hpp"

namespace mfd {

std::string completion_text(int sys) {
    return sys == kEndOfFile ? "end of file" : errno_text(sys);
}

Result<std::unique_ptr<IoEngine>> make_engine(const EngineSetup& setup) {
    // A buffered transfer copies on the calling thread whatever the engine, and io_uring hands many
    // of them to kernel threads that then queue for the inode's lock.
    const bool wants_uring =
        setup.kind == EngineKind::Uring || (setup.kind == EngineKind::Auto && setup.direct);
    if (wants_uring) {
        auto made = UringEngine::make(setup);
        if (made)
            return std::unique_ptr<IoEngine>(std::move(*made));
        if (setup.kind == EngineKind::Uring)
            return std::move(made).error();
    }
    return std::unique_ptr<IoEngine>(
        std::make_unique<PwritevEngine>(setup.files, setup.page_cache));
}

EngineProbe probe_engines() {
    const auto made = UringEngine::make(EngineSetup{EngineKind::Uring, {FdRef()}, 1, false});
    if (!made)
        return {false, made.error().what};
    return {true, (*made)->features()};
}

} // namespace mfd
