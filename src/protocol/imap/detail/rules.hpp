#pragma once
// One function per kind of response, each named after its rule in RFC 3501 section 9 or the extension's RFC.
#include "protocol/imap/detail/cursor.hpp"
#include "protocol/imap/response.hpp"

#include <expected>
#include <optional>
#include <string>
#include <string_view>

namespace postferry::imap::detail {

/// A whole response but FETCH; the error says in words what is wrong with it.
[[nodiscard]] std::expected<response, std::string> read_response(std::string_view line, const parser_limits& limits);

/// Whether the response that begins with `line` may hold literals: untagged data may, a status' human text may not,
/// even if it ends in "{5}".
[[nodiscard]] bool may_hold_literals(std::string_view line) noexcept;

/// Reads `"*" SP number SP "FETCH"`; the message sequence number, or nothing when the response is another one.
[[nodiscard]] std::optional<std::uint32_t> fetch_prefix(cursor& at) noexcept;

// status.cpp: resp-cond-state, resp-cond-auth, resp-cond-bye, response-tagged
[[nodiscard]] std::optional<status_kind> status_keyword(std::string_view word) noexcept;
[[nodiscard]] status_response resp_text(std::string_view tag, status_kind kind, cursor& at);

// The rest stand behind their keyword. False after at.fail().
bool mailbox_list(cursor& at, list_data& out);
bool status_att_list(cursor& at, mailbox_status& out);
bool search(cursor& at, search_data& out);
bool esearch_response(cursor& at, esearch_data& out);
bool flags(cursor& at, flags_data& out);
bool expunged_resp(cursor& at, vanished_data& out);
bool capability_data_rule(cursor& at, std::vector<std::string>& out);
bool namespace_response(cursor& at, namespace_data& out);
bool id_response(cursor& at, id_data& out);
bool quota_response(cursor& at, quota_data& out);
bool quotaroot_response(cursor& at, quota_root_data& out);
/// NIL, or one character as a quoted string, literal or atom (RFC 3501 mailbox-list, RFC 2342).
bool delimiter(cursor& at, std::optional<char>& out);

/// msg-att, resumable at the literals that are streamed.
class fetch_reader {
  public:
    explicit fetch_reader(std::uint32_t sequence_number) { data_.sequence_number = sequence_number; }

    enum class outcome : std::uint8_t {
        complete,
        literal_due, ///< all text is read and a body item's literal comes next
        failed,
    };
    /// Reads on from `at` to its end. `literal_follows`: a literal's header was cut off the end of the text.
    [[nodiscard]] outcome read(cursor& at, bool literal_follows);
    /// After literal_due: the body item's literal is streamed, and the next read() begins behind it.
    void body_is_streamed(std::uint64_t octets);
    [[nodiscard]] fetch_data& data() noexcept { return data_; }

  private:
    bool msg_att_item(cursor& at, bool literal_follows);
    bool msg_att_value(cursor& at, std::string_view name);
    bool body_value(cursor& at, std::string section, bool literal_follows);
    bool modseq(cursor& at);
    bool email_id(cursor& at);

    fetch_data data_;
    bool opened_ = false;
    bool literal_due_ = false;
};

} // namespace postferry::imap::detail
