// Logs of batches and mailboxes: in pages, and whole as a download.
#include "api/audit.hpp"
#include "api/batch_view.hpp"
#include "api/downloads.hpp"
#include "api/listing.hpp"
#include "api/routes.hpp"

#include <fmt/format.h>

#include <map>

namespace postferry::api {

using store::log_filter;
using store::log_line;
using store::tables;

namespace {

enum class scope : std::uint8_t { batch, mailbox };
enum class form : std::uint8_t { text, json_lines };

outcome<log_filter> filter_of(scope of, const context& c) {
    auto id = c.id();
    if (!id) return std::unexpected(std::move(id.error()));
    log_filter f;
    if (of == scope::batch) {
        f.batch = *id;
        auto mailbox = c.query_id("mailbox");
        if (!mailbox) return std::unexpected(std::move(mailbox.error()));
        f.migration = *mailbox;
    } else {
        f.migration = *id;
    }
    if (const auto folder = c.query("folder")) f.folder = folder->substr(0, 1'000);
    if (const auto level = c.query("level")) {
        const auto known = store::parse<store::log_level>(*level);
        if (!known)
            return invalid("?level",
                           fmt::format("must be one of: {}", fmt::join(store::words_of<store::log_level>, ", ")));
        f.at_least = *known;
    }
    return f;
}

result<void> must_exist(tables& t, scope of, const log_filter& f) {
    if (of == scope::batch) {
        if (auto row = existing_batch(t, *f.batch); !row) return std::unexpected(std::move(row.error()));
    } else {
        if (auto row = existing_mailbox(t, *f.migration); !row) return std::unexpected(std::move(row.error()));
    }
    return {};
}

task<outcome<http::reply>> list_lines(route_parts with, scope of, context& c) {
    auto filter = filter_of(of, c);
    if (!filter) co_return std::unexpected(std::move(filter.error()));
    co_return co_await list(with.db, c,
                            [of, f = *filter](tables& t, const store::paging& p) -> result<store::slice<log_line>> {
                                if (auto ok = must_exist(t, of, f); !ok) return std::unexpected(std::move(ok.error()));
                                return t.logs.list(f, p);
                            });
}

/// How a log calls mailboxes: by their user on the old server.
using mailbox_names = std::map<store::record_id, std::string>;
constexpr std::size_t most_names = 10'000;

result<void> add_names(tables& t, const std::vector<log_line>& lines, mailbox_names& names) {
    if (names.size() > most_names) names.clear();
    for (const log_line& l : lines) {
        if (!l.migration || names.contains(*l.migration)) continue;
        auto row = t.migrations.find(*l.migration);
        if (!row) return std::unexpected(std::move(row.error()));
        const bool named = *row && !(*row)->source_user.empty();
        names.emplace(*l.migration, named ? (*row)->source_user : fmt::format("mailbox {}", *l.migration));
    }
    return {};
}

std::string text_of(const log_line& l, const mailbox_names& names) {
    std::string out = fmt::format("{} {:<7} ", rfc3339_of(l.at), store::name_of(l.level));
    if (l.migration) out += names.at(*l.migration) + ": ";
    if (l.folder) out += fmt::format("{}: ", *l.folder);
    out += l.text;
    // One line each, whatever a server has said.
    std::ranges::replace_if(out, [](char ch) { return static_cast<unsigned char>(ch) < 0x20; }, ' ');
    return out + "\n";
}

struct named_page {
    store::slice<log_line> lines;
    mailbox_names names;
};

task<> write_lines(store::database& db, log_filter f, form as, http::body_sink& out) {
    store::record_id after = 0;
    mailbox_names names;
    for (bool more = true; more && !out.stopping();) {
        auto read = co_await db.read([f, after, as, names](tables& t) -> result<named_page> {
            auto lines = t.logs.list(f, {.after = after, .limit = 500});
            if (!lines) return std::unexpected(std::move(lines.error()));
            named_page page{.lines = std::move(*lines), .names = names};
            if (as == form::text)
                if (auto ok = add_names(t, page.lines.rows, page.names); !ok)
                    return std::unexpected(std::move(ok.error()));
            return page;
        });
        if (!read) throw std::runtime_error("the log could not be read to its end"); // no whole body
        names = std::move(read->names);
        std::string text;
        for (const log_line& l : read->lines.rows)
            text += as == form::text ? text_of(l, names) : boost::json::serialize(view_of(l)) + "\n";
        if (!co_await out.write(text)) co_return;
        more = read->lines.more;
        if (more) after = read->lines.rows.back().id;
    }
    if (out.stopping()) throw std::runtime_error("the service stops");
}

task<outcome<http::reply>> download_lines(route_parts with, scope of, form as, context& c) {
    auto filter = filter_of(of, c);
    if (!filter) co_return std::unexpected(std::move(filter.error()));
    auto there = co_await with.db.read([of, f = *filter](tables& t) { return must_exist(t, of, f); });
    if (!there) co_return refuse(there.error());
    const auto [word, id] =
        of == scope::batch ? std::pair("batch", *filter->batch) : std::pair("mailbox", *filter->migration);
    const bool text = as == form::text;
    co_return download(text ? "text/plain; charset=utf-8" : "application/jsonl",
                       fmt::format("postferry-{}-{}-log.{}", word, id, text ? "txt" : "jsonl"),
                       [&db = with.db, f = *filter, as](http::body_sink& out) { return write_lines(db, f, as, out); });
}

/// A bite of a log that may have millions of lines. Answers whether there is more.
result<bool> remove_bite(tables& t, scope of, log_filter f) {
    if (auto ok = must_exist(t, of, f); !ok) return std::unexpected(std::move(ok.error()));
    auto some = t.logs.list(f, {.limit = 2'000});
    if (!some) return std::unexpected(std::move(some.error()));
    if (some->rows.empty()) return false;
    f.up_to = some->rows.back().id;
    auto gone = t.logs.remove(f);
    if (!gone) return std::unexpected(std::move(gone.error()));
    return some->more;
}

task<outcome<http::reply>> remove_lines(route_parts with, scope of, context& c) {
    auto id = c.id();
    if (!id) co_return std::unexpected(std::move(id.error()));
    log_filter f;
    (of == scope::batch ? f.batch : f.migration) = *id;
    for (bool more = true; more;) {
        auto done = co_await with.db.write([of, f](tables& t) { return remove_bite(t, of, f); });
        if (!done) co_return refuse(done.error());
        more = *done;
    }
    auto kept = co_await with.db.synced([of, f, actor = c.who.actor](tables& t) {
        return audit(t, actor,
                     {.what = of == scope::batch ? "batch.delete_log" : "mailbox.delete_log",
                      .batch = f.batch,
                      .migration = f.migration});
    });
    if (!kept) co_return refuse(kept.error());
    co_return http::reply::empty();
}

} // namespace

void add_log_routes(router& to, route_parts with) {
    using http::method;
    struct place {
        scope of;
        std::string_view page, text, lines;
    };
    static constexpr std::array<place, 2> places{
        {{scope::batch, "/batches/{batch}/log", "/batches/{batch}/log.txt", "/batches/{batch}/log.jsonl"},
         {scope::mailbox, "/mailboxes/{mailbox}/log", "/mailboxes/{mailbox}/log.txt",
          "/mailboxes/{mailbox}/log.jsonl"}}};
    for (const place& p : places) {
        const auto get = [&](std::string_view pattern, auto f) {
            to.add({.verb = method::get, .pattern = pattern, .needs = access::read, .run = f});
        };
        get(p.page, [with, of = p.of](context& c) { return list_lines(with, of, c); });
        get(p.text, [with, of = p.of](context& c) { return download_lines(with, of, form::text, c); });
        get(p.lines, [with, of = p.of](context& c) { return download_lines(with, of, form::json_lines, c); });
        to.add({.verb = method::del, .pattern = p.page, .needs = access::admin, .run = [with, of = p.of](context& c) {
                    return remove_lines(with, of, c);
                }});
    }
}

} // namespace postferry::api
