#pragma once
// Plays a transcript on an imap::conversation. Marks:
//   S: text    the server's line, CRLF is added          S~ text    the same without CRLF (octets of a literal)
//   C: text    what is given out next, CRLF is added     C~ text    the same without CRLF
//   =  text    the next event that is no need_more (see name_of below)
//   >  action  submit A | B (pieces)   exclusive A   interactive A   open A   more A   sync N   plus N   finish
//              respond A   body A (octets that the driver writes around the conversation)
// At the end, and before the server speaks again, all that was given out and all events must have been named.
#include "protocol/imap/conversation.hpp"
#include "protocol/imap/detail/events_text.hpp"
#include "support/script.hpp"

#include <optional>
#include <set>

namespace postferry::support {

struct conversation_player {
    imap::conversation talk;
    std::string out;                 ///< given out and not named by the script yet
    std::vector<std::string> events; ///< happened and not named by the script yet
    bool said_anything = false;

    void act(const std::string& what) {
        const std::size_t space = std::min(what.find(' '), what.size());
        const std::string verb = what.substr(0, space);
        const std::string text = space < what.size() ? what.substr(space + 1) : std::string();
        if (verb == "submit") talk.submit(pieces_of(text));
        if (verb == "exclusive") talk.submit(pieces_of(text), {.interactive = false, .exclusive = true});
        if (verb == "interactive") talk.submit(pieces_of(text), {.interactive = true, .exclusive = true});
        if (verb == "open") talk.open(pieces_of(text));
        if (verb == "more") talk.more(text);
        if (verb == "sync") talk.literal(std::stoull(text), true);
        if (verb == "plus") talk.literal(std::stoull(text), false);
        if (verb == "plus8") talk.literal(std::stoull(text), false, true);
        if (verb == "finish") talk.finish();
        if (verb == "respond") talk.respond(text);
        out += talk.take_output();
        if (verb == "body") out += text;
    }

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
    static std::vector<std::string> pieces_of(std::string_view text) {
        std::vector<std::string> pieces;
        for (std::size_t at = 0; (at = text.find(" | ")) != text.npos; text.remove_prefix(at + 3))
            pieces.emplace_back(text.substr(0, at));
        pieces.emplace_back(text);
        return pieces;
    }

    void drain() {
        using c = imap::conversation;
        while (true) {
            const bool given_up = talk.poisoned();
            const c::event e = talk.next();
            if (given_up) { // it repeats that for ever; the script names the first time only
                EXPECT_TRUE(std::holds_alternative<c::broken>(e));
                return;
            }
            if (std::holds_alternative<c::need_more>(e)) return;
            if (const auto* chunk = std::get_if<c::body_chunk>(&e)) {
                events.back() += chunk->octets;
                continue;
            }
            events.push_back(name_of(e));
        }
    }

    static std::string name_of(const imap::conversation::event& e) {
        using c = imap::conversation;
        if (const auto* x = std::get_if<c::greeting>(&e))
            return fmt::format("greeting {} {}", kind(x->status), x->status.text);
        if (const auto* x = std::get_if<c::untagged>(&e))
            return fmt::format("data {} {}", x->command, imap::detail::text_of(x->data));
        if (const auto* x = std::get_if<c::body_begin>(&e))
            return fmt::format("body {} {}: ", x->command, x->body.octets);
        if (const auto* x = std::get_if<c::body_end>(&e)) return fmt::format("end {}", x->command);
        if (const auto* x = std::get_if<c::challenge>(&e)) return fmt::format("challenge {} {}", x->command, x->text);
        if (const auto* x = std::get_if<c::go_ahead>(&e)) return fmt::format("go {}", x->command);
        if (const auto* x = std::get_if<c::completed>(&e))
            return fmt::format("done {} {}{} {}", x->command, kind(x->status), x->cut_short ? " short" : "",
                               x->status.text);
        return "broken: " + std::get<c::broken>(e).what;
    }

    static std::string_view kind(const imap::status_response& s) {
        constexpr std::array<std::string_view, 5> names{"OK", "NO", "BAD", "PREAUTH", "BYE"};
        return names[static_cast<std::size_t>(s.kind)];
    }
};

/// How one playing goes: where the server's octets are cut, and before which step the stream turns to nonsense.
struct playing {
    std::optional<std::size_t> cut; ///< offset in all that the server says
    std::optional<std::size_t> nonsense_before;
};

/// Plays the steps; returns the server's octets in all, or nothing after a mismatch (which fails the test).
inline std::optional<std::size_t> play(const std::vector<script_step>& steps, playing how) {
    conversation_player p;
    std::size_t said = 0;
    for (std::size_t i = 0; i < steps.size(); ++i) {
        const auto& [mark, text] = steps[i];
        const bool line = mark == "S:" || mark == "C:";
        if (how.nonsense_before == i) {
            p.feed("\x01\x02 this is no IMAP\r\n", {});
            EXPECT_TRUE(p.talk.poisoned()) << "before step " << i;
            p.out.clear();
        }
        const bool poisoned = how.nonsense_before && i >= *how.nonsense_before;
        if (mark == ">") {
            // What the driver writes by itself is its own business once the conversation has given up.
            if (!poisoned || !text.starts_with("body ")) p.act(text);
        } else if (poisoned) {
            if (mark.starts_with('S')) p.feed(line ? text + "\r\n" : text, {});
        } else if (mark.starts_with('S')) {
            const bool goes_on = i > 0 && steps[i - 1].mark.starts_with('S');
            if (!goes_on && !p.events.empty()) {
                ADD_FAILURE() << "before \"S: " << text << "\" there was also: " << fmt::format("{}", p.events);
                return std::nullopt;
            }
            if (!goes_on && !p.out.empty()) {
                ADD_FAILURE() << "before \"S: " << text << "\" there was also given out: " << p.out;
                return std::nullopt;
            }
            const std::string octets = line ? text + "\r\n" : text;
            const bool here = how.cut && *how.cut >= said && *how.cut < said + octets.size();
            p.feed(octets, here ? std::optional(*how.cut - said) : std::nullopt);
            said += octets.size();
        } else if (mark.starts_with('C')) {
            const std::string expected = line ? text + "\r\n" : text;
            if (!p.out.starts_with(expected)) {
                ADD_FAILURE() << "expected C: " << expected << "\nbut there is: " << p.out;
                return std::nullopt;
            }
            p.out.erase(0, expected.size());
        } else if (mark == "=") {
            if (p.events.empty() || !matches(p.events.front(), text)) {
                ADD_FAILURE() << "expected event: " << text << "\nbut there is: " << fmt::format("{}", p.events);
                return std::nullopt;
            }
            p.events.erase(p.events.begin());
        } else {
            ADD_FAILURE() << "no such mark: " << mark;
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
/// every step, after which nothing may be given out whatever the client does.
inline void converse(std::string_view script) {
    const std::vector<script_step> steps = read_script(script);
    const auto octets = play(steps, {});
    if (!octets) return;
    for (std::size_t cut = 1; cut < *octets; ++cut) {
        if (!play(steps, {.cut = cut, .nonsense_before = {}})) {
            ADD_FAILURE() << "cut at octet " << cut;
            return;
        }
    }
    for (std::size_t i = 0; i < steps.size(); ++i) {
        // Inside a literal that the client is reading, nonsense is content.
        if (steps[i].mark == "S~") continue;
        (void)play(steps, {.cut = {}, .nonsense_before = i});
        if (testing::Test::HasFailure()) {
            ADD_FAILURE() << "nonsense before step " << i << ": " << steps[i].mark << " " << steps[i].text;
            return;
        }
    }
}

} // namespace postferry::support
