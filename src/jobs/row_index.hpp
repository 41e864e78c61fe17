#pragma once
#include <cstddef>
#include <cstdint>
#include <functional>
#include <optional>
#include <string_view>
#include <vector>

namespace postferry::jobs {

/// Which row of a file has said something first. 16 octets for each text, half as much again on average: it keeps 64
/// bits of them, and two texts of a million are one by mistake once in thirty million files.
class row_index {
  public:
    /// The row that has said it before; else this one has now.
    std::optional<std::uint32_t> put(std::string_view text, std::uint32_t row) {
        if (used_ * 4 >= slots_.size() * 3) grow();
        slot& s = find(key_of(text));
        if (s.row != 0) return s.row;
        s = {key_of(text), row};
        ++used_;
        return std::nullopt;
    }
    [[nodiscard]] std::optional<std::uint32_t> find_row(std::string_view text) {
        if (slots_.empty()) return std::nullopt;
        const slot& s = find(key_of(text));
        return s.row == 0 ? std::nullopt : std::optional(s.row);
    }

  private:
    struct slot {
        std::uint64_t key = 0;
        std::uint32_t row = 0; ///< from 1; 0: free
    };
    static std::uint64_t key_of(std::string_view text) noexcept { return std::hash<std::string_view>{}(text); }

    slot& find(std::uint64_t key) {
        std::size_t at = key & (slots_.size() - 1);
        while (slots_[at].row != 0 && slots_[at].key != key) at = (at + 1) & (slots_.size() - 1);
        return slots_[at];
    }
    void grow() {
        std::vector<slot> old(slots_.empty() ? 1024 : slots_.size() * 2);
        old.swap(slots_);
        for (const slot& s : old)
            if (s.row != 0) find(s.key) = s;
    }

    std::vector<slot> slots_; ///< a power of two
    std::size_t used_ = 0;
};

} // namespace postferry::jobs
