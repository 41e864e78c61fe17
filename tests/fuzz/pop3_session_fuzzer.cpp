// A whole session with a POP3 server that sends anything: logging in, looking, reading messages and headers, searching,
// and a second session that must find its way in the names the first one left. The script is cut at the first FB: the
// first session's part, the second's. The first octet chooses how the session is used.
#include "mailbox/pop3_mailbox.hpp"
#include "support/memory_names.hpp"
#include "wary_callers.hpp"

namespace {

using namespace postferry;
using namespace postferry::mailbox;
using fuzz::any_messages, fuzz::any_scan, fuzz::hostile_line;

client::pop3_settings settings() {
    client::pop3_settings out;
    out.where = {.host = "pop.example.org", .port = 995};
    out.tls.mode = net::tls_mode::implicit;
    out.user = "anna";
    out.password = secret("correct-horse");
    return out;
}

task<> talk(std::string_view script, unsigned choice, support::memory_names& names) {
    // In half of the runs the login is behind us, and only what comes then is hostile.
    const std::string login = "+OK\r\n\xff\xfa\xff\xfa\xff\xfa\xff\xfa\xff";
    const std::string whole = (choice % 2 == 0 ? login : std::string()) + std::string(script);
    auto blocks = std::make_shared<client::block_pool>(16'384, 4);
    auto session = co_await client::pop3_session::open_on(std::make_unique<hostile_line>(whole, fuzz::speaks::pop3),
                                                          settings(), blocks);
    if (!session) co_return;
    pop3_mailbox box(
        std::move(*session), blocks, names,
        {.place = "pop3s://anna@pop.example.org", .in_memory = 1'000, .commands_in_flight = choice % 3 == 0 ? 1U : 5U});
    (void)co_await box.list(false);
    const scan_request inbox{.handle = "INBOX"};
    any_scan scan(1);
    (void)co_await box.scan({&inbox, 1}, scan);
    uid_set some = scan.present[0];
    uid_set uids = some.take_front(20, 10);
    uids.add(4'000'000'000U); // nobody has that one
    const std::vector<fetch_request> fetches{
        {.handle = "INBOX", .uid_validity = scan.states[0].uid_validity, .uids = std::move(uids)}};
    any_messages heads(fetches), messages(fetches);
    if (choice % 5 != 0) (void)co_await box.fetch(fetches, fetch_part::fingerprint, heads);
    (void)co_await box.fetch(fetches, fetch_part::whole, messages);
    (void)co_await box.search(fetches, {.larger_than = {}, .older_than_unix = 1'000'000'000});
    (void)box.take_notes();
    co_await box.leave();
}

} // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    if (size == 0) return 0;
    const std::string_view script(reinterpret_cast<const char*>(data) + 1, size - 1);
    const std::size_t cut = std::min(script.find('\xfb'), script.size());
    support::memory_names names;
    fuzz::run_to_end([&] { return talk(script.substr(0, cut), data[0], names); });
    if (cut < script.size()) fuzz::run_to_end([&] { return talk(script.substr(cut + 1), data[0], names); });
    for (const auto& [where, page] : names.pages)
        for (std::size_t i = 1; i < page.entries.size(); ++i)
            if (page.entries[i - 1].uid >= page.entries[i].uid) fuzz::found("a number of the name book is given twice");
    return 0;
}
