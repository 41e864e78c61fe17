// [defaults] under what the command line says.
#include "app/accounts.hpp"
#include "app/option_checks.hpp"

namespace postferry::app {

namespace {

void fill(std::string& typed, const std::string& usual) {
    if (typed.empty()) typed = usual;
}

template <class T> void fill(std::optional<T>& typed, const std::optional<T>& usual) {
    if (!typed) typed = usual;
}

void fill(std::vector<std::string>& typed, const std::vector<std::string>& usual) {
    if (typed.empty()) typed = usual;
}

/// One end. What logs in there goes with the end: it is not told to a server that the command line names.
struct end_texts {
    std::string& url;
    const std::string& password_file;
    const std::string& token_file;
    std::string& oauth;
    config_secret& password;
    const raw_oauth& own_client;
};

void complete_end(const end_texts& typed, bool named, const raw_oauth& both, const std::string& url,
                  const std::string& oauth, const config_secret& password) {
    if (named || !typed.url.empty()) return;
    typed.url = url;
    if (!typed.password_file.empty() || !typed.token_file.empty()) return;
    typed.password = password;
    const bool client = !typed.own_client.token_endpoint.empty() || !both.token_endpoint.empty();
    const auto e = mailbox::parse_endpoint(url);
    if (!client && (url.empty() || (e && takes_token(*e)))) fill(typed.oauth, oauth);
}

} // namespace

void complete_options(raw_options& raw, command what, const config_defaults& from) {
    fill(raw.state, from.state.string());
    if (what == command::report) return;
    // SOURCE and TARGET.
    const bool named = raw.where.size() > 1;
    complete_end({.url = raw.source,
                  .password_file = raw.source_password_file,
                  .token_file = raw.source_token_file,
                  .oauth = raw.source_oauth,
                  .password = raw.source_password,
                  .own_client = raw.guest.oauth_source},
                 named, raw.guest.oauth, from.source, from.source_oauth, from.source_password);
    complete_end({.url = raw.target,
                  .password_file = raw.target_password_file,
                  .token_file = raw.target_token_file,
                  .oauth = raw.target_oauth,
                  .password = raw.target_password,
                  .own_client = raw.guest.oauth_target},
                 named, raw.guest.oauth, from.target, from.target_oauth, from.target_password);
    fill(raw.jobs, from.jobs);
    fill(raw.timeout, from.timeout);
    raw.acl = raw.acl || (!raw.no_acl && from.acl.value_or(false));
    fill(raw.include, from.include);
    fill(raw.exclude, from.exclude);
    fill(raw.map, from.map);
    fill(raw.since, from.since);
    fill(raw.max_size, from.max_size);
    if (!raw.no_repair) fill(raw.repair, from.repair);
    fill(raw.guest.presets, from.preset);
    fill(raw.guest.limit_rate, from.limit_rate);
    fill(raw.guest.limit_messages, from.limit_messages);
    fill(raw.guest.limit_logins, from.limit_logins);
    fill(raw.guest.daily_bytes, from.daily_bytes);
    fill(raw.guest.daily_bytes_per_server, from.daily_bytes_per_server);
}

} // namespace postferry::app
