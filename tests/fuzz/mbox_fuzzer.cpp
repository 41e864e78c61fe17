// An mbox of any octets: the same messages whatever the pieces it comes in, each again when read alone, nothing outside
// of them but empty lines. And any message that is written comes back as it was.
#include "message/mbox_for_test.hpp"

#include <cstddef>
#include <cstdint>
#include <cstdlib>

namespace {

using namespace postferry::message;

void require(bool holds) {
    if (!holds) std::abort();
}

void read(std::string_view file, mbox_format format) {
    const auto all = test::read_whole(file, format);
    const auto pieces = test::read_whole(file, format, 3);
    const bool lengths = test::lengths_hold(file, format);
    require(all.size() == pieces.size());
    std::uint64_t at = 0;
    for (std::size_t i = 0; i < all.size(); ++i) {
        const mbox_message& m = all[i].about;
        require(all[i].content == pieces[i].content && m.flags == pieces[i].about.flags);
        require(m.octets == all[i].content.size() && m.begin >= at && m.end <= file.size());
        require(file.substr(at, m.begin - at).find_first_not_of("\r\n\xEF\xBB\xBF") == std::string_view::npos);
        at = m.end;
        if (m.what == mbox_message::kind::internal_data) continue;
        const auto alone = test::read_part(file, m.begin, m.end, format, lengths, 5);
        require(alone.size() == 1 && alone.front().content == all[i].content);
    }
    require(file.substr(at).find_first_not_of("\r\n\xEF\xBB\xBF") == std::string_view::npos);
}

void write(std::string_view content, std::size_t known) {
    if (content.empty()) return;
    bool altered = false;
    const std::string mail =
        test::write(content, "\\Seen $x", message_date{1'000'000'000, 60}, known, known % 7 + 1, &altered);
    const auto found = test::read_whole(mail + mail);
    require(found.size() == 2 && (altered || found[0].content == content) && found[0].content == found[1].content);
    require(!altered || known < content.size());
}

// Keywords go where there were spaces, and nowhere else.
void name(std::string_view file) {
    const imap_base_change change = name_keywords(file, {"$Label1", "Work"});
    require(change.offset + change.text.size() <= file.size());
    const std::string_view replaced = file.substr(change.offset, change.text.size());
    require(replaced.find_first_not_of(' ') == std::string_view::npos);
}

} // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    if (size < 2) return 0;
    const std::string_view text(reinterpret_cast<const char*>(data) + 1, size - 1);
    name(text);
    read(text, static_cast<mbox_format>(data[0] % 4));
    write(text, data[0] % 3 == 0 ? SIZE_MAX : data[0]);
    return 0;
}
