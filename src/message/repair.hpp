#pragma once
// Mending messages that a target refuses as they are (docs/report.md#repairs). Every repair is a streaming transform in
// bounded memory, does nothing to a message without its fault, and changes nothing when it is applied again.
//
// An APPEND announces its size before the first octet, so a message is read twice: a repair_survey says what will come
// out, a repairer makes it.
#include <cstdint>
#include <initializer_list>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace postferry::message {

/// Ledgers keep these numbers: none may change its meaning. In the order in which they are applied.
enum class repair : std::uint8_t {
    nul = 0,           ///< NUL becomes 0x80, as Dovecot serves it: the size stays, and no octet of text looks like it
    line_endings = 1,  ///< bare CR and LF become CRLF; CRs before LF belong to the line end
    header = 2,        ///< lines that are no field become fields, the empty line behind the header is put in
    header_8bit = 3,   ///< 8-bit octets of the header become encoded words (RFC 2047)
    final_newline = 4, ///< the last line gets its end
    long_lines = 5,    ///< no line has more than 998 octets (RFC 5322, 2.1.1)
    literal8 = 6,      ///< nothing is changed by us: NUL travels in a literal8 (RFC 3516); some servers re-encode then
};

/// Some of the repairs.
class repair_set {
  public:
    constexpr repair_set() noexcept = default;
    constexpr repair_set(std::initializer_list<repair> which) noexcept {
        for (const repair r : which) add(r);
    }
    [[nodiscard]] static constexpr repair_set of_bits(unsigned bits) noexcept {
        repair_set s;
        s.bits_ = static_cast<std::uint8_t>(bits & 0x7fU);
        return s;
    }
    [[nodiscard]] static constexpr repair_set all() noexcept { return of_bits(0x7f); }
    [[nodiscard]] constexpr std::uint8_t bits() const noexcept { return bits_; } ///< as ledgers keep it
    [[nodiscard]] constexpr bool empty() const noexcept { return bits_ == 0; }
    [[nodiscard]] constexpr bool has(repair r) const noexcept { return (bits_ & bit(r)) != 0; }
    constexpr void add(repair r) noexcept { bits_ = static_cast<std::uint8_t>(bits_ | bit(r)); }
    constexpr void remove(repair r) noexcept { bits_ = static_cast<std::uint8_t>(bits_ & ~bit(r)); }
    [[nodiscard]] constexpr repair_set operator|(repair_set o) const noexcept { return of_bits(bits_ | o.bits_); }
    [[nodiscard]] constexpr repair_set operator&(repair_set o) const noexcept { return of_bits(bits_ & o.bits_); }
    constexpr auto operator<=>(const repair_set&) const noexcept = default;

  private:
    static constexpr unsigned bit(repair r) noexcept { return 1U << static_cast<unsigned>(r); }
    std::uint8_t bits_ = 0;
};

/// "nul", "line-endings", "header", "header-8bit", "final-newline", "long-lines", "literal8".
[[nodiscard]] std::string_view name_of(repair r) noexcept;
/// Every repair of a set, cheapest first: those that change least, and are likeliest to be what a server dislikes.
[[nodiscard]] std::vector<repair> cheapest_first(repair_set set);
/// "nul, line-endings", for people.
[[nodiscard]] std::string names_of(repair_set set);
/// "nul,header" or "all"; nothing when a name is unknown or the list is empty.
[[nodiscard]] std::optional<repair_set> parse_repairs(std::string_view list);

/// What a survey found.
struct repair_plan {
    repair_set repairs;              ///< to be applied
    repair_set effective;            ///< those of them that change this message
    std::uint64_t source_octets = 0; ///< of the message as it was read
    std::uint64_t octets = 0;        ///< that a repairer will make of it
    bool wrapped = false; ///< long-lines: some lines could not be re-encoded without loss and were broken into several
    std::vector<std::uint32_t> encoded_parts; ///< long-lines: which entities become quoted-printable, ascending
};

class repair_chain;

/// The first reading.
class repair_survey {
  public:
    explicit repair_survey(repair_set which);
    ~repair_survey();
    repair_survey(repair_survey&&) noexcept;
    repair_survey& operator=(repair_survey&&) noexcept;

    void update(std::string_view octets);
    [[nodiscard]] repair_plan finish(); ///< once, at the end of the message

  private:
    std::unique_ptr<repair_chain> chain_;
    repair_plan plan_;
    std::string scratch_;
};

/// The second reading: the same octets, in pieces of any size, become the repaired message.
class repairer {
  public:
    explicit repairer(const repair_plan& plan);
    ~repairer();
    repairer(repairer&&) noexcept;
    repairer& operator=(repairer&&) noexcept;

    /// Appends to `out` what can be said by now: at most some 10 octets for each of `octets`, and 1 MB.
    void update(std::string_view octets, std::string& out);
    void finish(std::string& out);

  private:
    std::unique_ptr<repair_chain> chain_;
};

/// The same for a text that is there as a whole.
[[nodiscard]] std::string repaired(std::string_view message, repair_set which);

} // namespace postferry::message
