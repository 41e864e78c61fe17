// A CSV of accounts of any octets, read as the service's imports read it: no crash, bounded memory, every row has what
// was asked for or a fault, and no fault breaks out of its line or repeats a password.
#include "accounts/accounts.hpp"
#include "accounts/csv.hpp"
#include "accounts/rows.hpp"
#include "mailbox/endpoint_url.hpp"

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <sstream>

namespace {

using namespace postferry;
using namespace postferry::accounts;

void require(bool holds) {
    if (!holds) std::abort();
}

bool is_one_line(std::string_view text) {
    return std::ranges::none_of(text, [](char c) { return static_cast<unsigned char>(c) < 0x20 || c == 0x7f; });
}

void look_at(const csv_row& row, row_wants wants) {
    for (const csv_fault& f : row.faults) require(is_one_line(f.text()) && f.row == row.row);
    if (!row.faults.empty()) return;
    require(row.mailbox.has_value() == wants.mailbox && row.account.has_value() == wants.account);
    if (row.account) {
        require(!row.account->address.empty() && is_one_line(row.account->name));
        require(!wants.password || !row.account->password.empty());
        require(row.account->aliases.size() <= row_reader::max_aliases);
    }
    if (!row.mailbox) return;
    for (const mailbox::endpoint& end : {row.mailbox->source(), row.mailbox->target()}) {
        const std::string url = place_url(end);
        if (url.size() > 8'000) continue; // an import refuses it
        const auto again = mailbox::parse_endpoint(url);
        require(again && place_url(*again) == url && !end.user.empty());
    }
}

} // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    if (size == 0) return 0;
    auto reader = csv_reader::over(
        std::make_unique<std::istringstream>(std::string(reinterpret_cast<const char*>(data) + 1, size - 1)));
    if (!reader) {
        require(is_one_line(reader.error().message()));
        return 0;
    }
    const row_wants wants{
        .mailbox = (data[0] & 1U) == 0, .account = (data[0] & 2U) == 0, .password = (data[0] & 4U) != 0};
    account_defaults defaults;
    if ((data[0] & 8U) != 0) defaults.source.url = "imaps://old.example.org/?admin=root";
    if ((data[0] & 16U) != 0) defaults.target.url = "maildir:/srv/mail/{domain}/{local}";
    auto rows = row_stream::open(*reader, "accounts.csv", defaults, wants);
    if (!rows) {
        require(is_one_line(rows.error().message()));
        return 0;
    }
    csv_row row;
    auto more = (*rows)->next(row);
    for (; more && *more; more = (*rows)->next(row)) look_at(row, wants);
    if (!more) require(is_one_line(more.error().message()));
    return 0;
}
