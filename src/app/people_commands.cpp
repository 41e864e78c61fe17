// postferry user ..., postferry token ...
#include "app/exit_code.hpp"
#include "app/noun_actions.hpp"
#include "app/noun_secrets.hpp"
#include "app/remote_settings.hpp"
#include "app/service_config.hpp"
#include "app/standard_output.hpp"
#include "app/user_in_store.hpp"
#include "app/words.hpp"
#include "base/text.hpp"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <array>

namespace postferry::app {

namespace json = boost::json;

namespace {

result<json::object> find_user(const noun_context& c, const std::string& word) {
    return c.find("/users", ascii_lower(word), "user", {});
}

result<json::object> named_user(const noun_context& c) { return find_user(c, c.words.text("USER")); }

std::string path_of(const json::object& user) { return fmt::format("/users/{}", text_at(user, "id")); }

std::string line_of(const json::object& user) {
    return fmt::format("{} (user {}): {}{}\n", text_at(user, "name"), text_at(user, "id"), text_at(user, "role"),
                       flag_at(user, "disabled") ? ", disabled" : "");
}

result<int> list_users(noun_context& c) {
    text_table table({{"ID", true}, {"NAME", false, true}, {"DISPLAY", false, true}, {"ROLE"}, {"SIGNS IN"}, {"MADE"}});
    const auto row = [](const json::object& u) -> std::vector<std::string> {
        const std::string_view may = flag_at(u, "disabled")      ? "disabled"
                                     : flag_at(u, "can_sign_in") ? "yes"
                                                                 : "no password";
        return {text_at(u, "id"),   text_at(u, "name"), text_at(u, "display"),
                text_at(u, "role"), std::string(may),   moment_at(u, "created")};
    };
    return c.list("/users", std::move(table), row, "Nobody yet. Begin with: postferry user add NAME --owner");
}

/// Nobody listens where a service of this machine would, and nobody has named another.
bool may_use_the_store(const noun_context& c, const error& why) {
    return why.response_code == no_service && c.api.place().usual;
}

result<int> add_user(noun_context& c) {
    const std::string role = c.words.has("--owner")  ? "owner"
                             : c.words.has("--role") ? c.words.text("--role")
                                                     : "viewer";
    if (c.words.has("--owner") && c.words.has("--role") && c.words.text("--role") != "owner")
        return misused("--owner and --role say two things");
    if (c.words.has("--no-password") && c.words.has("--password-file"))
        return misused("--no-password and --password-file say two things");
    // Before somebody types a password in vain.
    if (auto there = c.api.get("/me"); !there && !may_use_the_store(c, there.error()))
        return std::unexpected(std::move(there.error()));
    json::object body{{"name", c.words.text("NAME")}, {"role", role}};
    if (c.words.has("--display")) body["display"] = c.words.text("--display");
    if (!c.words.has("--no-password")) {
        auto password = new_password(c, c.words.text("NAME"));
        if (!password) return std::unexpected(std::move(password.error()));
        body["password"] = std::string(password->reveal());
    }
    auto made = c.api.ask({.verb = "POST", .target = "/users", .body = body, .may_repeat = false});
    std::string by = "through the service";
    if (!made && may_use_the_store(c, made.error())) {
        const auto file = find_service_config(c.words.text("--config"));
        if (!file || file->file.empty()) return std::unexpected(std::move(made.error()));
        auto row = add_user_to_store(*file, body);
        if (!row) return std::unexpected(std::move(row.error()));
        remote_reply kept{};
        kept.status = 201;
        kept.json = std::move(*row);
        made = std::move(kept);
        by = fmt::format("in the store itself ({}): no service runs here", file->values.store.url);
    }
    if (!made) return std::unexpected(std::move(made.error()));
    c.show(made->json, [&] { return fmt::format("{}made {}\n", line_of(whole(*made)), by); });
    return exit_codes::done;
}

/// PATCH with what `body` says.
result<int> edit_user(noun_context& c, const json::object& body, std::string_view said) {
    auto user = named_user(c);
    if (!user) return std::unexpected(std::move(user.error()));
    auto now = c.api.edit(path_of(*user), [&](const json::object&) { return std::optional(body); });
    if (!now) return std::unexpected(std::move(now.error()));
    c.show(now->json,
           [&] { return said.empty() ? line_of(whole(*now)) : fmt::format("{} {}\n", text_at(*user, "name"), said); });
    return exit_codes::done;
}

result<int> change_user(noun_context& c) {
    json::object body;
    if (c.words.has("--role")) body["role"] = c.words.text("--role");
    if (c.words.has("--display")) body["display"] = c.words.text("--display");
    if (body.empty()) return misused("user edit changes nothing: give --role or --display");
    return edit_user(c, body, {});
}

result<int> change_password(noun_context& c) {
    auto user = named_user(c); // before somebody types a password in vain
    if (!user) return std::unexpected(std::move(user.error()));
    auto password = new_password(c, text_at(*user, "name"));
    if (!password) return std::unexpected(std::move(password.error()));
    return edit_user(c, {{"password", std::string(password->reveal())}},
                     "has a new password; sessions with the old one have ended");
}

result<int> disable_user(noun_context& c) { return edit_user(c, {{"disabled", true}}, "is disabled"); }
result<int> enable_user(noun_context& c) { return edit_user(c, {{"disabled", false}}, "may come in again"); }

result<int> delete_user(noun_context& c) {
    auto user = named_user(c);
    if (!user) return std::unexpected(std::move(user.error()));
    auto gone = c.api.edit(path_of(*user), [](const json::object&) { return std::nullopt; });
    if (!gone) return std::unexpected(std::move(gone.error()));
    c.say(fmt::format("{} is deleted", text_at(*user, "name")));
    return exit_codes::done;
}

result<int> list_tokens(noun_context& c) {
    text_table table(
        {{"ID", true}, {"NAME", false, true}, {"USER", true}, {"SCOPES"}, {"EXPIRES"}, {"LAST USED"}, {"MADE"}});
    const auto row = [](const json::object& t) -> std::vector<std::string> {
        std::string scopes;
        for (const json::value& s : array_at(t, "scopes"))
            if (s.is_string()) scopes += (scopes.empty() ? "" : " ") + quote_server_text(s.get_string(), 20);
        return {text_at(t, "id"),        text_at(t, "name"),   text_at(t, "user"),     scopes,
                moment_at(t, "expires"), moment_at(t, "used"), moment_at(t, "created")};
    };
    return c.list("/tokens", std::move(table), row, "There is no token");
}

/// "30d", or a moment.
result<std::string> expiry_of(const std::string& text) {
    if (auto span = parse_span(text, "--expires")) return moment_after(*span);
    return parse_moment(text, "--expires");
}

/// Through the local socket nobody is signed in: the token needs an owner. The only user there is will do.
result<std::optional<std::int64_t>> whose_token(const noun_context& c) {
    if (c.words.has("--user")) {
        auto user = find_user(c, c.words.text("--user"));
        if (!user) return std::unexpected(std::move(user.error()));
        return number_at(*user, "id");
    }
    if (!c.api.place().local() || !c.api.place().token.empty()) return std::nullopt;
    std::vector<std::int64_t> ids;
    auto ok = c.api.walk("/users", [&](const json::object& u) {
        ids.push_back(number_at(u, "id").value_or(0));
        return ids.size() < 2;
    });
    if (!ok) return std::unexpected(std::move(ok.error()));
    if (ids.empty())
        return misused("there is no user whose token it could be", "Begin with: postferry user add NAME --owner");
    if (ids.size() > 1) return misused("whose token shall it be?", "Give --user USER");
    return ids.front();
}

result<int> create_token(noun_context& c) {
    json::array scopes;
    for (const std::string& scope : c.words.list("--scope")) scopes.emplace_back(scope);
    if (scopes.empty()) scopes.emplace_back("read");
    json::object body{{"name", c.words.text("NAME")}, {"scopes", std::move(scopes)}};
    if (c.words.has("--expires")) {
        auto when = expiry_of(c.words.text("--expires"));
        if (!when) return std::unexpected(std::move(when.error()));
        body["expires"] = *when;
    }
    auto user = whose_token(c);
    if (!user) return std::unexpected(std::move(user.error()));
    if (*user) body["user"] = **user;
    auto made = c.api.ask({.verb = "POST", .target = "/tokens", .body = std::move(body), .may_repeat = false});
    if (!made) return std::unexpected(std::move(made.error()));
    if (!c.words.has("--output")) {
        // The only thing that is asked for, so also with --quiet.
        to_stdout(c.json() ? json::serialize(made->json) + "\n" : text_at(whole(*made), "token") + "\n");
        if (!c.json() && !c.quiet())
            to_stderr("This token is shown this once. Keep it in a file that only you can read.\n");
        return exit_codes::done;
    }
    const std::string file = c.words.text("--output");
    if (auto ok = write_secret(file, secret(text_at(whole(*made), "token"))); !ok) {
        // Nobody has it, so nobody shall use it.
        (void)c.api.ask({.verb = "DELETE", .target = fmt::format("/tokens/{}", text_at(whole(*made), "id"))});
        return std::unexpected(std::move(ok.error()));
    }
    json::object shown = whole(*made);
    shown.erase("token");
    c.show(shown,
           [&] { return fmt::format("{} has token {}, {}\n", file, text_at(shown, "id"), text_at(shown, "name")); });
    return exit_codes::done;
}

result<int> delete_token(noun_context& c) {
    // Tokens have no address of their own to look at: the list says which there are.
    const std::string word = c.words.text("TOKEN");
    std::vector<std::string> found;
    auto ok = c.api.walk("/tokens", [&](const json::object& t) {
        if (text_at(t, "id") == word) {
            found = {word};
            return false;
        }
        if (text_at(t, "name") == word) found.push_back(text_at(t, "id"));
        return true;
    });
    if (!ok) return std::unexpected(std::move(ok.error()));
    if (found.empty()) return misused(fmt::format("there is no token {}", word), "postferry token list names them");
    if (found.size() > 1)
        return misused(
            fmt::format("{} is the name of several tokens: {}; name one by its number", word, fmt::join(found, ", ")));
    auto gone = c.api.ask({.verb = "DELETE", .target = fmt::format("/tokens/{}", found.front())});
    if (!gone) return std::unexpected(std::move(gone.error()));
    c.say(fmt::format("token {} is deleted", found.front()));
    return exit_codes::done;
}

} // namespace

std::span<const noun_action> people_actions() noexcept {
    static constexpr std::array<noun_action, 10> all{{{"user list", list_users},
                                                      {"user add", add_user},
                                                      {"user edit", change_user},
                                                      {"user passwd", change_password},
                                                      {"user disable", disable_user},
                                                      {"user enable", enable_user},
                                                      {"user delete", delete_user},
                                                      {"token list", list_tokens},
                                                      {"token create", create_token},
                                                      {"token delete", delete_token}}};
    return all;
}

} // namespace postferry::app
