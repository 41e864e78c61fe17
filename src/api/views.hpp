#pragma once
// Rows of the store as the API shows them (schemas of openapi.yaml). No secret is in them.
#include "api/json_writer.hpp"
#include "input/fields.hpp"
#include "store/lease_repository.hpp"
#include "store/records.hpp"

#include <boost/json.hpp>

namespace postferry::api {

using input::rfc3339_of;

[[nodiscard]] boost::json::object view_of(const store::person& p);
[[nodiscard]] boost::json::object view_of(const store::api_token& t);
[[nodiscard]] boost::json::object view_of(const store::project& p);
[[nodiscard]] boost::json::object view_of(const store::setting& s);
[[nodiscard]] boost::json::object view_of(const store::domain& d);
[[nodiscard]] boost::json::object view_of(const store::account& a);
[[nodiscard]] boost::json::object view_of(const store::alias& a);
/// @param tally one line for each state that its mailboxes are in
[[nodiscard]] boost::json::object view_of(const store::batch& b, const std::vector<store::batch_tally>& tally);
[[nodiscard]] boost::json::object view_of(const store::migration& m);
/// The same as text: lists have very many of them.
void write_view(json_writer& to, const store::migration& m);
[[nodiscard]] boost::json::object view_of(const store::pass_record& p);
[[nodiscard]] boost::json::object view_of(const store::event& e);
[[nodiscard]] boost::json::object view_of(const store::log_line& l);
[[nodiscard]] boost::json::object view_of(const store::worker& w);
[[nodiscard]] boost::json::object view_of(const store::server_use& s);
[[nodiscard]] boost::json::object view_of(const store::message_counts& c);
/// JSON that the store keeps as text; an object when it is none.
[[nodiscard]] boost::json::value parsed(const store::json_text& text);
[[nodiscard]] boost::json::value moment_or_null(std::optional<store::unix_ms> ms);

} // namespace postferry::api
