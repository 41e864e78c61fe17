#pragma once
// A Maildir in a temporary folder, and sinks and a feed that a test can look at.
#include "mailbox/maildir_mailbox.hpp"
#include "support/memory_names.hpp"

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/io_context.hpp>
#include <fmt/format.h>
#include <gtest/gtest.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <set>
#include <stdexcept>
#include <string>
#include <sys/stat.h>
#include <sys/time.h>
#include <vector>

namespace postferry::support {

namespace fs = std::filesystem;

template <class T> T run(task<T> work) {
    boost::asio::io_context io;
    std::optional<T> out;
    boost::asio::co_spawn(io, std::move(work), [&out](std::exception_ptr thrown, T value) {
        if (thrown) std::rethrow_exception(thrown);
        out.emplace(std::move(value));
    });
    io.run();
    return std::move(*out);
}

/// What fetch() and scan() told.
class told final : public mailbox::message_sink, public mailbox::scan_sink {
  public:
    struct message {
        mailbox::message_head head;
        std::string text;
    };
    std::vector<message> messages;
    std::vector<std::uint32_t> missing_uids, refused_uids;
    std::vector<std::string> reasons;
    std::vector<error> unavailable_because;
    std::vector<mailbox::folder_state> states;
    std::vector<uid_set> present;
    std::map<std::uint32_t, std::vector<std::string>> flags_of;
    std::function<void()> on_begin; ///< something happens while messages are read

    task<result<void>> begin(mailbox::message_head head) override {
        if (on_begin) on_begin();
        messages.push_back({std::move(head), {}});
        co_return result<void>{};
    }
    task<result<void>> chunk(const client::block_ref&, std::string_view octets) override {
        messages.back().text += octets;
        co_return result<void>{};
    }
    task<result<void>> end() override { co_return result<void>{}; }
    void header(mailbox::message_head head, std::string_view fields) override {
        messages.push_back({std::move(head), std::string(fields)});
    }
    void missing(std::size_t, uid_set uids, std::optional<error> why) override {
        while (!uids.empty()) (why ? refused_uids : missing_uids).push_back(uids.take_front(1, 1).front());
        if (why) reasons.push_back(why->what);
    }
    void unavailable(std::size_t, error why) override { unavailable_because.push_back(std::move(why)); }
    void flags(std::size_t, std::uint32_t uid, const std::vector<std::string>& flags) override {
        flags_of[uid] = flags;
    }
    void done(std::size_t, const mailbox::folder_state& state, uid_set uids) override {
        states.push_back(state);
        present.push_back(std::move(uids));
    }
    void failed(std::size_t, error why) override { reasons.push_back(why.what); }
};

/// Messages on their way to a target, all ready from the beginning.
class ready_feed final : public mailbox::append_feed {
  public:
    struct letter {
        std::string handle, text, flags;
        std::uint32_t source_uid = 0;
        std::string uidl;
        std::int64_t date = 1'000'000'000;
    };
    explicit ready_feed(std::vector<letter> letters, std::size_t step = 1000)
        : letters_(std::move(letters)), step_(step) {}

    std::map<std::uint64_t, std::uint32_t> uids; ///< by index of the letter
    std::set<std::uint64_t> refused_letters, announced_letters;
    std::vector<std::size_t> batches;
    std::optional<error> why;
    std::uint32_t uid_validity = 0;
    std::optional<std::size_t> breaks_off; ///< within this letter
    std::function<void(std::size_t)> on_next;

    [[nodiscard]] bool ready() const noexcept override { return true; }
    task<bool> wait(std::chrono::milliseconds) override { co_return true; }
    task<std::optional<mailbox::append_item>> next() override {
        if (on_next) on_next(next_);
        if (next_ == letters_.size() || abandoned_) co_return std::nullopt;
        const letter& l = letters_[next_];
        given_ = 0;
        mailbox::append_item item;
        item.handle = l.handle;
        item.flags = l.flags;
        item.date = mailbox::message_date{.unix_seconds = l.date, .zone_minutes = 60};
        item.octets = l.text.size();
        item.token = ++next_;
        item.source_uid = l.source_uid;
        item.uidl = l.uidl;
        co_return item;
    }
    void announced() override { announced_letters.insert(next_ - 1); }
    task<result<mailbox::chunk>> read() override {
        const letter& l = letters_[next_ - 1];
        if (breaks_off == next_ - 1 && given_ > 0) co_return fail(retry_class::transient, phase::fetch, "broken off");
        const std::string_view piece = std::string_view(l.text).substr(given_, step_);
        given_ += piece.size();
        co_return mailbox::chunk{.owner = nullptr, .octets = piece};
    }
    [[nodiscard]] bool chunk_ready() const noexcept override { return true; }
    void stored(const std::vector<std::uint64_t>& tokens, std::uint32_t validity,
                const std::vector<std::uint32_t>& given) override {
        uid_validity = validity;
        batches.push_back(tokens.size());
        for (std::size_t i = 0; i < tokens.size(); ++i) uids[tokens[i] - 1] = given.at(i);
    }
    void refused(const std::vector<std::uint64_t>& tokens, const error& e) override {
        for (const std::uint64_t t : tokens) refused_letters.insert(t - 1);
        why = e;
    }
    void abandon(const error& e) noexcept override {
        abandoned_ = true;
        why = e;
    }

