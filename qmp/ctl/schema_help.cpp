#include "qmp/ctl/schema_help.hpp"

#include "qmp/ctl/reply_fields.hpp"
#include "qmp/ctl/request_text.hpp"

#include <algorithm>

namespace mfd::ctl {

using qmp::Json;

namespace {

std::vector<std::string> starting_with(std::vector<std::string> all, std::string_view prefix) {
    std::erase_if(all, [&](const std::string& text) { return !text.starts_with(prefix); });
    std::sort(all.begin(), all.end());
    all.erase(std::unique(all.begin(), all.end()), all.end());
    return all;
}

// The text of the last string that is complete before `key` and a colon: {"execute": "NAME", ...
std::string string_after(std::string_view text, std::string_view key) {
    const auto at = text.find(key);
    if (at == std::string_view::npos)
        return {};
    const auto open = text.find('"', at + key.size());
    const auto close = open == std::string_view::npos ? open : text.find('"', open + 1);
    if (close == std::string_view::npos)
        return {};
    return std::string(text.substr(open + 1, close - open - 1));
}

} // namespace

SchemaHelp::SchemaHelp(const Json& schema) {
    for (const auto& entry : schema)
        if (auto name = text_in(entry, "name"); !name.empty())
            entities_[std::move(name)] = entry;
}

const Json* SchemaHelp::entity(const std::string& name) const {
    const auto found = entities_.find(name);
    return found != entities_.end() ? &found->second : nullptr;
}

std::vector<std::string> SchemaHelp::commands() const {
    std::vector<std::string> names;
    for (const auto& [name, entry] : entities_)
        if (text_in(entry, "meta-type") == "command")
            names.push_back(name);
    return names;
}

std::string SchemaHelp::argument_type(const std::string& command) const {
    const Json* found = entity(command);
    if (found == nullptr || text_in(*found, "meta-type") != "command")
        return {};
    return text_in(*found, "arg-type");
}

std::vector<SchemaHelp::Argument> SchemaHelp::members(const std::string& type) const {
    std::vector<Argument> list;
    const Json* object = entity(type);
    if (object == nullptr)
        return list;
    const auto add = [&list](const Json& from) {
        for (const auto& member : array_in(from, "members"))
            list.push_back({text_in(member, "name"), text_in(member, "type"),
                            member.is_object() && member.contains("default")});
    };
    if (text_in(*object, "meta-type") != "object")
        return list;
    add(*object);
    // Which variant is meant is not known before its tag is; all of them are offered.
    for (const auto& variant : array_in(*object, "variants"))
        if (const Json* fields = entity(text_in(variant, "type")))
            add(*fields);
    return list;
}

std::vector<std::string> SchemaHelp::values(const std::string& type) const {
    if (type == "bool")
        return {"false", "true"};
    std::vector<std::string> list;
    const Json* found = entity(type);
    if (found == nullptr || text_in(*found, "meta-type") != "enum")
        return list;
    for (const auto& value : array_in(*found, "values"))
        if (value.is_string())
            list.push_back(value.get<std::string>());
    return list;
}

std::vector<SchemaHelp::Argument> SchemaHelp::arguments(const std::string& command) const {
    return members(argument_type(command));
}

std::string SchemaHelp::kind(const std::string& type) const {
    const Json* found = entity(type);
    if (found == nullptr)
        return {};
    auto meta = text_in(*found, "meta-type");
    return meta == "builtin" ? type : meta;
}

std::string SchemaHelp::type_text(const std::string& type) const {
    const Json* found = entity(type);
    if (found == nullptr)
        return type;
    const auto kind = text_in(*found, "meta-type");
    if (kind == "array")
        return "array of " + type_text(text_in(*found, "element-type"));
    if (kind != "enum")
        return kind == "builtin" ? type : kind;
    std::string text;
    for (const auto& value : values(type))
        text += (text.empty() ? "" : "|") + value;
    return text;
}

std::string SchemaHelp::describe(const std::string& command) const {
    const auto type = argument_type(command);
    if (type.empty())
        return {};
    std::string text;
    for (const auto& argument : members(type))
        text += "  " + argument.name + "=" + type_text(argument.type) +
                (argument.optional ? "  (optional)" : "") + "\n";
    return text.empty() ? "  no arguments\n" : text;
}

std::vector<std::string> SchemaHelp::complete_argument(const std::string& command,
                                                       std::string_view word) const {
    std::string type = argument_type(command);
    std::string path; // what of the word is settled: "addr.transport="
    const auto equals = word.find('=');
    std::string_view key = word.substr(0, equals);
    for (auto dot = key.find('.'); dot != std::string_view::npos; dot = key.find('.')) {
        const auto list = members(type);
        const auto found = std::find_if(list.begin(), list.end(), [&](const Argument& argument) {
            return argument.name == key.substr(0, dot);
        });
        if (found == list.end())
            return {};
        type = found->type;
        path += found->name + ".";
        key.remove_prefix(dot + 1);
    }
    std::vector<std::string> list;
    for (const auto& argument : members(type)) {
        if (equals == std::string_view::npos) {
            list.push_back(path + argument.name + (members(argument.type).empty() ? "=" : "."));
            continue;
        }
        if (argument.name != key)
            continue;
        const std::string prefix = path + argument.name + "=";
        for (const auto& value : values(argument.type)) {
            list.push_back(prefix);
            list.back() += value;
        }
    }
    return list;
}

std::vector<std::string> SchemaHelp::complete_json(std::string_view before) const {
    // The word stands in quotes; what stands before these tells what it is.
    auto head = before.substr(0, before.find_last_not_of('"') + 1);
    head = head.substr(0, head.find_last_not_of(" \t") + 1);
    if (head.ends_with(':')) {
        head.remove_suffix(1);
        head = head.substr(0, head.find_last_not_of(" \t") + 1);
        if (head.ends_with("\"execute\""))
            return commands();
        return {};
    }
    std::vector<std::string> list;
    if (std::count(head.begin(), head.end(), '{') < 2)
        return {"execute", "arguments", "id"};
    for (const auto& argument : members(argument_type(string_after(head, "\"execute\""))))
        list.push_back(argument.name);
    return list;
}

std::vector<std::string> SchemaHelp::complete(std::string_view before,
                                              std::string_view word) const {
    const auto first = before.find_first_not_of(" \t");
    if (first != std::string_view::npos && before[first] == '{')
        return starting_with(complete_json(before), word);
    const auto words = split_words(before);
    if (words.empty()) {
        auto list = commands();
        list.insert(list.end(), {"help", "exit", ".fd"});
        return starting_with(std::move(list), word);
    }
    if (words[0] == "help")
        return words.size() == 1 ? starting_with(commands(), word) : std::vector<std::string>();
    return starting_with(complete_argument(words[0], word), word);
}

} // namespace mfd::ctl
