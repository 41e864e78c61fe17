#pragma once
// What people write of domains and accounts, as the API's JSON (DomainSettings of openapi.yaml).
#include "app/noun_context.hpp"

namespace postferry::app {

/// Merges what the options of a domain say into `settings`. Errors: class config, naming the option.
[[nodiscard]] result<void> put_domain_settings(const noun_words& words, boost::json::object& settings);
/// name, quota, language, time_zone of an account.
[[nodiscard]] result<void> put_account_values(const noun_words& words, boost::json::object& body);
/// Merges "imap=enabled" of --service into an object.
[[nodiscard]] result<void> put_services(const noun_words& words, boost::json::object& services);
/// A line for each.
[[nodiscard]] std::string settings_text(const boost::json::object& settings);
/// What `option` says, or the only [provisioning.NAME] that the service has.
[[nodiscard]] result<std::string> driver_of(const noun_context& c, std::string_view option);
[[nodiscard]] result<boost::json::object> find_domain(const noun_context& c, const std::string& word);

} // namespace postferry::app
