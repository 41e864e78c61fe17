#pragma once
// What a company has set for its domains, and a domain for itself, as JSON: in the API, and in the store.
#include "directory/company_defaults.hpp"
#include "input/fields.hpp"
#include "store/tables.hpp"

namespace postferry::jobs {

/// Where the company's are kept (store::setting).
inline constexpr std::string_view company_scope = "company", company_defaults = "domains";

/// Faults are added with their fields; what is wrong reads as not set.
[[nodiscard]] directory::domain_settings read_domain_settings(input::fields from);
/// Of what the store keeps. Class local when it is none of ours.
[[nodiscard]] result<directory::domain_settings> parse_domain_settings(const store::json_text& text);
/// Only what is set.
[[nodiscard]] boost::json::object json_of(const directory::domain_settings& s);
/// What the company has set; nothing set when nobody has said anything.
[[nodiscard]] result<directory::domain_settings> company_settings(store::tables& t);
/// The company's and the domain's together.
[[nodiscard]] result<directory::domain_settings> effective_settings(store::tables& t, const store::domain& d);

} // namespace postferry::jobs
