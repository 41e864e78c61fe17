#pragma once
// Plays a transcript on an imap::conversation (support/player.hpp tells how to read it). Actions:
//   > submit A | B (pieces)   exclusive A   interactive A   open A   more A   sync N   plus N   plus8 N   finish
//     respond A   body A (octets that the driver writes around the conversation)
#include "protocol/imap/conversation.hpp"
#include "protocol/imap/detail/events_text.hpp"
#include "support/player.hpp"

#include <array>

namespace postferry::support {

struct conversation_player : player<conversation_player, imap::conversation> {
    static constexpr bool nonsense_may_be_content = false;
    static std::string nonsense(bool) { return "\x01\x02 this is no IMAP\r\n"; }
    static bool goes_around(std::string_view action) { return action.starts_with("body "); }

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

  private:
    static std::vector<std::string> pieces_of(std::string_view text) {
        std::vector<std::string> pieces;
        for (std::size_t at = 0; (at = text.find(" | ")) != text.npos; text.remove_prefix(at + 3))
            pieces.emplace_back(text.substr(0, at));
        pieces.emplace_back(text);
        return pieces;
    }

    static std::string_view kind(const imap::status_response& s) {
        constexpr std::array<std::string_view, 5> names{"OK", "NO", "BAD", "PREAUTH", "BYE"};
        return names[static_cast<std::size_t>(s.kind)];
    }
};

inline std::optional<std::size_t> play(const std::vector<script_step>& steps, const playing& how) {
    return play_steps<conversation_player>(steps, how);
}
inline void converse(std::string_view script) { converse_by<conversation_player>(script); }

} // namespace postferry::support
