#pragma once
#include "sql/detail/pg_link.hpp"

#include <deque>
#include <optional>

namespace postferry::sql::detail {

/// Who lets statements use the line; the connection.
class pg_line_keeper {
  public:
    /// Makes the line usable for a new command: connected (outside a transaction, anew if need be), and free.
    [[nodiscard]] virtual result<void> make_ready() = 0;

  protected:
    ~pg_line_keeper() = default;
};

class pg_statement final : public statement {
  public:
    /// Rows that wait in memory because another statement wanted the line.
    static constexpr std::size_t max_kept_octets = std::size_t{64} << 20U;

    /// `active`: the statement whose rows are on the line, null when it is free.
    pg_statement(pg_line_keeper& keeper, pg_link& link, pg_statement*& active, std::string name, std::string sql)
        : keeper_(keeper), link_(link), active_(active), name_(std::move(name)), sql_(std::move(sql)) {}

    /// For the connection it has now.
    [[nodiscard]] result<void> prepare();
    /// Takes what is left of the rows off the line.
    [[nodiscard]] result<void> make_room();

    void bind(int parameter, std::int64_t value) override { put(parameter, std::to_string(value), 0); }
    void bind(int parameter, std::string_view value) override;
    void bind(int parameter, octets value) override { put(parameter, std::string(value.begin(), value.end()), 1); }
    void bind_null(int parameter) override;
    [[nodiscard]] result<bool> step() override;
    void reset() noexcept override;
    void expect_few() noexcept override { few_ = true; }
    [[nodiscard]] std::int64_t integer(int column) const override;
    [[nodiscard]] std::string_view text(int column) const override;
    [[nodiscard]] octets blob(int column) const override;
    [[nodiscard]] std::int64_t affected() const override { return affected_; }

  private:
    enum class state : std::uint8_t { unused, rows, over, failed };
    struct decoded {
        std::optional<std::string> text;
        std::optional<std::vector<std::uint8_t>> blob;
    };

    void put(int parameter, std::string value, int format);
    [[nodiscard]] result<void> start();
    [[nodiscard]] result<pg_result> next_result();
    void finish(const PGresult* last);
    void forget_row() noexcept;
    [[nodiscard]] bool has(int column) const noexcept;
    [[nodiscard]] std::string_view raw(int column) const noexcept;

    pg_line_keeper& keeper_;
    pg_link& link_;
    pg_statement*& active_;
    std::string name_, sql_;
    std::uint64_t prepared_in_ = 0;
    pg_parameters parameters_;
    state state_ = state::unused;
    bool few_ = false;
    pg_result row_;           ///< what holds the row: one of its own, or all of them
    int at_ = 0, in_row_ = 0; ///< which of how many rows of it
    std::deque<pg_result> kept_;
    mutable std::vector<decoded> decoded_; ///< of this row, for columns that had to be
    std::int64_t affected_ = 0;
};

} // namespace postferry::sql::detail
