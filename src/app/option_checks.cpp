#include "app/option_checks.hpp"

#include "app/accounts.hpp"
#include "app/connect.hpp"
#include "app/report_files.hpp"
#include "base/text.hpp"
#include "base/week.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cmath>

namespace postferry::app {

namespace {

std::unexpected<error> refuse(std::string what, std::string advice = {}) {
    return fail(retry_class::config, phase::usage, std::move(what), std::move(advice));
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
    std::string advice;
    if (!csv_allowed && n == 1 && !looks_like_url(raw.where[0]))
        advice = fmt::format("For a file of accounts: postferry migrate {}", raw.where[0]);
    if (!urls_allowed && n == 2) advice = "For one mailbox: postferry copy SOURCE TARGET";
    return refuse(fmt::format("{} takes {}", name_of(out.what), wants), std::move(advice));
}

/// Which [oauth.NAME] logs in: the URL's, else the end's own; and that it is there.
result<const config_oauth*> named_client(const login_options& login, const std::optional<mailbox::endpoint>& e,
                                         std::string_view side, const config* known) {
    const bool in_url = e && !e->oauth.empty();
    const std::string& name = in_url ? e->oauth : login.oauth_name;
    if (name.empty()) return nullptr;
    if (known != nullptr)
        if (const auto found = known->oauth.find(name); found != known->oauth.end()) return &found->second;
    return refuse(fmt::format("{}: there is no [oauth.{}] in the configuration",
                              in_url ? fmt::format("oauth= of the {}", side) : fmt::format("--{}-oauth", side), name),
                  known == nullptr ? "Name its file by --config" : "");
}

/// A client with a name stands alone: no token file beside it, no --oauth- options.
result<void> check_named_client(const login_options& login, const std::optional<mailbox::endpoint>& e,
                                std::string_view side, bool one, const config_oauth& client) {
    const std::string_view how = e && !e->oauth.empty() ? "oauth= in the URL" : "an [oauth.NAME]";
    if (!login.token_file.empty()) return refuse(fmt::format("--{}-token-file and {} exclude each other", side, how));
    if (login.oauth.wanted()) return refuse(fmt::format("--oauth-token-endpoint and {} exclude each other", how));
    if (e && !takes_token(*e))
        return refuse(fmt::format("--{0}-oauth needs auth=xoauth2 or auth=oauthbearer in the {0} URL", side));
    if (one && client.refresh && !client.refresh_token.given())
        return refuse(fmt::format("the {}'s [oauth.NAME] has the grant refresh-token and no refresh_token", side),
                      "Without one it is for the rows of ACCOUNTS.csv that have their own");
    return {};
}

result<void> check_login(const login_options& login, const std::optional<mailbox::endpoint>& e, std::string_view side,
                         bool one, const config* known) {
    const auto client = named_client(login, e, side, known);
    if (!client) return std::unexpected(client.error());
    if (*client != nullptr) return check_named_client(login, e, side, one, **client);
    if (!login.password_file.empty() && !login.token_file.empty())
        return refuse(fmt::format("--{0}-password-file and --{0}-token-file exclude each other", side));
    if (!e) return {};
    const bool token = takes_token(*e);
    if (!login.token_file.empty() && !token)
        return refuse(fmt::format("--{}-token-file needs auth=xoauth2 or auth=oauthbearer in the {} URL", side, side));
    if (!login.oauth.wanted()) {
        if (one && token && login.token_file.empty())
            return refuse(fmt::format(
                "auth={0} needs --{1}-token-file, --oauth-token-endpoint and what belongs to it, or oauth=NAME",
                sasl::name_of(e->auth), side));
    } else if (token && !login.token_file.empty()) {
        return refuse(fmt::format("--{}-token-file and --oauth-token-endpoint exclude each other", side));
    }
    if (one && login.oauth.refresh && login.oauth.refresh_token_file.empty())
        return refuse("--oauth-grant refresh-token needs --oauth-refresh-token-file");
    return {};
}

result<void> check_end(const run_options& out, const std::string& url, const login_options& login,
                       std::string_view side, const config* known) {
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
    return check_login(login, e, side, out.one_mailbox(), known);
}

result<void> check_ends(run_options& out, const raw_options& raw, const config* known) {
    out.source = {
        .password_file = raw.source_password_file, .token_file = raw.source_token_file, .password = {}, .oauth = {}};
    out.target = {
        .password_file = raw.target_password_file, .token_file = raw.target_token_file, .password = {}, .oauth = {}};
    for (auto [login, own, name] : {std::tuple{&out.source, &raw.guest.oauth_source, "source"},
                                    std::tuple{&out.target, &raw.guest.oauth_target, "target"}}) {
        auto oauth = check_oauth_options(raw.guest.oauth, *own, name);
        if (!oauth) return std::unexpected(oauth.error());
        login->oauth = std::move(*oauth);
    }
    out.source.oauth_name = raw.source_oauth;
    out.target.oauth_name = raw.target_oauth;
    out.source.usual_password = raw.source_password;
    out.target.usual_password = raw.target_password;
    if (auto ok = check_end(out, out.source_url, out.source, "source", known); !ok) return ok;
    if (auto ok = check_end(out, out.target_url, out.target, "target", known); !ok) return ok;
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
        if (auto ok = check_unit(raw.max_size, "--max-size"); !ok) return ok;
    }
    return {};
}

result<void> check_repairs(run_options& out, const raw_options& raw) {
    if (raw.no_repair) out.repairs = {};
    if (raw.repair.empty()) return {};
    const auto list = message::parse_repairs(raw.repair);
    if (!list)
        return refuse(fmt::format("--repair takes all, or some of these with commas between: {}",
                                  message::names_of(message::repair_set::all())));
    out.repairs = *list;
    return {};
}

constexpr std::array<transfer::pass_kind, 7> pass_kinds{
    transfer::pass_kind::trial, transfer::pass_kind::bulk,   transfer::pass_kind::delta, transfer::pass_kind::final,
    transfer::pass_kind::sweep, transfer::pass_kind::repair, transfer::pass_kind::verify};

result<void> check_pass(run_options& out, const raw_options& raw) {
    const bool verify = out.what == command::verify;
    if (verify) out.pass = transfer::pass_kind::verify;
    if (raw.pass.empty()) return {};
    const auto kind =
        std::ranges::find(pass_kinds, raw.pass, [](transfer::pass_kind k) { return transfer::name_of(k); });
    if (kind == pass_kinds.end()) return refuse("--pass takes trial, bulk, delta, final, sweep, repair or verify");
    if (verify && *kind != transfer::pass_kind::verify)
        return refuse(fmt::format("verify is a pass of its own and takes no --pass {}", raw.pass));
    out.pass = *kind;
    return {};
}

result<void> check_deletion(run_options& out, const raw_options& raw) {
    out.acl = raw.acl;
    out.delete_extra = raw.delete_extra;
    if (!out.delete_extra) return {};
    using enum transfer::pass_kind;
    if (out.what == command::check || out.pass == verify)
        return refuse(fmt::format("{} deletes nothing: --delete-extra is for copy, migrate and their --dry-run",
                                  out.what == command::check ? "check" : "verify"));
    if (out.pass == trial || out.pass == repair || out.pass == sweep)
        return refuse(fmt::format("--delete-extra does not go with --pass {}, which does not look at everything",
                                  transfer::name_of(out.pass)),
                      "Use it with bulk, delta or final");
    return {};
}

result<void> check_proof(run_options& out, const raw_options& raw) {
    out.waive = raw.waive;
    if ((!raw.sample.empty() || !raw.seed.empty()) && out.pass != transfer::pass_kind::verify)
        return refuse("--sample and --seed are for verify");
    if (!raw.sample.empty()) {
        const std::string_view text = raw.sample;
        if (text.ends_with('%')) {
            if (const auto percent = parse_percent(text.substr(0, text.size() - 1))) out.sample.share = *percent / 100;
        } else if (const auto n = parse_u64(text); n && *n > 0) {
            out.sample.messages = n;
        }
        if (!out.sample.wanted())
            return refuse("--sample takes a number of messages such as 600, or a share such as 1% (above 0, at most "
                          "100%)");
    }
    if (raw.seed.empty()) return {};
    const auto seed = parse_u64(raw.seed);
    if (!seed || !out.sample.wanted()) return refuse("--seed takes a number and goes with --sample");
    out.sample.seed = *seed;
    out.seed_given = true;
    return {};
}

result<void> check_reports(run_options& out, const raw_options& raw) {
    const bool document = out.what == command::plan || out.what == command::check || out.dry_run;
    for (const std::string& file : raw.report) {
        const auto format = format_of(file);
        if (!format) return refuse("--report takes the name of a .json, .csv or .html file");
        if (document && (*format != report_format::json || raw.report.size() > 1))
            return refuse("plan and check are reported as one .json file");
        if (std::ranges::find(out.reports, std::filesystem::path(file)) != out.reports.end())
            return refuse(fmt::format("--report {} is there twice", file));
        out.reports.emplace_back(file);
    }
    out.sign_key = raw.sign_key;
    if (!out.sign_key.empty() && (out.reports.empty() || document))
        return refuse("--sign-key signs the files of --report, of copy, migrate, verify and report");
    return {};
}

/// Proof needs a target that can be read.
result<void> check_readable(const run_options& out) {
    const auto target = mailbox::parse_endpoint(out.target_url);
    if (out.pass != transfer::pass_kind::verify || !target || target->kind != mailbox::scheme::lmtp) return {};
    return refuse("lmtp: delivers mail and lets nobody look at it, so there is nothing to verify",
                  "Name the same mailbox by its IMAP server as the target");
}

result<void> check_output(run_options& out, const raw_options& raw) {
    if (raw.log_format == "json") {
        out.log = log_format::json;
    } else if (!raw.log_format.empty() && raw.log_format != "text") {
        return refuse("--log-format takes text or json");
    }
    if (!raw.log_format.empty() && raw.log.empty() && raw.verbosity == 0)
        return refuse("--log-format has nothing to format without --log or -v");
    out.log_file = raw.log;
    out.verbosity = raw.verbosity;
    out.quiet = raw.quiet;
    out.json = raw.json;
    return {};
}

} // namespace

