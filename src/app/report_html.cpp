#include "app/report_html.hpp"

#include "app/words.hpp"
#include "base/text.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>

namespace postferry::app {

namespace json = boost::json;
using transfer::balance;

namespace {

constexpr std::size_t most_failures = 500; ///< shown of one mailbox

std::string html_in(const json::object& from, std::string_view name) { return html_text(text_in(from, name)); }

double real_in(const json::object& from, std::string_view name) {
    const json::value* value = from.if_contains(name);
    return value != nullptr && value->is_number() ? value->to_number<double>() : 0;
}

/// Only words that we know become part of a class name.
std::string_view known_grade(std::string_view name) {
    for (const std::string_view grade : {"perfect", "good", "investigate"})
        if (name == grade) return grade;
    return "poor";
}

std::string grade_pill(std::string_view name) {
    return fmt::format(R"(<span class="grade {0}">{0}</span>)", known_grade(name));
}

struct part {
    std::string_view css, name;
    std::uint64_t messages = 0;
};

std::array<part, 5> parts_of(const balance& b) {
    const std::int64_t open = b.residual();
    return {{{"copied", "copied", b.copied},
             {"present", "present already", b.present},
             {"skipped", "skipped by rule", b.skipped},
             {"failed", "failed", b.failed},
             {"open", "unaccounted for", open > 0 ? static_cast<std::uint64_t>(open) : 0}}};
}

std::string equation(const balance& messages, const balance& octets) {
    const auto item = [](std::string_view css, std::string_view name, std::uint64_t n, std::string_view size) {
        return fmt::format(R"(<li class="c-{}{}"><b>{}</b><span>{}{}{}</span></li>)", css, n == 0 ? " none" : "",
                           grouped(n), name, size.empty() ? "" : " · ", size);
    };
    const std::array<std::uint64_t, 5> sizes{octets.copied, octets.present, octets.skipped, octets.failed, 0};
    std::string out = R"(<ul class="equation">)";
    out += item("source", "on the source", messages.source, octets.source > 0 ? format_size(octets.source) : "");
    const auto parts = parts_of(messages);
    for (std::size_t i = 0; i < parts.size(); ++i) {
        if (i == 4 && parts[i].messages == 0) continue;
        out += item(parts[i].css, (i == 0 ? "= " : "+ ") + std::string(parts[i].name), parts[i].messages,
                    sizes[i] > 0 ? format_size(sizes[i]) : "");
    }
    return out + "</ul>\n";
}

/// "2024-02-29 12:00:00 UTC"; what is no RFC 3339 in UTC is shown as it is.
std::string time_text(std::string_view rfc3339) {
    if (rfc3339.size() != 20 || rfc3339[10] != 'T' || rfc3339[19] != 'Z') return html_text(rfc3339);
    return html_text(fmt::format("{} {} UTC", rfc3339.substr(0, 10), rfc3339.substr(11, 8)));
}

std::string closing_words(const balance& b) {
    const std::int64_t open = b.residual();
    if (open == 0) return R"(<p class="closing">The balance closes: every message is in exactly one of these.</p>)";
    return fmt::format(R"(<p class="closing bad">The balance does not close: {} messages are unaccounted for.</p>)",
                       open);
}

std::string figure(const balance& messages, const balance& octets) {
    return "<figure>" + balance_picture(messages, "large") + equation(messages, octets) + closing_words(messages) +
           "</figure>\n";
}

std::string percent(double share) {
    if (share >= 0.9995) return "100 %";
    return share < 0.1 ? fmt::format("{:.2g} %", share * 100) : fmt::format("{:.1f} %", share * 100);
}

std::string proof_sentence(const json::object& v) {
    const std::uint64_t differ = number_in(v, "missing") + number_in(v, "different");
    std::string out;
    const std::uint64_t compared = number_in(v, "compared");
    if (v.contains("seed")) {
        const std::uint64_t odd = number_in(v, "different") + number_in(v, "altered_by_server");
        out = fmt::format("<b>{} of the messages drawn by lot and compared octet for octet ({})</b>, {}. With 95 % "
                          "confidence no more than {} of all messages differ. Every message was counted. Seed {}.",
                          percent(real_in(v, "sampled")), grouped(compared),
                          odd == 0 ? "without a difference" : fmt::format("{} of them differ", grouped(odd)),
                          percent(real_in(v, "at_most")), number_in(v, "seed"));
    } else {
        out = fmt::format("<b>Every message was read from both servers and compared octet for octet:</b> {} identical",
                          grouped(number_in(v, "identical")));
        out += differ == 0 ? ", none missing, none different." : ".";
    }
    constexpr std::array<std::pair<std::string_view, std::string_view>, 7> named{
        {{"missing", "missing"},
         {"different", "different"},
         {"altered_by_server", "altered by the server in a known way"},
         {"altered_by_repair", "repaired by Postferry so that the target took them"},
         {"changed_since", "deleted or received on the target since the copy"},
         {"kept", "kept on the target though they vanished from the source"},
         {"extra", "on the target only"}}};
    std::string rest;
    for (const auto& [name, words] : named)
        if (const std::uint64_t n = number_in(v, name); n > 0)
            rest += fmt::format("{}{} {}", rest.empty() ? "" : ", ", grouped(n), words);
    if (!rest.empty()) out += fmt::format("<br>Besides: {}.", rest);
    return out;
}

std::string fact(std::string_view name, std::string_view value) {
    return fmt::format("<div><dt>{}</dt><dd>{}</dd></div>", name, value);
}

std::string counts_list(const json::object& counts) {
    std::string out;
    for (const auto& [name, n] : counts)
        out += fmt::format("{}{}: {}", out.empty() ? "" : "<br>", html_text(std::string_view(name)),
                           grouped(number_in(counts, name)));
    return out;
}

std::string facts_of(const json::object& m) {
    std::string out = R"(<dl class="facts">)";
    out += fact("Pass", html_in(m, "pass")) + fact("State", html_in(m, "state")) +
           fact("Took", duration_text(real_in(m, "seconds")));
    const auto number = [&](std::string_view member, std::string_view name) {
        if (const std::uint64_t n = number_in(m, member); n > 0) out += fact(name, grouped(n));
    };
    number("flags_updated", "Flags brought up to date");
    number("vanished", "Vanished from the source");
    number("deleted", "Deleted from the target");
    if (const auto& rules = object_in(m, "skip_rules"); !rules.empty()) out += fact("Skipped by", counts_list(rules));
    if (const auto& repairs = object_in(m, "repairs"); !repairs.empty()) out += fact("Repaired", counts_list(repairs));
    std::string keywords;
    for (const json::value& k : array_in(m, "keywords_dropped"))
        if (k.is_string())
            keywords += fmt::format("{}<bdi>{}</bdi>", keywords.empty() ? "" : ", ", html_text(k.get_string()));
    if (!keywords.empty()) out += fact("Keywords not kept", keywords);
    return out + "</dl>\n";
}

std::string folders_table(const json::array& folders) {
    std::string out = R"(<h3>Folders</h3><div class="scroll"><table><thead><tr><th>Source</th><th>Target</th>)"
                      R"(<th>Balance</th><th class="n">Messages</th><th class="n">Size</th><th class="n">Failed</th>)"
                      "<th>State</th></tr></thead><tbody>\n";
    for (const json::value& value : folders) {
        if (!value.is_object()) continue;
        const json::object& f = value.get_object();
        const balance messages = balance_of(object_in(f, "messages"));
        const bool bad = text_in(f, "state") == "failed";
        // Folders that only hold others say nothing.
        if (messages.source == 0 && text_in(f, "state") == "skipped" && !f.contains("deleted")) continue;
        out += fmt::format(R"(<tr><td><bdi>{}</bdi></td><td><bdi>{}</bdi></td><td class="bar">{}</td>)"
                           R"(<td class="n">{}</td><td class="n">{}</td><td class="n{}">{}</td><td{}>{}</td></tr>)"
                           "\n",
                           html_in(f, "source"), html_in(f, "target"), balance_picture(messages, "small"),
                           grouped(messages.source), format_size(balance_of(object_in(f, "bytes")).source),
                           messages.failed > 0 ? " bad" : "", grouped(messages.failed), bad ? R"( class="bad")" : "",
                           html_in(f, "state"));
    }
    return out + "</tbody></table></div>\n";
}

std::string failures_table(const json::array& failures) {
    std::string out =
        R"(<h3>Messages that did not arrive</h3><div class="scroll"><table><thead><tr><th>Folder</th>)"
        R"(<th class="n">UID</th><th class="n">Size</th><th>Message-ID</th><th>Cause, and what to do</th>)"
        "</tr></thead><tbody>\n";
    std::size_t shown = 0;
    for (const json::value& value : failures) {
        if (!value.is_object() || shown == most_failures) continue;
        ++shown;
        const json::object& f = value.get_object();
        const std::string_view id = text_in(f, "message_id");
        out += fmt::format(R"(<tr><td><bdi>{}</bdi></td><td class="n">{}</td><td class="n">{}</td>)"
                           R"(<td class="mono"><bdi>{}</bdi></td><td><bdi>{}</bdi>)",
                           html_in(f, "folder"), number_in(f, "source_uid"), format_size(number_in(f, "bytes")),
                           html_text(id), html_in(f, "reason"));
        if (is_waived(f))
            out += R"(<div class="waived">accepted by the administrator</div>)";
        else if (!text_in(f, "advice").empty())
            out += fmt::format(R"(<div class="advice">{}</div>)", html_in(f, "advice"));
        out += "</td></tr>\n";
    }
    out += "</tbody></table></div>\n";
    if (failures.size() > shown)
        out += fmt::format(R"(<p class="soft">and {} more; the JSON report has them all.</p>)",
                           grouped(failures.size() - shown));
    return out;
}

std::string list_of(std::string_view heading, const json::array& texts) {
    if (texts.empty()) return {};
    std::string out = fmt::format(R"(<h3>{}</h3><ul class="plain">)", heading);
    for (const json::value& text : texts)
        if (text.is_string()) out += fmt::format("<li><bdi>{}</bdi></li>", html_text(text.get_string()));
    return out + "</ul>\n";
}

using grade_counts = std::map<std::string_view, std::uint64_t>;

std::string overview_row(const json::object& m, std::uint64_t number) {
    const balance messages = balance_of(object_in(m, "messages"));
    return fmt::format(
        R"(<tr><td><a href="#m{}"><bdi>{}</bdi></a><div class="soft"><bdi>{}</bdi></div></td><td>{}</td>)"
        R"(<td>{}</td><td class="bar">{}</td><td class="n">{}</td><td class="n">{}</td>)"
        R"(<td class="n{}">{}</td></tr>)"
        "\n",
        number, html_in(m, "source"), html_in(m, "target"), grade_pill(text_in(m, "grade")), html_in(m, "state"),
        balance_picture(messages, "small"), grouped(messages.source),
        format_size(balance_of(object_in(m, "bytes")).source), messages.failed > 0 ? " bad" : "",
        grouped(messages.failed));
}

std::string head_of(const report_frame& frame, const report_sums& sums, const grade_counts& grades,
                    std::uint64_t stopped) {
    std::string pills;
    for (const std::string_view grade : {"perfect", "good", "investigate", "poor"})
        if (const auto n = grades.find(grade); n != grades.end())
            pills += fmt::format(R"(<span class="grade {0}">{1} {0}</span>)", grade, grouped(n->second));
    const bool well = !grades.contains("poor") && !grades.contains("investigate") && stopped == 0;
    std::string title =
        sums.mailboxes == 0 ? "No mailbox"
        : well && sums.messages.residual() == 0
            ? (sums.messages.failed > 0 ? "Done, with accepted exceptions" : "Everything is accounted for")
            : "Something needs a look";
    return fmt::format("<!doctype html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n"
                       "<meta name=\"viewport\" content=\"width=device-width,initial-scale=1\">\n"
                       "<meta name=\"generator\" content=\"postferry {}\">\n"
                       "<meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; style-src "
                       "'unsafe-inline'\">\n<title>Postferry report: {}</title>\n<style>{}</style>\n</head>\n<body>\n"
                       "<main>\n<header class=\"top\"><div><p class=\"brand\">Postferry report</p><h1>{}</h1>\n"
                       "<p class=\"soft\">{} · {} to {}</p></div>\n<div class=\"grades\">{}</div></header>\n",
                       POSTFERRY_VERSION, time_text(frame.ended), report_style(), title,
                       counted(sums.mailboxes, "mailbox", "mailboxes"), time_text(frame.started),
                       time_text(frame.ended), pills);
}

std::string_view explanation() {
    return R"(<section class="card"><h2>How to read this</h2>
<p>Every message of the source is in exactly one of four: <b>copied</b> by Postferry and acknowledged by the target;
<b>present already</b>, found on the target by its content; <b>skipped</b> by a rule that was given; <b>failed</b>, refused
by a server, and named with its words. What is left over is unaccounted for, and the mailbox is not done. A part of a bar
that would be too thin to see is drawn a little wider.</p>
<h3>Grades</h3><table><tbody>
<tr><td><span class="grade perfect">perfect</span></td><td>The balance closes; nothing failed, nothing was altered or
dropped.</td></tr>
<tr><td><span class="grade good">good</span></td><td>The balance closes; only named, harmless differences: keywords the
target does not keep, dates it stores differently, rules, accepted failures, other mail on the target.</td></tr>
<tr><td><span class="grade investigate">investigate</span></td><td>The balance closes; messages failed, are missing or
different: at most 10, and at most one in 1,000. Or something was altered, by a server or by a repair.</td></tr>
<tr><td><span class="grade poor">poor</span></td><td>Everything else: something unaccounted for, a folder that could not be
read, a mailbox that was stopped before its end.</td></tr></tbody></table></section>
)";
}

} // namespace

