#include "jobs/login_check.hpp"

#include "mailbox/endpoint.hpp"

namespace postferry::jobs {

bool owner_knows_password(const store::migration& m) {
    const auto at = mailbox::parse_endpoint(m.source_url, m.source_user);
    if (!at || mailbox::is_local(at->kind) || !at->admin.empty() || !at->oauth.empty()) return false;
    using enum sasl::choice;
    return at->auth != xoauth2 && at->auth != oauthbearer && at->auth != external;
}

} // namespace postferry::jobs
