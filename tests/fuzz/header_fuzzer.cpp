// Header fields, fingerprint, date and recipients of any octets: views stay inside the text, and what servers do to
// line ends, 8-bit octets and white space does not change the fingerprint.
#include "message/fingerprint.hpp"
#include "message/header_fields.hpp"
#include "message/received_date.hpp"
#include "message/recipients.hpp"

#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <string>
#include <string_view>

namespace {

using namespace postferry::message;

void require(bool holds) {
    if (!holds) std::abort();
}

void check_fields(std::string_view text) {
    header_fields fields(text);
    const char* behind = text.data();
    while (const auto field = fields.next()) {
        require(!field->name.empty() && field->name.data() >= behind);
        require(field->body.data() > field->name.data() + field->name.size() - 1);
        behind = field->body.data() + field->body.size();
        require(behind <= text.data() + text.size());
        require(fields.position() <= text.size());
    }
    require(!fields.next());
}

/// CRLF for every LF, "?" for every 8-bit octet.
std::string rewritten(std::string_view text) {
    std::string out;
    for (const char c : text) {
        if (c == '\n') out.push_back('\r');
        out.push_back(static_cast<unsigned char>(c) >= 0x80 ? '?' : c);
    }
    return out;
}

void check_digest(std::string_view text) {
    tolerant_digest whole;
    whole.update(text);
    tolerant_digest halves;
    halves.update(text.substr(0, text.size() / 2));
    halves.update(text.substr(text.size() / 2));
    require(whole.finish() == halves.finish());
}

void check_recipients(std::string_view text) {
    for (const std::string_view one : addresses_in(text, 50)) {
        const std::size_t at = one.find('@');
        require(one.data() >= text.data() && one.data() + one.size() <= text.data() + text.size());
        require(at > 0 && at + 1 < one.size() && one.size() <= 254);
        const auto again = addresses_in(one, 2);
        require(again.size() == 1 && again.front() == one);
    }
    if (const auto whom = received_for(text)) require(addresses_in(*whom, 2).size() == 1);
    recipient_tally tally({.own = {"ada@x.example"}, .deliveries = true});
    tally.add(text, std::nullopt);
    for (const recipient& r : tally.found())
        require(r.messages == 1 && !r.fields.empty() && r.address != "ada@x.example");
}

} // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    const std::string_view text(reinterpret_cast<const char*>(data), size);
    check_fields(text);
    const fingerprint mark = fingerprint_of(text);
    require(mark.message_id.size() <= 200 && mark.strong == !mark.message_id.empty());
    require(fingerprint_of(rewritten(text)).digest == mark.digest);
    if (const auto date = received_date(text)) require(date->zone_minutes > -1440 && date->zone_minutes < 1440);
    if (const auto date = parse_date_time(text)) require(date->unix_seconds < 253'402'400'000);
    check_digest(text);
    check_recipients(text);
    return 0;
}
