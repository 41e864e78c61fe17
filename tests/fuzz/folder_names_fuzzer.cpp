// Names of folders as a server writes them: what is read is UTF-8 and can be written back so that it reads the same; no
// two folders share a name. And the beginnings of odd messages, and quirks= as a user writes it.
#include "base/text.hpp"
#include "client/quirks.hpp"
#include "mailbox/detail/imap_names.hpp"
#include "mailbox/detail/odd_messages.hpp"

#include <algorithm>
#include <cstdint>
#include <cstdlib>

using namespace postferry;
using namespace postferry::mailbox::detail;

namespace {

void require(bool holds) {
    if (!holds) std::abort();
}

// The first octet chooses delimiter, prefix and encoding; then one name a line.
name_form form_of(std::uint8_t choice) {
    constexpr std::string_view delimiters = "/.\\|";
    name_form form;
    if ((choice & 7U) < delimiters.size()) form.delimiter = delimiters[choice & 7U];
    if ((choice & 8U) != 0 && form.delimiter) form.prefix = std::string("INBOX") + *form.delimiter;
    form.utf8 = (choice & 16U) != 0;
    return form;
}

void try_name(std::string_view wire, const name_form& form, std::set<std::string, std::less<>>& taken) {
    const decoded_name decoded = decode_name(wire, form);
    require(is_utf8(decoded.name));
    const std::string name = unique_name(decoded.name, wire, form.delimiter, taken);
    require(is_utf8(name) && taken.insert(name).second);
    if (form.delimiter && !decoded.undecodable && !decoded.name.empty()) {
        const std::string back = encode_name(decoded.name, form);
        require(is_inbox(wire) == is_inbox(back) || is_inbox(decoded.name));
    }
}

} // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    if (size == 0) return 0;
    std::string_view text(reinterpret_cast<const char*>(data) + 1, size - 1);
    (void)kind_of_message(text);
    if (const auto wishes = client::parse_quirks(text))
        for (const client::quirk* q : wishes->force) require(client::find_quirk(q->name) == q);
    const name_form form = form_of(data[0]);
    std::set<std::string, std::less<>> taken;
    std::vector<imap::list_data> folders;
    while (!text.empty() && folders.size() < 50) {
        const std::string_view line = text.substr(0, text.find('\n'));
        text.remove_prefix(std::min(line.size() + 1, text.size()));
        if (line.empty()) continue;
        try_name(line, form, taken);
        folders.push_back(
            {.kind = {}, .attributes = {}, .delimiter = form.delimiter, .name = std::string(line), .extended = {}});
    }
    const std::string prefix = hidden_prefix(folders);
    for (const imap::list_data& l : folders)
        require(prefix.empty() || is_inbox(l.name) || istarts_with(l.name, prefix));
    return 0;
}
