#include "proto/vmdescription.hpp"

#include "proto/checked.hpp"

#include <nlohmann/json.hpp>

#include <cerrno>
#include <limits>

namespace mfd {

namespace {

using Json = nlohmann::json;

// Chosen. QEMU nests structures inside devices about ten levels deep.
constexpr std::size_t kMaxDepth = 128;

// What an object or array means to us.
enum class Kind : std::uint8_t {
    Root,
    DeviceList,
    Device,
    FieldList,
    Field,
    SubsectionList,
    Subsection,
    Other, // and all inside
};

constexpr std::uint64_t kNoVersion = std::numeric_limits<std::uint64_t>::max();

struct Frame {
    Kind kind = Kind::Other;
    std::string key; // the member that comes next, of an object
    // Device and subsection
    std::string name;
    std::string vmsd_name;
    std::uint64_t instance_id = 0;
    std::uint64_t version = kNoVersion;
    std::uint64_t bytes = 0; // of the fields and subsections so far
    // Field
    std::uint64_t size = 0;
    std::uint64_t array_len = 1;
};

constexpr bool describes_state(Kind kind) {
    return kind == Kind::Device || kind == Kind::Subsection;
}

// Receives the parser's events. Returning false ends the parse; `fault` says why.
class Reader {
public:
    Vmdescription result;
    std::string fault;

    bool null() { return number_fault(); }
    bool boolean(bool /*value*/) { return number_fault(); }
    bool number_integer(Json::number_integer_t value) {
        return value < 0 ? number_fault() : number_unsigned(static_cast<std::uint64_t>(value));
    }
    bool number_float(Json::number_float_t /*value*/, const std::string& /*text*/) {
        return number_fault();
    }
    bool number_unsigned(Json::number_unsigned_t value) {
        if (frames_.empty())
            return refuse("is not an object");
        if (std::uint64_t* const wanted = wanted_number())
            *wanted = value;
        return true;
    }
    bool string(std::string& value) {
        if (frames_.empty())
            return refuse("is not an object");
        Frame& frame = frames_.back();
        if (describes_state(frame.kind) && frame.key == "name")
            frame.name = value;
        else if (describes_state(frame.kind) && frame.key == "vmsd_name")
            frame.vmsd_name = value;
        else if (wanted_number() != nullptr)
            return number_fault();
        return true;
    }
    bool binary(Json::binary_t& /*value*/) { return refuse("holds binary data"); }
    bool key(std::string& name) {
        frames_.back().key = name;
        return true;
    }

    bool start_object(std::size_t /*members*/) {
        Kind kind = Kind::Other;
        if (frames_.empty()) {
            kind = Kind::Root;
        } else if (wanted_number() != nullptr) {
            return number_fault();
        } else {
            switch (frames_.back().kind) {
            case Kind::DeviceList:
                kind = Kind::Device;
                break;
            case Kind::FieldList:
                kind = Kind::Field;
                break;
            case Kind::SubsectionList:
                kind = Kind::Subsection;
                break;
            case Kind::Root:
            case Kind::Device:
            case Kind::Field:
            case Kind::Subsection:
            case Kind::Other:
                break;
            }
        }
        return push(kind);
    }

    bool start_array(std::size_t /*elements*/) {
        if (frames_.empty())
            return refuse("is not an object");
        if (wanted_number() != nullptr)
            return number_fault();
        const Frame& outer = frames_.back();
        Kind kind = Kind::Other;
        if (outer.kind == Kind::Root && outer.key == "devices") {
            if (result.lists_devices)
                return refuse("lists its devices twice");
            result.lists_devices = true;
            kind = Kind::DeviceList;
        } else if (describes_state(outer.kind) && outer.key == "fields") {
            kind = Kind::FieldList;
        } else if (describes_state(outer.kind) && outer.key == "subsections") {
            kind = Kind::SubsectionList;
        }
        return push(kind);
    }

    bool end_array() {
        const Frame list = pop();
        if (list.kind == Kind::FieldList || list.kind == Kind::SubsectionList)
            return add_bytes(list.bytes); // to the device or subsection around it
        return true;
    }

