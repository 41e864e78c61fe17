#pragma once
// A peer made of the fuzzer's octets: whatever the client says, it gets the next of them. Some octets are no text:
//   FF      the client must say something, or wait, before more comes
//   FE      the tag of the oldest command that is not answered (IMAP)
//   FD n    what came since the last FF, again, 2^(n mod 12) times: floods are cheap to write down
//   FC      the last number of the client's latest command, so that its questions can be answered
//   FA      every command that is not answered is answered as a small, good server would
// It never makes the client wait: at its end the line is closed. So every run ends, or hangs for good, which is found.
#include "net/connection.hpp"
#include "polite_answers.hpp"

#include <algorithm>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#if defined(__has_feature)
#if __has_feature(address_sanitizer)
#include <sanitizer/allocator_interface.h>
#define POSTFERRY_COUNTS_MEMORY 1
#endif
#endif

namespace postferry::fuzz {

[[noreturn]] inline void found(const char* what) {
    std::fprintf(stderr, "conversation: %s\n", what);
    std::abort();
}

/// No peer may make us keep more than this, whatever it sends.
inline void check_memory() {
#ifdef POSTFERRY_COUNTS_MEMORY
    constexpr std::size_t most = 128U << 20U;
    if (__sanitizer_get_current_allocated_bytes() > most) found("more than 128 MB are held");
#endif
}

/// How the client's words are read, for FA and FC. `verbatim`: not at all, and the octets above mean nothing.
enum class speaks : std::uint8_t { imap, pop3, lmtp, verbatim };

class hostile_line final : public net::connection {
  public:
    explicit hostile_line(std::string_view script, speaks tongue = speaks::imap) : script_(script), tongue_(tongue) {}

    task<result<std::size_t>> read_some(std::span<char> buffer, deadline) override {
        check_memory();
        if (closed_) co_return fail(retry_class::cancelled, phase::connect, "the connection was closed");
        if (at_ == ready_.size()) {
            ready_.clear();
            at_ = 0;
            next_turn();
        }
        if (ready_.empty() || delivered_ > most_octets) co_return std::size_t{0};
        const std::string_view now = std::string_view(ready_).substr(at_, buffer.size());
        std::ranges::copy(now, buffer.begin());
        show('S', now);
        const std::size_t n = now.size();
        at_ += n;
        delivered_ += n;
        co_return n;
    }
    task<result<void>> write(std::span<const iovec> pieces, std::chrono::milliseconds, deadline) override {
        if (closed_) co_return fail(retry_class::cancelled, phase::connect, "the connection was closed");
        for (const iovec& piece : pieces) {
            show('C', {static_cast<const char*>(piece.iov_base), piece.iov_len});
            hear({static_cast<const char*>(piece.iov_base), piece.iov_len});
        }
        // A client that talks without end is one that hangs.
        if (heard_ > most_octets) found("the client does not stop talking");
        co_return result<void>{};
    }
    task<result<void>> start_tls(const net::tls_settings&, deadline) override {
        encrypted_ = true;
        co_return result<void>{};
    }
    [[nodiscard]] bool readable() const noexcept override { return !closed_ && at_ < ready_.size(); }
    void close() noexcept override { closed_ = true; }
    void discard_unsent(bool) noexcept override {}
    [[nodiscard]] bool encrypted() const noexcept override { return encrypted_; }
    [[nodiscard]] std::string peer() const override { return "192.0.2.1:993"; }
    [[nodiscard]] std::string tls_summary() const override { return "TLSv1.3"; }

    bool encrypted_ = true;

  private:
    static constexpr std::size_t most_octets = 4U << 20U;

    /// With POSTFERRY_FUZZ_SHOW set, who wants to understand an input sees the conversation.
    static void show(char who, std::string_view octets) {
        static const bool wanted = std::getenv("POSTFERRY_FUZZ_SHOW") != nullptr;
        if (wanted)
            std::fprintf(stderr, "%c: %.*s\n", who, static_cast<int>(std::min<std::size_t>(octets.size(), 400)),
                         octets.data());
    }

