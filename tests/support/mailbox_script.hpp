#pragma once
// An imap_mailbox over a scripted line (support/memory_line.hpp), and sinks and feeds that write down what happens.
#include "mailbox/imap_mailbox.hpp"
#include "support/memory_line.hpp"

#include <fmt/format.h>
#include <fmt/ranges.h>
#include <gmock/gmock.h>

#include <functional>

namespace postferry::support {

using namespace mailbox;

inline client::imap_settings test_settings() {
    client::imap_settings s;
    s.where = {.host = "imap.example.org", .port = 993};
    s.tls.mode = net::tls_mode::implicit;
    s.user = "anna";
    return s;
}

template <class R>
task<R> use_mailbox(std::unique_ptr<memory_line> line, const imap_options& options,
                    const std::function<task<R>(imap_mailbox&)>& use,
                    client::imap_settings settings = test_settings()) {
    line->encrypted_ = true;
    auto session = co_await client::imap_session::open_on(std::move(line), std::move(settings),
                                                          std::make_shared<client::block_pool>(65'536, 4));
    if (!session) co_return std::unexpected(session.error());
    imap_mailbox box(std::move(*session), options);
    co_return co_await use(box);
}

/// Plays a script once, with the greeting "* PREAUTH [CAPABILITY <capabilities>]" before it. R is a result<>.
template <class R>
R play_once(std::string_view capabilities, std::string_view script, const std::function<task<R>(imap_mailbox&)>& use,
            const imap_options& options = {}, const line_faults& faults = {},
            std::shared_ptr<line_record> record = std::make_shared<line_record>(),
            const client::imap_settings& settings = test_settings()) {
    const std::string whole = fmt::format("S: * PREAUTH [CAPABILITY IMAP4rev1 {}] hi\n{}", capabilities, script);
    auto out =
        run_to_end<R>(use_mailbox<R>(std::make_unique<scripted_line>(whole, record, faults), options, use, settings));
    EXPECT_THAT(record->complaints, testing::IsEmpty());
    if (!faults.dies_after) EXPECT_TRUE(record->finished) << "the script was not played to its end";
    if (!out) return fail(retry_class::local, phase::usage, "hangs");
    return std::move(*out);
}

/// The same, with a server that may make us keep no more than that.
template <class R>
R play_within(const client::server_limits& limits, std::string_view capabilities, std::string_view script,
              const std::function<task<R>(imap_mailbox&)>& use) {
    client::imap_settings settings = test_settings();
    settings.limits = limits;
    return play_once<R>(capabilities, script, use, {}, {}, std::make_shared<line_record>(), settings);
}

/// Plays a script as it is, octet by octet (`log` must tell the same both times), and with a server that dies after
/// every octet, which must end in an error or, near the end, in the same outcome. `log` is emptied before each.
template <class R>
R play(std::string_view capabilities, std::string_view script, const std::function<task<R>(imap_mailbox&)>& use,
       std::vector<std::string>* log = nullptr, const imap_options& options = {}) {
    std::vector<std::string> ignored;
    if (log == nullptr) log = &ignored;
    log->clear();
    auto record = std::make_shared<line_record>();
    R out = play_once<R>(capabilities, script, use, options, {}, record);
    const std::vector<std::string> told = *log;
    for (std::size_t dies = 0; dies < record->delivered && !testing::Test::HasFailure(); ++dies) {
        log->clear();
        line_faults faults;
        faults.dies_after = dies;
        const R dead = play_once<R>(capabilities, script, use, options, faults);
        if (dead && *log != told)
            ADD_FAILURE() << "dead after " << dies << ", but all is well: " << fmt::format("{}", *log);
    }
    log->clear();
    line_faults slow;
    slow.read_at_most = 1;
    (void)play_once<R>(capabilities, script, use, options, slow);
    EXPECT_EQ(*log, told) << "octet by octet";
    *log = told;
    return out;
}

class noting_scan_sink final : public scan_sink {
  public:
    explicit noting_scan_sink(std::vector<std::string>& log) : log_(log) {}
    void flags(std::size_t request, std::uint32_t uid, const std::vector<std::string>& flags) override {
        log_.push_back(fmt::format("{} flags {} ({})", request, uid, fmt::join(flags, " ")));
    }
    void done(std::size_t request, const folder_state& s, uid_set present) override {
        log_.push_back(fmt::format("{} done v{} n{} m{} h{}: {}", request, s.uid_validity, s.uid_next, s.messages,
                                   s.modseq, present.to_string()));
    }
    void failed(std::size_t request, error why) override {
        log_.push_back(fmt::format("{} failed: {}", request, why.message()));
    }

  private:
    std::vector<std::string>& log_;
};

class noting_message_sink final : public message_sink {
  public:
    explicit noting_message_sink(std::vector<std::string>& log) : log_(log) {}
    task<result<void>> begin(message_head head) override {
        log_.push_back(describe(head) + ": ");
        co_return result<void>{};
    }
    task<result<void>> chunk(const client::block_ref&, std::string_view octets) override {
        log_.back() += octets;
        co_return result<void>{};
    }
    task<result<void>> end() override {
        log_.back() += "|";
        co_return result<void>{};
    }
    void header(message_head head, std::string_view fields) override {
        log_.push_back(fmt::format("{} header: {}", describe(head), fields));
    }
    void missing(std::size_t request, uid_set uids, std::optional<error> why) override {
        log_.push_back(fmt::format("{} missing {}{}", request, uids.to_string(), why ? ": " + why->server_said : ""));
    }
    void unavailable(std::size_t request, error why) override {
        log_.push_back(fmt::format("{} unavailable: {} {}", request, name_of(why.cls), why.what));
    }

  private:
    static std::string describe(const message_head& h) {
        return fmt::format("{}/{} ({}) {} {}{}", h.request, h.uid, fmt::join(h.flags, " "),
                           h.date ? h.date->to_string().value_or("?") : "-", h.octets, h.halves ? " in halves" : "");
    }
    std::vector<std::string>& log_;
};

struct test_message {
    std::string flags, body;
    std::size_t folder = 0;
    std::size_t batch_limit = 0;
    std::optional<message_date> date = std::nullopt;
    std::string handle = "x";
    bool literal8 = false;
};

/// Has everything at once; tokens are 1, 2, 3 ...
class list_feed final : public append_feed {
  public:
    list_feed(const std::vector<test_message>& messages, std::vector<std::string>& log, std::size_t chunk_octets = 7)
        : messages_(messages), log_(log), chunk_octets_(chunk_octets) {}

    std::optional<std::size_t> breaks_off_in; ///< index of the message of which the source gives but two chunks

    [[nodiscard]] bool ready() const noexcept override { return true; }
    task<bool> wait(std::chrono::milliseconds) override { co_return true; }
    task<std::optional<append_item>> next() override {
        if (abandoned_ || at_ == messages_.size()) co_return std::nullopt;
        const test_message& m = messages_[at_++];
        offset_ = 0;
        co_return append_item{.folder = m.folder,
                              .handle = m.handle,
                              .flags = m.flags,
                              .date = m.date,
                              .octets = m.body.size(),
                              .token = at_,
                              .batch_limit = m.batch_limit,
                              .literal8 = m.literal8};
    }
    task<result<mailbox::chunk>> read() override {
        const std::string_view body = messages_[at_ - 1].body;
        const std::string_view part = body.substr(offset_, chunk_octets_);
        if (breaks_off_in == at_ - 1 && offset_ >= 2 * chunk_octets_)
            co_return fail(retry_class::transient, phase::fetch, "the source broke off");
        offset_ += part.size();
        co_return mailbox::chunk{.owner = nullptr, .octets = part};
    }
    [[nodiscard]] bool chunk_ready() const noexcept override { return true; }
    void stored(const std::vector<std::uint64_t>& tokens, std::uint32_t validity,
                const std::vector<std::uint32_t>& uids) override {
        log_.push_back(fmt::format("stored {} as v{} {}", fmt::join(tokens, ","), validity, fmt::join(uids, ",")));
    }
    void refused(const std::vector<std::uint64_t>& tokens, const error& why) override {
        log_.push_back(fmt::format("refused {}: {} {}", fmt::join(tokens, ","), name_of(why.cls), why.server_said));
    }
    void abandon(const error& why) noexcept override {
        abandoned_ = true;
        log_.push_back("abandoned: " + why.what);
    }

  private:
    const std::vector<test_message>& messages_;
    std::vector<std::string>& log_;
    std::size_t chunk_octets_, at_ = 0, offset_ = 0;
    bool abandoned_ = false;
};

} // namespace postferry::support
