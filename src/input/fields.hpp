#pragma once
// Reading a JSON body field by field: every fault is kept with the field's name, and a field that nobody asked for is
// one.
#include "base/error.hpp"
#include "base/secret.hpp"

#include <boost/json.hpp>

#include <cstdint>
#include <optional>
#include <set>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace postferry::input {

/// What is wrong with one field, for the form that it came from.
struct field_fault {
    std::string field;  ///< JSON Pointer into the body ("/settings/windows/0/from"), or "?limit" of a query
    std::string reason; ///< "must be from 1 to 500"
};

struct text_rule {
    std::size_t least = 0, most = 200; ///< octets
    bool lines = false;                ///< line breaks and tabs are allowed
};

/// One object of the body. Reads are by name, each at most once; what was not read when done() is called is a fault.
/// A field that is missing or null reads as nothing; a wrong one as well, and is a fault.
class fields {
  public:
    /// @param at JSON Pointer of the object, "" for the whole body
    fields(const boost::json::object& from, std::vector<field_fault>& faults, std::string at = {})
        : from_(&from), faults_(&faults), at_(std::move(at)) {}

    [[nodiscard]] bool has(std::string_view name) const noexcept { return from_->contains(name); }
    [[nodiscard]] std::optional<std::string> text(std::string_view name, text_rule rule = {});
    [[nodiscard]] std::optional<secret> password(std::string_view name, std::size_t most = 1'000);
    [[nodiscard]] std::optional<std::int64_t> integer(std::string_view name, std::int64_t least, std::int64_t most);
    [[nodiscard]] std::optional<bool> flag(std::string_view name);
    /// RFC 3339, as milliseconds since 1970.
    [[nodiscard]] std::optional<std::int64_t> moment(std::string_view name);
    /// One of the words; answers its place.
    [[nodiscard]] std::optional<std::size_t> word(std::string_view name, std::span<const std::string_view> words);
    [[nodiscard]] std::optional<std::vector<std::string>> texts(std::string_view name, std::size_t most,
                                                                text_rule each = {});
    /// An object within; nothing when it is not there.
    [[nodiscard]] std::optional<fields> object(std::string_view name);
    /// The elements of an array of objects.
    [[nodiscard]] std::optional<std::vector<fields>> objects(std::string_view name, std::size_t most);
    /// Any value, taken as it is.
    [[nodiscard]] const boost::json::value* any(std::string_view name);
    /// A fault when it is not there.
    fields& required(std::string_view name);
    /// An empty name: the object itself.
    void fault(std::string_view name, std::string reason);
    /// Names what was not read.
    void done();

  private:
    [[nodiscard]] const boost::json::value* take(std::string_view name);
    void fault_at(std::string place, std::string reason);
    [[nodiscard]] std::string pointer(std::string_view name) const;

    const boost::json::object* from_;
    std::vector<field_fault>* faults_;
    std::string at_;
    std::set<std::string, std::less<>> read_;
};

/// A whole body. Class config when it is not JSON (RFC 8259) or nested deeper than 32, with response_code "JSON"; when
/// it is no object, without.
[[nodiscard]] result<boost::json::object> parse_object(std::string_view body);

/// "2026-11-22T18:00:00Z", "...+01:00", fractions of a second: milliseconds since 1970-01-01T00Z. Years 1970 to 9999.
[[nodiscard]] std::optional<std::int64_t> parse_rfc3339(std::string_view text) noexcept;
[[nodiscard]] std::string rfc3339_of(std::int64_t ms); ///< UTC, with milliseconds when there are any

} // namespace postferry::input