std::optional<double> parse_percent(std::string_view text) {
    const std::size_t dot = text.find('.');
    const std::string_view fraction = dot == std::string_view::npos ? std::string_view{} : text.substr(dot + 1);
    const auto whole = parse_u32(text.substr(0, dot));
    if (!whole || *whole > 100 || fraction.size() > 9) return std::nullopt;
    double value = *whole;
    if (dot != std::string_view::npos) {
        const auto digits = parse_u32(fraction);
        if (!digits) return std::nullopt;
        value += *digits / std::pow(10.0, static_cast<double>(fraction.size()));
    }
    if (value <= 0 || value > 100) return std::nullopt;
    return value;
}

namespace {

/// `report` looks into a ledger and at files: no ends, no rules.
result<run_options> check_report_command(run_options out, const raw_options& raw) {
    out.filters = raw.where;
    out.report_pass = raw.pass;
    if (!raw.state.empty()) out.state = raw.state;
    out.quiet = raw.quiet;
    out.make_key = raw.make_key;
    out.check_signature = raw.check_signature;
    out.key = raw.key;
    if (!raw.pass.empty() &&
        std::ranges::none_of(pass_kinds, [&](transfer::pass_kind k) { return transfer::name_of(k) == raw.pass; }))
        return refuse("--pass takes trial, bulk, delta, final, sweep, repair or verify");
    if (!out.check_signature.empty() && out.key.empty())
        return refuse("--check-signature needs --key, the public key of whoever signed");
    if (!out.make_key.empty() && !out.check_signature.empty())
        return refuse("--make-key and --check-signature are two things");
    if (auto ok = check_reports(out, raw); !ok) return std::unexpected(ok.error());
    return out;
}

} // namespace

