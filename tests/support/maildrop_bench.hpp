#pragma once
// A maildrop as a source, over scripted servers (support/memory_line.hpp tells how to read them).
#include "mailbox/pop3_mailbox.hpp"
#include "support/maildrop_script.hpp"
#include "support/memory_names.hpp"

#include <fmt/format.h>
#include <fmt/ranges.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <functional>

namespace postferry::support {

using namespace mailbox;

inline constexpr const char* place = "pop3s://anna@pop.example.org";

class log_sink final : public message_sink, public scan_sink {
  public:
    explicit log_sink(std::vector<std::string>& log) : log_(log) {}

    task<result<void>> begin(message_head head) override {
        expected_ = head.octets;
        text_ = fmt::format("{} {} <{}>: ", head.uid, head.octets, head.uidl);
        start_ = text_.size();
        co_return result<void>{};
    }
    task<result<void>> chunk(const client::block_ref&, std::string_view octets) override {
        text_ += octets;
        co_return result<void>{};
    }
    task<result<void>> end() override {
        EXPECT_EQ(text_.size() - start_, expected_) << "what follows must be what was announced";
        log_.push_back(text_);
        co_return result<void>{};
    }
    void header(message_head head, std::string_view fields) override {
        log_.push_back(fmt::format("{} about {}: {}", head.uid, head.octets, fields));
    }
    void missing(std::size_t, uid_set uids, std::optional<error> why) override {
        log_.push_back(fmt::format("missing {}{}", uids.to_string(), why ? ": " + why->server_said : ""));
    }
    void unavailable(std::size_t request, error why) override {
        log_.push_back(fmt::format("unavailable {}: {}", request, why.what));
    }
    void flags(std::size_t, std::uint32_t, const std::vector<std::string>&) override { log_.emplace_back("flags"); }
    void done(std::size_t, const folder_state& s, uid_set present) override {
        log_.push_back(
            fmt::format("v{} next {} of {}: {}", s.uid_validity, s.uid_next, s.messages, present.to_string()));
    }
    void failed(std::size_t, error why) override { log_.push_back("failed: " + why.what); }

  private:
    std::vector<std::string>& log_;
    std::string text_;
    std::size_t start_ = 0;
    std::uint64_t expected_ = 0;
};

using use = std::function<task<result<void>>(pop3_mailbox&, log_sink&)>;

struct played {
    std::vector<std::string> log;
    std::optional<error> failure;
    std::shared_ptr<line_record> line = std::make_shared<line_record>();
};

class maildrops : public testing::Test {
  protected:
    memory_names names;
    pop3_options options{.place = place, .in_memory = 1'000, .commands_in_flight = 3};
    client::server_limits limits;

    /// @param capabilities behind the login, "," between
    played once(std::string_view capabilities, std::string_view script, const use& what,
                const line_faults& faults = {}) {
        played out;
        (void)run_to_end(run(capabilities, std::string(script), what, faults, out));
        return out;
    }

    /// As it stands; octet by octet; and dying at every octet, which must end in an error or in the same log.
    std::vector<std::string> play(std::string_view capabilities, std::string_view script, const use& what) {
        const memory_names before = names;
        const auto again = [&](const line_faults& faults) {
            names = before;
            return once(capabilities, script, what, faults);
        };
        const played whole = again({});
        EXPECT_THAT(whole.line->complaints, testing::IsEmpty());
        EXPECT_TRUE(whole.line->finished) << "the script was not played to its end";
        EXPECT_FALSE(whole.failure) << whole.failure->message();
        line_faults slow;
        slow.read_at_most = 1;
        EXPECT_EQ(again(slow).log, whole.log);
        for (std::size_t n = 0; n < whole.line->delivered; ++n) {
            line_faults cut;
            cut.dies_after = n;
            const played dead = again(cut);
            EXPECT_TRUE(dead.failure || dead.log == whole.log) << "dies after " << n;
        }
        names = before;
        (void)once(capabilities, script, what); // for what it leaves in the name book
        return whole.log;
    }

    static use scan() {
        return [](pop3_mailbox& box, log_sink& sink) -> task<result<void>> {
            const scan_request inbox{.handle = "INBOX"};
            co_return co_await box.scan({&inbox, 1}, sink);
        };
    }
    static use fetch(uid_set uids, fetch_part part = fetch_part::whole, std::uint32_t uid_validity = 1001) {
        return [=](pop3_mailbox& box, log_sink& sink) -> task<result<void>> {
            const fetch_request request{.handle = "INBOX", .uid_validity = uid_validity, .uids = uids};
            co_return co_await box.fetch({&request, 1}, part, sink);
        };
    }
    static uid_set uids(std::uint32_t first, std::uint32_t last) {
        uid_set out;
        out.add(first, last);
        return out;
    }
    std::vector<std::string> notes(std::string_view script) {
        std::vector<std::string> out;
        const played p = once("", script, [&out](pop3_mailbox& box, log_sink&) -> task<result<void>> {
            auto list = co_await box.list(true);
            if (!list) co_return std::unexpected(list.error());
            out = list->notes;
            co_return result<void>{};
        });
        EXPECT_FALSE(p.failure) << p.failure->message();
        EXPECT_THAT(p.line->complaints, testing::IsEmpty());
        return out;
    }

  private:
    task<int> run(std::string_view capabilities, std::string script, const use& what, const line_faults& faults,
                  played& out) {
        client::pop3_settings settings = pop3_test_settings();
        settings.limits = limits;
        const auto blocks = std::make_shared<client::block_pool>(4'096, 4);
        auto session = co_await open_pop3(capabilities, std::move(script), out.line, blocks, faults, settings);
        if (!session) {
            out.failure = session.error();
            co_return 0;
        }
        pop3_mailbox box(std::move(*session), blocks, names, options);
        log_sink sink(out.log);
        if (auto ok = co_await what(box, sink); !ok) out.failure = ok.error();
        co_await box.leave();
        co_return 0;
    }
};

inline constexpr std::string_view three = R"(
    C: STAT
    S: +OK 3 30
    C: LIST
    S: +OK
    S: 1 10
    S: 2 20
    S: 3 30
    S: .
    C: UIDL
    S: +OK
    S: 1 aa
    S: 2 bb
    S: 3 cc
    S: .
)";

inline constexpr std::string_view quit = "C: QUIT\nS: +OK\n";
// docs/quirks.md#pop3-seen
inline constexpr std::string_view quit_after_reading = "C: LAST\nS: -ERR\nC: RSET\nS: +OK\nC: QUIT\nS: +OK\n";

inline std::string with(std::string_view a, std::string_view b, std::string_view c = quit) {
    return fmt::format("{}\n{}\n{}", a, b, c);
}

} // namespace postferry::support
