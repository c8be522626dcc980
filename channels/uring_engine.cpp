#include "channels/uring_engine.hpp"

#include "channels/file_io.hpp"

#include <array>
#include <bit>
#include <cerrno>
#include <optional>
#include <utility>

namespace mfd {

namespace {

struct SetupChoice {
    unsigned flags;
    const char* name;
};

// Best first; older kernels answer EINVAL to flags they do not know (6.1, 6.0, 5.19, 5.10, 5.1).
// Disabled at first: restrictions can be set only then.
constexpr std::array kSetupChoices{
    SetupChoice{IORING_SETUP_R_DISABLED | IORING_SETUP_SINGLE_ISSUER | IORING_SETUP_DEFER_TASKRUN,
                "single issuer, deferred task work"},
    SetupChoice{IORING_SETUP_R_DISABLED | IORING_SETUP_SINGLE_ISSUER | IORING_SETUP_COOP_TASKRUN,
                "single issuer, cooperative task work"},
    SetupChoice{IORING_SETUP_R_DISABLED | IORING_SETUP_COOP_TASKRUN, "cooperative task work"},
    SetupChoice{IORING_SETUP_R_DISABLED, "plain"},
    SetupChoice{0, "plain, unrestricted"},
};

io_uring_restriction permit_op(std::uint8_t op) {
    io_uring_restriction permit{};
    permit.opcode = IORING_RESTRICTION_SQE_OP;
    permit.sqe_op = op;
    return permit;
}

io_uring_restriction permit_register(std::uint8_t op) {
    io_uring_restriction permit{};
    permit.opcode = IORING_RESTRICTION_REGISTER_OP;
    permit.register_op = op;
    return permit;
}

io_uring_restriction permit_flags(std::uint16_t which, std::uint8_t flags) {
    io_uring_restriction permit{};
    permit.opcode = which;
    permit.sqe_flags = flags;
    return permit;
}

// Only transfers, only on the registered files: a ring can do nearly all that system calls can,
// and no filter of those sees it.
int restrict_and_enable(const io_uring& ring) {
    const std::array restrictions{
        permit_op(IORING_OP_READV),
        permit_op(IORING_OP_WRITEV),
        permit_register(IORING_UNREGISTER_FILES),
        permit_flags(IORING_RESTRICTION_SQE_FLAGS_REQUIRED, IOSQE_FIXED_FILE),
        permit_flags(IORING_RESTRICTION_SQE_FLAGS_ALLOWED, IOSQE_FIXED_FILE | IOSQE_ASYNC),
    };
    // Not by the functions of their own, which liburing 2.3 declares but does not export.
    const auto fd = static_cast<unsigned>(ring.ring_fd);
    const int refused = io_uring_register(fd, IORING_REGISTER_RESTRICTIONS, restrictions.data(),
                                          static_cast<unsigned>(restrictions.size()));
    return refused < 0 ? refused : io_uring_register(fd, IORING_REGISTER_ENABLE_RINGS, nullptr, 0);
}

} // namespace

UringEngine::UringEngine(std::size_t depth) : slots_(depth) {
    for (std::size_t slot = depth; slot > 0; --slot)
        free_.push_back(slot - 1);
}

Result<std::unique_ptr<UringEngine>> UringEngine::make(const EngineSetup& setup) {
    std::unique_ptr<UringEngine> engine(new UringEngine(setup.depth));
    MFD_CHECK(engine->set_up(setup));
    return engine;
}

Result<void> UringEngine::set_up(const EngineSetup& setup) {
    const auto entries = static_cast<unsigned>(std::bit_ceil(setup.depth));
    int refused = -EINVAL;
    bool disabled = false;
    for (const SetupChoice& choice : kSetupChoices) {
        refused = io_uring_queue_init(entries, &ring_, choice.flags);
        if (refused == 0) {
            ring_made_ = true;
            features_ = choice.name;
            disabled = (choice.flags & IORING_SETUP_R_DISABLED) != 0;
            break;
        }
        if (refused != -EINVAL)
            break;
    }
    if (!ring_made_)
        return make_sys_error(refused == -ENOMEM
                                  ? "set up io_uring (before Linux 5.12 its rings count as locked "
                                    "memory: RLIMIT_MEMLOCK, LimitMEMLOCK= of a unit)"
                                  : "set up io_uring",
                              -refused);
    std::vector<int> fds;
    for (const FdRef file : setup.files)
        fds.push_back(file.get()); // -1 leaves a hole in the table
    const int registered =
        io_uring_register_files(&ring_, fds.data(), static_cast<unsigned>(fds.size()));
    if (registered < 0)
        return make_sys_error("register files with io_uring", -registered);
    if (disabled)
        if (const int failed = restrict_and_enable(ring_); failed < 0)
            return make_sys_error("restrict io_uring to transfers", -failed);
    return {};
}

UringEngine::~UringEngine() {
    // Memory of transfers in flight belongs to the kernel until they end.
    while (in_flight() > 0)
        if (!reap())
            break;
    if (!ring_made_)
        return;
    // The kernel takes a ring apart in its own time; until then files that are registered stay
    // open, and a file system of theirs cannot be unmounted.
    io_uring_unregister_files(&ring_);
    io_uring_queue_exit(&ring_);
}

void UringEngine::start(const Transfer& transfer) {
    const std::size_t slot = free_.back();
    free_.pop_back();
    slots_[slot] = Slot{transfer, total_bytes(transfer.parts), 0, {}};
    queue(slot, Punt::No);
    // A failed submit (EINTR, EAGAIN, EBUSY) leaves the entry queued; reap() submits again.
    io_uring_submit(&ring_);
}

void UringEngine::queue(std::size_t slot, Punt punt) {
    const Transfer& transfer = slots_[slot].transfer;
    io_uring_sqe* sqe = io_uring_get_sqe(&ring_); // there are at least as many as slots
    const auto count = static_cast<unsigned>(transfer.parts.size());
    const auto file = static_cast<int>(transfer.file);
    if (transfer.op == TransferOp::Write)
        io_uring_prep_writev(sqe, file, transfer.parts.data(), count, transfer.offset);
    else
        io_uring_prep_readv(sqe, file, transfer.parts.data(), count, transfer.offset);
    sqe->flags |= IOSQE_FIXED_FILE;
    if (punt == Punt::Yes)
        sqe->flags |= IOSQE_ASYNC;
    io_uring_sqe_set_data64(sqe, slot);
}

Result<Completion> UringEngine::reap() {
    for (;;) {
        io_uring_cqe* cqe = nullptr;
        const int waited = io_uring_submit_and_wait_timeout(&ring_, &cqe, 1, nullptr, nullptr);
        if (cqe == nullptr) {
            if (waited >= 0 || waited == -EINTR || waited == -EAGAIN || waited == -EBUSY)
                continue;
            return make_sys_error("wait for io_uring", -waited);
        }
        const io_uring_cqe seen = *cqe;
        io_uring_cqe_seen(&ring_, cqe);
        if (const auto done = take(seen))
            return *done;
    }
}

std::optional<Completion> UringEngine::take(const io_uring_cqe& cqe) {
    const auto index = static_cast<std::size_t>(cqe.user_data);
    Slot& slot = slots_[index];
    Transfer& transfer = slot.transfer;
    std::optional<Completion> done;
    if (cqe.res < 0 && slot.retries.again(-cqe.res)) {
        queue(index, Punt::Yes);
    } else if (cqe.res < 0) {
        done = Completion{transfer.tag, slot.done_bytes, -cqe.res};
    } else if (cqe.res == 0) {
        const int sys = transfer.op == TransferOp::Read ? kEndOfFile : EIO;
        done = Completion{transfer.tag, slot.done_bytes, sys};
    } else {
        const auto moved = static_cast<std::uint64_t>(cqe.res);
        slot.done_bytes += moved;
        if (slot.done_bytes == slot.total_bytes) {
            done = Completion{transfer.tag, slot.done_bytes, 0};
        } else {
            slot.retries.moved_on();
            transfer.parts = advance_iovecs(transfer.parts, moved);
            transfer.offset += moved;
            queue(index, Punt::No);
        }
    }
    if (done)
        free_.push_back(index);
    return done;
}

} // namespace mfd
