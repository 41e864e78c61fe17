#include "mailbox/detail/odd_messages.hpp"

#include "base/text.hpp"
#include "message/header_fields.hpp"

#include <string>

namespace postferry::mailbox::detail {

namespace {

std::string unfolded(std::string_view body) {
    std::string out;
    for (const char c : body)
        if (c != '\r' && c != '\n') out += c;
    out.erase(0, out.find_first_not_of(" \t"));
    return out;
}

} // namespace

odd_message kind_of_message(std::string_view header) noexcept {
    bool notes_of_c_client = false, keeps_uids = false;
    message::header_fields fields(header);
    while (const auto field = fields.next()) {
        keeps_uids = keeps_uids || iequals(field->name, "X-IMAP");
        if (!iequals(field->name, "Subject")) continue;
        const std::string subject = unfolded(field->body);
        if (subject.starts_with("Retrieval using the IMAP4 protocol failed for the following message"))
            return odd_message::placeholder;
        notes_of_c_client = subject.starts_with("DON'T DELETE THIS MESSAGE -- FOLDER INTERNAL DATA");
    }
    return notes_of_c_client && keeps_uids ? odd_message::internal_data : odd_message::none;
}

} // namespace postferry::mailbox::detail
