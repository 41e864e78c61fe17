// A whole conversation with an LMTP server that sends anything, to a client that delivers three messages. The first
// octet chooses whether the beginning is behind us, and how TLS is asked for.
#include "mailbox/lmtp_target.hpp"
#include "wary_callers.hpp"

namespace {

using namespace postferry;
using fuzz::hostile_line;

task<> talk(std::string_view script, unsigned choice) {
    client::lmtp_settings settings;
    settings.where = {.host = "mail.example.org", .port = 24};
    settings.user = choice % 5 == 0 ? "änna@example.org" : "anna@example.org";
    settings.tls.mode = choice % 3 == 0 ? net::tls_mode::require : net::tls_mode::detect;
    const std::string hello = "220 mail.example.org\r\n\xff\xfa\xff\xfa\xff\xfa\xff\xfa\xff";
    const std::string whole = (choice % 2 == 0 ? hello : std::string()) + std::string(script);
    auto line = std::make_unique<hostile_line>(whole, fuzz::speaks::lmtp);
    line->encrypted_ = choice % 2 == 0;
    auto session = co_await client::lmtp_session::open_on(std::move(line), settings);
    if (!session) {
        if (session.error().message().size() > 4'000) fuzz::found("an error without a bound");
        co_return;
    }
    mailbox::lmtp_target box(std::move(*session));
    fuzz::three_messages feed;
    const auto done = co_await box.append(feed);
    if (done && !feed.all_settled()) fuzz::found("all is well, but nobody knows of a message");
    if (done) co_await box.leave();
    (void)box.append_limit();
    (void)box.take_remarks();
}

} // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    if (size == 0) return 0;
    const std::string_view script(reinterpret_cast<const char*>(data) + 1, size - 1);
    fuzz::run_to_end([&] { return talk(script, data[0]); });
    return 0;
}
