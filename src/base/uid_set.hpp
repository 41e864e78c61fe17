#pragma once
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace postferry {

/// A set of message UIDs (1 .. 2^32-1) as sorted, disjoint, non-adjacent ranges: 1:200000 costs eight octets.
class uid_set {
  public:
    struct range {
        std::uint32_t first = 0;
        std::uint32_t last = 0;
        bool operator==(const range&) const = default;
    };

    uid_set() = default;
    static uid_set of(std::uint32_t first, std::uint32_t last);

    /// Amortised O(1) when UIDs come in ascending order, O(ranges) else. 0 is ignored: it is no UID (RFC
    /// 3501, 2.3.1.1).
    void add(std::uint32_t uid) { add(uid, uid); }
    void add(std::uint32_t first, std::uint32_t last);
    void remove(std::uint32_t first, std::uint32_t last);
    void add(const uid_set& other);
    void remove(const uid_set& other);

    [[nodiscard]] bool contains(std::uint32_t uid) const noexcept;
    [[nodiscard]] bool empty() const noexcept { return ranges_.empty(); }
    [[nodiscard]] std::uint64_t count() const noexcept;
    [[nodiscard]] std::uint32_t front() const noexcept { return ranges_.front().first; } ///< not on an empty set
    [[nodiscard]] std::uint32_t back() const noexcept { return ranges_.back().last; }    ///< not on an empty set
    [[nodiscard]] const std::vector<range>& ranges() const noexcept { return ranges_; }
    bool operator==(const uid_set&) const = default;

    /// Takes the lowest `n` UIDs out of this set, but no more than `max_ranges` ranges.
    [[nodiscard]] uid_set take_front(std::uint64_t n, std::size_t max_ranges);

    /// RFC 3501 sequence-set, "1:5,9". Empty for an empty set.
    [[nodiscard]] std::string to_string() const;
    /// Reads a sequence-set of plain numbers (as in APPENDUID and ESEARCH; no "*"). Descending ranges are turned round.
    /// Nothing on anything else.
    [[nodiscard]] static std::optional<uid_set> parse(std::string_view text);

  private:
    std::vector<range> ranges_;
};

} // namespace postferry
