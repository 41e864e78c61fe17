#include "app/service_pass_runner.hpp"

#include "app/exit_code.hpp"
#include "app/json.hpp"
#include "app/log.hpp"
#include "app/option_checks.hpp"
#include "app/recipient_pass.hpp"
#include "app/report_json.hpp"
#include "app/report_list.hpp"
#include "app/waivers.hpp"
#include "base/words.hpp"
#include "store/refusal.hpp"
#include "transfer/pauses.hpp"

#include <boost/asio/post.hpp>
#include <boost/asio/this_coro.hpp>
#include <fmt/format.h>

#include <random>

namespace postferry::app {

using jobs::pass_end;
using store::mailbox_state;
using store::message_counts;
using store::tables;

namespace {

constexpr std::size_t most_failures = 1'000; ///< that a report in the store names

std::int64_t unix_ms_now() {
    return std::chrono::duration_cast<std::chrono::milliseconds>(std::chrono::system_clock::now().time_since_epoch())
        .count();
}

std::unexpected<error> asks_for_credentials(std::string what, std::string advice) {
    return fail(retry_class::auth, phase::login, std::move(what), std::move(advice));
}

/// What it would be on the command line.
result<run_options> words_of(const jobs::work& what, const run_options& common) {
    const jobs::copy_settings& c = what.settings.copy;
    raw_options raw;
    raw.include = c.include;
    raw.exclude = c.exclude;
    raw.map = c.map;
    raw.since = c.since.value_or("");
    raw.no_repair = c.repair == "none";
    if (c.repair && !raw.no_repair) raw.repair = *c.repair;
    auto words = check_rules(common, raw);
    if (!words) return words;
    words->pass = what.kind;
    words->acl = c.acl;
    if (c.max_size) words->max_size = static_cast<std::uint64_t>(*c.max_size);
    if (c.sample_percent && what.kind == transfer::pass_kind::verify && *c.sample_percent < 100) {
        words->sample.share = *c.sample_percent / 100.0;
        words->sample.seed = std::random_device{}();
    }
    return words;
}

result<mailbox::endpoint> end_of(const std::string& url, const std::string& user) {
    auto e = mailbox::parse_endpoint(url, user.empty() ? std::nullopt : std::optional<std::string_view>(user));
    if (e && !mailbox::is_local(e->kind) && !user.empty()) e->user = user;
    return e;
}

/// All that Postferry has ever brought, so that a pass with nothing to do does not look like a mailbox with nothing in
/// it: what was copied before counts as copied.
message_counts counts_of(const transfer::mailbox_report& r, const message_counts& before) {
    const auto& m = r.messages;
    const std::uint64_t there = m.copied + m.present;
    const std::uint64_t copied = std::min(before.messages_copied + m.copied, there);
    return {.messages_source = m.source,
            .messages_copied = copied,
            .messages_present = there - copied,
            .messages_skipped = m.skipped,
            .messages_failed = m.failed,
            .octets_source = r.octets.source,
            .octets_copied = std::min(before.octets_copied + r.octets.copied, r.octets.copied + r.octets.present)};
}

/// While it runs: what it has settled so far comes on top.
message_counts counts_of(const transfer::progress& p, const message_counts& before) {
    message_counts now = before;
    now.messages_copied += p.messages_done;
    now.octets_copied += p.octets_done;
    const std::uint64_t known =
        before.messages_copied + before.messages_present + before.messages_skipped + before.messages_failed;
    now.messages_source = std::max(before.messages_source, known + p.messages_total);
    return now;
}

std::optional<mailbox_state> state_of(transfer::mailbox_state s) noexcept {
    using enum transfer::mailbox_state;
    switch (s) {
    case connecting:
    case scanning: return mailbox_state::discovering;
    case copying: return mailbox_state::copying;
    case queued:
    case throttled:
    case synced:
    case completed:
    case failed:
    case interrupted: break;
    }
    return std::nullopt;
}

/// Whether others, too, should leave the server alone: it turned a connection away, and not one mailbox's work.
bool concerns_the_server(const error& why) noexcept {
    return why.where == phase::connect || why.where == phase::greeting || why.where == phase::login;
}

} // namespace

struct service_pass_runner::logins {
    mailbox::endpoint from, to;
    std::optional<secret> source_refresh, target_refresh;
    waived_messages waived; ///< what somebody has accepted to leave behind
};

/// One pass on its way.
struct service_pass_runner::one {
    const jobs::work& what;
    const jobs::pass_hooks& hooks;
    std::stop_token stop;
    run_options words;
    std::shared_ptr<store::ledger_books> books; ///< under the lease
    std::shared_ptr<pass_assembly> made;
    executor strand;
    std::optional<mailbox_state> told = {};
};

service_pass_runner::service_pass_runner(const foundation& on, std::size_t jobs)
    : on_(on), jobs_(std::max<std::size_t>(jobs, 1)), books_(on.db, "postferry serve"),
      leaving_([this] { ++going_; }, [this](std::exception_ptr) { --going_; }),
      guests_(guests::make(on.settings().limits, jobs_, &books_)) {
    words_.what = command::migrate;
    words_.config = on.file;
    words_.timeout = on.settings().service.timeout;
    words_.no_wait = true; // longer pauses are spent without the lease
}

service_pass_runner::~service_pass_runner() = default;

result<std::unique_ptr<service_pass_runner>> service_pass_runner::make(const foundation& on, std::size_t jobs) {
    std::unique_ptr<service_pass_runner> made(new service_pass_runner(on, jobs));
    auto tokens = token_desk::of_config(made->words_, on.ex);
    if (!tokens) return std::unexpected(std::move(tokens.error()));
    made->tokens_ = std::move(*tokens);
    return made;
}

task<result<void>> service_pass_runner::load() {
    if (auto ok = co_await guests_->load(); !ok) co_return ok;
    co_return co_await save(); // the servers' own limits hold from the first connection on
}

task<result<void>> service_pass_runner::save() {
    auto used = co_await on_.db.read([](tables& t) { return t.leases.servers(); });
    if (!used) co_return std::unexpected(std::move(used.error()));
    std::vector<server_share> shares;
    for (const store::server_use& u : *used)
        shares.push_back({.key = u.limits.key,
                          .octets_per_second = u.limits.octets_per_second,
                          .messages_per_second = u.limits.messages_per_second,
                          .workers = u.workers});
    guests_->share(shares);
    co_return co_await guests_->refresh();
}

namespace {

/// A login as it lies in the store: the first of these that is there.
result<std::optional<secret>> first_of(tables& t, store::vault& vault,
                                       std::initializer_list<store::credential_key> all) {
    for (const store::credential_key& key : all) {
        auto found = vault.get(t, key);
        if (!found) {
            error& why = found.error();
            // Sealed with what the service seals with now: this machine's key file is an old one.
            if (store::refusal::is(why, store::refusal::no_key))
                if (auto joined = vault.join(t); !joined) return std::unexpected(std::move(joined.error()));
            // The key is gone, not only from here: only somebody's word helps.
            if (store::refusal::is(why, store::refusal::no_key) || store::refusal::is(why, store::refusal::tampered))
                return asks_for_credentials(why.what, why.advice);
            return found;
        }
        if (*found) return found;
    }
    return std::nullopt;
}

result<void> complete(mailbox::endpoint& e, std::optional<secret> password, const std::optional<secret>& refresh,
                      const config& known, std::string_view side) {
    if (password) e.password = std::move(*password);
    if (mailbox::is_local(e.kind) || !needs_password(e)) return {};
    if (!e.oauth.empty()) {
        const auto client = known.oauth.find(e.oauth);
        if (client == known.oauth.end())
            return fail(retry_class::config, phase::login,
                        fmt::format("The {} names oauth={}, and there is no [oauth.{}] in the configuration", side,
                                    e.oauth, e.oauth));
        if (!client->second.refresh || client->second.refresh_token.given() || refresh) return {};
        return asks_for_credentials(fmt::format("No refresh token is stored for the {}", side),
                                    "Give the mailbox one of its own");
    }
    if (password || !e.password.empty()) return {};
    return asks_for_credentials(fmt::format("No password is stored for the {}", side), "Give the mailbox a password");
}

} // namespace

task<result<service_pass_runner::logins>> service_pass_runner::open_logins(const store::migration& m) {
    logins l;
    auto from = end_of(m.source_url, m.source_user), to = end_of(m.target_url, m.target_user);
    if (!from) co_return std::unexpected(std::move(from.error()));
    if (!to) co_return std::unexpected(std::move(to.error()));
    l.from = std::move(*from);
    l.to = std::move(*to);
    struct opened {
        std::optional<secret> source, target, source_refresh, target_refresh;
        waived_messages waived;
    };
    auto got = co_await on_.db.read([&vault = on_.vault, mailbox = m.id, id = std::to_string(m.id),
                                     source = m.source_server, target = m.target_server](tables& t) -> result<opened> {
        using store::owner_kind;
        opened o;
        const auto mine = [&](std::string purpose) {
            return store::credential_key{.kind = owner_kind::migration, .owner = id, .purpose = std::move(purpose)};
        };
        const auto of_server = [](std::string server, std::string purpose) {
            return store::credential_key{
                .kind = owner_kind::server, .owner = std::move(server), .purpose = std::move(purpose)};
        };
        auto a = first_of(t, vault, {mine("source"), of_server(source, "source")});
        auto b = first_of(t, vault, {mine("target"), of_server(target, "target")});
        auto c = first_of(t, vault, {mine("source.refresh_token")});
        auto d = first_of(t, vault, {mine("target.refresh_token")});
        for (auto* each : {&a, &b, &c, &d})
            if (!*each) return std::unexpected(std::move(each->error()));
        auto kept = t.waivers.of(mailbox);
        if (!kept) return std::unexpected(std::move(kept.error()));
        for (store::waiver& w : *kept) o.waived.emplace(std::move(w.folder), w.source_uid);
        return opened{.source = std::move(*a),
                      .target = std::move(*b),
                      .source_refresh = std::move(*c),
                      .target_refresh = std::move(*d),
                      .waived = std::move(o.waived)};
    });
    if (!got) co_return std::unexpected(std::move(got.error()));
    auto ok = complete(l.from, std::move(got->source), got->source_refresh, on_.settings(), "source");
    if (ok) ok = complete(l.to, std::move(got->target), got->target_refresh, on_.settings(), "target");
    if (!ok) co_return std::unexpected(std::move(ok.error()));
    l.source_refresh = std::move(got->source_refresh);
    l.target_refresh = std::move(got->target_refresh);
    l.waived = std::move(got->waived);
    co_return l;
}

/// The endpoint may give another refresh token in place of this one: it takes its place in the store.
std::shared_ptr<const row_token> service_pass_runner::refresh_token_of(const store::migration& m,
                                                                       std::string_view purpose,
                                                                       const std::optional<secret>& token) {
    if (!token) return nullptr;
    auto row = std::make_shared<row_token>();
    row->token = *token;
    row->keep = [&db = on_.db, &vault = on_.vault, id = m.id, purpose = std::string(purpose)](const secret& next) {
        db.leave([&vault, id, purpose, next](tables& t) {
            const store::credential_key key{
                .kind = store::owner_kind::migration, .owner = std::to_string(id), .purpose = purpose};
            return vault.put(t, {{.key = key, .value = next}});
        });
    };
    return row;
}

namespace {

/// What the worker is told of a pass that has ended.
pass_end end_of_report(const transfer::mailbox_report& r, const jobs::work& what, const pass_assembly& made) {
    pass_end end;
    const bool verify = what.kind == transfer::pass_kind::verify;
    end.counts = verify ? what.mailbox.counts : counts_of(r, what.mailbox.counts);
    end.report = boost::json::serialize(json_of(r, most_failures));
    end.waived = static_cast<std::uint64_t>(std::ranges::count(r.failures, true, &transfer::failure::waived));
    if (!r.stopped_by) {
        end.grade = std::string(transfer::name_of(r.mark));
        end.proven = verify && r.verify && r.verify->missing + r.verify->different <= end.waived;
        return end;
    }
    const error& why = *r.stopped_by;
    end.why = why;
    if (why.cls == retry_class::cancelled) {
        end.what = pass_end::how::stopped;
    } else if (why.cls == retry_class::throttled) {
        end.what = pass_end::how::throttled;
        end.until = r.throttled.until_unix > 0 ? r.throttled.until_unix * 1'000 : unix_ms_now() + 60'000;
        const bool source = r.throttled.by == transfer::host_of(made.from().display());
        end.throttled_by = why.response_code == "BUDGET" ? "budget"
                           : source                      ? what.mailbox.source_server
                                                         : what.mailbox.target_server;
    } else {
        end.what = pass_end::how::failed;
        end.grade = std::string(transfer::name_of(r.mark));
    }
    return end;
}

/// A line of the log for each folder in which there was something to do.
void tell_folders(const transfer::mailbox_report& r, const jobs::pass_hooks& hooks) {
    for (const transfer::folder_report& f : r.folders) {
        const auto& m = f.messages;
        for (const std::string& note : f.notes) hooks.on_line(store::log_level::info, f.source, note);
        if (m.copied == 0 && m.failed == 0) continue;
        hooks.on_line(m.failed > 0 ? store::log_level::warning : store::log_level::info, f.source,
                      fmt::format("{} copied, {} there already, {} skipped by rule, {} failed of {}", grouped(m.copied),
                                  grouped(m.present), grouped(m.skipped), grouped(m.failed), grouped(m.source)));
    }
}

pass_end failed(error why) {
    pass_end end;
    end.what = why.cls == retry_class::cancelled ? pass_end::how::stopped : pass_end::how::failed;
    end.why = std::move(why);
    return end;
}

} // namespace

task<pass_end> service_pass_runner::run(jobs::work what, jobs::pass_hooks hooks, std::stop_token stop) {
    auto words = words_of(what, words_);
    if (!words) co_return failed(std::move(words.error()));
    auto in = co_await open_logins(what.mailbox);
    if (!in && store::refusal::is(in.error(), store::refusal::no_key)) {
        on_.unfit(in.error());
        in.error().cls = retry_class::cancelled; // no mailbox's fault: others take it up
    }
    if (!in) {
        pass_end end = failed(std::move(in.error()));
        end.counts = what.mailbox.counts;
        co_return end;
    }
    if (!in->waived.empty()) words->waived = std::make_shared<const waivers>(waivers::of_one(std::move(in->waived)));
    // The names refer to the ledger, and whoever says goodbye last to both.
    struct books_of_one {
        std::shared_ptr<store::ledger_books> books;
        std::unique_ptr<mailbox::name_book> names;
    };
    const auto kept = std::make_shared<books_of_one>();
    kept->books = books_.under(what.mailbox.id, what.token);
    kept->names = kept->books->names(in->from.display(), in->to.display());
    const pass_desk desk{.share = shares_for(static_cast<std::uint32_t>(jobs_), words_.timeout),
                         .at = guests_,
                         .tokens = *tokens_,
                         .leaving = leaving_};
    pass_ends ends{.from = std::move(in->from),
                   .to = std::move(in->to),
                   .source_token = refresh_token_of(what.mailbox, "source.refresh_token", in->source_refresh),
                   .target_token = refresh_token_of(what.mailbox, "target.refresh_token", in->target_refresh)};
    one pass{.what = what,
             .hooks = hooks,
             .stop = std::move(stop),
             .words = std::move(*words),
             .books = kept->books,
             .made = pass_assembly::make(desk, std::move(ends),
                                         std::shared_ptr<mailbox::name_book>(kept, kept->names.get()),
                                         [lease = what.lease] { return lease->stands(); }),
             .strand = co_await boost::asio::this_coro::executor};
    co_return co_await make_pass(pass);
}

task<pass_end> service_pass_runner::make_pass(one& p) {
    const mailbox::endpoint &from = p.made->from(), &to = p.made->to();
    const std::string name = from.display();
    transfer::pass_environment env = p.made->environment(p.strand);
    env.books = p.books.get();
    const bool verify = p.what.kind == transfer::pass_kind::verify;
    env.on_progress = [&p, verify](const transfer::progress& now) {
        if (const auto state = verify ? std::nullopt : state_of(now.state); state && state != p.told) {
            p.told = state;
            p.hooks.on_state(*state);
        }
        if (!verify && now.messages_done > 0) p.hooks.on_progress(counts_of(now, p.what.mailbox.counts));
    };
    env.on_failure = [&p, name](const transfer::failure& f) {
        const std::string text = fmt::format("message UID {} ({}): {}", f.source_uid, name_of(f.cls), f.reason);
        log::warning(name, "{}: {}", f.folder, text);
        p.hooks.on_line(store::log_level::warning, f.folder, text);
    };
    env.on_note = [&p, name](std::string_view text) {
        log::info(name, "{}", text);
        p.hooks.on_line(store::log_level::info, {}, text);
    };
    env.on_throttled = [&p, inner = env.on_throttled](bool target, const error& why) {
        inner(target, why);
        if (why.backoff_ms == 0 || !concerns_the_server(why)) return;
        p.hooks.on_throttled(target ? p.what.mailbox.target_server : p.what.mailbox.source_server,
                             unix_ms_now() + why.backoff_ms, why.message());
    };
    transfer::pass_options options =
        pass_options_of(p.words, from, to, shares_for(static_cast<std::uint32_t>(jobs_), words_.timeout), jobs_);
    options.connections = static_cast<std::size_t>(std::max(p.what.connections, 1));
    const auto pass = std::make_shared<transfer::mailbox_pass>(
        transfer::pass_names{.source = name, .target = to.display()}, std::move(options), std::move(env));
    const std::stop_callback stopper(p.stop, [strand = p.strand, weak = std::weak_ptr(pass)] {
        boost::asio::post(strand, [weak] {
            if (const auto still = weak.lock()) still->stop();
        });
    });
    if (verify && to.kind == mailbox::scheme::lmtp) {
        // It takes mail and lets nobody look at it: what it has confirmed is all that can be known.
        pass_end end;
        end.counts = p.what.mailbox.counts;
        end.why = fail(retry_class::config, phase::verify,
                       "the target delivers by LMTP and lets nobody look: what it confirmed could not be compared")
                      .error();
        co_return end;
    }
    transfer::mailbox_report report;
    if (verify)
        report = co_await pass->verify();
    else
        report = co_await pass->run();
    if (!never_started(report)) {
        auto stored = co_await p.books->keep_report(kept_report_of(report, rfc3339(std::chrono::system_clock::now())));
        if (!stored) log::warning(name, "{}", stored.error().message());
    }
    if (auto ok = co_await guests_->save(); !ok) log::warning(name, "{}", ok.error().message());
    tell_folders(report, p.hooks);
    pass_end end = end_of_report(report, p.what, *p.made);
    if (p.what.recipients && end.what == pass_end::how::done) {
        auto found = co_await search_recipients(p.made, p.strand, *p.what.recipients, p.stop);
        if (found)
            end.recipients = std::move(*found);
        else
            p.hooks.on_line(store::log_level::warning, {},
                            fmt::format("its mail could not be searched for aliases, the next pass tries again: {}",
                                        found.error().message()));
    }
    co_return end;
}

} // namespace postferry::app
