#include "accounts/csv.hpp"

#include "base/text.hpp"

#include <fmt/format.h>

#include <array>
#include <fstream>
#include <sstream>

namespace postferry::accounts {

namespace {

constexpr std::size_t chunk = 64 * 1024;
constexpr std::size_t max_pipe = 256 * 1000 * 1000;
constexpr int end_of_file = -1;
constexpr std::size_t sample_rows = 20;

std::unexpected<error> refuse(std::string what, std::string advice = {}) {
    return fail(retry_class::config, phase::usage, std::move(what), std::move(advice));
}

void append_utf8(std::string& out, unsigned code) {
    if (code < 0x80) {
        out += static_cast<char>(code);
    } else if (code < 0x800) {
        out += static_cast<char>(0xc0 | (code >> 6));
        out += static_cast<char>(0x80 | (code & 0x3f));
    } else {
        out += static_cast<char>(0xe0 | (code >> 12));
        out += static_cast<char>(0x80 | ((code >> 6) & 0x3f));
        out += static_cast<char>(0x80 | (code & 0x3f));
    }
}

/// A pipe cannot be read twice, and the encoding is known only at the end.
result<std::unique_ptr<std::istream>> into_memory(std::istream& in) {
    std::string text;
    std::array<char, chunk> piece;
    while (in.read(piece.data(), static_cast<std::streamsize>(piece.size())) || in.gcount() > 0) {
        text.append(piece.data(), static_cast<std::size_t>(in.gcount()));
        if (text.size() > max_pipe) return refuse("the CSV from a pipe is larger than 256 MB", "Give it as a file");
    }
    return std::make_unique<std::istringstream>(std::move(text));
}

} // namespace

std::string utf8_of_latin_1(std::string_view octets) {
    // 0x80 to 0x9f of Windows-1252; the rest is Latin-1 itself.
    static constexpr std::array<unsigned, 32> high{0x20ac, 0xfffd, 0x201a, 0x0192, 0x201e, 0x2026, 0x2020, 0x2021,
                                                   0x02c6, 0x2030, 0x0160, 0x2039, 0x0152, 0xfffd, 0x017d, 0xfffd,
                                                   0xfffd, 0x2018, 0x2019, 0x201c, 0x201d, 0x2022, 0x2013, 0x2014,
                                                   0x02dc, 0x2122, 0x0161, 0x203a, 0x0153, 0xfffd, 0x017e, 0x0178};
    std::string out;
    for (const char c : octets) {
        const auto o = static_cast<unsigned char>(c);
        append_utf8(out, o >= 0x80 && o < 0xa0 ? high[o - 0x80U] : o);
    }
    return out;
}

result<csv_reader> csv_reader::open(const std::filesystem::path& file) {
    std::error_code ec;
    const auto status = std::filesystem::status(file, ec);
    if (std::filesystem::is_directory(status))
        return refuse(fmt::format("{} is a folder, not a CSV file", file.string()));
    auto in = std::make_unique<std::ifstream>(file, std::ios::binary);
    if (!*in)
        return refuse(fmt::format("cannot read {}: {}", file.string(),
                                  std::filesystem::exists(status) ? "permission denied" : "no such file"));
    if (std::filesystem::is_regular_file(status)) return over(std::move(in));
    auto text = into_memory(*in);
    if (!text) return std::unexpected(text.error());
    return over(std::move(*text));
}

result<csv_reader> csv_reader::over(std::unique_ptr<std::istream> seekable) {
    csv_reader reader(std::move(seekable));
    if (auto ok = reader.look_at_encoding(); !ok) return std::unexpected(ok.error());
    if (auto ok = reader.look_at_separator(); !ok) return std::unexpected(ok.error());
    return reader;
}

result<void> csv_reader::look_at_encoding() {
    std::string pending;
    std::array<char, chunk> piece;
    bool first = true;
    bool utf8 = true;
    while (utf8 && (in_->read(piece.data(), static_cast<std::streamsize>(piece.size())) || in_->gcount() > 0)) {
        pending.append(piece.data(), static_cast<std::size_t>(in_->gcount()));
        std::string_view rest = pending;
        if (first && (rest.starts_with("\xff\xfe") || rest.starts_with("\xfe\xff")))
            return refuse("the CSV is UTF-16", "Save it as \"CSV UTF-8\"");
        if (first) dialect_.byte_order_mark = rest.starts_with("\xef\xbb\xbf");
        first = false;
        while (!rest.empty()) {
            const std::size_t n = utf8_sequence_length(rest);
            if (n == 0) break;
            rest.remove_prefix(n);
        }
        // Up to three octets may be the begin of a sequence that the next piece completes.
        utf8 = rest.size() < 4;
        pending.assign(rest);
    }
    dialect_.latin_1 = !utf8 || !pending.empty();
    rewind();
    return {};
}

/// The separator that gives the most fields in the first records, and the same number in each.
result<void> csv_reader::look_at_separator() {
    constexpr std::array<char, 4> candidates{',', ';', '\t', ':'};
    char best = ',';
    double best_score = 0;
    csv_record record;
    for (const char candidate : candidates) {
        dialect_.separator = candidate;
        skip_comments_ = true;
        std::size_t columns = 0;
        std::size_t rows = 0;
        std::size_t same = 0;
        while (rows < sample_rows) {
            const auto more = next(record);
            if (!more || !*more) break;
            ++rows;
            if (rows == 1) columns = record.fields.size();
            if (record.fields.size() == columns) ++same;
        }
        const double score =
            rows == 0 ? 0 : static_cast<double>(columns - 1) * static_cast<double>(same) / static_cast<double>(rows);
        if (score > best_score) {
            best_score = score;
            best = candidate;
        }
        rewind();
    }
    dialect_.separator = best;
    skip_comments_ = false;
    return {};
}

void csv_reader::rewind() {
    in_->clear();
    in_->seekg(dialect_.byte_order_mark ? 3 : 0);
    buffer_.clear();
    at_ = 0;
    row_ = 0;
    line_ = 1;
}

int csv_reader::peek() {
    if (at_ == buffer_.size()) {
        buffer_.resize(chunk);
        in_->read(buffer_.data(), static_cast<std::streamsize>(chunk));
        buffer_.resize(static_cast<std::size_t>(in_->gcount()));
        at_ = 0;
        if (buffer_.empty()) return end_of_file;
    }
    return static_cast<unsigned char>(buffer_[at_]);
}

int csv_reader::take() {
    const int c = peek();
    if (c != end_of_file) ++at_;
    return c;
}

/// CRLF, LF or CR.
void csv_reader::end_of_line() {
    const int c = take();
    if (c == '\r' && peek() == '\n') take();
    if (c != end_of_file) ++line_;
}

void csv_reader::skip_line() {
    for (int c = peek(); c != end_of_file && c != '\n' && c != '\r'; c = peek()) take();
    end_of_line();
}

result<bool> csv_reader::next(csv_record& out) {
    for (;;) {
        if (peek() == end_of_file) return false;
        ++row_;
        if (skip_comments_ && peek() == '#') {
            skip_line();
            continue;
        }
        if (auto ok = read_record(out); !ok) return std::unexpected(ok.error());
        const bool blank = out.fields.size() == 1 && out.fields.front().empty();
        if (!blank) return true;
    }
}

result<void> csv_reader::read_record(csv_record& out) {
    out.row = row_;
    out.line = line_;
    out.trouble.clear();
    std::size_t count = 0;
    std::size_t octets = 0;
    for (bool more = true; more;) {
        if (count == max_fields)
            return refuse(fmt::format("row {} (line {}) has more than {} columns", out.row, out.line, max_fields));
        if (out.fields.size() == count) out.fields.emplace_back();
        std::string& field = out.fields[count];
        field.clear();
        const bool quoted = peek() == '"';
        out.bad_field = out.trouble.empty() ? count : out.bad_field;
        if (quoted)
            if (auto ok = read_quoted(field, out); !ok) return ok;
        for (int c = peek(); c != end_of_file && c != dialect_.separator && c != '\n' && c != '\r'; c = peek()) {
            field += static_cast<char>(take());
            if (quoted && out.trouble.empty()) out.trouble = "text follows the closing quote";
            if (field.size() > max_field) break;
        }
        octets += field.size();
        if (field.size() > max_field || octets > max_record)
            return refuse(fmt::format("row {} (line {}) is too long: a field may have {} octets, a row {}", out.row,
                                      out.line, max_field, max_record),
                          "Is a quote missing somewhere above?");
        if (out.trouble.empty() && field.find('\0') != std::string::npos) out.trouble = "holds a NUL octet";
        if (dialect_.latin_1) field = utf8_of_latin_1(field);
        ++count;
        more = peek() == dialect_.separator;
        if (more) take();
    }
    end_of_line();
    out.fields.resize(count);
    return {};
}

/// DQUOTE *(TEXTDATA / COMMA / CR / LF / 2DQUOTE) DQUOTE
result<void> csv_reader::read_quoted(std::string& field, csv_record& out) {
    take();
    for (;;) {
        const int c = take();
        if (c == end_of_file || field.size() > max_field)
            return refuse(fmt::format("row {} (line {}): a quote is opened and not closed", out.row, out.line),
                          "A quote inside a quoted field is written twice");
        if (c == '"' && peek() != '"') return {};
        if (c == '"') take();
        if (c == '\n') ++line_;
        field += static_cast<char>(c);
    }
}

} // namespace postferry::accounts