std::string html_text(std::string_view text) {
    std::string out;
    out.reserve(text.size() + text.size() / 8);
    for (const char c : text) {
        switch (c) {
        case '&': out += "&amp;"; break;
        case '<': out += "&lt;"; break;
        case '>': out += "&gt;"; break;
        case '"': out += "&quot;"; break;
        case '\'': out += "&#39;"; break;
        default:
            if ((static_cast<unsigned char>(c) < 0x20 && c != '\n' && c != '\t') || c == 0x7f)
                out += "\uFFFD";
            else
                out += c;
        }
    }
    return out;
}

std::string balance_picture(const balance& messages, std::string_view css_class) {
    constexpr double width = 1000, thinnest = 6;
    const bool with_source = css_class == "large";
    const auto parts = parts_of(messages);
    double all = 0;
    for (const part& p : parts) all += static_cast<double>(p.messages);
    std::string words = fmt::format("{} messages on the source:", grouped(messages.source));
    double drawn = 0;
    std::array<double, 5> widths{};
    for (std::size_t i = 0; i < parts.size(); ++i) {
        if (parts[i].messages == 0) continue;
        words += fmt::format(" {} {};", grouped(parts[i].messages), parts[i].name);
        widths[i] = std::max(thinnest, width * static_cast<double>(parts[i].messages) / all);
        drawn += widths[i];
    }
    const auto bar = [](std::string_view css, double x, double y, double w) {
        return fmt::format(R"(<rect class="f-{}" x="{:.1f}" y="{}" width="{:.1f}" height="10"/>)", css, x, y, w);
    };
    std::string out = fmt::format(R"(<svg class="balance {}" viewBox="0 0 1000 {}" preserveAspectRatio="none" )"
                                  R"(role="img"><title>{}</title>)",
                                  css_class, with_source ? 16 : 10, words);
    // The source above, what became of it below: as long as each other, or the balance does not close.
    if (with_source && messages.source > 0)
        out += fmt::format(R"(<rect class="f-source" x="0" y="0" width="{:.1f}" height="4"/>)",
                           width * std::min(1.0, static_cast<double>(messages.source) / std::max(all, 1.0)));
    double x = 0;
    for (std::size_t i = 0; i < parts.size(); ++i) {
        if (widths[i] == 0) continue;
        const double w = widths[i] * width / drawn;
        out += bar(parts[i].css, x, with_source ? 6 : 0, w);
        x += w;
    }
    return out + "</svg>";
}

