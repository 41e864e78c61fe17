// Whatever lies in a Maildir: readers take anything, and what is written from it reads as the same.
#include "message/line_ends.hpp"
#include "message/maildir_lists.hpp"
#include "message/maildir_name.hpp"

#include <algorithm>
#include <cstdint>
#include <cstdlib>

using namespace postferry;
using namespace postferry::message;

namespace {

void require(bool holds) {
    if (!holds) std::abort();
}

void try_names(std::string_view text) {
    const maildir_file file = parse_maildir_file(text);
    const std::string again = maildir_file_name(file.unique, file.letters);
    require(parse_maildir_file(again).unique == file.unique);
    require(parse_maildir_file(again).octets == file.octets);
    (void)uid_hint_of(text);
    const maildir_keywords keywords = parse_maildir_keywords(text);
    require(parse_maildir_keywords(to_string(keywords)).names == keywords.names);
    require(flags_of_letters(file.letters, keywords).size() <= 33);
    bool undecodable = false;
    const auto folder = folder_of_directory(text, undecodable);
    if (!folder || undecodable) return;
    bool again_undecodable = false;
    const auto same = folder_of_directory(directory_of_folder(*folder), again_undecodable);
    // A lone "&" of the wire is kept and written encoded; the name stays what it was.
    require(!same || *same == *folder);
}

void try_lists(std::string_view text) {
    for (const auto& list : {read_uidlist(text), read_courier_uiddb(text)}) {
        if (!list) continue;
        std::string written = uidlist_header(list->uid_validity, list->uid_next, list->guid);
        std::uint32_t last = 0;
        for (const uidlist_record& r : list->records) {
            require(r.uid > last && r.uid < list->uid_next && !r.unique.empty());
            last = r.uid;
            written += uidlist_line(r.uid, r.fields, {}, r.unique);
        }
        const auto again = read_uidlist(written);
        require(again && again->uid_validity == list->uid_validity && again->uid_next == list->uid_next);
        require(again->records.size() == list->records.size());
        for (std::size_t i = 0; i < list->records.size(); ++i) {
            require(again->records[i].unique == list->records[i].unique);
            require(again->records[i].uidl() == list->records[i].uidl());
        }
    }
    const std::vector<std::string> folders = parse_subscriptions(text);
    require(parse_subscriptions(add_subscriptions(text, folders)) == folders);
    (void)parse_courier_subscriptions(text);
    for (const courier_uidl& c : read_courier_sizelist(text)) require(!c.unique.empty() && c.uidl.starts_with("UID"));
}

void try_line_ends(std::string_view text) {
    const std::size_t step = text.empty() ? 1 : static_cast<unsigned char>(text.front()) % 7U + 1;
    lf_writer writer;
    std::string stored;
    std::size_t taken = 0;
    while (taken < text.size() && writer.is_reversible()) taken += writer.write(text.substr(taken, step), stored);
    writer.finish(stored);
    std::string served;
    crlf_writer back;
    for (std::size_t at = 0; at < stored.size(); at += step)
        back.write(std::string_view(stored).substr(at, step), served);
    require(served + std::string(text.substr(taken)) == text);
    bare_lf_counter counter;
    counter.add(stored);
    require(served.size() == stored.size() + counter.count());
}

} // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    const std::string_view text(reinterpret_cast<const char*>(data), size);
    try_names(text);
    try_lists(text);
    try_line_ends(text);
    return 0;
}
