#include "mailbox/imap_mailbox.hpp"

#include "base/text.hpp"

#include <fmt/format.h>

#include <algorithm>

namespace postferry::mailbox {

imap_mailbox::imap_mailbox(std::unique_ptr<client::imap_session> session, imap_options options)
    : session_(std::move(session)), options_(std::move(options)) {
    recognise();
}

void imap_mailbox::recognise() {
    quirks_ = client::choose_quirks({.host = session_->settings().where.host,
                                     .greeting = session_->greeting(),
                                     .capabilities = session_->capabilities().all(),
                                     .id = session_->id()},
                                    options_.quirks);
    habits_ = client::habits_of(quirks_);
    if (!habits_.many_per_fetch) options_.tuning.fetch_messages = 1;
}

std::uint64_t imap_mailbox::append_limit() const noexcept {
    const auto limit = session_->capabilities().value_of("APPENDLIMIT=");
    return limit ? parse_u64(*limit).value_or(0) : 0;
}

bool imap_mailbox::uses_condstore() const noexcept {
    return session_->capabilities().has("CONDSTORE") && habits_.condstore && !condstore_refused_;
}

task<result<void>> imap_mailbox::greet() {
    if (greeted_) co_return result<void>{};
    greeted_ = true;
    const client::capability_set& can = session_->capabilities();
    // quirk netease: nothing is served before the client has told its name.
    if (can.has("ID") || habits_.id_unasked)
        session_->submit({"ID (\"name\" \"postferry\" \"version\" \"" POSTFERRY_VERSION "\")"});
    // RFC 6855, section 6: who says UTF8=ONLY serves nobody who has not enabled it. Elsewhere it would only change how
    // names are written.
    if (!can.has("UTF8=ONLY")) co_return result<void>{};
    session_->submit({"ENABLE UTF8=ACCEPT"}, [this](imap::response& r) {
        if (const auto* enabled = std::get_if<imap::enabled_data>(&r))
            names_.utf8 =
                names_.utf8 || std::ranges::find(enabled->capabilities, "UTF8=ACCEPT") != enabled->capabilities.end();
    });
    co_return co_await session_->settle();
}

void imap_mailbox::ask_about_names() {
    if (asked_) return;
    asked_ = true;
    const client::capability_set& can = session_->capabilities();
    if (can.has("ENABLE") && uses_condstore()) session_->submit({"ENABLE CONDSTORE"});
    if (!habits_.namespaces || (!can.has("NAMESPACE") && !can.has("IMAP4REV2"))) return;
    session_->submit({"NAMESPACE"}, [this](imap::response& r) {
        const auto* data = std::get_if<imap::namespace_data>(&r);
        if (data == nullptr) return;
        namespace_told_ = true;
        if (!data->personal.empty()) {
            names_.prefix = data->personal.front().prefix;
            names_.delimiter = data->personal.front().delimiter;
        }
        for (const auto* list : {&data->other_users, &data->shared})
            for (const auto& entry : *list)
                if (!entry.prefix.empty() && foreign_.size() < session_->settings().limits.namespaces)
                    foreign_.push_back(entry);
    });
}

std::string imap_mailbox::handle_of(std::string_view name) const {
    if (options_.prefix.empty() || detail::is_inbox(name)) return detail::encode_name(name, names_);
    return detail::encode_name(fmt::format("{}/{}", options_.prefix, name), names_);
}

task<result<void>> imap_mailbox::make_room() {
    while (session_->talk().unfinished() >= options_.tuning.commands_in_flight) {
        if (auto ok = co_await session_->flush(); !ok) co_return ok;
        if (auto ok = co_await session_->receive(); !ok) co_return ok;
    }
    co_return result<void>{};
}

task<result<std::vector<imap::quota_data>>> imap_mailbox::quota() {
    std::vector<imap::quota_data> out;
    if (!session_->capabilities().has("QUOTA")) co_return out;
    const std::size_t most = session_->settings().limits.namespaces;
    const auto take = [&out, most](imap::response& r) {
        if (auto* q = std::get_if<imap::quota_data>(&r); q != nullptr && out.size() < most)
            out.push_back(std::move(*q));
    };
    const auto status = co_await session_->run({"GETQUOTAROOT INBOX"}, take);
    if (!status) co_return std::unexpected(status.error());
    co_return out;
}

} // namespace postferry::mailbox
