#pragma once
// Folders of mboxes on the disk for tests, and an mbox_mailbox over them.
#include "mailbox/mbox_mailbox.hpp"
#include "support/mailbox_script.hpp"
#include "support/memory_names.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <map>
#include <string>
#include <vector>

namespace postferry::mailbox::test {

inline const std::string from_line = "From a@b Mon Jan  1 10:00:00 2001\n";

/// A message as somebody else's mbox has it.
inline std::string foreign(std::string_view subject, std::string_view fields = "") {
    return fmt::format("{}{}Subject: {}\n\ntext\n\n", from_line, fields, subject);
}
/// The same as it is given out.
inline std::string mailed(std::string_view subject) { return fmt::format("Subject: {}\r\n\r\ntext\r\n", subject); }

class mbox_case : public testing::Test {
  protected:
    void SetUp() override {
        std::string name = (std::filesystem::temp_directory_path() / "pf-mbox-XXXXXX").string();
        ASSERT_NE(::mkdtemp(name.data()), nullptr);
        root_ = name;
        ::setenv("TZ", "UTC", 1);
    }
    void TearDown() override { std::filesystem::remove_all(root_); }

    void write(const std::string& file, std::string_view text, bool append = false) {
        std::filesystem::create_directories((root_ / file).parent_path());
        std::ofstream(root_ / file, append ? std::ios::app : std::ios::trunc) << text;
    }
    std::string read(const std::string& file) {
        std::ifstream in(root_ / file);
        return {std::istreambuf_iterator<char>(in), {}};
    }
    std::vector<std::string> files() {
        std::vector<std::string> out;
        for (const auto& e : std::filesystem::recursive_directory_iterator(root_))
            if (e.is_regular_file()) out.push_back(std::filesystem::relative(e.path(), root_).string());
        std::ranges::sort(out);
        return out;
    }

    mbox_options options(const std::string& below = "") {
        return {.path = (below.empty() ? root_ : root_ / below).string(),
                .place = "mbox:/test",
                .prefix = {},
                .names = &names_,
                .lock_patience = std::chrono::milliseconds(100)};
    }

    /// Opens the place, lets `use` work on it, closes it.
    template <class R> R with(mbox_options how, mbox_mailbox::role as, std::function<task<R>(mbox_mailbox&)> use) {
        const auto work = [](mbox_options o, mbox_mailbox::role r, std::function<task<R>(mbox_mailbox&)> f) -> task<R> {
            auto box = co_await mbox_mailbox::open(std::move(o), r);
            if (!box) co_return std::unexpected(box.error());
            R out = co_await f(**box);
            co_await (*box)->leave();
            co_return out;
        };
        auto out = support::run_to_end<R>(work(std::move(how), as, std::move(use)));
        if (!out) return fail(retry_class::local, phase::usage, "hangs");
        return std::move(*out);
    }

    struct seen_message {
        std::uint32_t uid = 0;
        std::string content{}, flags{};
        std::optional<message_date> date{};
        std::string failure{}, skip_rule{};
    };
    struct seen_folder {
        folder_state state;
        std::vector<seen_message> messages;
        std::string trouble;
        [[nodiscard]] std::vector<std::string> contents() const {
            std::vector<std::string> out;
            for (const seen_message& m : messages) out.push_back(m.content + m.failure);
            return out;
        }
        [[nodiscard]] std::vector<std::uint32_t> uids() const {
            std::vector<std::uint32_t> out;
            for (const seen_message& m : messages) out.push_back(m.uid);
            return out;
        }
    };

    class reader final : public message_sink, public scan_sink {
      public:
        std::vector<folder_state> states;
        std::vector<uid_set> present;
        std::map<std::size_t, std::string> troubles;
        std::map<std::size_t, std::vector<seen_message>> messages;
        std::vector<std::string> flags_told;

        void flags(std::size_t, std::uint32_t uid, const std::vector<std::string>& flags) override {
            flags_told.push_back(fmt::format("{} {}", uid, fmt::join(flags, " ")));
        }
        void done(std::size_t request, const folder_state& state, uid_set uids) override {
            states.resize(std::max(states.size(), request + 1));
            present.resize(states.size());
            states[request] = state;
            present[request] = std::move(uids);
        }
        void failed(std::size_t request, error why) override { troubles[request] = why.message(); }
        task<result<void>> begin(message_head head) override {
            request_ = head.request;
            seen_message& m = messages[request_].emplace_back();
            m.uid = head.uid;
            m.flags = fmt::format("{}", fmt::join(head.flags, " "));
            m.date = head.date;
            m.skip_rule = head.skip_rule;
            octets_ = head.octets;
            co_return result<void>{};
        }
        task<result<void>> chunk(const client::block_ref&, std::string_view octets) override {
            messages[request_].back().content += octets;
            if (on_chunk) on_chunk();
            co_return result<void>{};
        }
        task<result<void>> end() override {
            EXPECT_EQ(messages[request_].back().content.size(), octets_);
            co_return result<void>{};
        }
        void header(message_head head, std::string_view fields) override {
            messages[head.request].push_back({.uid = head.uid, .content = std::string(fields)});
        }
        void missing(std::size_t request, uid_set uids, std::optional<error> why) override {
            messages[request].push_back({.uid = uids.front(), .failure = why ? why->message() : "gone"});
        }
        void unavailable(std::size_t request, error why) override { troubles[request] = why.message(); }
        std::function<void()> on_chunk;

      private:
        std::size_t request_ = 0;
        std::uint64_t octets_ = 0;
    };

    /// Everything below a place, by handle.
    static task<result<std::map<std::string, seen_folder>>> look_at(mbox_mailbox& box) {
        const auto list = co_await box.list(false);
        if (!list) co_return std::unexpected(list.error());
        std::vector<scan_request> scans;
        for (const listed_folder& f : list->folders) scans.push_back({.handle = f.handle});
        reader r;
        if (auto ok = co_await box.scan(scans, r); !ok) co_return std::unexpected(ok.error());
        std::vector<fetch_request> fetches;
        for (std::size_t i = 0; i < scans.size(); ++i) {
            r.states.resize(scans.size());
            r.present.resize(scans.size());
            fetches.push_back(
                {.handle = scans[i].handle, .uid_validity = r.states[i].uid_validity, .uids = r.present[i]});
        }
        if (auto ok = co_await box.fetch(fetches, fetch_part::whole, r); !ok) co_return std::unexpected(ok.error());
        std::map<std::string, seen_folder> out;
        for (std::size_t i = 0; i < scans.size(); ++i)
            out[scans[i].handle] = {.state = r.states[i], .messages = r.messages[i], .trouble = r.troubles[i]};
        co_return out;
    }
    std::map<std::string, seen_folder> everything(const std::string& below = "") {
        auto out =
            with<result<std::map<std::string, seen_folder>>>(options(below), mbox_mailbox::role::source, look_at);
        EXPECT_TRUE(out) << (out ? "" : out.error().message());
        return out ? *out : std::map<std::string, seen_folder>{};
    }

    std::filesystem::path root_;
    support::memory_names names_;
};

} // namespace postferry::mailbox::test