std::string html_of(const json::object& m, std::uint64_t number) {
    const balance messages = balance_of(object_in(m, "messages")), octets = balance_of(object_in(m, "bytes"));
    std::string out = fmt::format(R"(<section class="card" id="m{}"><div class="head"><h2><bdi>{}</bdi>)"
                                  R"(<span class="arrow"> → </span><bdi>{}</bdi></h2>{}</div>)"
                                  "\n",
                                  number, html_in(m, "source"), html_in(m, "target"), grade_pill(text_in(m, "grade")));
    out += figure(messages, octets);
    if (const json::object& stopped = object_in(m, "stopped_by"); !stopped.empty())
        out += fmt::format(R"(<div class="notice poor"><b>It stopped before its end:</b> <bdi>{}</bdi>)"
                           R"(<div class="advice">{}</div></div>)"
                           "\n",
                           html_in(stopped, "reason"), html_in(stopped, "advice"));
    if (const json::object& v = object_in(m, "verify"); !v.empty())
        out += fmt::format("<div class=\"notice {}\">{}</div>\n", known_grade(text_in(m, "grade")), proof_sentence(v));
    out += facts_of(m);
    if (const json::array& failures = array_in(m, "failures"); !failures.empty()) out += failures_table(failures);
    out += list_of("Not deleted", array_in(m, "not_deleted"));
    out += list_of("Differences that were named", array_in(m, "warnings"));
    if (const json::array& folders = array_in(m, "folders"); !folders.empty()) out += folders_table(folders);
    return out + "</section>\n";
}

