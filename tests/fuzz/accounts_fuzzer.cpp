// A list of accounts, and a URL, of any octets: no crash, bounded memory, every row is an account or has a fault, and
// neither a fault nor a mailbox's name breaks out of its line.
#include "accounts/accounts.hpp"
#include "accounts/csv.hpp"

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <sstream>

namespace {

using namespace postferry;

void require(bool holds) {
    if (!holds) std::abort();
}

bool is_one_line(std::string_view text) {
    return std::ranges::none_of(text, [](char c) { return static_cast<unsigned char>(c) < 0x20 || c == 0x7f; });
}

void try_list(std::string_view text, unsigned choice) {
    auto reader = accounts::csv_reader::over(std::make_unique<std::istringstream>(std::string(text)));
    if (!reader) return require(is_one_line(reader.error().message()));
    accounts::account_defaults defaults;
    if (choice % 2 == 0) defaults.source.url = "imaps://{user}@old.example.org/?auth=plain";
    if (choice % 3 == 0) defaults.target.url = "maildir:/srv/mail/{domain}/{local}";
    const auto list = accounts::read_accounts(*reader, "accounts.csv", defaults);
    if (!list) return require(is_one_line(list.error().message()));
    require(is_one_line(list->summary) && list->faults.size() <= accounts::account_list::max_faults);
    require(list->faults.size() <= list->fault_count && list->accounts.size() <= list->rows);
    require(list->accounts.size() == list->rows || list->fault_count > 0);
    for (const accounts::csv_fault& fault : list->faults) require(is_one_line(fault.text()));
    for (const std::string& note : list->notes) require(is_one_line(note));
    for (const accounts::account& one : list->accounts)
        require(is_one_line(one.source().display()) && is_one_line(one.target().display()));
}

void try_url(std::string_view text) {
    const auto end = mailbox::parse_endpoint(text);
    if (!end) return require(is_one_line(end.error().message()));
    const std::string name = end->display();
    require(is_one_line(name));
    const auto again = mailbox::parse_endpoint(name);
    require(again && again->display() == name && again->user == end->user && again->path == end->path);
}

} // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    if (size == 0) return 0;
    const std::string_view text(reinterpret_cast<const char*>(data) + 1, size - 1);
    try_list(text, data[0]);
    try_url(text);
    return 0;
}
