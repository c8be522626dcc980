#include "proto/error.hpp"

#include <stdexcept>
#include <system_error>

namespace mfd {

std::string errno_text(int sys) {
    return std::generic_category().message(sys);
}

Error bad_argument(std::string what) {
    return Error{Errc::BadArgument, std::move(what)};
}

Error make_sys_error(std::string what, int sys) {
    what += ": ";
    what += errno_text(sys);
    return Error{Errc::Io, std::move(what), sys};
}

Error with_context(std::string context, Error error) {
    context += ": ";
    context += error.what;
    error.what = std::move(context);
    return error;
}

void throw_exception_from_error(const Error& error, const boost::source_location& /*where*/) {
    throw std::logic_error("value of a failed result: " + error.what);
}

} // namespace mfd
