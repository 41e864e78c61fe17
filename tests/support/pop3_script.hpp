#pragma once
// Plays a transcript on a pop3::conversation. Marks:
//   S: text    the server's line, CRLF is added          S~ text    the same without CRLF
//   C: text    what is given out next, CRLF is added
//   =  text    the next event that is no need_more (see name_of below); chunks of a body are joined
//   >  action  capa, stat, list, uidl, retr N, top N, stls, quit, auth MECHANISM [INITIAL], user X, pass X, respond X,
//              pipelining
// At the end, and before the server speaks again, all that was given out and all events must have been named.
#include "protocol/pop3/conversation.hpp"
#include "support/script.hpp"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <optional>

namespace postferry::support {

struct pop3_player {
    pop3::conversation talk;
    std::string out;                 ///< given out and not named by the script yet
    std::vector<std::string> events; ///< happened and not named by the script yet

    void act(const std::string& what) {
        const std::size_t space = std::min(what.find(' '), what.size());
        const std::string verb = what.substr(0, space);
        const std::string text = space < what.size() ? what.substr(space + 1) : std::string();
        if (verb == "pipelining") talk.set_pipelining(true);
        if (verb == "respond") talk.respond(text);
        if (auto c = command_of(verb, text)) talk.submit(*c);
        out += talk.take_output();
    }

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
    static std::optional<pop3::command> command_of(std::string_view verb, const std::string& text) {
        const auto number = [&] { return static_cast<std::uint32_t>(std::stoul(text)); };
        if (verb == "capa") return pop3::capa();
        if (verb == "stat") return pop3::stat();
        if (verb == "list") return pop3::list();
        if (verb == "uidl") return pop3::uidl();
        if (verb == "stls") return pop3::stls();
        if (verb == "quit") return pop3::quit();
        if (verb == "retr") return pop3::retr(number());
        if (verb == "top") return pop3::top(number());
        if (verb == "user") return pop3::user(text);
        if (verb == "pass") return pop3::pass(text);
        if (verb != "auth") return std::nullopt;
        const std::size_t space = text.find(' ');
        if (space == std::string::npos) return pop3::auth(text, std::nullopt);
        return pop3::auth(text.substr(0, space), text.substr(space + 1));
    }

    void drain() {
        using c = pop3::conversation;
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

    static std::string text_of(const pop3::status_line& s) {
        return fmt::format("{}{}{}{}", s.ok ? "OK" : "ERR", s.code.empty() ? "" : fmt::format(" [{}]", s.code),
                           s.text.empty() ? "" : " ", s.text);
    }
    static std::string name_of(const pop3::conversation::event& e) {
        using c = pop3::conversation;
        if (const auto* x = std::get_if<c::greeting>(&e)) return "greeting " + text_of(x->status);
        if (const auto* x = std::get_if<c::line>(&e)) return fmt::format("line {} {}", x->command, x->text);
        if (const auto* x = std::get_if<c::body_begin>(&e)) return fmt::format("body {}: ", x->command);
        if (const auto* x = std::get_if<c::challenge>(&e)) return fmt::format("challenge {} {}", x->command, x->text);
        if (const auto* x = std::get_if<c::completed>(&e))
            return fmt::format("done {} {}", x->command, text_of(x->status));
        if (const auto* x = std::get_if<c::goodbye>(&e)) return "goodbye " + text_of(x->status);
        return "broken: " + std::get<c::broken>(e).what;
    }
};

struct pop3_playing {
    std::optional<std::size_t> cut; ///< offset in all that the server says
    std::optional<std::size_t> nonsense_before;
};

/// Returns the server's octets in all, or nothing after a mismatch (which fails the test).
inline std::optional<std::size_t> play_pop3(const std::vector<script_step>& steps, pop3_playing how) {
    pop3_player p;
    std::size_t said = 0;
    for (std::size_t i = 0; i < steps.size(); ++i) {
        const auto& [mark, text] = steps[i];
        if (how.nonsense_before == i) {
            // As listing or body it would be content: it comes where a status line is due.
            p.feed(p.talk.unfinished() > 0 || i == 0 ? "* this is no POP3\r\n" : "+OK nobody asked\r\n", {});
            if (!p.talk.poisoned()) return said;
            p.out.clear();
        }
        const bool poisoned = how.nonsense_before && i >= *how.nonsense_before;
        const std::string octets = mark == "S:" || mark == "C:" ? text + "\r\n" : text;
        if (mark == ">") {
            p.act(text);
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
        } else if (mark == "C:") {
            if (!p.out.starts_with(octets)) {
                ADD_FAILURE() << "expected C: " << octets << "\nbut there is: " << p.out;
                return std::nullopt;
            }
            p.out.erase(0, octets.size());
        } else if (mark == "=") {
            // A script's line does not end in a space.
            if (!p.events.empty() && p.events.front().ends_with(' ')) p.events.front().pop_back();
            if (p.events.empty() || !matches(p.events.front(), text)) {
                ADD_FAILURE() << "expected event: " << text << "\nbut there is: " << fmt::format("{}", p.events);
                return std::nullopt;
            }
            p.events.erase(p.events.begin());
        } else {
            ADD_FAILURE() << "no such mark: " << mark;
            return std::nullopt;
        }
        if (poisoned) EXPECT_EQ(p.out, "") << "given out after nonsense before step " << *how.nonsense_before;
    }
    if (how.nonsense_before) return said;
    EXPECT_EQ(p.out, "") << "given out, but not in the script";
    EXPECT_TRUE(p.events.empty()) << "happened, but not in the script: " << fmt::format("{}", p.events);
    return testing::Test::HasFailure() ? std::nullopt : std::optional(said);
}

/// Plays a script as it stands, with the server's octets cut at every place, and with nonsense from the server before
/// every step (where it is not content), after which nothing may be given out whatever the client does.
inline void converse_pop3(std::string_view script) {
    const std::vector<script_step> steps = read_script(script);
    const auto octets = play_pop3(steps, {});
    if (!octets) return;
    for (std::size_t cut = 1; cut < *octets; ++cut) {
        if (!play_pop3(steps, {.cut = cut, .nonsense_before = {}})) {
            ADD_FAILURE() << "cut at octet " << cut;
            return;
        }
    }
    for (std::size_t i = 0; i < steps.size(); ++i) {
        (void)play_pop3(steps, {.cut = {}, .nonsense_before = i});
        if (testing::Test::HasFailure()) {
            ADD_FAILURE() << "nonsense before step " << i << ": " << steps[i].mark << " " << steps[i].text;
            return;
        }
    }
}

} // namespace postferry::support
