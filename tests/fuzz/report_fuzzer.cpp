// What servers and ledgers say must not break out of a page, a table or a signature's key.
#include "app/report_csv.hpp"
#include "app/report_html.hpp"
#include "app/waivers.hpp"
#include "base/signature.hpp"

#include <cstdint>
#include <cstdlib>

using namespace postferry;

namespace {

void require(bool holds) {
    if (!holds) std::abort();
}

/// A reader of RFC 4180 sees one cell, whose text is the one that was given, but for an apostrophe before a formula.
void one_cell(std::string_view text) {
    std::string cell = app::csv_cell(text), read;
    if (cell.starts_with('"')) {
        require(cell.size() >= 2 && cell.ends_with('"'));
        for (std::size_t i = 1; i + 1 < cell.size(); ++i) {
            read += cell[i];
            if (cell[i] == '"') require(cell[++i] == '"');
        }
    } else {
        require(cell.find_first_of(",\"\r\n") == std::string::npos);
        read = cell;
    }
    require(read == text || read == "'" + std::string(text));
    require(read.empty() || std::string_view("=+-@\t\r").find(read.front()) == std::string_view::npos);
}

} // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    const std::string_view text(reinterpret_cast<const char*>(data), size);
    require(app::html_text(text).find_first_of("<>\"'") == std::string::npos);
    one_cell(text);
    (void)app::waivers::parse(text, "file", size % 2 == 0);
    (void)signing_key::read(text);
    (void)is_signed("document", text.substr(0, 64), text);
    app::report_sums sums;
    if (const auto mailbox = sums.add(text)) {
        const std::string page = app::html_of(*mailbox, 1);
        require(page.find("<script") == std::string::npos);
        (void)app::csv_row(*mailbox);
    }
    return 0;
}
