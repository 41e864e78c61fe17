#pragma once
// Plays a transcript on a pop3::conversation (support/player.hpp tells how to read it). Actions:
//   > capa, stat, list, uidl, retr N, top N, stls, quit, auth MECHANISM [INITIAL], user X, pass X, respond X,
//   pipelining
#include "protocol/pop3/conversation.hpp"
#include "support/player.hpp"

namespace postferry::support {

struct pop3_player : player<pop3_player, pop3::conversation> {
    // As listing or body it would be content: it comes where a status line is due.
    static constexpr bool nonsense_may_be_content = true;
    [[nodiscard]] std::string nonsense(bool first) const {
        return talk.unfinished() > 0 || first ? "* this is no POP3\r\n" : "+OK nobody asked\r\n";
    }
    static bool goes_around(std::string_view) { return false; }

    void act(const std::string& what) {
        const std::size_t space = std::min(what.find(' '), what.size());
        const std::string verb = what.substr(0, space);
        const std::string text = space < what.size() ? what.substr(space + 1) : std::string();
        if (verb == "pipelining") talk.set_pipelining(true);
        if (verb == "respond") talk.respond(text);
        if (auto c = command_of(verb, text)) talk.submit(*c);
        out += talk.take_output();
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

    static std::string text_of(const pop3::status_line& s) {
        return fmt::format("{}{}{}{}", s.ok ? "OK" : "ERR", s.code.empty() ? "" : fmt::format(" [{}]", s.code),
                           s.text.empty() ? "" : " ", s.text);
    }
};

inline std::optional<std::size_t> play_pop3(const std::vector<script_step>& steps, const playing& how) {
    return play_steps<pop3_player>(steps, how);
}
inline void converse_pop3(std::string_view script) { converse_by<pop3_player>(script); }

} // namespace postferry::support
