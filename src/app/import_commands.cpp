// postferry batch preview|import, postferry account import: a CSV on its way into the service.
#include "app/batch_status.hpp"
#include "app/credentials.hpp"
#include "app/exit_code.hpp"
#include "app/noun_actions.hpp"
#include "app/noun_secrets.hpp"
#include "app/standard_output.hpp"
#include "app/words.hpp"

#include <fmt/format.h>

#include <array>

namespace postferry::app {

namespace json = boost::json;

namespace {

constexpr std::chrono::seconds patience{3'600}; ///< of two million rows

result<std::string> query_for(const noun_context& c, std::string_view usual_mode) {
    const std::filesystem::path file = c.words.text("FILE");
    std::string out =
        fmt::format("?batch={}&name={}", url_word(c.words.text("BATCH")), url_word(file.filename().string()));
    for (const std::string_view option : {"--source", "--target", "--mode", "--provisioning", "--existing"})
        if (c.words.has(option)) out += fmt::format("&{}={}", option.substr(2), url_word(c.words.text(option)));
    if (!usual_mode.empty() && !c.words.has("--mode")) out += fmt::format("&mode={}", usual_mode);
    if (c.words.has("--no-new-domains")) out += "&make_domains=false";
    if (c.words.has("--no-host-check")) out += "&check_hosts=false";
    auto project = find_project(c);
    if (!project) return std::unexpected(std::move(project.error()));
    if (*project) out += fmt::format("&project={}", **project);
    return out;
}

/// Sends the file; the service has looked at every row when it answers.
result<json::object> send(noun_context& c, std::string_view usual_mode) {
    auto query = query_for(c, usual_mode);
    if (!query) return std::unexpected(std::move(query.error()));
    remote_request r{.verb = "POST",
                     .target = "/imports" + *query,
                     .upload = c.words.text("FILE"),
                     .type = "text/csv",
                     .may_repeat = false,
                     .patience = patience};
    for (const auto& [option, field] : {std::pair{"--source-password-file", "Postferry-Source-Password"},
                                        std::pair{"--target-password-file", "Postferry-Target-Password"}}) {
        if (!c.words.has(option)) continue;
        auto value = read_secret_file(c.words.text(option), option);
        if (!value) return std::unexpected(std::move(value.error()));
        r.fields.emplace_back(field, secret(url_word(value->reveal())));
    }
    auto sent = c.api.ask(std::move(r));
    if (!sent) return std::unexpected(std::move(sent.error()));
    return whole(*sent);
}

std::string fault_line(const std::string& file, const json::object& f) {
    const std::string column = text_at(f, "column");
    return fmt::format("{}: row {}, line {}{}: {}\n", file, text_at(f, "row"), text_at(f, "line"),
                       column.empty() ? "" : ", column " + column, text_at(f, "reason"));
}

/// Each with its row, line and column.
result<void> tell_faults(noun_context& c, const json::object& import) {
    if (count_at(import, "faults") == 0) return {};
    std::uint64_t told = 0;
    auto ok = c.api.walk(fmt::format("/imports/{}/faults", text_at(import, "id")), [&](const json::object& f) {
        ++told;
        if (c.json())
            to_stdout(json::serialize(f) + "\n");
        else
            to_stderr(fault_line(text_at(import, "name"), f));
        return true;
    });
    if (ok && told < count_at(import, "faults") && !c.json())
        to_stderr(fmt::format("and {} more\n", grouped(count_at(import, "faults") - told)));
    return ok;
}

std::string preview_text(const json::object& v) {
    std::string out = text_at(v, "summary") + "\n";
    const std::uint64_t domains = count_at(v, "new_domain_count");
    if (domains > 0) {
        std::string names;
        for (const json::value& one : array_at(v, "new_domains"))
            if (one.is_string() && names.size() < 200)
                names += (names.empty() ? "" : ", ") + quote_server_text(one.get_string(), 100);
        out += fmt::format("{} not known yet: {}\n", counted(domains, "domain"), names);
    }
    for (const json::value& note : array_at(v, "notes"))
        if (note.is_string()) out += quote_server_text(note.get_string(), 1'000) + "\n";
    return out;
}

std::string added_text(const json::object& v) {
    const json::object& a = object_at(v, "added");
    std::string out;
    const auto add = [&](std::string_view name, std::string_view one, std::string_view many, std::string_view how) {
        if (const std::uint64_t n = count_at(a, name); n > 0)
            out += fmt::format("{}{}{}", out.empty() ? "" : ", ", counted(n, one, many), how);
    };
    add("mailboxes", "mailbox", "mailboxes", "");
    add("accounts", "account", "accounts", "");
    add("aliases", "alias", "aliases", "");
    add("domains", "domain", "domains", "");
    add("batches", "batch", "batches", "");
    out = out.empty() ? "nothing added" : "added: " + out;
    std::string known;
    std::swap(known, out);
    add("known_mailboxes", "mailbox", "mailboxes", " there already");
    add("known_accounts", "account", "accounts", " known already");
    add("known_aliases", "alias", "aliases", " known already");
    add("skipped_rows", "row", "rows", " left out for faults");
    return known + (out.empty() ? "" : "; " + out) + "\n";
}

void forget(noun_context& c, const json::object& import) {
    (void)c.api.ask({.verb = "DELETE", .target = "/imports/" + text_at(import, "id")});
}

result<int> preview(noun_context& c) {
    auto import = send(c, {});
    if (!import) return std::unexpected(std::move(import.error()));
    if (c.json()) to_stdout(json::serialize(*import) + "\n");
    auto told = tell_faults(c, *import);
    forget(c, *import);
    if (!told) return std::unexpected(std::move(told.error()));
    if (text_at(*import, "state") == "failed") return misused(text_at(*import, "error"));
    c.say(preview_text(*import) +
          (count_at(*import, "faults") == 0 ? "Every row is good. Nothing was written." : "Nothing was written."));
    return count_at(*import, "faults") == 0 ? exit_codes::done : exit_codes::usage;
}

result<int> import(noun_context& c) {
    auto sent = send(c, c.words.what->noun == "account" ? "create-only" : "");
    if (!sent) return std::unexpected(std::move(sent.error()));
    const std::uint64_t faulty = count_at(*sent, "faulty_rows");
    if (auto told = tell_faults(c, *sent); !told) return std::unexpected(std::move(told.error()));
    const bool failed = text_at(*sent, "state") == "failed";
    if (failed || (faulty > 0 && !c.words.has("--skip-invalid"))) {
        forget(c, *sent);
        if (failed) return misused(text_at(*sent, "error"));
        return misused(fmt::format("{} of {} {} faults; nothing was added", grouped(faulty),
                                   counted(count_at(*sent, "rows"), "row"), faulty == 1 ? "has" : "have"),
                       "Mend them, or leave them out with --skip-invalid");
    }
    c.say(preview_text(*sent).substr(0, preview_text(*sent).size() - 1));
    auto done = c.api.ask(
        {.verb = "POST",
         .target = fmt::format("/imports/{}/commit", text_at(*sent, "id")),
         .body = json::object{{"skip_invalid", c.words.has("--skip-invalid")}, {"start", c.words.has("--start")}},
         .patience = patience});
    if (!done) return std::unexpected(std::move(done.error()));
    forget(c, *sent);
    if (const std::string why = text_at(whole(*done), "error"); !why.empty())
        return fail(retry_class::transient, phase::append, why, "Import the same file again: what was added is known");
    c.show(done->json, [&] {
        std::string out = added_text(whole(*done));
        for (const json::value& id : array_at(whole(*done), "batches")) {
            auto batch = c.api.get("/batches/" + json::serialize(id));
            if (batch) out += batch_headline(whole(*batch)) + batch_advice_text(whole(*batch));
        }
        return out;
    });
    return exit_codes::done;
}

} // namespace

std::span<const noun_action> import_actions() noexcept {
    static constexpr std::array<noun_action, 3> all{
        {{"batch preview", preview}, {"batch import", import}, {"account import", import}}};
    return all;
}

} // namespace postferry::app
