// postferry project ..., postferry domain ..., postferry reconcile
#include "app/directory_words.hpp"
#include "app/exit_code.hpp"
#include "app/noun_actions.hpp"
#include "app/standard_output.hpp"
#include "app/words.hpp"
#include "base/text.hpp"

#include <fmt/format.h>

#include <array>

namespace postferry::app {

namespace json = boost::json;

namespace {

result<json::object> named_project(const noun_context& c, const std::string& word) {
    return c.find("/projects", word, "project", {});
}

result<int> list_projects(noun_context& c) {
    const auto row = [](const json::object& p) -> std::vector<std::string> {
        return {text_at(p, "id"), text_at(p, "name"), moment_at(p, "created")};
    };
    return c.list("/projects", text_table({{"ID", true}, {"NAME", false, true}, {"MADE"}}), row, "There is no project");
}

result<int> create_project(noun_context& c) {
    auto made =
        c.api.ask({.verb = "POST", .target = "/projects", .body = json::object{{"name", c.words.text("NAME")}}});
    if (!made) return std::unexpected(std::move(made.error()));
    c.show(made->json, [&] {
        return fmt::format("project {} is made: {}\n", text_at(whole(*made), "id"), text_at(whole(*made), "name"));
    });
    return exit_codes::done;
}

result<int> rename_project(noun_context& c) {
    auto project = named_project(c, c.words.text("PROJECT"));
    if (!project) return std::unexpected(std::move(project.error()));
    auto now = c.api.edit(fmt::format("/projects/{}", text_at(*project, "id")), [&](const json::object&) {
        return std::optional(json::object{{"name", c.words.text("NAME")}});
    });
    if (!now) return std::unexpected(std::move(now.error()));
    c.show(now->json, [&] {
        return fmt::format("{} is called {} now\n", text_at(*project, "name"), text_at(whole(*now), "name"));
    });
    return exit_codes::done;
}

result<int> delete_project(noun_context& c) {
    auto project = named_project(c, c.words.text("PROJECT"));
    if (!project) return std::unexpected(std::move(project.error()));
    auto gone = c.api.edit(fmt::format("/projects/{}", text_at(*project, "id")),
                           [](const json::object&) { return std::nullopt; });
    if (!gone) return std::unexpected(std::move(gone.error()));
    c.say(fmt::format("{} is deleted", text_at(*project, "name")));
    return exit_codes::done;
}

result<json::object> named_domain(const noun_context& c) { return find_domain(c, c.words.text("DOMAIN")); }

std::string path_of(const json::object& domain) { return fmt::format("/domains/{}", text_at(domain, "id")); }

std::string frozen_text(const json::object& d) {
    std::string out;
    if (flag_at(d, "provisioning_frozen")) out = "accounts";
    if (flag_at(d, "password_changes_frozen")) out += out.empty() ? "passwords" : ", passwords";
    return out;
}

std::string domain_text(const json::object& d) {
    std::string out = fmt::format("{} (domain {})\n", text_at(d, "name"), text_at(d, "id"));
    if (const std::string display = text_at(d, "display"); !display.empty())
        out += fmt::format("  display    {}\n", display);
    if (const std::string frozen = frozen_text(d); !frozen.empty()) out += fmt::format("  frozen     {}\n", frozen);
    out += fmt::format("  project    {}, made {}\n", text_at(d, "project"), moment_at(d, "created"));
    return out + settings_text(object_at(d, "overrides"));
}

result<int> list_domains(noun_context& c) {
    auto project = find_project(c);
    if (!project) return std::unexpected(std::move(project.error()));
    const auto row = [](const json::object& d) -> std::vector<std::string> {
        return {text_at(d, "id"),      text_at(d, "name"), text_at(d, "display"),
                text_at(d, "project"), frozen_text(d),     moment_at(d, "created")};
    };
    return c.list(
        *project ? fmt::format("/domains?project={}", **project) : std::string("/domains"),
        text_table(
            {{"ID", true}, {"NAME", false, true}, {"DISPLAY", false, true}, {"PROJECT", true}, {"FROZEN"}, {"MADE"}}),
        row, "There is no domain. Plan one: postferry domain create NAME");
}

result<int> create_domain(noun_context& c) {
    json::object body{{"name", c.words.text("NAME")}}, overrides;
    if (c.words.has("--display")) body["display"] = c.words.text("--display");
    if (auto ok = put_domain_settings(c.words, overrides); !ok) return std::unexpected(std::move(ok.error()));
    if (!overrides.empty()) body["overrides"] = std::move(overrides);
    auto project = find_project(c);
    if (!project) return std::unexpected(std::move(project.error()));
    if (*project) body["project"] = **project;
    auto made = c.api.ask({.verb = "POST", .target = "/domains", .body = std::move(body)});
    if (!made) return std::unexpected(std::move(made.error()));
    c.show(made->json, [&] { return domain_text(whole(*made)); });
    return exit_codes::done;
}

result<int> show_domain(noun_context& c) {
    auto domain = named_domain(c);
    if (!domain) return std::unexpected(std::move(domain.error()));
    c.show(*domain, [&] { return domain_text(*domain); });
    return exit_codes::done;
}

result<int> edit_domain(noun_context& c) {
    json::object wish;
    if (auto ok = put_domain_settings(c.words, wish); !ok) return std::unexpected(std::move(ok.error()));
    if (wish.empty() && !c.words.has("--display") && !c.words.has("--unset"))
        return misused("domain edit changes nothing: name a setting", "postferry domain edit --help lists them");
    auto domain = named_domain(c);
    if (!domain) return std::unexpected(std::move(domain.error()));
    auto now = c.api.edit(path_of(*domain), [&](const json::object& was) {
        json::object body, overrides = object_at(was, "overrides");
        (void)put_domain_settings(c.words, overrides); // has been read once
        if (overrides != object_at(was, "overrides")) body["overrides"] = std::move(overrides);
        if (c.words.has("--display")) body["display"] = c.words.text("--display");
        return std::optional(std::move(body));
    });
    if (!now) return std::unexpected(std::move(now.error()));
    c.show(now->json, [&] { return domain_text(whole(*now)); });
    return exit_codes::done;
}

result<int> domain_defaults(noun_context& c) {
    json::object wish;
    if (auto ok = put_domain_settings(c.words, wish); !ok) return std::unexpected(std::move(ok.error()));
    for (int tries = 1;; ++tries) {
        auto now = c.api.get("/company");
        if (!now) return std::unexpected(std::move(now.error()));
        json::object domains = object_at(whole(*now), "domains");
        if (!wish.empty() || c.words.has("--unset")) {
            (void)put_domain_settings(c.words, domains); // has been read once
            auto done = c.api.ask({.verb = "PUT",
                                   .target = "/company",
                                   .body = json::object{{"domains", std::move(domains)}},
                                   .if_match = now->etag});
            if (!done && done.error().response_code == "412" && tries < 3) continue;
            if (!done) return std::unexpected(std::move(done.error()));
            now = std::move(done);
        }
        c.show(now->json, [&] {
            const std::string text = settings_text(object_at(whole(*now), "domains"));
            return text.empty() ? std::string("nothing is set: domains begin with what the new server has\n") : text;
        });
        return exit_codes::done;
    }
}

result<int> freeze_domain(noun_context& c) {
    const bool any = c.words.has("--provisioning") || c.words.has("--passwords");
    json::object body{{"provisioning", !any || c.words.has("--provisioning")},
                      {"password_changes", !any || c.words.has("--passwords")}};
    if (c.words.has("--retry")) body["retry"] = true;
    auto domain = named_domain(c);
    if (!domain) return std::unexpected(std::move(domain.error()));
    auto now = c.api.ask({.verb = "POST",
                          .target = fmt::format("{}/{}", path_of(*domain), c.words.what->verb),
                          .body = std::move(body),
                          .patience = std::chrono::seconds(600)}); // a hook runs
    if (!now) return std::unexpected(std::move(now.error()));
    c.show(now->json, [&] {
        const std::string frozen = frozen_text(whole(*now));
        return fmt::format("{}: {}\n", text_at(whole(*now), "name"),
                           frozen.empty() ? "nothing is frozen" : "frozen: " + frozen);
    });
    return exit_codes::done;
}

result<int> delete_domain(noun_context& c) {
    auto domain = named_domain(c);
    if (!domain) return std::unexpected(std::move(domain.error()));
    auto gone = c.api.edit(path_of(*domain), [](const json::object&) { return std::nullopt; });
    if (!gone) return std::unexpected(std::move(gone.error()));
    c.say(fmt::format("{} is forgotten", text_at(*domain, "name")));
    return exit_codes::done;
}

void put_missing(std::string& out, const json::object& found, std::string_view list, std::uint64_t all,
                 std::string_view title) {
    if (all == 0) return;
    out += fmt::format("{}: {}\n", title, grouped(all));
    for (const json::value& one : array_at(found, list))
        if (one.is_string()) out += fmt::format("  {}\n", quote_server_text(one.get_string(), 300));
    if (all > array_at(found, list).size()) out += "  ...\n";
}

result<int> reconcile(noun_context& c) {
    auto driver = driver_of(c, "--new");
    if (!driver) return std::unexpected(std::move(driver.error()));
    json::object body{{"new", *driver}};
    if (c.words.has("--old")) body["old"] = c.words.text("--old");
    auto domain = named_domain(c);
    if (!domain) return std::unexpected(std::move(domain.error()));
    auto found = c.api.ask({.verb = "POST",
                            .target = path_of(*domain) + "/reconcile",
                            .body = std::move(body),
                            .may_repeat = false,
                            .patience = std::chrono::seconds(600)});
    if (!found) return std::unexpected(std::move(found.error()));
    const json::object& r = whole(*found);
    c.show(found->json, [&] {
        std::string out =
            fmt::format("{}: {} on both sides\n", text_at(r, "domain"), counted(count_at(r, "both"), "account"));
        put_missing(out, r, "missing_on_new", count_at(r, "only_old"), "missing on the new server");
        put_missing(out, r, "missing_on_old", count_at(r, "only_new"), "on the new server only");
        return out;
    });
    return count_at(r, "only_old") == 0 ? exit_codes::done : exit_codes::incomplete;
}

} // namespace

result<std::optional<std::int64_t>> find_project(const noun_context& c) {
    if (!c.words.has("--project")) return std::nullopt;
    auto project = named_project(c, c.words.text("--project"));
    if (!project) return std::unexpected(std::move(project.error()));
    return number_at(*project, "id");
}

result<json::object> find_domain(const noun_context& c, const std::string& word) {
    auto project = find_project(c);
    if (!project) return std::unexpected(std::move(project.error()));
    const std::string of = *project ? fmt::format("?project={}", **project) : std::string{};
    return c.find(
        "/domains", ascii_lower(word), "domain",
        {.narrowed = fmt::format("{}{}name={}", of, of.empty() ? '?' : '&', url_word(ascii_lower(word))), .all = of});
}

std::span<const noun_action> directory_actions() noexcept {
    static constexpr std::array<noun_action, 13> all{{{"project list", list_projects},
                                                      {"project create", create_project},
                                                      {"project rename", rename_project},
                                                      {"project delete", delete_project},
                                                      {"domain list", list_domains},
                                                      {"domain create", create_domain},
                                                      {"domain show", show_domain},
                                                      {"domain edit", edit_domain},
                                                      {"domain defaults", domain_defaults},
                                                      {"domain freeze", freeze_domain},
                                                      {"domain unfreeze", freeze_domain},
                                                      {"domain delete", delete_domain},
                                                      {"reconcile", reconcile}}};
    return all;
}

} // namespace postferry::app
