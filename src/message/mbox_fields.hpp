#pragma once
#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace postferry::message {

/// The header fields that are an mbox's own notes about a message and no part of it. Dovecot, UW-IMAP and mutt write
/// them; Dovecot hides them from its clients, whoever wrote them.
enum class mbox_field : std::uint8_t { status, x_status, x_keywords, x_uid, x_imap, x_imapbase, content_length };
inline constexpr std::size_t longest_mbox_field = 15; ///< octets of the longest name with its colon

/// The field whose name, with the colon right behind it, `line` begins with; case does not matter.
[[nodiscard]] std::optional<mbox_field> mbox_field_at(std::string_view line) noexcept;

/// Gathers flags from those fields and from X-Mozilla-Status, which Thunderbird leaves in the message.
class mbox_flags {
  public:
    void take(mbox_field field, std::string_view body);
    /// @param body of X-Mozilla-Status: four hexadecimal digits. Counts where there is no Status field.
    void take_mozilla(std::string_view body);
    /// "\Seen", "\Answered", keywords. A message without any of the fields has none.
    [[nodiscard]] std::vector<std::string> flags() const;
    [[nodiscard]] std::optional<std::uint64_t> content_length() const noexcept { return content_length_; }
    [[nodiscard]] bool has_imap_base() const noexcept { return imap_base_; }

  private:
    void letters(std::string_view body);
    std::array<bool, 5> set_{};
    bool status_seen_ = false, imap_base_ = false;
    std::uint32_t mozilla_ = 0;
    std::vector<std::string> keywords_;
    std::optional<std::uint64_t> content_length_;
};

/// The lines that tell these flags ("\Seen $Label1", as in mailbox::append_item), line ends included: "Status: RO", and
/// X-Status and X-Keywords where there is need of them.
[[nodiscard]] std::string make_mbox_fields(std::string_view flags);

/// The X-IMAPbase line for the first message of a new mbox. Dovecot and UW-IMAP heed a keyword in X-Keywords only if it
/// is named there; behind it is room for some.
[[nodiscard]] std::string make_imap_base(std::uint32_t uid_validity);
/// Where keywords that are to be known go into the beginning of an mbox: text of the same length as what it replaces.
struct imap_base_change {
    std::size_t offset = 0;
    std::string text;
    std::vector<std::string> no_room; ///< keywords for which there is none, or no X-IMAPbase at all
};
/// @param beginning of the file: the first message's header, as far as it is known
[[nodiscard]] imap_base_change name_keywords(std::string_view beginning, const std::vector<std::string>& keywords);

} // namespace postferry::message
