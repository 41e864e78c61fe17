#include "app/option_checks.hpp"

#include "app/accounts.hpp"
#include "app/connect.hpp"
#include "base/text.hpp"

#include <fmt/format.h>

namespace postferry::app {

namespace {

std::unexpected<error> refuse(std::string what, std::string advice = {}) {
    return fail(retry_class::config, phase::usage, std::move(what), std::move(advice));
}

std::string not_yet(std::string_view words) {
    return fmt::format("{} is part of the command line but not in this version yet", words);
}

bool looks_like_url(std::string_view text) {
    const std::size_t colon = text.find(':');
    return colon != std::string_view::npos && colon > 1 &&
           text.substr(0, colon).find_first_of("/.") == std::string_view::npos;
}

/// Decides between SOURCE TARGET and ACCOUNTS.csv.
result<void> place_arguments(run_options& out, const raw_options& raw) {
    const std::size_t n = raw.where.size();
    out.source_url = raw.source;
    out.target_url = raw.target;
    const bool csv_allowed = out.what != command::copy;
    const bool urls_allowed = out.what != command::migrate;
    const std::string_view wants = !csv_allowed    ? "SOURCE and TARGET"
                                   : !urls_allowed ? "one ACCOUNTS.csv"
                                                   : "SOURCE and TARGET, or one ACCOUNTS.csv";
    if (n == 1 && csv_allowed && !looks_like_url(raw.where[0])) {
        out.accounts = raw.where[0];
        return {};
    }
    if (n == 2 && urls_allowed) {
        if (!raw.source.empty() || !raw.target.empty())
            return refuse("SOURCE and TARGET are there twice",
                          "Leave --source and --target away, they are for ACCOUNTS.csv");
        out.source_url = raw.where[0];
        out.target_url = raw.where[1];
        return {};
    }
    if (n == 0 && urls_allowed && !raw.source.empty() && !raw.target.empty()) return {};
    return refuse(fmt::format("{} takes {}", name_of(out.what), wants));
}

result<void> check_login(const login_options& login, const std::optional<mailbox::endpoint>& e, std::string_view side,
                         bool one) {
    if (!login.password_file.empty() && !login.token_file.empty())
        return refuse(fmt::format("--{0}-password-file and --{0}-token-file exclude each other", side));
    if (!e) return {};
    const bool token = e->auth == sasl::choice::xoauth2 || e->auth == sasl::choice::oauthbearer;
    if (!login.token_file.empty() && !token)
        return refuse(fmt::format("--{}-token-file needs auth=xoauth2 or auth=oauthbearer in the {} URL", side, side));
    if (one && token && login.token_file.empty())
        return refuse(fmt::format("auth={} needs --{}-token-file", sasl::name_of(e->auth), side));
    return {};
}

result<void> check_end(const run_options& out, const std::string& url, const login_options& login,
                       std::string_view side) {
    std::optional<mailbox::endpoint> e;
    if (!url.empty()) {
        auto parsed = mailbox::parse_endpoint(url);
        if (!parsed) {
            parsed.error().what = fmt::format("{}: {}", side, parsed.error().what);
            return std::unexpected(parsed.error());
        }
        e = std::move(*parsed);
        if (auto ok = check_side(*e, side == "source" ? side::source : side::target); !ok) {
            ok.error().what = fmt::format("{}: {}", side, ok.error().what);
            return ok;
        }
    }
    if (out.one_mailbox() && mailbox::has_placeholder(url))
        return refuse(
            fmt::format("{}: {{user}}, {{local}} and {{domain}} are filled from the rows of ACCOUNTS.csv only", side));
    if (out.one_mailbox() && e->user.empty() && !mailbox::is_local(e->kind))
        return refuse(fmt::format("{}: the URL names no user", side), "Write imaps://alice@host");
    return check_login(login, e, side, out.one_mailbox());
}

result<void> check_ends(run_options& out, const raw_options& raw) {
    out.source = {.password_file = raw.source_password_file, .token_file = raw.source_token_file, .password = {}};
    out.target = {.password_file = raw.target_password_file, .token_file = raw.target_token_file, .password = {}};
    if (auto ok = check_end(out, out.source_url, out.source, "source"); !ok) return ok;
    if (auto ok = check_end(out, out.target_url, out.target, "target"); !ok) return ok;
    if (!out.one_mailbox()) return {};
    const auto source = mailbox::parse_endpoint(out.source_url);
    const auto target = mailbox::parse_endpoint(out.target_url);
    if (source && target && account(0, *source, *target).onto_itself())
        return refuse("source and target are the same mailbox");
    return {};
}

result<void> check_selection(run_options& out, const raw_options& raw) {
    for (const std::string& text : raw.map) {
        auto rule = transfer::parse_map_rule(text);
        if (!rule) return std::unexpected(rule.error());
        out.rules.maps.push_back(std::move(*rule));
    }
    for (const auto& globs : {raw.include, raw.exclude})
        for (const std::string& glob : globs)
            if (glob.empty()) return refuse("--include and --exclude take a folder name or a glob, not an empty text");
    out.rules.include = raw.include;
    out.rules.exclude = raw.exclude;
    if (!raw.since.empty()) {
        out.since = parse_day(raw.since);
        if (!out.since) return refuse("--since takes a day such as 2024-02-29");
    }
    if (!raw.max_size.empty()) {
        out.max_size = parse_size(raw.max_size);
        if (!out.max_size || *out.max_size == 0)
            return refuse("--max-size takes a size such as 25MB (25 x 10^6) or 25MiB (25 x 2^20)");
    }
    return {};
}

result<void> check_pass(run_options& out, const raw_options& raw) {
    const bool verify = out.what == command::verify;
    if (verify) out.pass = transfer::pass_kind::verify;
    if (raw.pass.empty()) return {};
    for (const std::string_view later : {"trial", "final", "sweep", "repair"})
        if (raw.pass == later) return refuse(not_yet(fmt::format("--pass {}", later)));
    if (raw.pass == "verify") {
        out.pass = transfer::pass_kind::verify;
    } else if (raw.pass == "delta" || raw.pass == "bulk") {
        if (verify) return refuse(fmt::format("verify is a pass of its own and takes no --pass {}", raw.pass));
        out.pass = raw.pass == "bulk" ? transfer::pass_kind::bulk : transfer::pass_kind::delta;
    } else {
        return refuse("--pass takes bulk, delta or verify");
    }
    return {};
}

result<void> check_output(run_options& out, const raw_options& raw) {
    for (const std::string_view later : {".csv", ".html", ".htm"})
        if (ascii_lower(raw.report).ends_with(later))
            return refuse(not_yet(fmt::format("--report with a {} file", later)));
    if (!raw.report.empty() && !ascii_lower(raw.report).ends_with(".json"))
        return refuse("--report takes the name of a .json file");
    if (raw.log_format == "json") {
        out.log = log_format::json;
    } else if (!raw.log_format.empty() && raw.log_format != "text") {
        return refuse("--log-format takes text or json");
    }
    if (!raw.log_format.empty() && raw.log.empty() && raw.verbosity == 0)
        return refuse("--log-format has nothing to format without --log or -v");
    out.report = raw.report;
    out.log_file = raw.log;
    out.verbosity = raw.verbosity;
    out.quiet = raw.quiet;
    out.json = raw.json;
    return {};
}

} // namespace

std::optional<std::chrono::sys_days> parse_day(std::string_view text) {
    if (text.size() != 10 || text[4] != '-' || text[7] != '-') return std::nullopt;
    const auto year = parse_u32(text.substr(0, 4));
    const auto month = parse_u32(text.substr(5, 2));
    const auto day = parse_u32(text.substr(8, 2));
    if (!year || !month || !day || *year < 1970) return std::nullopt;
    const std::chrono::year_month_day date{std::chrono::year(static_cast<int>(*year)), std::chrono::month(*month),
                                           std::chrono::day(*day)};
    if (!date.ok()) return std::nullopt;
    return std::chrono::sys_days(date);
}

result<run_options> check_options(command what, const raw_options& raw) {
    run_options out;
    out.what = what;
    if (raw.jobs == 0 || raw.jobs > 1000) return refuse("--jobs takes a number from 1 to 1000");
    out.jobs = raw.jobs;
    if (raw.timeout < 5 || raw.timeout > 3600) return refuse("--timeout takes seconds from 5 to 3600");
    out.timeout = std::chrono::seconds(raw.timeout);
    if (!raw.state.empty()) out.state = raw.state;
    out.dry_run = raw.dry_run;
    out.skip_invalid = raw.skip_invalid;
    if (auto ok = place_arguments(out, raw); !ok) return std::unexpected(ok.error());
    if (auto ok = check_ends(out, raw); !ok) return std::unexpected(ok.error());
    if (out.skip_invalid && out.one_mailbox()) return refuse("--skip-invalid is for ACCOUNTS.csv");
    if (auto ok = check_selection(out, raw); !ok) return std::unexpected(ok.error());
    if (auto ok = check_pass(out, raw); !ok) return std::unexpected(ok.error());
    if (auto ok = check_output(out, raw); !ok) return std::unexpected(ok.error());
    return out;
}

} // namespace postferry::app
