#pragma once
// Streaming reader for CSV files as people really have them (RFC 4180 and its relatives).
#include "base/error.hpp"

#include <cstdint>
#include <filesystem>
#include <istream>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

namespace postferry::accounts {

/// What was found out about the file; said to the user, because a wrong guess shows there first.
struct csv_dialect {
    char separator = ','; ///< one of , ; : and tab
    bool byte_order_mark = false;
    bool latin_1 = false; ///< octets that are no UTF-8: read as Windows-1252, the superset that spreadsheets write
};

/// One record. Reused by csv_reader::next, so that a million rows cost no million allocations.
struct csv_record {
    std::uint64_t row =
        0; ///< 1 is the first record of the file, blank lines and comments counted, as a spreadsheet counts
    std::uint64_t line = 0; ///< line on which the record begins, from 1; differs from row after embedded newlines
    std::vector<std::string> fields; ///< UTF-8
    std::size_t bad_field = 0;       ///< where `trouble` is
    std::string trouble;             ///< not empty: the record is not well formed, and says how
};

/// Reads RFC 4180 with or without byte order mark, lines ended by CRLF, LF or CR, newlines inside quotes. A quote
/// inside an unquoted field is kept as it is. Memory is bounded by the longest record (1 MiB; a field 64 KiB).
class csv_reader {
  public:
    static constexpr std::size_t max_field = 64 * 1024;
    static constexpr std::size_t max_record = 1024 * 1024;
    static constexpr std::size_t max_fields = 200;

    /// Opens and looks at the whole file once for its encoding (a pipe is read into memory, at most 256 MB).
    /// Errors, class config: not readable, a folder, UTF-16, larger than a pipe may be.
    [[nodiscard]] static result<csv_reader> open(const std::filesystem::path& file);
    [[nodiscard]] static result<csv_reader> over(std::unique_ptr<std::istream> seekable);

    [[nodiscard]] const csv_dialect& dialect() const noexcept { return dialect_; }
    /// Lines that begin with "#" are passed over from now on.
    void skip_comments(bool yes) noexcept { skip_comments_ = yes; }

    /// The next record that is not blank; false at the end of the file. An error (class config, with row and line)
    /// means that the rest of the file cannot be made sense of: a quote that is never closed, a record beyond all
    /// bounds.
    [[nodiscard]] result<bool> next(csv_record& out);

  private:
    explicit csv_reader(std::unique_ptr<std::istream> in) : in_(std::move(in)) {}
    [[nodiscard]] result<void> look_at_encoding();
    [[nodiscard]] result<void> look_at_separator();
    void rewind();
    int peek();
    int take();
    [[nodiscard]] result<void> read_record(csv_record& out);
    [[nodiscard]] result<void> read_quoted(std::string& field, csv_record& out);
    void end_of_line();
    void skip_line();

    std::unique_ptr<std::istream> in_;
    std::string buffer_;
    std::size_t at_ = 0;
    std::uint64_t row_ = 0;
    std::uint64_t line_ = 1;
    csv_dialect dialect_;
    bool skip_comments_ = false;
};

/// Windows-1252 to UTF-8; the five octets that it leaves open become U+FFFD.
[[nodiscard]] std::string utf8_of_latin_1(std::string_view octets);

} // namespace postferry::accounts