    bool end_object() {
        Frame frame = pop();
        switch (frame.kind) {
        case Kind::Field: {
            const auto bytes = checked_mul(frame.size, frame.array_len);
            return bytes ? add_bytes(*bytes) : refuse("has a field of impossible length");
        }
        case Kind::Subsection: {
            // Mark, length of its name, name, version; then what it holds.
            const auto bytes = checked_add(1 + 1 + frame.vmsd_name.size() + 4, frame.bytes);
            return bytes ? add_bytes(*bytes) : refuse("has a subsection of impossible length");
        }
        case Kind::Device:
            return add_device(frame);
        case Kind::Root:
        case Kind::DeviceList:
        case Kind::FieldList:
        case Kind::SubsectionList:
        case Kind::Other:
            return true;
        }
        return true;
    }

    bool parse_error(std::size_t position, const std::string& /*token*/,
                     const nlohmann::detail::exception& /*error*/) {
        return refuse("is not JSON (byte " + std::to_string(position) + ")");
    }

private:
    bool refuse(std::string why) {
        if (fault.empty())
            fault = std::move(why);
        return false;
    }
    // A value that is not a natural number: a fault where we need one.
    bool number_fault() {
        if (frames_.empty())
            return refuse("is not an object");
        if (wanted_number() == nullptr)
            return true;
        return refuse("has a \"" + frames_.back().key + "\" that is not a natural number");
    }
    // Where a number at this place belongs, if it means anything to us.
    std::uint64_t* wanted_number() {
        Frame& frame = frames_.back();
        if (frame.kind == Kind::Field && frame.key == "size")
            return &frame.size;
        if (frame.kind == Kind::Field && frame.key == "array_len")
            return &frame.array_len;
        if (frame.kind == Kind::Device && frame.key == "instance_id")
            return &frame.instance_id;
        if (frame.kind == Kind::Device && frame.key == "version")
            return &frame.version;
        if (frame.kind == Kind::Root && frame.key == "page_size")
            return &result.page_size.emplace();
        return nullptr;
    }
    bool push(Kind kind) {
        if (frames_.size() >= kMaxDepth)
            return refuse("nests too deeply");
        frames_.emplace_back().kind = kind;
        return true;
    }
    Frame pop() {
        Frame frame = std::move(frames_.back());
        frames_.pop_back();
        return frame;
    }
    bool add_bytes(std::uint64_t bytes) {
        const auto sum = checked_add(frames_.back().bytes, bytes);
        if (!sum)
            return refuse("has a device of impossible length");
        frames_.back().bytes = *sum;
        return true;
    }
    bool add_device(Frame& frame) {
        constexpr std::uint64_t kMax = std::numeric_limits<std::uint32_t>::max();
        std::optional<std::uint32_t> version;
        if (frame.version <= kMax)
            version = static_cast<std::uint32_t>(frame.version);
        if (frame.name.empty() || frame.instance_id > kMax ||
            (!version && frame.version != kNoVersion))
            return refuse("has a device without a usable name, instance or version");
        result.devices.push_back({std::move(frame.name),
                                  static_cast<std::uint32_t>(frame.instance_id), version,
                                  frame.bytes});
        return true;
    }

    std::vector<Frame> frames_;
};

} // namespace

Result<Vmdescription> parse_vmdescription(std::string_view text) {
    // The parser takes one for the end of the text, and would not look at what follows.
    if (const auto zero = text.find('\0'); zero != std::string_view::npos)
        return Error{Errc::BadFormat,
                     "vmdescription is not JSON (byte " + std::to_string(zero) + " is zero)",
                     EINVAL};
    Reader reader;
    if (!Json::sax_parse(text.begin(), text.end(), &reader)) {
        const std::string why = reader.fault.empty() ? "is not JSON" : reader.fault;
        return Error{Errc::BadFormat, "vmdescription " + why, EINVAL};
    }
    return std::move(reader.result);
}

} // namespace mfd