result<run_options> check_rules(run_options common, const raw_options& raw) {
    if (auto ok = check_selection(common, raw); !ok) return std::unexpected(ok.error());
    if (auto ok = check_repairs(common, raw); !ok) return std::unexpected(ok.error());
    return common;
}

result<run_options> check_options(command what, const raw_options& raw, const config* known) {
    run_options out;
    out.what = what;
    if (what == command::report) return check_report_command(std::move(out), raw);
    out.jobs = raw.jobs.value_or(out.jobs);
    if (out.jobs == 0 || out.jobs > 1000) return refuse("--jobs takes a number from 1 to 1000");
    if (raw.timeout) out.timeout = std::chrono::seconds(*raw.timeout);
    if (out.timeout.count() < 5 || out.timeout.count() > 3600) return refuse("--timeout takes seconds from 5 to 3600");
    if (!raw.state.empty()) out.state = raw.state;
    out.dry_run = raw.dry_run;
    out.skip_invalid = raw.skip_invalid;
    if (auto ok = place_arguments(out, raw); !ok) return std::unexpected(ok.error());
    if (auto ok = check_ends(out, raw, known); !ok) return std::unexpected(ok.error());
    if (out.skip_invalid && out.one_mailbox()) return refuse("--skip-invalid is for ACCOUNTS.csv");
    if (auto ok = check_selection(out, raw); !ok) return std::unexpected(ok.error());
    if (auto ok = check_repairs(out, raw); !ok) return std::unexpected(ok.error());
    auto guest = check_guest_options(raw.guest);
    if (!guest) return std::unexpected(guest.error());
    out.guest = std::move(*guest);
    out.no_wait = raw.guest.no_wait;
    if (auto ok = check_pass(out, raw); !ok) return std::unexpected(ok.error());
    if (auto ok = check_readable(out); !ok) return std::unexpected(ok.error());
    if (auto ok = check_deletion(out, raw); !ok) return std::unexpected(ok.error());
    if (auto ok = check_proof(out, raw); !ok) return std::unexpected(ok.error());
    if (auto ok = check_reports(out, raw); !ok) return std::unexpected(ok.error());
    if (auto ok = check_output(out, raw); !ok) return std::unexpected(ok.error());
    return out;
}

} // namespace postferry::app
