#include "app/waivers.hpp"

#include "base/text.hpp"

#include <fmt/format.h>

#include <fstream>
#include <sstream>
#include <vector>

namespace postferry::app {

namespace {

std::vector<std::string_view> columns_of(std::string_view line) {
    std::vector<std::string_view> out;
    while (true) {
        const std::size_t tab = line.find('\t');
        out.push_back(line.substr(0, tab));
        if (tab == std::string_view::npos) return out;
        line.remove_prefix(tab + 1);
    }
}

} // namespace

result<waivers> waivers::parse(std::string_view text, std::string_view name, bool several) {
    waivers out;
    for (std::uint64_t number = 1; !text.empty(); ++number) {
        const std::size_t end = text.find('\n');
        std::string_view line = text.substr(0, end);
        text.remove_prefix(end == std::string_view::npos ? text.size() : end + 1);
        if (line.ends_with('\r')) line.remove_suffix(1);
        if (line.empty() || line.starts_with('#')) continue;
        const auto wrong = [&](std::string_view what) {
            return fail(retry_class::config, phase::usage, fmt::format("{} line {}: {}", name, number, what),
                        "A line is FOLDER, a tab and the UID; for several mailboxes the report's \"source\" and a tab "
                        "stand before it");
        };
        const auto columns = columns_of(line);
        if (columns.size() < 2 || columns.size() > 3) return wrong("it has not two or three columns");
        if (several && columns.size() == 2) return wrong("it names no mailbox, and there are several");
        const auto uid = parse_u32(columns.back());
        if (!uid || *uid == 0) return wrong("the last column is no UID");
        const std::string mailbox(columns.size() == 3 ? columns.front() : "");
        auto& messages = out.by_mailbox_[mailbox];
        if (!messages) messages = std::make_shared<waived_messages>();
        messages->emplace(columns[columns.size() - 2], *uid);
    }
    return out;
}

result<waivers> waivers::read(const std::filesystem::path& file, bool several) {
    std::ifstream in(file, std::ios::binary);
    std::string text(max_octets + 1, '\0');
    in.read(text.data(), static_cast<std::streamsize>(text.size()));
    if (!in.is_open() || in.bad())
        return fail(retry_class::config, phase::usage, fmt::format("{} cannot be read", file.string()));
    text.resize(static_cast<std::size_t>(in.gcount()));
    if (text.size() > max_octets)
        return fail(retry_class::config, phase::usage, fmt::format("{} is larger than 16 MiB", file.string()));
    return parse(text, file.string(), several);
}

waivers waivers::of_one(waived_messages messages) {
    waivers out;
    if (!messages.empty()) out.by_mailbox_[""] = std::make_shared<waived_messages>(std::move(messages));
    return out;
}

std::shared_ptr<const waived_messages> waivers::of(const std::string& mailbox) const {
    const auto own = by_mailbox_.find(mailbox);
    const auto only = by_mailbox_.find("");
    if (own == by_mailbox_.end()) return only == by_mailbox_.end() ? nullptr : only->second;
    if (only == by_mailbox_.end()) return own->second;
    auto both = std::make_shared<waived_messages>(*own->second);
    both->insert(only->second->begin(), only->second->end());
    return both;
}

} // namespace postferry::app
