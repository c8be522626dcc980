// Any command line, one argument a line; and what stands in its options as far as it is only read,
// so that no memory is made, no socket and no file. A refusal is one line for the terminal; what is
// accepted keeps what options.hpp promises, and means the same the second time.
#include "daemon/guest/backend_properties.hpp"
#include "daemon/guest/workload.hpp"
#include "daemon/migration_address.hpp"
#include "daemon/options.hpp"

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <string>
#include <string_view>
#include <vector>

namespace {

void require(bool holds) {
    if (!holds)
        std::abort();
}

std::vector<std::string> lines(std::string_view text) {
    std::vector<std::string> found;
    while (!text.empty()) {
        const std::size_t end = std::min(text.find('\n'), text.size());
        // Names of users and groups are looked up, and what may answer that is not ours.
        std::string line(text.substr(0, std::min(end, text.find('\0'))));
        text.remove_prefix(std::min(end + 1, text.size()));
        found.push_back(std::move(line));
    }
    return found;
}

mfd::ParsedOptions parse(const std::vector<std::string>& words) {
    std::vector<const char*> argv{"multifdd"};
    for (const std::string& word : words)
        argv.push_back(word.c_str());
    return mfd::parse_options(static_cast<int>(argv.size()), argv.data());
}

// As GuestObjects does with the text of -object, up to the point where it makes something.
void read_object(const std::string& text) {
    const auto list = mfd::parse_keyval(text, "qom-type");
    if (!list.has_value()) {
        require(!list.error().what.empty());
        return;
    }
    if (list->find("qom-type") == mfd::kWorkloadTypeName) {
        const auto workload = mfd::workload_properties_from_keyval(*list);
        require(workload.has_value() ? !workload->id.empty() && workload->threads > 0
                                     : !workload.error().what.empty());
        return;
    }
    const auto backend = mfd::backend_properties_from_keyval(*list);
    if (!backend.has_value()) {
        require(!backend.error().what.empty());
        return;
    }
    require(mfd::is_identifier(backend->id) && backend->size <= mfd::kMaxBackendBytes);
    // What is kept for the next process is JSON, and is read again by it.
    const auto again = mfd::backend_properties_from_json(mfd::backend_arguments(*backend));
    require(again.has_value() && again->block_name() == backend->block_name());
    require(mfd::backend_arguments(*again) == mfd::backend_arguments(*backend));
}

void read_uri(const std::string& text) {
    const auto address = mfd::parse_migration_uri(text);
    if (!address.has_value()) {
        require(!address.error().what.empty());
        return;
    }
    if (address->transport != mfd::MigrationAddress::Transport::File)
        return;
    const auto again = mfd::parse_migration_uri(mfd::file_uri(*address));
    require(again.has_value() && again->path == address->path && again->offset == address->offset);
}

void check(const mfd::Options& options) {
    for (const mfd::QmpEndpoint& endpoint : options.qmp) {
        require(endpoint.path.empty() == (endpoint.fd >= 0));
        require(endpoint.mode <= 0777);
    }
    for (const mfd::InheritedFd& inherited : options.add_fd)
        require(inherited.fd > 2 && inherited.set_id >= 0);
    require(options.memory_bytes != 0);
    require(options.uuid.size() == 36);
    require(!options.create_blocks || !options.incoming.empty());
    for (const std::string& object : options.objects)
        read_object(object);
    if (!options.incoming.empty() && options.incoming != "defer")
        read_uri(options.incoming);
}

} // namespace

// libFuzzer's name. NOLINTNEXTLINE(readability-identifier-naming)
extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    const auto words = lines(std::string_view(reinterpret_cast<const char*>(data), size));
    const auto parsed = parse(words);
    const auto again = parse(words);
    require(parsed.text == again.text && parsed.exit_status == again.exit_status);
    require(parsed.options.has_value() == again.options.has_value());
    if (!parsed.options) {
        require(parsed.text.ends_with('\n'));
        require(parsed.exit_status == 0 || parsed.text.starts_with("multifdd: "));
        return 0;
    }
    require(parsed.exit_status == 0 && parsed.options->ignored == again.options->ignored);
    check(*parsed.options);
    return 0;
}
