#include "jobs/import_pass.hpp"

#include "base/text.hpp"
#include "base/words.hpp"
#include "jobs/import_write.hpp"
#include "mailbox/endpoint_url.hpp"
#include "net/join.hpp"

#include <fmt/format.h>

#include <fstream>
#include <set>

namespace postferry::jobs {

using accounts::column;

namespace {

constexpr std::size_t most_servers = 1'000, servers_at_a_time = 16;
constexpr std::size_t most_batch_name = 200;
constexpr std::size_t longest_url = 8'000; ///< what parse_endpoint() takes, and a little less

error refused(std::string what, std::string advice = {}) {
    return fail(retry_class::config, phase::usage, std::move(what), std::move(advice)).error();
}

bool has_control(std::string_view text) noexcept {
    return std::ranges::any_of(text, [](char c) { return static_cast<unsigned char>(c) < 0x20 || c == 0x7f; });
}

accounts::row_wants wants_of(store::batch_mode mode) noexcept {
    const bool mail = mode == store::batch_mode::upsert || mode == store::batch_mode::messages_only;
    return {.mailbox = mail, .account = true, .password = !mail};
}

} // namespace

task<result<void>> import_pass::open(std::string path) {
    co_return co_await pool_->run([this, &path]() -> result<void> {
        auto in = std::make_unique<std::ifstream>(path, std::ios::binary);
        if (!*in) return fail(retry_class::local, phase::usage, "The uploaded file cannot be read again");
        auto reader = accounts::csv_reader::over(std::move(in));
        if (!reader) return std::unexpected(std::move(reader.error()));
        reader_.emplace(std::move(*reader));
        auto rows = accounts::row_stream::open(*reader_, form_.name, form_.defaults, wants_of(form_.mode));
        if (!rows) return std::unexpected(std::move(rows.error()));
        stream_ = std::move(*rows);
        return {};
    });
}

result<std::vector<accounts::csv_row>> import_pass::read_some() {
    std::vector<accounts::csv_row> out;
    const auto most = static_cast<std::size_t>(options_.bite);
    while (out.size() < most) {
        accounts::csv_row row;
        auto more = stream_->next(row);
        if (!more) return std::unexpected(std::move(more.error()));
        if (!*more) break;
        if (++rows_read_ > options_.most_rows)
            return std::unexpected(
                refused(fmt::format("{} has more than {}", form_.name, counted(options_.most_rows, "row")),
                        "Give it in parts"));
        out.push_back(std::move(row));
    }
    return out;
}

task<result<import_pass::rows_ptr>> import_pass::next() {
    co_return co_await pool_->run([this]() -> result<rows_ptr> {
        auto some = read_some();
        if (!some) return std::unexpected(std::move(some.error()));
        auto out = std::make_shared<std::vector<import_row>>();
        out->reserve(some->size());
        for (accounts::csv_row& one : *some) {
            out->push_back({.from = std::move(one)});
            check(out->back());
        }
        return out;
    });
}

void import_pass::check(import_row& r) {
    const std::string& batch = batch_of(r);
    if (batch.empty()) r.fault(column_of(column::batch), "is empty, and the import names no batch either");
    if (batch.size() > most_batch_name || has_control(batch))
        r.fault(column_of(column::batch), "is no name: at most 200 octets, no control characters");
    check_notify(r);
    if (r.from.account) check_account(r);
    if (r.from.mailbox) check_mailbox(r, *r.from.mailbox);
    if (r.good()) check_repeated(r);
}

/// Whether notices go to the owner, and where.
void import_pass::check_notify(import_row& r) {
    const std::string_view text = r.from.notify;
    const auto is_one_of = [&](std::initializer_list<std::string_view> words) {
        return std::ranges::any_of(words, [&](std::string_view word) { return iequals(text, word); });
    };
    if (text.empty()) return;
    if (is_one_of({"yes", "true", "1"})) {
        r.mailbox.notify = "yes";
    } else if (is_one_of({"no", "false", "0"})) {
        r.mailbox.notify = "no";
    } else if (auto address = directory::address::parse(text)) {
        r.mailbox.notify = address->text();
    } else {
        r.fault(column_of(column::notify), "must be yes, no, or the address that notices go to");
    }
}

void import_pass::check_account(import_row& r) {
    const accounts::wanted_account& a = *r.from.account;
    auto address = directory::address::parse(a.address);
    const bool optional = form_.mode == store::batch_mode::messages_only; // any login will do there
    if (address) r.address = std::move(*address);
    if (!r.address && !optional) r.fault(column_of(column::target_user), address.error().what);
    for (const std::string& text : a.aliases) {
        auto alias = directory::address::parse(text);
        if (!alias) {
            r.fault(column_of(column::aliases), alias.error().what);
        } else if (r.address && *alias == *r.address) {
            r.fault(column_of(column::aliases), fmt::format("{} is the account itself", alias->text()));
        } else {
            r.aliases.push_back(std::move(*alias));
        }
    }
    if (!r.aliases.empty() && !r.address)
        r.fault(column_of(column::aliases), "need an account with an address, which target_user is not");
    if (form_.mode == store::batch_mode::upsert && a.password.empty()) ++without_password_;
    r.mailbox.target_user = r.address ? r.address->text() : a.address;
}

void import_pass::check_mailbox(import_row& r, const accounts::account& m) {
    const mailbox::endpoint source = m.source(), target = m.target();
    for (const auto& [end, where] : {std::pair{&source, column::source_url}, std::pair{&target, column::target_url}})
        if (mailbox::is_local(end->kind) && !form_.local_places)
            r.fault(column_of(where), "is a place on the machine of the service, which only its owner may name");
    if (source.kind == mailbox::scheme::lmtp)
        r.fault(column_of(column::source_protocol), "LMTP gives no mail; it can be a target only");
    if (target.kind == mailbox::scheme::pop3 || target.kind == mailbox::scheme::pop3s)
        r.fault(column_of(column::target_protocol),
                "POP3 takes no mail; a target is imap, imaps, lmtp, maildir or mbox");
    r.mailbox.source_url = place_url(source);
    r.mailbox.target_url = place_url(target);
    for (const auto& [url, where] :
         {std::pair{&r.mailbox.source_url, column::source_url}, std::pair{&r.mailbox.target_url, column::target_url}})
        if (url->size() > longest_url) r.fault(column_of(where), "is too long a URL");
    r.mailbox.source_server = server_key(source);
    r.mailbox.target_server = server_key(target);
    r.mailbox.source_user = source.user;
    r.mailbox.target_user = target.user;
}

void import_pass::check_repeated(import_row& r) {
    const auto row = static_cast<std::uint32_t>(r.from.row);
    const store::migration& m = r.mailbox;
    const std::string target = fmt::format("t\n{}\n{}", m.target_url, m.target_user);
    const std::string both = fmt::format("m\n{}\n{}\n{}\n{}", batch_of(r), m.source_url, m.source_user, target);
    if (const auto before = said_.put(both, row)) {
        const bool mail = r.from.mailbox.has_value();
        r.fault(mail ? std::string{} : column_of(column::target_user),
                mail ? fmt::format("is the same source and target as row {}", *before)
                     : fmt::format("is the same account as row {}", *before));
        return;
    }
    // Two people's mail in one mailbox is seldom what was meant. It may be.
    if (r.from.mailbox && said_.put(target, row)) ++shared_targets_;
    if (!r.address) return;
    if (const auto alias = said_.find_row("a\n" + r.address->text()))
        r.fault(column_of(column::target_user), fmt::format("{} is an alias of row {}", r.address->text(), *alias));
    (void)said_.put("u\n" + r.address->text(), row);
    for (const directory::address& a : r.aliases) {
        if (const auto user = said_.find_row("u\n" + a.text()))
            r.fault(column_of(column::aliases), fmt::format("{} is the account of row {}", a.text(), *user));
        if (const auto other = said_.put("a\n" + a.text(), row); other && *other != row)
            r.fault(column_of(column::aliases), fmt::format("{} is an alias of row {} already", a.text(), *other));
    }
}

task<> import_pass::probe(std::vector<import_row>& rows) {
    if (!options_.probe || !form_.check_hosts) co_return;
    std::vector<std::pair<std::string, mailbox::endpoint>> asked;
    const auto want = [&](const std::string& key, const mailbox::endpoint& where) {
        if (key.empty() || mailbox::is_local(where.kind) || servers_.contains(key)) return;
        if (servers_.size() >= most_servers) {
            ++servers_not_asked_;
            return;
        }
        servers_.emplace(key, std::string{});
        asked.emplace_back(key, where);
    };
    for (const import_row& r : rows) {
        if (!r.from.mailbox) continue;
        want(r.mailbox.source_server, r.from.mailbox->source_settings());
        want(r.mailbox.target_server, r.from.mailbox->target_settings());
    }
    std::size_t at = 0;
    const auto line = [](import_pass& self, std::vector<std::pair<std::string, mailbox::endpoint>>& all,
                         std::size_t& next) -> task<> {
        while (next < all.size()) {
            auto& one = all[next++];
            auto answer = co_await self.options_.probe(one.second);
            if (!answer) self.servers_[one.first] = answer.error().message();
        }
    };
    std::vector<task<>> lines;
    for (std::size_t i = 0; i < std::min(servers_at_a_time, asked.size()); ++i) lines.push_back(line(*this, asked, at));
    if (!lines.empty()) co_await net::join_all(std::move(lines));
    for (import_row& r : rows) {
        if (!r.from.mailbox) continue;
        for (const auto& [key, host, url] :
             {std::tuple{&r.mailbox.source_server, column::source_host, column::source_url},
              std::tuple{&r.mailbox.target_server, column::target_host, column::target_url}}) {
            const auto known = servers_.find(*key);
            if (known == servers_.end() || known->second.empty()) continue;
            r.fault(column_of(stream_->columns().has(url) ? url : host),
                    fmt::format("the server {} cannot be used: {}", *key, known->second));
        }
    }
}

task<result<bite_outcome>> import_pass::bite(rows_ptr rows, std::optional<std::string> actor) {
    const import_writer writer{.form = form_, .columns = stream_->columns(), .vault = vault_};
    if (!actor) co_return co_await db_.read([writer, rows](store::tables& t) { return writer.check(t, *rows); });
    co_return co_await db_.write(
        [writer, rows, actor = *actor](store::tables& t) { return writer.write(t, *rows, actor); });
}

std::vector<std::string> import_pass::notes() const {
    std::vector<std::string> out;
    if (reader_ && reader_->dialect().latin_1)
        out.push_back(fmt::format("{} is not UTF-8; it is read as Latin-1 (Windows-1252)", form_.name));
    if (stream_ && stream_->columns().has(column::notify))
        out.emplace_back("the column notify is kept with each mailbox; no notices are sent yet");
    if (shared_targets_ > 0)
        out.push_back(fmt::format("{} to a mailbox that another row goes to as well: what they hold becomes one",
                                  shared_targets_ == 1 ? "1 row goes" : grouped(shared_targets_) + " rows go"));
    if (without_password_ > 0)
        out.push_back(fmt::format("{} no password: nobody can log in to an account that is made for them",
                                  without_password_ == 1 ? "1 row names" : grouped(without_password_) + " rows name"));
    if (servers_not_asked_ > 0)
        out.push_back(fmt::format("only the first {} were asked whether they answer", counted(most_servers, "server")));
    return out;
}

} // namespace postferry::jobs
