// Declaring what commands take and return and what events carry. A declaration is made once, and
// from it come argument checking (schema_check.hpp), query-qmp-schema (introspection.hpp) and the
// reference page (reference.hpp). Types are immutable after they are made and may be read from any
// thread.
//
//   using namespace mfd::qmp;
//   const schema::TypeRef info = schema::object("AddfdInfo", {
//       schema::required("fdset-id", schema::int64(), "the set the descriptor is now in"),
//       schema::required("fd", schema::int64(), "its number in the daemon"),
//   });
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

namespace mfd::qmp::schema {

enum class Kind : std::uint8_t {
    String,
    Int64,
    Uint8,
    Uint16,
    Uint32,
    Uint64, // negative values are taken modulo 2^64, as QEMU does
    Size,   // an Uint64 that counts bytes
    Number, // integer or floating point
    Bool,
    Null,
    Any,
    Enum,
    Object,
    Array,
    Alternate, // one of several types, told apart by the JSON type
};

struct Type;
// A type is shared by all that mention it; two mentions of one TypeRef are one entity of the
// schema.
using TypeRef = std::shared_ptr<const Type>;

// "deprecated" or "unstable", as QEMU's schema names them.
using Features = std::vector<std::string>;

enum class Presence : std::uint8_t { Required, Optional };

struct Member {
    std::string name;
    TypeRef type;
    Presence presence = Presence::Required;
    std::string doc = {};
    Features features = {};
};

struct EnumValue {
    // NOLINTNEXTLINE(google-explicit-constructor): lists of names shall read as lists of names.
    EnumValue(const char* value_name, std::string value_doc = {})
        : name(value_name), doc(std::move(value_doc)) {}
    std::string name;
    std::string doc;
};

// The further members an object has when its tag has the value `name`. They stand beside the
// object's own members, not in an object of their own, and may have variants again.
struct Case {
    std::string name;
    TypeRef object;
};

struct Variants {
    std::string tag; // a required member of the object, of an Enum type
    std::vector<Case> cases;
};

// Only the fields that the kind needs are filled. `name` is for documents and texts; on the wire
// objects, enumerations and alternates other than builtins get opaque names.
struct Type {
    Kind kind = Kind::Any;
    std::string name = {};
    std::string doc = {};
    std::vector<EnumValue> values = {}; // Enum
    std::vector<Member> members = {};   // Object; arguments are checked in this order
    Variants variants = {};             // Object; no tag: no variants
    TypeRef element = {};               // Array
    std::vector<TypeRef> choices = {};  // Alternate
};

TypeRef str();
TypeRef int64();
TypeRef uint8();
TypeRef uint16();
TypeRef uint32();
TypeRef uint64();
TypeRef size();
TypeRef number();
TypeRef boolean();
TypeRef null();
TypeRef any();
TypeRef str_or_null();
// The object without members: no arguments, no result.
TypeRef empty();

TypeRef enumeration(std::string name, std::vector<EnumValue> values, std::string doc = {});
TypeRef object(std::string name, std::vector<Member> members, std::string doc = {});
TypeRef object(std::string name, std::vector<Member> members, Variants variants,
               std::string doc = {});
TypeRef array(const TypeRef& element);
TypeRef alternate(std::string name, std::vector<TypeRef> choices, std::string doc = {});

Member required(std::string name, TypeRef type, std::string doc = {}, Features features = {});
Member optional(std::string name, TypeRef type, std::string doc = {}, Features features = {});

// The members of `base` followed by `more`: how one object extends another.
std::vector<Member> extend(const TypeRef& base, std::vector<Member> more);

// Nullptr if the enumeration has no such value, the object no such member or case.
const EnumValue* find_value(const Type& enumeration, std::string_view name);
const Member* find_member(const Type& object, std::string_view name);
const Type* find_case(const Type& object, std::string_view tag_value);

} // namespace mfd::qmp::schema
