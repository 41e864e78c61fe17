// A pass between two servers that send anything. It must end in a stated state, and its balance must say so. The script
// is cut at the first FB: the source's part, the target's; each new connection begins its part anew.
#include "hostile_line.hpp"
#include "mailbox/imap_mailbox.hpp"
#include "support/memory_ledger.hpp"
#include "transfer/pass.hpp"

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/io_context.hpp>

namespace {

using namespace postferry;

template <class Place> task<result<std::unique_ptr<Place>>> open(std::string_view script) {
    client::imap_settings settings;
    settings.where = {.host = "imap.example.org", .port = 993};
    settings.tls.mode = net::tls_mode::implicit;
    settings.user = "anna";
    settings.password = secret("correct-horse");
    auto session = co_await client::imap_session::open_on(std::make_unique<fuzz::hostile_line>(script), settings,
                                                          std::make_shared<client::block_pool>(16'384, 4));
    if (!session) co_return std::unexpected(session.error());
    co_return std::make_unique<mailbox::imap_mailbox>(std::move(*session), mailbox::imap_options{});
}

} // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    const std::string_view all(reinterpret_cast<const char*>(data), size);
    const std::size_t cut = std::min(all.find('\xfb'), all.size());
    const std::string hello = "* PREAUTH [CAPABILITY IMAP4rev1 LITERAL+ MULTIAPPEND UIDPLUS] hi\r\n\xff";
    const std::string source = hello + std::string(all.substr(0, cut));
    const std::string target = hello + std::string(all.substr(std::min(all.size(), cut + 1)));
    support::memory_ledger books;
    transfer::pass_options options;
    options.first_pause = std::chrono::milliseconds(0);
    options.attempts = 1;
    options.no_wait = true;
    options.limits = {.buffered_octets = 2'000, .whole_octets = 300};
    transfer::pass_environment env;
    env.open_source = [&] { return open<mailbox::source>(source); };
    env.open_target = [&] { return open<mailbox::target>(target); };
    env.books = &books;
    transfer::mailbox_pass pass({.source = "imaps://anna@old", .target = "imaps://anna@new"}, options, std::move(env));
    boost::asio::io_context io(1);
    std::optional<transfer::mailbox_report> report;
    boost::asio::co_spawn(io, pass.run(), [&](std::exception_ptr thrown, transfer::mailbox_report r) {
        if (thrown) std::rethrow_exception(thrown);
        report = std::move(r);
    });
    io.run_for(std::chrono::seconds(20));
    if (!report) fuzz::found("the pass hangs");
    const bool done = report->state == transfer::mailbox_state::synced;
    if (done && (report->messages.residual() != 0 || report->stopped_by)) fuzz::found("synced, but the sheet is open");
    return 0;
}
