// A whole conversation with a server that sends anything: logging in, listing, scanning, fetching, searching, bringing
// messages. It must end, keep no more than a bound, and give nothing to its callers that they cannot trust.
#include "hostile_line.hpp"
#include "mailbox/imap_mailbox.hpp"

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/io_context.hpp>

namespace {

using namespace postferry;
using namespace postferry::mailbox;

class any_scan final : public scan_sink {
  public:
    explicit any_scan(std::size_t n) : told(n), states(n), present(n) {}
    std::vector<unsigned> told;
    std::vector<folder_state> states;
    std::vector<uid_set> present;
    void flags(std::size_t request, std::uint32_t, const std::vector<std::string>&) override {
        if (request >= told.size()) fuzz::found("flags of a folder that was not asked for");
    }
    void done(std::size_t request, const folder_state& state, uid_set uids) override {
        once(request);
        states[request] = state;
        present[request] = std::move(uids);
    }
    void failed(std::size_t request, error) override { once(request); }

  private:
    void once(std::size_t request) {
        if (request >= told.size() || ++told[request] > 1) fuzz::found("a folder is told of twice");
    }
};

class any_messages final : public message_sink {
  public:
    explicit any_messages(const std::vector<fetch_request>& asked) : asked_(asked) {}
    task<result<void>> begin(message_head head) override {
        check(head);
        if (open_) fuzz::found("a message begins within another");
        open_ = true;
        left_ = head.octets;
        co_return result<void>{};
    }
    task<result<void>> chunk(const client::block_ref& owner, std::string_view octets) override {
        if (!open_ || !owner || octets.size() > left_) fuzz::found("octets that belong to no message");
        left_ -= octets.size();
        co_return result<void>{};
    }
    task<result<void>> end() override {
        if (!open_ || left_ != 0) fuzz::found("a message ends that is not complete");
        open_ = false;
        co_return result<void>{};
    }
    void header(message_head head, std::string_view) override { check(head); }
    void missing(std::size_t request, uid_set, std::optional<error>) override {
        if (request >= asked_.size()) fuzz::found("missing from nothing");
    }
    void unavailable(std::size_t request, error) override {
        if (request >= asked_.size()) fuzz::found("nothing is unavailable");
    }

  private:
    void check(const message_head& head) const {
        if (head.request >= asked_.size() || !asked_[head.request].uids.contains(head.uid))
            fuzz::found("a message that nobody asked for");
    }
    const std::vector<fetch_request>& asked_;
    bool open_ = false;
    std::uint64_t left_ = 0;
};

class three_messages final : public append_feed {
  public:
    [[nodiscard]] bool ready() const noexcept override { return true; }
    task<bool> wait(std::chrono::milliseconds) override { co_return true; }
    task<std::optional<append_item>> next() override {
        if (over_ || ++token_ > 3) co_return std::nullopt;
        given_ = false;
        co_return append_item{.folder = 0,
                              .handle = "INBOX",
                              .flags = token_ == 2 ? "\\Seen" : "",
                              .date = {},
                              .octets = text_.size(),
                              .token = token_,
                              .batch_limit = token_ == 3 ? 1U : 0U};
    }
    task<result<chunk>> read() override {
        if (std::exchange(given_, true)) fuzz::found("more is read than there is");
        co_return chunk{.owner = nullptr, .octets = text_};
    }
    [[nodiscard]] bool chunk_ready() const noexcept override { return !given_; }
    void stored(const std::vector<std::uint64_t>& tokens, std::uint32_t,
                const std::vector<std::uint32_t>& uids) override {
        if (!uids.empty() && uids.size() != tokens.size()) fuzz::found("UIDs that belong to no message");
        settle(tokens);
    }
    void refused(const std::vector<std::uint64_t>& tokens, const error&) override { settle(tokens); }
    void abandon(const error&) noexcept override { over_ = true; }

  private:
    void settle(const std::vector<std::uint64_t>& tokens) {
        for (const std::uint64_t t : tokens)
            if (t == 0 || t > 3 || std::exchange(settled_[t], true)) fuzz::found("a message is settled twice");
    }
    std::string_view text_ = "Subject: x\r\n\r\nbody\r\n";
    std::uint64_t token_ = 0;
    bool given_ = true, over_ = false;
    bool settled_[4] = {};
};

// Each step goes on where the one before was refused: only a dead line ends it all.
task<> talk(std::string_view script, bool preauth, bool& ended) {
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
    ended = true;
}

} // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    if (size == 0) return 0;
    const std::string_view script(reinterpret_cast<const char*>(data) + 1, size - 1);
    boost::asio::io_context io(1);
    bool ended = false;
    boost::asio::co_spawn(io, talk(script, data[0] % 2 == 0, ended), [](std::exception_ptr thrown) {
        if (thrown) std::rethrow_exception(thrown);
    });
    io.run_for(std::chrono::seconds(20));
    if (!ended) fuzz::found("it hangs");
    return 0;
}
