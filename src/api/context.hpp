#pragma once
// What a route's handler is given: who asks, what for, and with what in hand.
#include "api/problem.hpp"
#include "http/message.hpp"
#include "input/fields.hpp"
#include "store/records.hpp"

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace postferry::api {

using input::fields;
using input::parse_rfc3339;
using input::rfc3339_of;

/// Who may do a thing. A token may do what its scope and its owner's role both allow.
enum class access : std::uint8_t {
    anyone,  ///< not signed in
    read,    ///< viewer
    operate, ///< operator: runs batches, retries, waives
    admin,   ///< domains, accounts, credentials, settings
    owner,   ///< people and their roles
};

/// Who is asking.
struct caller {
    std::string actor;                           ///< store::event::actor: "person/3", "token/7", "cli/0"
    std::optional<store::record_id> person = {}; ///< none: the local socket
    std::string name = {};                       ///< for people
    store::person_role role = store::person_role::viewer;
    access most = access::anyone; ///< the role's and the scopes' together
    std::string csrf = {};        ///< of the session; empty: no cookie was used
    std::string session = {};     ///< its hash; empty: none
    std::string token = {};       ///< its hash; empty: none
};

struct page_request {
    store::record_id after = 0;
    int limit = 100;
};

/// The row that an edit is about, and the version that it was made from.
struct edited_row {
    store::record_id id = 0;
    store::row_version from = 0;
};

/// One strand; lives until its reply is made.
struct context {
    http::exchange& request;
    const caller& who;
    std::vector<std::string> parameters; ///< what stood for {id} ... in the path, in order
    boost::json::object body = {};       ///< of a route that takes one

    /// The parameter as an id; 404 when it is none.
    [[nodiscard]] outcome<store::record_id> id(std::size_t parameter = 0) const;
    /// The first field of the query of this name.
    [[nodiscard]] std::optional<std::string_view> query(std::string_view name) const noexcept;
    /// ?limit= and ?cursor=; 422 when they are not valid.
    [[nodiscard]] outcome<page_request> page() const;
    /// The version in If-Match; 428 when there is none, 412 when it is not one of ours.
    [[nodiscard]] outcome<store::row_version> if_match() const;
    /// Both, for an edit of the row that the first parameter names.
    [[nodiscard]] outcome<edited_row> edited() const;
    /// A field of the query as an id; 422 when it is none.
    [[nodiscard]] outcome<std::optional<store::record_id>> query_id(std::string_view name) const;
};

/// Opaque to clients; says behind which row the next page begins.
[[nodiscard]] std::string cursor_of(store::record_id after);
[[nodiscard]] std::optional<store::record_id> parse_cursor(std::string_view cursor) noexcept;
[[nodiscard]] std::string etag_of(store::row_version version); ///< with its quotes
/// {"items": [...], "next": "cursor" or null}
[[nodiscard]] http::reply page_reply(boost::json::array items, std::optional<store::record_id> next);
[[nodiscard]] http::reply json_reply(boost::json::value body, unsigned status = 200);
/// With its ETag.
[[nodiscard]] http::reply versioned_reply(boost::json::value body, store::row_version version, unsigned status = 200);
/// 201 with Location.
[[nodiscard]] http::reply created_reply(boost::json::value body, store::row_version version, std::string location);

} // namespace postferry::api
