#include "app/report_csv.hpp"

#include <fmt/format.h>

namespace postferry::app {

namespace json = boost::json;

namespace {

std::string joined(const json::array& texts) {
    std::string out;
    for (const json::value& text : texts)
        if (text.is_string()) out += (out.empty() ? "" : "; ") + std::string(text.get_string());
    return out;
}

std::string joined(const json::object& counts) {
    std::string out;
    for (const auto& [name, n] : counts)
        out += fmt::format("{}{}={}", out.empty() ? "" : "; ", std::string_view(name), number_in(counts, name));
    return out;
}

std::uint64_t waived_in(const json::array& failures) {
    std::uint64_t n = 0;
    for (const json::value& f : failures) {
        if (f.is_object() && is_waived(f.get_object())) ++n;
    }
    return n;
}

class row_writer {
  public:
    void text(std::string_view value) { cell(csv_cell(value)); }
    void number(const json::object& from, std::string_view name) { cell(fmt::format("{}", number_in(from, name))); }
    void balance(const json::object& counts) {
        for (const std::string_view name : {"source", "copied", "present", "skipped", "failed"}) number(counts, name);
    }
    void cell(std::string_view value) {
        if (!first_) row_ += ',';
        first_ = false;
        row_ += value;
    }
    [[nodiscard]] std::string take() { return std::move(row_) + "\r\n"; }

  private:
    bool first_ = true;
    std::string row_;
};

} // namespace

std::string_view csv_header() noexcept {
    return "source,target,state,pass,grade,"
           "messages_source,messages_copied,messages_present,messages_skipped,messages_failed,messages_residual,"
           "bytes_source,bytes_copied,bytes_present,bytes_skipped,bytes_failed,"
           "failures_waived,flags_updated,vanished,deleted,folders,"
           "verify_identical,verify_missing,verify_different,verify_extra,verify_altered_by_server,"
           "verify_altered_by_repair,verify_changed_since,verify_kept,verify_sampled,"
           "keywords_dropped,repairs,skip_rules,not_deleted,warnings,stopped_by,advice,seconds\r\n";
}

std::string csv_cell(std::string_view text) {
    std::string out;
    // What Excel and LibreOffice evaluate begins with one of these (OWASP, "CSV Injection").
    if (!text.empty() && std::string_view("=+-@\t\r\n|%").find(text.front()) != std::string_view::npos) out = "'";
    out += text;
    if (out.find_first_of(",\"\r\n;\t ") == std::string::npos) return out;
    std::string quoted = "\"";
    for (const char c : out) {
        if (c == '"') quoted += '"';
        quoted += c;
    }
    return quoted + "\"";
}

std::string csv_row(const json::object& mailbox) {
    row_writer row;
    for (const std::string_view name : {"source", "target", "state", "pass", "grade"}) row.text(text_in(mailbox, name));
    const json::object& messages = object_in(mailbox, "messages");
    row.balance(messages);
    row.cell(fmt::format("{}", balance_of(messages).residual()));
    row.balance(object_in(mailbox, "bytes"));
    row.cell(fmt::format("{}", waived_in(array_in(mailbox, "failures"))));
    for (const std::string_view name : {"flags_updated", "vanished", "deleted"}) row.number(mailbox, name);
    row.cell(fmt::format("{}", array_in(mailbox, "folders").size()));
    const json::object& verify = object_in(mailbox, "verify");
    for (const std::string_view name : {"identical", "missing", "different", "extra", "altered_by_server",
                                        "altered_by_repair", "changed_since", "kept"}) {
        if (verify.empty())
            row.cell("");
        else
            row.number(verify, name);
    }
    const json::value* sampled = verify.if_contains("sampled");
    row.cell(sampled != nullptr && sampled->is_number() ? fmt::format("{}", sampled->to_number<double>()) : "");
    row.text(joined(array_in(mailbox, "keywords_dropped")));
    row.text(joined(object_in(mailbox, "repairs")));
    row.text(joined(object_in(mailbox, "skip_rules")));
    row.text(joined(array_in(mailbox, "not_deleted")));
    row.text(joined(array_in(mailbox, "warnings")));
    const json::object& stopped = object_in(mailbox, "stopped_by");
    row.text(text_in(stopped, "reason"));
    row.text(text_in(stopped, "advice"));
    const json::value* seconds = mailbox.if_contains("seconds");
    row.cell(seconds != nullptr && seconds->is_number() ? fmt::format("{:.3f}", seconds->to_number<double>()) : "");
    return row.take();
}

result<void> write_csv_report(atomic_file& file, const mailbox_walk& mailboxes) {
    if (auto ok = file.write(csv_header()); !ok) return ok;
    report_sums sums;
    return mailboxes([&](std::string_view text) -> result<void> {
        const auto mailbox = sums.add(text);
        if (!mailbox) return std::unexpected(mailbox.error());
        return file.write(csv_row(*mailbox));
    });
}

} // namespace postferry::app
