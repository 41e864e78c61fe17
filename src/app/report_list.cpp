#include "app/report_list.hpp"

#include "app/report_json.hpp"
#include "app/words.hpp"
#include "base/text.hpp"

#include <fmt/format.h>

#include <algorithm>

namespace postferry::app {

using transfer::kept_report;

namespace {

constexpr std::size_t most_kept_failures = 1000;

bool contains(std::string_view text, std::string_view part) {
    return ascii_lower(text).find(ascii_lower(part)) != std::string::npos;
}

bool is_named(const std::string& key, std::string_view part) {
    return contains(key, part) || contains(readable_name(key), part);
}

} // namespace

std::vector<kept_report> chosen(std::vector<kept_report> all, const std::vector<std::string>& filters,
                                const std::string& pass) {
    std::vector<kept_report> out;
    for (kept_report& r : all) {
        const auto named = [&](const std::string& f) { return is_named(r.source_key, f) || is_named(r.target_key, f); };
        if (!filters.empty() && std::ranges::none_of(filters, named)) continue;
        if (!pass.empty() && r.pass != pass) continue;
        // They come by mailbox, then by time: the last one stays.
        if (!out.empty() && out.back().source_key == r.source_key && out.back().target_key == r.target_key)
            out.back() = std::move(r);
        else
            out.push_back(std::move(r));
    }
    return out;
}

result<std::string> text_of(const std::vector<kept_report>& reports) {
    std::string out;
    report_sums sums;
    std::int64_t all_to_do = 0; // of mailboxes that were stopped: not reached, but not lost
    const auto sheet = [](const transfer::balance& b, std::int64_t to_do) {
        const std::int64_t lost = b.residual() - to_do;
        return fmt::format("{} = {} copied + {} present + {} skipped + {} failed{}{}", grouped(b.source),
                           grouped(b.copied), grouped(b.present), grouped(b.skipped), grouped(b.failed),
                           to_do == 0 ? ""
                                      : fmt::format(" + {} still to do", grouped(static_cast<std::uint64_t>(to_do))),
                           lost == 0 ? "" : fmt::format(", {} NOT ACCOUNTED FOR", lost));
    };
    for (const kept_report& r : reports) {
        const auto m = sums.add(r.body);
        if (!m) return std::unexpected(m.error());
        const auto word = [&](std::string_view name) {
            const auto* value = m->if_contains(name);
            return value != nullptr && value->is_string() ? std::string(value->get_string()) : std::string("unknown");
        };
        const transfer::balance messages = balance_of(object_in(*m, "messages"));
        const std::int64_t to_do = m->contains("stopped_by") ? std::max<std::int64_t>(messages.residual(), 0) : 0;
        all_to_do += to_do;
        out += fmt::format("{} -> {}\n  {}, {}, pass {}, ended {}\n  {}\n", r.source_key, r.target_key, word("grade"),
                           word("state"), r.pass, r.ended, sheet(messages, to_do));
        if (const auto why = text_in(object_in(*m, "stopped_by"), "reason"); !why.empty())
            out += fmt::format("  stopped: {}\n", why);
        if (messages.failed > 0) out += "  each failure with its reason: --report FILE.json, .csv or .html\n";
    }
    if (sums.mailboxes != 1)
        out +=
            fmt::format("{}: {}\n", counted(sums.mailboxes, "mailbox", "mailboxes"), sheet(sums.messages, all_to_do));
    return out;
}

kept_report kept_report_of(const transfer::mailbox_report& report, std::string ended) {
    return {.source_key = report.source,
            .target_key = report.target,
            .pass = std::string(name_of(report.pass)),
            .ended = std::move(ended),
            .body = boost::json::serialize(json_of(report, most_kept_failures))};
}

} // namespace postferry::app
