#pragma once
// What a request is refused with: application/problem+json (RFC 9457).
#include "base/error.hpp"
#include "http/message.hpp"
#include "input/fields.hpp"

#include <expected>
#include <string>
#include <vector>

namespace postferry::api {

using input::field_fault;

struct problem {
    unsigned status = 500;
    std::string title;       ///< of the kind; the same for all of its kind
    std::string detail = {}; ///< of this one: what happened and what to do
    std::vector<field_fault> errors = {};
    http::field_list fields = {}; ///< further header fields (Retry-After, WWW-Authenticate)
};

template <class T> using outcome = std::expected<T, problem>;

[[nodiscard]] std::unexpected<problem> refuse(unsigned status, std::string detail = {});
[[nodiscard]] std::unexpected<problem> invalid(std::vector<field_fault> faults); ///< 422
[[nodiscard]] std::unexpected<problem> invalid(std::string field, std::string reason);
/// What a failure of the house means to a client: the store's refusals become 404, 409 and 412; a database that is gone
/// 503; a full disk 507; nothing of which tells more than error::message().
[[nodiscard]] problem problem_of(const error& why);
[[nodiscard]] std::unexpected<problem> refuse(const error& why);
[[nodiscard]] http::reply reply_of(const problem& p);
/// "Not found" for 404 ...
[[nodiscard]] std::string_view title_of(unsigned status) noexcept;

} // namespace postferry::api