  private:
    std::vector<letter> letters_;
    std::size_t step_, next_ = 0, given_ = 0;
    bool abandoned_ = false;
};

class maildir_bench : public ::testing::Test {
  protected:
    using box = mailbox::maildir_mailbox;

    void SetUp() override {
        std::string pattern = (fs::temp_directory_path() / "pf-maildir-XXXXXX").string();
        ASSERT_NE(::mkdtemp(pattern.data()), nullptr);
        home = pattern;
        root = home / "Maildir";
    }
    void TearDown() override { fs::remove_all(home); }

    /// Makes a folder: "" is the root.
    fs::path folder(const std::string& name) {
        const fs::path where = name.empty() ? root : root / name;
        for (const char* part : {"cur", "new", "tmp"}) fs::create_directories(where / part);
        return where;
    }
    static void write(const fs::path& where, std::string_view text, std::int64_t date = 1'000'000'000) {
        std::ofstream(where, std::ios::binary) << text;
        const struct timeval times[2] = {{.tv_sec = date, .tv_usec = 0}, {.tv_sec = date, .tv_usec = 0}};
        ::utimes(where.c_str(), times);
    }
    static std::string read(const fs::path& where) {
        std::ifstream in(where, std::ios::binary);
        return {std::istreambuf_iterator<char>(in), {}};
    }
    static std::vector<std::string> names_in(const fs::path& where) {
        std::vector<std::string> out;
        for (const auto& e : fs::directory_iterator(where)) out.push_back(e.path().filename());
        std::ranges::sort(out);
        return out;
    }
    /// Everything below the root with its content and times: reading must leave it as it was.
    [[nodiscard]] std::map<std::string, std::string> photograph() const {
        std::map<std::string, std::string> out;
        for (const auto& e : fs::recursive_directory_iterator(root)) {
            struct stat st{};
            ::lstat(e.path().c_str(), &st);
            out[e.path()] = fmt::format("{} {}.{} {}", st.st_mode, st.st_mtim.tv_sec, st.st_mtim.tv_nsec,
                                        e.is_regular_file() ? read(e.path()) : "");
        }
        return out;
    }
    std::function<bool()> may_store; ///< of what is opened from now on

    std::unique_ptr<box> open(box::role as, std::string prefix = {}) {
        mailbox::maildir_options o;
        o.may_store = may_store;
        o.path = root;
        o.place = "maildir:" + root.string();
        o.names = &names;
        o.prefix = std::move(prefix);
        auto made = run(box::open(std::move(o), as));
        if (!made) throw std::runtime_error(made.error().message());
        return std::move(*made);
    }
    told scan(box& b, const std::string& handle, std::uint32_t known = 1) {
        told out;
        const mailbox::scan_request r{
            .handle = handle, .known_uid_validity = known, .known_uid_next = 0, .known_modseq = 0};
        EXPECT_TRUE(run(b.scan({&r, 1}, out)));
        return out;
    }
    void fetch(box& b, const std::string& handle, std::uint32_t validity, uid_set uids, told& out,
               mailbox::fetch_part part = mailbox::fetch_part::whole) {
        const mailbox::fetch_request r{.handle = handle, .uid_validity = validity, .uids = std::move(uids)};
        const auto ok = run(b.fetch({&r, 1}, part, out));
        EXPECT_TRUE(ok) << ok.error().message();
    }
    mailbox::prepared_folder prepare(box& b, mailbox::folder_wish wish) {
        auto p = run(b.prepare({&wish, 1}));
        if (!p) throw std::runtime_error(p.error().message());
        if (p->front().failure) throw std::runtime_error(p->front().failure->message());
        return p->front();
    }

    fs::path home, root;
    memory_names names;
};

} // namespace postferry::support