/// Numbers of the overview.
struct html_page::overview {
    report_sums sums;
    grade_counts grades;
    std::uint64_t stopped = 0;
    std::string rows;
};

html_page::html_page() : all_(std::make_unique<overview>()) {}
html_page::~html_page() = default;

result<void> html_page::look(std::string_view json) {
    const auto mailbox = all_->sums.add(json);
    if (!mailbox) return std::unexpected(mailbox.error());
    ++all_->grades[known_grade(text_in(*mailbox, "grade"))];
    all_->stopped += mailbox->contains("stopped_by") ? 1U : 0U;
    all_->rows += overview_row(*mailbox, all_->sums.mailboxes);
    return {};
}

std::string html_page::begin(const report_frame& frame) {
    const report_sums& sums = all_->sums;
    std::string out = head_of(frame, sums, all_->grades, all_->stopped);
    if (sums.mailboxes > 1)
        out +=
            "<section class=\"card\"><h2>All mailboxes together</h2>" + figure(sums.messages, sums.octets) +
            "</section>\n<section class=\"card\"><h2>Mailboxes</h2><div class=\"scroll\"><table class=\"list\"><thead>"
            "<tr><th>Source and target</th><th>Grade</th><th>State</th><th>Balance</th><th class=\"n\">Messages</th>"
            "<th class=\"n\">Size</th><th class=\"n\">Failed</th></tr></thead><tbody>\n" +
            all_->rows + "</tbody></table></div></section>\n";
    all_->rows = {};
    return out;
}

result<std::string> html_page::mailbox(std::string_view json) {
    const auto mailbox = again_.add(json);
    if (!mailbox) return std::unexpected(mailbox.error());
    return html_of(*mailbox, again_.mailboxes);
}

std::string html_page::end() const {
    return std::string(explanation()) +
           fmt::format("<footer>Made by postferry {}. Times are UTC.</footer>\n</main>\n</body>\n</html>\n",
                       POSTFERRY_VERSION);
}

result<void> write_html_report(atomic_file& file, const report_frame& frame, const mailbox_walk& walk) {
    html_page page;
    auto ok = walk([&](std::string_view text) { return page.look(text); });
    if (ok) ok = file.write(page.begin(frame));
    if (!ok) return ok;
    ok = walk([&](std::string_view text) -> result<void> {
        const auto mailbox = page.mailbox(text);
        if (!mailbox) return std::unexpected(mailbox.error());
        return file.write(*mailbox);
    });
    return ok ? file.write(page.end()) : ok;
}

} // namespace postferry::app
