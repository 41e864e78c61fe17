// A whole conversation with a server that sends anything: logging in, listing, scanning, fetching, searching, bringing
// messages. It must end, keep no more than a bound, and give nothing to its callers that they cannot trust.
#include "mailbox/imap_mailbox.hpp"
#include "wary_callers.hpp"

namespace {

using namespace postferry;
using namespace postferry::mailbox;
using fuzz::any_messages, fuzz::any_scan, fuzz::three_messages;

// Each step goes on where the one before was refused: only a dead line ends it all.
task<> talk(std::string_view script, bool preauth) {
    client::imap_settings settings;
    settings.where = {.host = "imap.example.org", .port = 993};
    settings.tls.mode = net::tls_mode::implicit;
    settings.user = "anna";
    settings.password = secret("correct-horse");
    std::string whole = preauth ? "* PREAUTH [CAPABILITY IMAP4rev1 LITERAL+ MULTIAPPEND UIDPLUS CONDSTORE ESEARCH "
                                  "LIST-EXTENDED LIST-STATUS SPECIAL-USE] hi\r\n\xff"
                                : "";
    whole += script;
    auto session = co_await client::imap_session::open_on(std::make_unique<fuzz::hostile_line>(whole), settings,
                                                          std::make_shared<client::block_pool>(16'384, 4));
    if (session) {
        imap_mailbox box(std::move(*session), {});
        std::vector<scan_request> scans{{.handle = "INBOX"}};
        if (const auto listed = co_await box.list(false))
            for (const listed_folder& f : listed->folders)
                if (scans.size() < 4)
                    scans.push_back({.handle = f.handle, .known_uid_validity = 7, .known_uid_next = 5});
        any_scan scan(scans.size());
        (void)co_await box.scan(scans, scan);
        std::vector<fetch_request> fetches;
        for (std::size_t i = 0; i < scans.size(); ++i) {
            uid_set few = scan.present[i];
            uid_set uids = few.take_front(20, 10);
            if (uids.empty()) uids = uid_set::of(1, 3);
            fetches.push_back({.handle = scans[i].handle, .uid_validity = scan.states[i].uid_validity, .uids = uids});
        }
        any_messages messages(fetches);
        (void)co_await box.fetch(fetches, fetch_part::whole, messages);
        any_messages heads(fetches);
        (void)co_await box.fetch(fetches, fetch_part::fingerprint, heads);
        (void)co_await box.search(fetches, {.larger_than = 1'000, .older_than_unix = {}});
        const folder_wish wish{.handle = "INBOX", .create = true};
        (void)co_await box.prepare({&wish, 1});
        three_messages feed;
        (void)co_await box.append(feed);
        const flag_change change{.uids = uid_set::of(1, 2), .add = {"\\Seen"}, .remove = {}};
        (void)co_await box.change_flags("INBOX", {&change, 1});
        co_await box.leave();
    }
}

} // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    if (size == 0) return 0;
    const std::string_view script(reinterpret_cast<const char*>(data) + 1, size - 1);
    fuzz::run_to_end([&] { return talk(script, data[0] % 2 == 0); });
    return 0;
}
