#pragma once
// Pure rules: which flags of a message are kept, and which of them a target can take.
#include <cstddef>
#include <cstdint>
#include <functional>
#include <map>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace postferry::transfer {

inline constexpr std::size_t max_flags = 100;          ///< of one message; what is more is left out
inline constexpr std::size_t max_keyword_octets = 255; ///< that may be written to a target

/// The text under which a set of flags is kept in the ledger and compared: from flags as a server sends them, system
/// flags (\Answered \Deleted \Draft \Flagged \Seen) in their canonical case first, then keywords as they are, each part
/// sorted without regard to case, one space between. Of keywords that differ only in case (RFC 9051, 2.3.2: they are
/// the same) the one that sorts first stays. Left out: \Recent and every other backslash flag, what holds white space
/// or control characters or is longer than 1000 octets (no server can have sent it as a flag), and everything after the
/// first 100. Two sets with the same flags have the same text, whatever the order they came in.
[[nodiscard]] std::string canonical_flags(std::span<const std::string> raw);

/// The flags of a canonical text; the views live as long as it does.
[[nodiscard]] std::vector<std::string_view> split_flags(std::string_view canonical);

/// Whether `flag` may stand in an APPEND or STORE: one of the five system flags (any case), or a keyword that is an
/// atom (RFC 3501, flag-keyword) of at most 255 octets. Nothing else may ever be written: a server that answers BAD to
/// an APPEND reads the message after it as commands.
[[nodiscard]] bool is_writable(std::string_view flag) noexcept;

struct dropped_flag {
    std::string flag;
    std::string why; ///< "not among the target's PERMANENTFLAGS", "no atom", "longer than 255 octets"
    bool operator==(const dropped_flag&) const = default;
};

struct flags_for_target {
    std::string flags; ///< canonical; every one is_writable
    std::vector<dropped_flag> dropped;
};

/// What of a canonical set may be written to a folder with these PERMANENTFLAGS (compared without case). None given:
/// everything (RFC 3501, 7.1). `\*` among them: keywords that are not listed as well. An empty list: nothing.
[[nodiscard]] flags_for_target flags_allowed(std::string_view canonical,
                                             const std::optional<std::vector<std::string>>& permanent_flags);

/// The different sets of flags that a folder's messages bear, as canonical texts, each once, in the order in which they
/// came. A server that gives each message flags of its own must not fill the memory.
class flag_table {
  public:
    struct limits {
        std::size_t sets = 65'536;
        std::size_t octets = 16U << 20U; ///< of all texts together
    };
    flag_table() = default;
    explicit flag_table(limits most) : most_(most) {}

    /// The index of a set; a new one is added, whatever the limits.
    std::uint32_t add(const std::string& canonical);
    /// The same; where a new one has no room, its system flags alone stand for it: of those there are 32 sets.
    std::uint32_t place(const std::string& canonical);
    [[nodiscard]] bool left_keywords_out() const noexcept { return left_out_; } ///< place() had to
    void clear();
    [[nodiscard]] std::size_t size() const noexcept { return texts_.size(); }
    [[nodiscard]] const std::string& operator[](std::size_t index) const noexcept { return texts_[index]; }

  private:
    limits most_;
    std::vector<std::string> texts_;
    std::map<std::string, std::uint32_t, std::less<>> places_;
    std::size_t octets_ = 0;
    bool left_out_ = false;
};

struct flag_delta {
    std::vector<std::string> added, removed;
    [[nodiscard]] bool empty() const noexcept { return added.empty() && removed.empty(); }
};

/// What changed from one canonical set to another, without regard to case.
[[nodiscard]] flag_delta flags_changed(std::string_view before, std::string_view after);

} // namespace postferry::transfer
