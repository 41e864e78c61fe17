// postferry project ...
#include "app/exit_code.hpp"
#include "app/noun_actions.hpp"

#include <fmt/format.h>

#include <array>

namespace postferry::app {

namespace json = boost::json;

namespace {

const json::object& whole(const remote_reply& reply) {
    static const json::object none;
    return reply.json.is_object() ? reply.json.get_object() : none;
}

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

} // namespace

result<std::optional<std::int64_t>> find_project(const noun_context& c) {
    if (!c.words.has("--project")) return std::nullopt;
    auto project = named_project(c, c.words.text("--project"));
    if (!project) return std::unexpected(std::move(project.error()));
    return number_at(*project, "id");
}

std::span<const noun_action> directory_actions() noexcept {
    static constexpr std::array<noun_action, 4> all{{{"project list", list_projects},
                                                     {"project create", create_project},
                                                     {"project rename", rename_project},
                                                     {"project delete", delete_project}}};
    return all;
}

} // namespace postferry::app
