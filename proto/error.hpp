// What can go wrong, as a value. Everything that depends on files, clients, formats or the kernel
// returns Result<T>; exceptions are for exhausted memory and our own mistakes.
#pragma once

#include <boost/system/result.hpp>

#include <cstdint>
#include <string>
#include <utility>

namespace mfd {

enum class Errc : std::uint8_t {
    Io,          // the kernel refused an operation; Error::sys has the errno
    BadFormat,   // bytes of a file that contradict the format, or each other
    BadArgument, // a client or an option asked for something that does not make sense
    Unsupported, // sensible, but not offered here (a kernel feature is missing, not built in)
    WrongState,  // sensible, but not now
    NotFound,    // the named object does not exist
    Cancelled,   // stopped on request
};

// `what` names operation and object, for a person: "write pages of block pc.ram at 0x1200000: No
// space left on device". `sys` is an errno, 0 where no system call failed.
struct [[nodiscard]] Error {
    Errc code = Errc::Io;
    std::string what;
    int sys = 0;
};

// Error for a failed system call: `what` and the text of `sys`, joined by ": ".
Error make_sys_error(std::string what, int sys);

// Error for something a client or an option asked for, with the whole text.
Error bad_argument(std::string what);

// The text of an errno as QEMU and strerror(3) print it. May be called from any thread.
std::string errno_text(int sys);

// Puts "context: " in front of an error's text.
Error with_context(std::string context, Error error);

// A value or an Error. A thin wrapper, since boost's result is not [[nodiscard]].
template <class T>
class [[nodiscard]] Result : public boost::system::result<T, Error> {
public:
    using boost::system::result<T, Error>::result;
};

// boost wants to know how value() on an error reports our own mistake.
[[noreturn]] void throw_exception_from_error(const Error& error,
                                             const boost::source_location& where);

} // namespace mfd

#define MFD_CONCAT_IMPL(a, b) a##b
#define MFD_CONCAT(a, b) MFD_CONCAT_IMPL(a, b)

// MFD_TRY(const auto x, f());  declares x from the value of f(), or returns f()'s error.
#define MFD_TRY(declaration, ...)                                                                  \
    auto&& MFD_CONCAT(mfd_try_, __LINE__) = (__VA_ARGS__);                                         \
    if (!MFD_CONCAT(mfd_try_, __LINE__).has_value())                                               \
        return std::move(MFD_CONCAT(mfd_try_, __LINE__)).error();                                  \
    declaration = std::move(*MFD_CONCAT(mfd_try_, __LINE__)) // NOLINT

// MFD_CHECK(f());  returns f()'s error, if it has one.
#define MFD_CHECK(...)                                                                             \
    do {                                                                                           \
        auto&& mfd_check_result = (__VA_ARGS__);                                                   \
        if (!mfd_check_result.has_value())                                                         \
            return std::move(mfd_check_result).error();                                            \
    } while (false)
