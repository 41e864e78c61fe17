#include "api/recredential.hpp"

#include "api/audit.hpp"
#include "input/fields.hpp"
#include "jobs/credentials_given.hpp"
#include "jobs/login_check.hpp"
#include "store/refusal.hpp"

#include <fmt/format.h>

#include <charconv>

namespace postferry::api {

using store::link_kind;
using store::tables;

namespace {

constexpr std::string_view wrong = "recredential.wrong";

std::string actor_of(const store::one_time_link& l) { return fmt::format("link/{}", l.id); }

/// How many wrong passwords were tried with the link; no more than needed are counted.
result<int> wrong_tries(tables& t, const store::one_time_link& l, store::record_id mailbox) {
    auto tried = t.events.list(
        {.migration = mailbox, .kind_prefix = fmt::format("audit.{}", wrong), .actor = actor_of(l), .from = l.created},
        {.limit = most_wrong_passwords});
    if (!tried) return std::unexpected(std::move(tried.error()));
    return static_cast<int>(tried->rows.size());
}

result<std::string> company_name(tables& t) {
    auto row = t.settings.find("company", "name");
    if (!row) return std::unexpected(std::move(row.error()));
    if (!*row) return std::string();
    boost::system::error_code ec;
    const auto value = boost::json::parse((*row)->value, ec);
    return ec || !value.is_string() ? std::string() : std::string(value.as_string());
}

} // namespace

result<store::one_time_link> put_recredential_link(tables& t, store::record_id mailbox, const std::string& nonce_hash,
                                                   std::chrono::hours lifetime, const std::string& actor) {
    namespace refusal = store::refusal;
    auto now = t.now();
    if (!now) return std::unexpected(std::move(now.error()));
    auto m = t.migrations.find(mailbox);
    if (!m) return std::unexpected(std::move(m.error()));
    if (!*m) return refusal::refuse(refusal::missing, "There is no such mailbox");
    if ((*m)->state != store::mailbox_state::needs_credentials)
        return refusal::refuse(refusal::not_allowed, "The mailbox does not wait for a password");
    if (!jobs::owner_knows_password(**m))
        return refusal::refuse(refusal::not_allowed,
                               "The mailbox is read by an administrator's login or by tokens, which its owner does not "
                               "have; give them with POST /mailboxes/{mailbox}/credentials");
    const std::string subject = std::to_string(mailbox);
    auto gone = t.requests.remove_links(link_kind::recredential, subject);
    if (!gone) return std::unexpected(std::move(gone.error()));
    auto made = t.requests.add(store::one_time_link{.kind = link_kind::recredential,
                                                    .subject = subject,
                                                    .nonce_hash = nonce_hash,
                                                    .created = *now,
                                                    .expires = *now + std::chrono::milliseconds(lifetime).count()});
    if (!made) return made;
    auto kept = audit(t, actor,
                      {.what = "recredential.link",
                       .detail = {{"link", made->id}, {"expires", input::rfc3339_of(made->expires)}},
                       .batch = (*m)->batch,
                       .migration = mailbox});
    if (!kept) return std::unexpected(std::move(kept.error()));
    return made;
}

result<std::optional<recredential>> find_recredential(tables& t, const std::string& nonce_hash) {
    auto now = t.now();
    if (!now) return std::unexpected(std::move(now.error()));
    auto link = t.requests.find_link(nonce_hash);
    if (!link) return std::unexpected(std::move(link.error()));
    if (!*link || (*link)->kind != link_kind::recredential || (*link)->used || (*link)->expires <= *now)
        return std::nullopt;
    store::record_id mailbox = 0;
    const std::string& subject = (*link)->subject;
    std::from_chars(subject.data(), subject.data() + subject.size(), mailbox);
    auto m = t.migrations.find(mailbox);
    if (!m) return std::unexpected(std::move(m.error()));
    // Somebody has given the password meanwhile, or nobody wants the mailbox any more.
    if (!*m || (*m)->state != store::mailbox_state::needs_credentials) return std::nullopt;
    auto tried = wrong_tries(t, **link, mailbox);
    if (!tried) return std::unexpected(std::move(tried.error()));
    if (*tried >= most_wrong_passwords) return std::nullopt;
    auto company = company_name(t);
    if (!company) return std::unexpected(std::move(company.error()));
    return recredential{.link = std::move(**link),
                        .mailbox = std::move(**m),
                        .company = std::move(*company),
                        .tries_left = most_wrong_passwords - *tried};
}

result<int> refuse_recredential(tables& t, const std::string& nonce_hash) {
    auto found = find_recredential(t, nonce_hash);
    if (!found) return std::unexpected(std::move(found.error()));
    if (!*found) return 0;
    const recredential& r = **found;
    auto kept = audit(t, actor_of(r.link),
                      {.what = std::string(wrong),
                       .detail = {{"link", r.link.id}, {"tries_left", r.tries_left - 1}},
                       .batch = r.mailbox.batch,
                       .migration = r.mailbox.id});
    if (!kept) return std::unexpected(std::move(kept.error()));
    return r.tries_left - 1;
}

result<bool> take_recredential(tables& t, store::vault& keys, const std::string& nonce_hash, const secret& password) {
    auto now = t.now();
    if (!now) return std::unexpected(std::move(now.error()));
    auto found = find_recredential(t, nonce_hash);
    if (!found) return std::unexpected(std::move(found.error()));
    if (!*found) return false;
    const recredential& r = **found;
    auto used = t.requests.use_link(nonce_hash, *now);
    if (!used || !*used) return used;
    auto kept = keys.put(
        t, {{.key = {.kind = store::owner_kind::migration, .owner = std::to_string(r.mailbox.id), .purpose = "source"},
             .value = password}});
    if (!kept) return std::unexpected(std::move(kept.error()));
    auto on = jobs::credentials_given(t, r.mailbox.id, actor_of(r.link));
    if (!on) return std::unexpected(std::move(on.error()));
    auto told = audit(t, actor_of(r.link),
                      {.what = "recredential.used",
                       .detail = {{"link", r.link.id}},
                       .batch = r.mailbox.batch,
                       .migration = r.mailbox.id});
    if (!told) return std::unexpected(std::move(told.error()));
    return true;
}

} // namespace postferry::api
