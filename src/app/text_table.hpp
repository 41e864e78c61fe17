#pragma once
#include <cstddef>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace postferry::app {

/// Rows in columns, for people. Widths are those of a terminal (words.hpp), so names in any script stand in line.
class text_table {
  public:
    struct column {
        std::string_view title;
        bool right = false; ///< numbers
        bool gives = false; ///< becomes narrower where the terminal is; down to 8 columns
    };

    explicit text_table(std::vector<column> columns) : columns_(std::move(columns)) {}
    /// One cell a column; what is missing is empty.
    void add(std::vector<std::string> cells);
    [[nodiscard]] bool empty() const noexcept { return rows_.empty(); }
    /// With its titles. @param room columns of the terminal; none: nothing is cut (a file, a pipe)
    [[nodiscard]] std::string text(std::optional<std::size_t> room) const;

  private:
    std::vector<column> columns_;
    std::vector<std::vector<std::string>> rows_;
};

/// Columns of the terminal that standard output is; none: it is none.
[[nodiscard]] std::optional<std::size_t> terminal_columns();

} // namespace postferry::app
