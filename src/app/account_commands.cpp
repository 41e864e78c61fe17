// postferry account ..., postferry alias ...
#include "app/directory_words.hpp"
#include "app/exit_code.hpp"
#include "app/noun_actions.hpp"
#include "app/noun_secrets.hpp"
#include "app/words.hpp"
#include "base/text.hpp"

#include <fmt/format.h>

#include <array>

namespace postferry::app {

namespace json = boost::json;

namespace {

constexpr std::chrono::seconds patience{600}; ///< for what a driver does

// --- accounts ---

result<json::object> named_account(const noun_context& c) {
    const std::string word = ascii_lower(c.words.text("ACCOUNT"));
    const std::string local = word.substr(0, word.find('@'));
    return c.find("/accounts", word, "account",
                  {.narrowed = "?address=" + url_word(word),
                   .all = "?address=" + url_word(local.substr(0, 3)),
                   .field = "address"});
}

std::string path_of(const json::object& account) { return fmt::format("/accounts/{}", text_at(account, "id")); }

std::string quota_text(const json::object& a) {
    const auto n = number_at(a, "quota");
    return !n ? "the domain's" : *n == 0 ? "no limit" : format_size(count_at(a, "quota"));
}

std::string headline(const json::object& a) {
    const std::string why = text_at(a, "reason");
    return fmt::format("{} (account {}): {}{}{}\n", text_at(a, "address"), text_at(a, "id"), text_at(a, "state"),
                       why.empty() ? "" : ": ", why);
}

result<int> list_accounts(noun_context& c) {
    constexpr std::array<std::pair<std::string_view, std::string_view>, 2> plain{
        {{"--state", "state"}, {"--address", "address"}}};
    std::string query = query_of(c.words, plain);
    if (c.words.has("--domain")) {
        auto domain = find_domain(c, c.words.text("--domain"));
        if (!domain) return std::unexpected(std::move(domain.error()));
        query += fmt::format("{}domain={}", query.empty() ? '?' : '&', text_at(*domain, "id"));
    }
    const auto row = [](const json::object& a) -> std::vector<std::string> {
        return {text_at(a, "id"),    text_at(a, "address"), text_at(a, "name"),
                text_at(a, "state"), quota_text(a),         text_at(a, "reason")};
    };
    return c.list("/accounts" + query,
                  text_table({{"ID", true},
                              {"ADDRESS", false, true},
                              {"NAME", false, true},
                              {"STATE"},
                              {"QUOTA", true},
                              {"WHY", false, true}}),
                  row, "There is no such account");
}

result<int> create_account(noun_context& c) {
    json::object body{{"address", c.words.text("ADDRESS")}};
    if (auto ok = put_account_values(c.words, body); !ok) return std::unexpected(std::move(ok.error()));
    if (c.words.has("--provisioning")) body["provisioning"] = c.words.text("--provisioning");
    constexpr std::array<secret_option, 1> secrets{{{"--password-file", "password"}}};
    if (c.words.has("--password-file") && !c.words.has("--provisioning"))
        return misused("--password-file is for an account that is made at once", "Give --provisioning NAME");
    if (auto ok = put_secrets(c, secrets, body); !ok) return std::unexpected(std::move(ok.error()));
    auto project = find_project(c);
    if (!project) return std::unexpected(std::move(project.error()));
    if (*project) body["project"] = **project;
    auto made = c.api.ask({.verb = "POST", .target = "/accounts", .body = std::move(body), .patience = patience});
    if (!made) return std::unexpected(std::move(made.error()));
    c.show(made->json, [&] { return headline(whole(*made)); });
    return exit_codes::done;
}

result<int> show_account(noun_context& c) {
    auto account = named_account(c);
    if (!account) return std::unexpected(std::move(account.error()));
    c.show(*account, [&] {
        const json::object& a = *account;
        std::string out = headline(a);
        for (const auto& [name, value] :
             {std::pair{"name", text_at(a, "name")}, std::pair{"quota", quota_text(a)},
              std::pair{"language", text_at(a, "language")}, std::pair{"time zone", text_at(a, "time_zone")},
              std::pair{"made", moment_at(a, "created")}})
            if (!value.empty()) out += fmt::format("  {:<10} {}\n", name, value);
        return out + settings_text(object_at(a, "services"));
    });
    return exit_codes::done;
}

result<int> edit_account(noun_context& c) {
    json::object body, services;
    if (auto ok = put_account_values(c.words, body); !ok) return std::unexpected(std::move(ok.error()));
    if (auto ok = put_services(c.words, services); !ok) return std::unexpected(std::move(ok.error()));
    if (body.empty() && services.empty())
        return misused("account edit changes nothing: name a value", "postferry account edit --help lists them");
    if (c.words.has("--provisioning")) body["provisioning"] = c.words.text("--provisioning");
    auto account = named_account(c);
    if (!account) return std::unexpected(std::move(account.error()));
    auto now = c.api.edit(path_of(*account), [&](const json::object& was) {
        json::object with = body;
        if (services.empty()) return std::optional(with);
        json::object all = object_at(was, "services");
        for (const auto& one : services) all[one.key()] = one.value();
        with["services"] = std::move(all);
        return std::optional(with);
    });
    if (!now) return std::unexpected(std::move(now.error()));
    c.show(now->json, [&] { return headline(whole(*now)); });
    return exit_codes::done;
}

/// POST /accounts/N/VERB
result<int> do_to_account(noun_context& c, std::string_view verb, json::object body, bool may_repeat) {
    auto driver = driver_of(c, "--provisioning");
    if (!driver) return std::unexpected(std::move(driver.error()));
    body["provisioning"] = *driver;
    auto account = named_account(c);
    if (!account) return std::unexpected(std::move(account.error()));
    auto now = c.api.ask({.verb = "POST",
                          .target = fmt::format("{}/{}", path_of(*account), verb),
                          .body = std::move(body),
                          .may_repeat = may_repeat,
                          .patience = patience});
    if (!now) return std::unexpected(std::move(now.error()));
    c.show(now->json, [&] { return headline(whole(*now)); });
    return exit_codes::done;
}

result<int> suspend_account(noun_context& c) { return do_to_account(c, "suspend", {}, true); }
result<int> resume_account(noun_context& c) { return do_to_account(c, "resume", {}, true); }

result<int> set_password(noun_context& c) {
    auto password = new_password(c, c.words.text("ACCOUNT"));
    if (!password) return std::unexpected(std::move(password.error()));
    return do_to_account(c, "password", {{"password", std::string(password->reveal())}}, false);
}

result<int> delete_account(noun_context& c) {
    auto account = named_account(c);
    if (!account) return std::unexpected(std::move(account.error()));
    auto gone = c.api.edit(path_of(*account), [](const json::object&) { return std::nullopt; });
    if (!gone) return std::unexpected(std::move(gone.error()));
    c.say(fmt::format("{} is forgotten", text_at(*account, "address")));
    return exit_codes::done;
}

// --- aliases ---

/// The reason of its state; of one that was found in mail, what speaks for it.
std::string why_of(const json::object& a) {
    std::string why = text_at(a, "reason");
    const json::object& seen = object_at(a, "seen");
    if (!why.empty() || seen.empty()) return why;
    const std::string newest = text_at(seen, "newest");
    return fmt::format("seen in {}{} ({})", counted(count_at(seen, "messages"), "message"),
                       newest.empty() ? "" : ", newest " + newest.substr(0, 10), text_at(seen, "fields"));
}

std::string alias_line(const json::object& a) {
    const std::string why = why_of(a);
    return fmt::format("{} -> {} (alias {}): {}{}{}\n", text_at(a, "address"), text_at(a, "goes_to"), text_at(a, "id"),
                       text_at(a, "state"), why.empty() ? "" : ": ", why);
}

result<json::object> find_alias(const noun_context& c, const std::string& word) {
    return c.find("/aliases", ascii_lower(word), "alias",
                  {.narrowed = "?address=" + url_word(ascii_lower(word)), .all = "", .field = "address"});
}

result<std::string> domain_query(const noun_context& c, std::string query) {
    if (!c.words.has("--domain")) return query;
    auto domain = find_domain(c, c.words.text("--domain"));
    if (!domain) return std::unexpected(std::move(domain.error()));
    return query + fmt::format("{}domain={}", query.empty() ? '?' : '&', text_at(*domain, "id"));
}

result<int> list_aliases(noun_context& c) {
    constexpr std::array<std::pair<std::string_view, std::string_view>, 2> plain{
        {{"--state", "state"}, {"--address", "address"}}};
    auto query = domain_query(c, query_of(c.words, plain));
    if (!query) return std::unexpected(std::move(query.error()));
    const auto row = [](const json::object& a) -> std::vector<std::string> {
        return {text_at(a, "id"),     text_at(a, "address"), text_at(a, "goes_to"),
                text_at(a, "origin"), text_at(a, "state"),   why_of(a)};
    };
    return c.list("/aliases" + *query,
                  text_table({{"ID", true},
                              {"ADDRESS", false, true},
                              {"GOES TO", false, true},
                              {"FROM"},
                              {"STATE"},
                              {"WHY", false, true}}),
                  row, "There is no such alias");
}

result<int> propose_alias(noun_context& c) {
    json::object body{{"address", c.words.text("ADDRESS")}, {"goes_to", c.words.text("GOES-TO")}};
    auto project = find_project(c);
    if (!project) return std::unexpected(std::move(project.error()));
    if (*project) body["project"] = **project;
    auto made = c.api.ask({.verb = "POST", .target = "/aliases", .body = std::move(body)});
    if (!made) return std::unexpected(std::move(made.error()));
    c.show(made->json, [&] { return alias_line(whole(*made)); });
    return exit_codes::done;
}

result<int> discover_aliases(noun_context& c) {
    auto driver = driver_of(c, "--provisioning");
    if (!driver) return std::unexpected(std::move(driver.error()));
    auto domain = find_domain(c, c.words.text("DOMAIN"));
    if (!domain) return std::unexpected(std::move(domain.error()));
    auto found = c.api.ask({.verb = "POST",
                            .target = fmt::format("/domains/{}/discover-aliases", text_at(*domain, "id")),
                            .body = json::object{{"provisioning", *driver}},
                            .patience = patience});
    if (!found) return std::unexpected(std::move(found.error()));
    const json::object& r = whole(*found);
    c.show(found->json, [&] {
        return fmt::format("{} proposed, {} known already, {} left out\n",
                           counted(count_at(r, "proposed"), "alias", "aliases"), grouped(count_at(r, "known")),
                           grouped(count_at(r, "left_out")));
    });
    return exit_codes::done;
}

/// The aliases that are named, or all that are proposed.
result<std::vector<json::object>> chosen_aliases(noun_context& c) {
    std::vector<json::object> out;
    if (c.words.has("--all") == c.words.has("ALIAS"))
        return misused(fmt::format("{}: name aliases, or give --all", c.words.what->name()));
    for (const std::string& word : c.words.list("ALIAS")) {
        auto alias = find_alias(c, word);
        if (!alias) return std::unexpected(std::move(alias.error()));
        out.push_back(std::move(*alias));
    }
    if (!c.words.has("--all")) return out;
    auto query = domain_query(c, "?state=proposed");
    if (!query) return std::unexpected(std::move(query.error()));
    auto ok = c.api.walk("/aliases" + *query, [&](const json::object& a) {
        out.push_back(a);
        return true;
    });
    if (!ok) return std::unexpected(std::move(ok.error()));
    return out;
}

result<int> decide_aliases(noun_context& c) {
    json::object body;
    if (c.words.has("--provisioning")) body["provisioning"] = c.words.text("--provisioning");
    if (c.words.has("--reason")) body["reason"] = c.words.text("--reason");
    auto chosen = chosen_aliases(c);
    if (!chosen) return std::unexpected(std::move(chosen.error()));
    if (chosen->empty()) c.say("No alias is proposed");
    for (const json::object& one : *chosen) {
        auto now = c.api.ask({.verb = "POST",
                              .target = fmt::format("/aliases/{}/{}", text_at(one, "id"), c.words.what->verb),
                              .body = body,
                              .patience = patience});
        if (!now) return std::unexpected(std::move(now.error()));
        c.show(now->json, [&] { return alias_line(whole(*now)); });
    }
    return exit_codes::done;
}

result<int> delete_alias(noun_context& c) {
    auto alias = find_alias(c, c.words.text("ALIAS"));
    if (!alias) return std::unexpected(std::move(alias.error()));
    auto gone = c.api.ask({.verb = "DELETE", .target = "/aliases/" + text_at(*alias, "id")});
    if (!gone) return std::unexpected(std::move(gone.error()));
    c.say(fmt::format("{} -> {} is forgotten", text_at(*alias, "address"), text_at(*alias, "goes_to")));
    return exit_codes::done;
}

} // namespace

std::span<const noun_action> account_actions() noexcept {
    static constexpr std::array<noun_action, 14> all{{{"account list", list_accounts},
                                                      {"account create", create_account},
                                                      {"account show", show_account},
                                                      {"account edit", edit_account},
                                                      {"account passwd", set_password},
                                                      {"account suspend", suspend_account},
                                                      {"account resume", resume_account},
                                                      {"account delete", delete_account},
                                                      {"alias list", list_aliases},
                                                      {"alias propose", propose_alias},
                                                      {"alias discover", discover_aliases},
                                                      {"alias approve", decide_aliases},
                                                      {"alias refuse", decide_aliases},
                                                      {"alias delete", delete_alias}}};
    return all;
}

} // namespace postferry::app
