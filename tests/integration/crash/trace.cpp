#include "trace.hpp"

#include <fstream>
#include <map>
#include <optional>
#include <sstream>
#include <utility>

namespace mfd::crash {

namespace {

Error damaged(const std::string& path, const std::string& line) {
    return Error{Errc::BadFormat, "trace '" + path + "': '" + line + "'"};
}

std::string folder_of(const std::string& path) {
    const std::string folder = path.substr(0, path.rfind('/'));
    return folder.empty() ? "/" : folder;
}

// Files by the names they have at the moment.
class Names {
public:
    // A number for the file: a new one if no file is called so yet.
    int file(const std::string& name) {
        const auto [at, added] = files_.try_emplace(name, next_);
        next_ += added ? 1 : 0;
        return at->second;
    }
    void create(const std::string& name) { files_[name] = next_++; }
    void remove(const std::string& name) { files_.erase(name); }
    void rename(const std::string& from, const std::string& to) {
        const int moved = file(from);
        files_.erase(from);
        files_[to] = moved;
    }

private:
    std::map<std::string, int> files_;
    int next_ = 0;
};

std::optional<OpKind> data_op(const std::string& word) {
    static const std::map<std::string, OpKind> kinds = {{"write", OpKind::Write},
                                                        {"truncate", OpKind::Truncate},
                                                        {"punch", OpKind::Punch},
                                                        {"allocate", OpKind::Allocate},
                                                        {"fsync", OpKind::Sync}};
    const auto kind = kinds.find(word);
    return kind == kinds.end() ? std::nullopt : std::optional(kind->second);
}

} // namespace

Result<std::vector<Op>> read_trace(const std::string& path, const std::string& target,
                                   bool existed) {
    std::ifstream in(path, std::ios::binary);
    Names names;
    if (existed)
        names.file(target);
    std::vector<std::pair<int, Op>> all; // with the file that each is about
    for (std::string line; std::getline(in, line);) {
        std::istringstream words(line);
        std::string word;
        std::string name;
        std::string renamed_to;
        Op op;
        words >> word >> name;
        if (word == "rename")
            words >> renamed_to;
        if (!(words >> op.offset >> op.length))
            return damaged(path, line);
        if (const auto kind = data_op(word)) {
            op.kind = *kind;
            if (op.kind == OpKind::Write) {
                op.data.resize(op.length);
                in.read(reinterpret_cast<char*>(op.data.data()),
                        static_cast<std::streamsize>(op.length));
            }
        } else if (word == "create" || word == "rename") {
            if (word == "create")
                names.create(name);
            else
                names.rename(name, renamed_to);
            name = word == "create" ? name : renamed_to;
            if (name != target)
                continue;
            op.kind = OpKind::Named;
        } else if (word == "fsyncdir") {
            if (name != folder_of(target))
                continue;
            op.kind = OpKind::NameSync;
            name = target; // of no weight before it has this name
        } else if (word == "unlink" && name != target) {
            names.remove(name);
            continue;
        } else {
            return damaged(path, line); // a save does not do that
        }
        if (!in)
            return damaged(path, line);
        all.emplace_back(names.file(name), std::move(op));
    }
    std::vector<Op> ops;
    for (auto& [file, op] : all)
        if (file == names.file(target))
            ops.push_back(std::move(op));
    if (ops.empty())
        return damaged(path, "nothing about " + target);
    return ops;
}

} // namespace mfd::crash