    void hear(std::string_view octets) {
        heard_ += octets.size();
        line_ += octets.substr(0, 4'096);
        if (line_.size() > 65'536) line_.erase(0, line_.size() - 65'536);
    }

    struct question {
        std::string tag, text;
    };

    void look_at_questions() {
        // Without tags, an answer that the script gave by itself was to what came before.
        if (tongue_ != speaks::imap && !line_.empty()) open_.clear();
        for (std::size_t at = 0; at < line_.size();) {
            const std::size_t end = std::min(line_.find("\r\n", at), line_.size());
            const std::string_view one = std::string_view(line_).substr(at, end - at);
            at = end + 2;
            const bool asks = tongue_ == speaks::imap ? look_at_tagged(one) : look_at_plain(one);
            const std::size_t last = asks ? one.find_last_of("0123456789") : std::string_view::npos;
            if (last == std::string_view::npos) continue;
            const std::size_t first = one.find_last_not_of("0123456789", last) + 1;
            number_ = one.substr(first, std::min<std::size_t>(last + 1 - first, 12));
        }
        line_.clear();
    }
    /// IMAP's commands are lines that begin with a tag as ours are, "P12".
    bool look_at_tagged(std::string_view one) {
        const std::size_t space = one.find(' ');
        if (space == std::string_view::npos || space < 2 || one.front() != 'P') return false;
        if (one.substr(1, space - 1).find_first_not_of("0123456789") != std::string_view::npos) return false;
        if (open_.size() < 1'000)
            open_.push_back({.tag = std::string(one.substr(0, space)), .text = std::string(one.substr(space + 1))});
        return true;
    }
    /// Any line of POP3 is one; LMTP's are, but for the lines of a message up to its dot, which is answered.
    bool look_at_plain(std::string_view one) {
        if (in_message_ && one != "." && one != "RSET" && one != "QUIT") return false;
        in_message_ = tongue_ == speaks::lmtp && one == "DATA";
        if (open_.size() < 1'000) open_.push_back({.tag = {}, .text = std::string(one)});
        return true;
    }

    std::string take_tag() {
        if (open_.empty()) return "P1";
        std::string tag = open_.front().tag;
        if (open_.size() > 1) open_.erase(open_.begin());
        return tag;
    }

    void answer(const question& q) {
        if (tongue_ != speaks::imap) {
            ready_ += tongue_ == speaks::pop3 ? polite_pop3(q.text) : polite_lmtp(q.text);
            return;
        }
        const auto asks = [&q](std::string_view word) { return q.text.find(word) != std::string::npos; };
        if (asks("LIST")) ready_ += "* LIST () \"/\" INBOX\r\n* LIST (\\Sent) \"/\" Sent\r\n";
        if (asks("STATUS")) ready_ += "* STATUS INBOX (MESSAGES 2 UIDNEXT 3 UIDVALIDITY 7)\r\n";
        if (asks("EXAMINE") || asks("SELECT"))
            ready_ +=
                "* 2 EXISTS\r\n* OK [UIDVALIDITY 7] x\r\n* OK [UIDNEXT 3] x\r\n* OK [PERMANENTFLAGS (\\Seen)] x\r\n";
        if (asks("SEARCH"))
            ready_ += asks("RETURN") ? "* ESEARCH (TAG \"" + q.tag + "\") UID ALL 1:2\r\n" : "* SEARCH 1 2\r\n";
        for (int uid = 1; asks("FETCH") && uid <= 2; ++uid) {
            ready_ += "* " + std::to_string(uid) + " FETCH (UID " + std::to_string(uid) +
                      " FLAGS (\\Seen) INTERNALDATE \" 1-Feb-2021 10:00:00 +0000\" RFC822.SIZE 18";
            if (asks("PEEK[]")) ready_ += " BODY[] {18}\r\nSubject: a\r\n\r\nxy\r\n";
            if (asks("HEADER.FIELDS")) ready_ += " BODY[HEADER.FIELDS (SUBJECT)] {14}\r\nSubject: a\r\n\r\n";
            ready_ += ")\r\n";
        }
        if (q.text.ends_with("}") && !q.text.ends_with("+}")) { // it asks for the literal, and answers another time
            ready_ += "+ go\r\n";
            open_.push_back({.tag = q.tag, .text = "APPEND"});
            return;
        }
        ready_ += q.tag + (asks("APPEND") ? " OK [APPENDUID 7 3] done\r\n" : " OK done\r\n");
    }

    void next_turn() {
        if (tongue_ == speaks::verbatim) {
            ready_ = std::exchange(script_, {});
            return;
        }
        look_at_questions();
        while (ready_.empty() && !script_.empty()) {
            const std::size_t end = std::min(script_.find('\xff'), script_.size());
            say(script_.substr(0, end));
            script_.remove_prefix(std::min(script_.size(), end + 1));
        }
    }
    void say(std::string_view turn) {
        for (std::size_t i = 0; i < turn.size(); ++i) {
            if (turn[i] == '\xfe') {
                if (tongue_ == speaks::imap) ready_ += take_tag();
            } else if (turn[i] == '\xfc') {
                ready_ += number_;
            } else if (turn[i] == '\xfa') {
                for (const question& q : std::exchange(open_, {})) answer(q);
            } else if (turn[i] == '\xfd' && i + 1 < turn.size()) {
                const std::string once = ready_;
                const unsigned times = 1U << (static_cast<unsigned char>(turn[++i]) % 12U);
                for (unsigned k = 1; k < times && ready_.size() < most_octets / 2; ++k) ready_ += once;
            } else {
                ready_ += turn[i];
            }
        }
    }

    std::string_view script_;
    speaks tongue_;
    std::string ready_, line_, number_ = "1";
    std::vector<question> open_;
    std::size_t at_ = 0, delivered_ = 0, heard_ = 0;
    bool closed_ = false, in_message_ = false;
};

} // namespace postferry::fuzz
