#include "directory/exec_lists.hpp"

#include "base/text.hpp"

#include <fmt/format.h>

#include <algorithm>

namespace postferry::directory {

namespace {

std::vector<std::string_view> split(std::string_view text, char by) {
    std::vector<std::string_view> out;
    while (true) {
        const std::size_t end = std::min(text.find(by), text.size());
        out.push_back(text.substr(0, end));
        if (end == text.size()) return out;
        text.remove_prefix(end + 1);
    }
}

std::unexpected<error> odd_line(std::string_view line) {
    return fail(retry_class::protocol, phase::list,
                fmt::format("the list has a line that is none: \"{}\"", quote_server_text(line, 80)));
}

} // namespace

result<account_entry> parse_account_line(std::string_view line) {
    const auto fields = split(line, '\t');
    if (fields.size() > 4 || fields[0].empty() || !is_utf8(line)) return odd_line(line);
    account_entry out{.address = std::string(fields[0])};
    if (fields.size() > 1) out.name = fields[1];
    if (fields.size() > 2 && !fields[2].empty()) {
        out.quota = parse_u64(fields[2]);
        if (!out.quota) return odd_line(line);
    }
    if (fields.size() > 3 && !fields[3].empty()) {
        if (fields[3] != "0" && fields[3] != "1") return odd_line(line);
        out.active = fields[3] == "1";
    }
    return out;
}

result<alias_entry> parse_alias_line(std::string_view line) {
    const auto fields = split(line, '\t');
    if (fields.size() < 2 || fields.size() > 3 || fields[0].empty() || fields[1].empty() || !is_utf8(line))
        return odd_line(line);
    alias_entry out{.address = std::string(fields[0])};
    for (const std::string_view target : split(fields[1], ','))
        if (!target.empty()) out.targets.emplace_back(target);
    if (fields.size() == 3) out.active = fields[2] != "0";
    return out;
}

} // namespace postferry::directory
