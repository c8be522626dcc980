#include "daemon/migration_address.hpp"

#include "daemon/size_text.hpp"
#include "proto/text.hpp"

#include <array>
#include <nlohmann/json.hpp>

namespace mfd {

namespace {

using Transport = MigrationAddress::Transport;

struct Scheme {
    std::string_view prefix;
    Transport transport;
};

constexpr std::array<Scheme, 7> kSchemes = {{
    {"file:", Transport::File},
    {"tcp:", Transport::Socket},
    {"unix:", Transport::Socket},
    {"vsock:", Transport::Socket},
    {"exec:", Transport::Other},
    {"fd:", Transport::Other},
    {"rdma:", Transport::Other},
}};

Result<MigrationAddress> parse_file(std::string_view rest) {
    constexpr std::string_view kOffset = ",offset=";
    MigrationAddress address;
    const auto comma = rest.find(kOffset);
    address.path = std::string(rest.substr(0, comma));
    if (comma == std::string_view::npos)
        return address;
    const std::string_view text = rest.substr(comma + kOffset.size());
    const auto offset = parse_size_text(text);
    if (!offset.has_value())
        return Error{Errc::BadArgument,
                     "file URI has bad offset " + std::string(text) + ": " +
                         errno_text(offset.error().sys),
                     offset.error().sys};
    address.offset = *offset;
    return address;
}

Result<MigrationAddress> parse_channel_address(const nlohmann::json& addr) {
    const auto& transport = addr.at("transport").get_ref<const std::string&>();
    MigrationAddress address;
    address.text = transport;
    if (transport == "file") {
        address.path = addr.at("filename").get<std::string>();
        address.offset = addr.at("offset").get<std::uint64_t>();
    } else {
        address.transport = transport == "socket" ? Transport::Socket : Transport::Other;
    }
    return address;
}

} // namespace

std::string file_uri(const MigrationAddress& address) {
    const std::string uri = "file:" + address.path;
    return address.offset == 0 ? uri : uri + ",offset=" + hex(address.offset);
}

Result<MigrationAddress> parse_migration_uri(std::string_view uri) {
    for (const Scheme& scheme : kSchemes) {
        if (!uri.starts_with(scheme.prefix))
            continue;
        MigrationAddress address;
        if (scheme.transport == Transport::File) {
            MFD_TRY(address, parse_file(uri.substr(scheme.prefix.size())));
        }
        address.text = std::string(uri);
        address.transport = scheme.transport;
        return address;
    }
    return Error{Errc::BadArgument, "unknown migration protocol: " + std::string(uri)};
}

Result<MigrationAddress> parse_migration_arguments(const nlohmann::json& arguments,
                                                   bool single_main) {
    const auto uri = arguments.find("uri");
    const auto channels = arguments.find("channels");
    const bool has_uri = uri != arguments.end();
    const bool has_channels = channels != arguments.end() && !channels->empty();
    if (has_uri == has_channels)
        return Error{Errc::BadArgument, "need either 'uri' or 'channels' argument"};
    if (has_uri)
        return parse_migration_uri(uri->get_ref<const std::string&>());

    if (single_main && channels->size() > 1)
        return Error{Errc::BadArgument, "Channel list must have only one entry, for type 'main'"};
    const nlohmann::json* main = nullptr;
    bool has_cpr = false;
    for (const auto& channel : *channels) {
        const auto& type = channel.at("channel-type").get_ref<const std::string&>();
        const bool is_main = type == "main";
        if (is_main ? main != nullptr : has_cpr)
            return Error{Errc::BadArgument, "Channel list has more than one " + type + " entry"};
        if (is_main)
            main = &channel.at("addr");
        else
            has_cpr = true;
    }
    if (main == nullptr)
        return Error{Errc::BadArgument, "Channel list has no main entry"};
    return parse_channel_address(*main);
}

} // namespace mfd
