#pragma once
// Plays a transcript on a conversation without I/O: on a `Player`, which knows what its protocol can do. Marks:
//   S: text    the server's line, CRLF is added          S~ text    the same without CRLF (octets of a literal)
//   C: text    what is given out next, CRLF is added     C~ text    the same without CRLF
//   =  text    the next event that is no need_more (Player::name_of); chunks of a body are joined
//   >  action  what the client does (Player::act)
// At the end, and before the server speaks again, all that was given out and all events must have been named.
#include "support/script.hpp"

#include <fmt/format.h>
#include <fmt/ranges.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <optional>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

namespace postferry::support {

/// What every player is. `Self` adds act(), name_of(), nonsense(), and says what is content or goes around the
/// conversation.
template <class Self, class Conversation> struct player {
    Conversation talk;
    std::string out;                 ///< given out and not named by the script yet
    std::vector<std::string> events; ///< happened and not named by the script yet

    /// Gives `octets` to the conversation, cut at the given offset into them.
    void feed(std::string_view octets, std::optional<std::size_t> cut) {
        const std::size_t first = std::min(cut.value_or(octets.size()), octets.size());
        for (const std::string_view piece : {octets.substr(0, first), octets.substr(first)}) {
            const std::string copy(piece); // exactly this memory, for the address sanitizer
            talk.feed(copy);
            drain();
        }
        out += talk.take_output();
    }

  private:
    void drain() {
        while (true) {
            const bool given_up = talk.poisoned();
            const typename Conversation::event e = talk.next();
            if (given_up) { // it repeats that for ever; the script names the first time only
                EXPECT_TRUE(std::holds_alternative<typename Conversation::broken>(e));
                return;
            }
            if (std::holds_alternative<typename Conversation::need_more>(e)) return;
            if (const auto* chunk = std::get_if<typename Conversation::body_chunk>(&e))
                events.back() += chunk->octets;
            else
                events.push_back(Self::name_of(e));
        }
    }
};

/// How one playing goes: where the server's octets are cut, and before which step the stream turns to nonsense.
struct playing {
    std::optional<std::size_t> cut = {}; ///< offset in all that the server says
    std::optional<std::size_t> nonsense_before = {};
};

namespace script_detail {

/// A script's line may have lost the space at its end.
inline std::string_view trimmed(std::string_view text) { return text.substr(0, text.find_last_not_of(' ') + 1); }

inline bool report_other(std::string_view what, std::string_view expected, const std::string& there) {
    ADD_FAILURE() << "expected " << what << ": " << expected << "\nbut there is: " << there;
    return false;
}

/// What the server says, or what must have happened by now. False: it has not.
template <class Player> bool hear(Player& p, const script_step& step, const std::string& octets) {
    if (step.mark.starts_with('C')) {
        if (!p.out.starts_with(octets)) return report_other("C", octets, p.out);
        p.out.erase(0, octets.size());
        return true;
    }
    if (step.mark != "=") return report_other("a mark", "S, C, = or >", step.mark);
    if (p.events.empty() || !matches(trimmed(p.events.front()), trimmed(step.text)))
        return report_other("event", step.text, fmt::format("{}", p.events));
    p.events.erase(p.events.begin());
    return true;
}

} // namespace script_detail

/// Plays the steps; returns the server's octets in all, or nothing after a mismatch (which fails the test).
template <class Player>
std::optional<std::size_t> play_steps(const std::vector<script_step>& steps, const playing& how = {}) {
    Player p;
    std::size_t said = 0;
    for (std::size_t i = 0; i < steps.size(); ++i) {
        const auto& [mark, text] = steps[i];
        if (how.nonsense_before == i) {
            p.feed(p.nonsense(i == 0), {});
            if (Player::nonsense_may_be_content && !p.talk.poisoned()) return said;
            EXPECT_TRUE(p.talk.poisoned()) << "before step " << i;
            p.out.clear();
        }
        const bool poisoned = how.nonsense_before && i >= *how.nonsense_before;
        const std::string octets = mark.ends_with(':') ? text + "\r\n" : text;
        if (mark == ">") {
            // What the driver writes by itself is its own business once the conversation has given up.
            if (!poisoned || !Player::goes_around(text)) p.act(text);
        } else if (poisoned) {
            if (mark.starts_with('S')) p.feed(octets, {});
        } else if (mark.starts_with('S')) {
            const bool goes_on = i > 0 && steps[i - 1].mark.starts_with('S');
            if (!goes_on && !(p.events.empty() && p.out.empty())) {
                ADD_FAILURE() << "before \"S: " << text << "\" there was also: " << fmt::format("{}", p.events)
                              << p.out;
                return std::nullopt;
            }
            const bool here = how.cut && *how.cut >= said && *how.cut < said + octets.size();
            p.feed(octets, here ? std::optional(*how.cut - said) : std::nullopt);
            said += octets.size();
        } else if (!script_detail::hear(p, steps[i], octets)) {
            return std::nullopt;
        }
        if (poisoned) {
            EXPECT_EQ(p.out, "") << "given out after nonsense before step " << *how.nonsense_before;
            EXPECT_FALSE(p.talk.has_output());
        }
    }
    if (how.nonsense_before) return said;
    EXPECT_EQ(p.out, "") << "given out, but not in the script";
    EXPECT_TRUE(p.events.empty()) << "happened, but not in the script: " << fmt::format("{}", p.events);
    return testing::Test::HasFailure() ? std::nullopt : std::optional(said);
}

/// Plays a script as it stands, with the server's octets cut at every place, and with nonsense from the server before
/// every step (where it is not content), after which nothing may be given out whatever the client does.
template <class Player> void converse_by(std::string_view script) {
    const std::vector<script_step> steps = read_script(script);
    const auto octets = play_steps<Player>(steps);
    if (!octets) return;
    for (std::size_t cut = 1; cut < *octets; ++cut) {
        if (!play_steps<Player>(steps, {.cut = cut})) {
            ADD_FAILURE() << "cut at octet " << cut;
            return;
        }
    }
    for (std::size_t i = 0; i < steps.size(); ++i) {
        // Inside a literal that the client is reading, nonsense is content.
        if (!Player::nonsense_may_be_content && steps[i].mark == "S~") continue;
        (void)play_steps<Player>(steps, {.nonsense_before = i});
        if (testing::Test::HasFailure()) {
            ADD_FAILURE() << "nonsense before step " << i << ": " << steps[i].mark << " " << steps[i].text;
            return;
        }
    }
}

} // namespace postferry::support
