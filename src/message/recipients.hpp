#pragma once
// Which addresses the mail of a mailbox was meant for or delivered to: what its aliases may be.
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <unordered_set>
#include <vector>

namespace postferry::message {

/// The header fields to ask for: "TO CC ...". `deliveries`: also those that mail servers write where they deliver.
[[nodiscard]] std::string_view recipient_fields(bool deliveries) noexcept;

/// The addresses of an address-list (RFC 5322, 3.4) of any octets, in order, at most `most`: local part, "@" and
/// domain as written. What comments, quoted strings and display names hold is none; nor is one with a quoted local
/// part, white space, control characters, a domain literal, or more than 254 octets. Linear in time.
[[nodiscard]] std::vector<std::string_view> addresses_in(std::string_view body, std::size_t most);

/// The address behind "for" in the body of a Received field (RFC 5321, 4.4).
[[nodiscard]] std::optional<std::string_view> received_for(std::string_view body);

/// An address that is not the owner's, and what speaks for it.
struct recipient {
    std::string address; ///< ASCII letters in lower case
    std::uint32_t messages = 0;
    bool in_to = false, delivered = false; ///< where it stands: in To; in a field of a delivery
    std::vector<std::string_view> fields;  ///< their names, each once: "To", "Delivered-To"
    std::optional<std::int64_t> newest_unix;
};

/// Whose other addresses are looked for, and how far.
struct recipient_wish {
    std::vector<std::string> own; ///< the owner's addresses
    bool deliveries = false;      ///< also in what mail servers write where they deliver
};

/// What a mailbox has shown.
struct recipients_found {
    std::vector<recipient> all; ///< the most messages first
    std::uint64_t messages = 0; ///< whose headers were read
    std::size_t folders = 0;
    std::vector<std::string> notes = {}; ///< what was not looked at, and why
};

/// Counts, over the headers of a mailbox, messages that name other addresses than its owner's. In To an address counts
/// only where it may be why the message came: not when the owner's own address stands in To or Cc, when the owner wrote
/// it, or when it came over a mailing list (List-Id). Of a message from a list only the topmost field of a delivery
/// counts: those below are the list's. The same message (Message-ID) counts once. "owner+anything@domain" is the
/// owner's. Bounded: 64 kB of a header, 100 addresses of a field, 10,000 addresses in all.
class recipient_tally {
  public:
    static constexpr std::size_t most_addresses = 10'000, most_of_a_field = 100, most_header = 64U << 10U;
    static constexpr std::uint32_t least_in_to = 3;

    explicit recipient_tally(const recipient_wish& wish);

    void add(std::string_view header, std::optional<std::int64_t> received_unix);

    [[nodiscard]] std::uint64_t messages() const noexcept { return messages_; }
    /// Some addresses were not counted, because there were too many.
    [[nodiscard]] bool full() const noexcept { return full_; }
    /// Those that something speaks for: of a delivery one message, of To alone three. The most messages first.
    [[nodiscard]] std::vector<recipient> found() const;

  private:
    struct header_facts;
    [[nodiscard]] static header_facts read(std::string_view header);
    [[nodiscard]] bool is_own(std::string_view address) const;
    void count(std::string_view address, std::string_view field, bool delivered,
               std::unordered_set<std::string>& of_this_message, std::optional<std::int64_t> when);

    std::unordered_set<std::string> own_;
    bool deliveries_, full_ = false;
    std::uint64_t messages_ = 0;
    std::unordered_map<std::string, recipient> all_;
    std::unordered_set<std::size_t> seen_; ///< digests of Message-IDs
};

} // namespace postferry::message
