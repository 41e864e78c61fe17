#include "app/connect.hpp"

#include "app/accounts.hpp"
#include "app/leased_target.hpp"
#include "app/log.hpp"

#include <boost/asio/this_coro.hpp>
#include <fmt/format.h>

#include <algorithm>
#include <atomic>

namespace postferry::app {

namespace {

constexpr std::uint64_t memory_for_all = 32U << 20U; ///< between sources and targets, however many mailboxes run

net::wire_trace trace_for(const mailbox::endpoint& where) {
    static std::atomic<std::uint64_t> connections{0};
    if (!log::wants(log::level::wire)) return {};
    return {[name = where.display()](std::string_view line) { log::write(log::level::wire, name, line); },
            ++connections};
}

} // namespace

shares shares_for(std::uint32_t jobs, std::chrono::milliseconds patience) noexcept {
    shares s;
    s.patience = patience;
    const std::uint64_t share = memory_for_all / std::max(jobs, 1U);
    s.pipeline.buffered_octets = std::clamp<std::uint64_t>(share, 512U << 10U, 4U << 20U);
    s.pipeline.whole_octets = s.pipeline.buffered_octets / 8;
    if (jobs > 2) s.source_block = jobs > 8 ? 64U << 10U : 128U << 10U;
    if (jobs > 8) s.target_block = 16U << 10U;
    return s;
}

client::server_settings settings_of(const mailbox::endpoint& where, std::chrono::milliseconds patience) {
    client::server_settings s;
    s.answer_patience = patience;
    s.connect_patience = std::min(s.connect_patience, patience);
    s.where = where.where;
    s.tls = where.tls;
    s.auth = where.auth;
    s.user = where.user;
    s.admin = where.admin;
    s.form = where.form;
    s.password = where.password;
    s.compress = where.compress;
    s.trace = trace_for(where);
    return s;
}

namespace {

/// The way to a session of any protocol: room at the server, a token where one logs in, and a second login with another
/// token when the first is refused. `open` takes client::server_settings and answers task<result<unique_ptr<Session>>>.
template <class Session, class Open>
task<result<std::unique_ptr<Session>>> log_in(const mailbox::endpoint& where, side which, services with, Open open) {
    const bool target = which == side::target;
    client::token_source* tokens = takes_token(where) ? with.tokens[target ? 1 : 0] : nullptr;
    std::optional<error> refused;
    while (true) {
        client::server_settings settings = settings_of(where, with.share.patience);
        if (target && with.may_write != nullptr) settings.may_send = *with.may_write;
        if (tokens != nullptr) {
            auto token = co_await tokens->take();
            if (!token && refused && token.error().server_said.empty())
                token.error().server_said = refused->server_said;
            if (!token) co_return std::unexpected(token.error());
            settings.password = std::move(*token);
        }
        const secret used = settings.password;
        if (with.stay != nullptr) {
            auto room = co_await with.stay->connect(target);
            if (!room) co_return std::unexpected(room.error());
            settings.allowance = std::move(*room);
        }
        auto session = co_await open(std::move(settings));
        if (session) {
            log::debug(where.display(), "connected to {} {}, logged in by {}", (*session)->peer(),
                       (*session)->tls_summary(), (*session)->login_method());
            co_return session;
        }
        if (with.stay != nullptr) with.stay->turned_away(target, session.error());
        if (tokens == nullptr || refused || session.error().cls != retry_class::auth) co_return session;
        refused = session.error();
        tokens->refused(used);
        log::debug(where.display(), "the token was refused; another one is got");
    }
}

} // namespace

task<result<std::unique_ptr<mailbox::imap_mailbox>>> open_imap(mailbox::endpoint where, side which, services with) {
    const shares& share = with.share;
    const std::size_t block = which == side::source ? share.source_block : share.target_block;
    const auto blocks = std::make_shared<client::block_pool>(block, share.pipeline.buffered_octets / block + 2);
    const executor ex = co_await boost::asio::this_coro::executor;
    auto session = co_await log_in<client::imap_session>(where, which, with, [&](client::server_settings settings) {
        return client::imap_session::open(ex, std::move(settings), blocks);
    });
    if (!session) co_return std::unexpected(session.error());
    if (with.stay != nullptr)
        with.stay->met(which == side::target, (*session)->capabilities().all(), (*session)->greeting());
    auto quirks = client::parse_quirks(where.quirks);
    if (!quirks) co_return std::unexpected(quirks.error());
    co_return std::make_unique<mailbox::imap_mailbox>(
        std::move(*session), mailbox::imap_options{.prefix = where.prefix, .tuning = {}, .quirks = std::move(*quirks)});
}

task<result<std::unique_ptr<mailbox::maildir_mailbox>>> open_maildir(mailbox::endpoint where, side which,
                                                                     services with) {
    mailbox::maildir_options options;
    options.path = where.path;
    options.place = where.display();
    options.prefix = where.prefix;
    options.names = with.names;
    options.window_octets = with.share.pipeline.buffered_octets;
    if (which == side::target && with.may_write != nullptr) options.may_store = *with.may_write;
    using role = mailbox::maildir_mailbox::role;
    return mailbox::maildir_mailbox::open(std::move(options), which == side::source ? role::source : role::target);
}

task<result<std::unique_ptr<mailbox::mbox_mailbox>>> open_mbox(mailbox::endpoint where, side which, services with) {
    mailbox::mbox_options options;
    options.path = where.path;
    options.place = where.display();
    options.prefix = where.prefix;
    options.format = where.mbox;
    options.names = with.names;
    if (which == side::target && with.may_write != nullptr) options.may_store = *with.may_write;
    using role = mailbox::mbox_mailbox::role;
    return mailbox::mbox_mailbox::open(std::move(options), which == side::source ? role::source : role::target);
}

task<result<std::unique_ptr<mailbox::lmtp_target>>> open_lmtp(mailbox::endpoint where, services with) {
    const executor ex = co_await boost::asio::this_coro::executor;
    auto session =
        co_await log_in<client::lmtp_session>(where, side::target, with, [&](client::server_settings settings) {
            return client::lmtp_session::open(ex, std::move(settings));
        });
    if (!session) co_return std::unexpected(session.error());
    co_return std::make_unique<mailbox::lmtp_target>(std::move(*session));
}

task<result<std::unique_ptr<client::pop3_session>>> open_uidl_session(mailbox::endpoint imap, services with) {
    mailbox::endpoint where = imap;
    where.kind = imap.uidl->kind;
    where.where = imap.uidl->where;
    // Never less safe than the line beside it.
    if (where.kind == mailbox::scheme::pop3s)
        where.tls.mode = net::tls_mode::implicit;
    else if (imap.tls.mode == net::tls_mode::implicit)
        where.tls.mode = net::tls_mode::require;
    with.stay = nullptr; // it is another server, asked once
    const auto blocks = std::make_shared<client::block_pool>(with.share.target_block, 2);
    const executor ex = co_await boost::asio::this_coro::executor;
    co_return co_await log_in<client::pop3_session>(where, side::source, with, [&](client::server_settings settings) {
        return client::pop3_session::open(ex, std::move(settings), blocks);
    });
}

task<result<std::unique_ptr<mailbox::pop3_mailbox>>> open_pop3(mailbox::endpoint where, services with) {
    const shares& share = with.share;
    const auto blocks = std::make_shared<client::block_pool>(share.source_block,
                                                             share.pipeline.buffered_octets / share.source_block + 2);
    const executor ex = co_await boost::asio::this_coro::executor;
    auto session =
        co_await log_in<client::pop3_session>(where, side::source, with, [&](client::server_settings settings) {
            return client::pop3_session::open(ex, std::move(settings), blocks);
        });
    if (!session) co_return std::unexpected(session.error());
    co_return std::make_unique<mailbox::pop3_mailbox>(
        std::move(*session), blocks, *with.names,
        mailbox::pop3_options{.place = where.display(), .in_memory = share.pipeline.whole_octets});
}

task<result<std::unique_ptr<mailbox::source>>> open_source(mailbox::endpoint where, services with) {
    if (auto ok = check_side(where, side::source); !ok) co_return std::unexpected(ok.error());
    switch (where.kind) {
    case mailbox::scheme::imap:
    case mailbox::scheme::imaps: {
        auto opened = co_await open_imap(where, side::source, with);
        if (!opened || !where.uidl) co_return opened;
        auto with_uidls = std::make_unique<mailbox::uidl_source>(
            std::move(*opened), [where, with] { return open_uidl_session(where, with); });
        if (auto ok = co_await with_uidls->ask(); !ok) co_return std::unexpected(ok.error());
        co_return with_uidls;
    }
    case mailbox::scheme::maildir: co_return co_await open_maildir(std::move(where), side::source, with);
    case mailbox::scheme::pop3:
    case mailbox::scheme::pop3s: co_return co_await open_pop3(std::move(where), with);
    case mailbox::scheme::mbox: co_return co_await open_mbox(std::move(where), side::source, with);
    case mailbox::scheme::lmtp: break;
    }
    co_return fail(retry_class::config, phase::usage, "no source speaks this scheme");
}

namespace {

/// A place on this machine, which has no line that would ask.
template <class Place>
result<std::unique_ptr<mailbox::target>> guarded(result<std::unique_ptr<Place>> place, const services& with) {
    if (!place) return std::unexpected(std::move(place.error()));
    if (with.may_write == nullptr) return std::unique_ptr<mailbox::target>(std::move(*place));
    return leased(std::move(*place), *with.may_write);
}

} // namespace

task<result<std::unique_ptr<mailbox::target>>> open_target(mailbox::endpoint where, services with) {
    if (auto ok = check_side(where, side::target); !ok) co_return std::unexpected(ok.error());
    switch (where.kind) {
    case mailbox::scheme::imap:
    case mailbox::scheme::imaps: co_return co_await open_imap(std::move(where), side::target, with);
    case mailbox::scheme::maildir: co_return guarded(co_await open_maildir(std::move(where), side::target, with), with);
    case mailbox::scheme::mbox: co_return guarded(co_await open_mbox(std::move(where), side::target, with), with);
    case mailbox::scheme::lmtp: co_return co_await open_lmtp(std::move(where), with);
    case mailbox::scheme::pop3:
    case mailbox::scheme::pop3s: break;
    }
    co_return fail(retry_class::config, phase::usage, "no target speaks this scheme");
}

} // namespace postferry::app
