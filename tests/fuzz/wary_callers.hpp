#pragma once
// Callers of a source or a target that trust nothing: they end the run when they are told what cannot be.
#include "hostile_line.hpp"
#include "mailbox/mailbox.hpp"

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/io_context.hpp>

#include <chrono>
#include <ctime>
#include <exception>
#include <functional>
#include <optional>
#include <string_view>
#include <utility>
#include <vector>

namespace postferry::fuzz {

using namespace mailbox;

class any_scan final : public scan_sink {
  public:
    explicit any_scan(std::size_t n) : told(n), states(n), present(n) {}
    std::vector<unsigned> told;
    std::vector<folder_state> states;
    std::vector<uid_set> present;
    void flags(std::size_t request, std::uint32_t, const std::vector<std::string>&) override {
        if (request >= told.size()) found("flags of a folder that was not asked for");
    }
    void done(std::size_t request, const folder_state& state, uid_set uids) override {
        once(request);
        states[request] = state;
        present[request] = std::move(uids);
    }
    void failed(std::size_t request, error) override { once(request); }

  private:
    void once(std::size_t request) {
        if (request >= told.size() || ++told[request] > 1) found("a folder is told of twice");
    }
};

class any_messages final : public message_sink {
  public:
    explicit any_messages(const std::vector<fetch_request>& asked) : asked_(asked) {}
    task<result<void>> begin(message_head head) override {
        check(head);
        if (open_) found("a message begins within another");
        open_ = true;
        left_ = head.octets;
        co_return result<void>{};
    }
    task<result<void>> chunk(const client::block_ref& owner, std::string_view octets) override {
        if (!open_ || !owner || octets.size() > left_) found("octets that belong to no message");
        left_ -= octets.size();
        co_return result<void>{};
    }
    task<result<void>> end() override {
        if (!open_ || left_ != 0) found("a message ends that is not complete");
        open_ = false;
        co_return result<void>{};
    }
    void header(message_head head, std::string_view) override { check(head); }
    void missing(std::size_t request, uid_set, std::optional<error>) override {
        if (request >= asked_.size()) found("missing from nothing");
    }
    void unavailable(std::size_t request, error) override {
        if (request >= asked_.size()) found("nothing is unavailable");
    }

  private:
    void check(const message_head& head) const {
        if (head.request >= asked_.size() || !asked_[head.request].uids.contains(head.uid))
            found("a message that nobody asked for");
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
        if (std::exchange(given_, true)) found("more is read than there is");
        co_return chunk{.owner = nullptr, .octets = text_};
    }
    [[nodiscard]] bool chunk_ready() const noexcept override { return !given_; }
    void stored(const std::vector<std::uint64_t>& tokens, std::uint32_t,
                const std::vector<std::uint32_t>& uids) override {
        if (!uids.empty() && uids.size() != tokens.size()) found("UIDs that belong to no message");
        settle(tokens);
    }
    void refused(const std::vector<std::uint64_t>& tokens, const error&) override { settle(tokens); }
    void abandon(const error&) noexcept override { over_ = true; }
    [[nodiscard]] bool all_settled() const noexcept { return settled_[1] && settled_[2] && settled_[3]; }

  private:
    void settle(const std::vector<std::uint64_t>& tokens) {
        for (const std::uint64_t t : tokens)
            if (t == 0 || t > 3 || t > token_ || std::exchange(settled_[t], true)) found("a message is settled twice");
    }
    std::string_view text_ = "Subject: x\r\n\r\nbody\r\n";
    std::uint64_t token_ = 0;
    bool given_ = true, over_ = false;
    bool settled_[4] = {};
};

/// Carries out a conversation, which must end by itself.
inline void run_to_end(const std::function<task<>()>& talk) {
    boost::asio::io_context io(1);
    bool ended = false;
    boost::asio::co_spawn(io, talk(), [&ended](std::exception_ptr thrown) {
        if (thrown) std::rethrow_exception(thrown);
        ended = true;
    });
    // A busy machine is no hang: what counts is how long it works, or that it waits for what never comes.
    const auto began = std::chrono::steady_clock::now();
    const std::clock_t most = std::clock() + 20 * CLOCKS_PER_SEC;
    while (!ended && std::clock() < most && std::chrono::steady_clock::now() - began < std::chrono::seconds(100))
        io.run_for(std::chrono::seconds(1));
    if (!ended) found("it hangs");
}

} // namespace postferry::fuzz
