#include "qmp/ctl/file_command.hpp"

#include "qmp/units.hpp"

#include <iostream>

namespace mfd::ctl {

namespace {

std::string check_offset(std::string& text) {
    const auto size = parse_size(text);
    return size ? std::string() : size.error().what;
}

} // namespace

CLI::Option* add_file_argument(CLI::App& command, std::string& file, const char* name,
                               const char* text) {
    return command.add_option(name, file, text)->required();
}

CLI::Option* add_offset_option(CLI::App& command, std::optional<std::uint64_t>& offset,
                               const char* name) {
    return command
        .add_option_function<std::string>(
            name,
            [&offset](const std::string& text) {
                if (const auto size = parse_size(text))
                    offset = *size;
            },
            "Where in the file the stream begins; found by itself at the start and behind the "
            "header of a libvirt save image")
        ->check(CLI::Validator(check_offset, "SIZE"));
}

Exit exit_of(const Error& error) {
    return error.code == Errc::BadFormat ? Exit::Failed : Exit::Usage;
}

Exit fail_on_file(std::string_view command, const Error& error) {
    return fail(command, error, exit_of(error));
}

} // namespace mfd::ctl
