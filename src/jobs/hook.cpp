#include "jobs/hook.hpp"

#include "directory/command.hpp"
#include "store/tables.hpp"

#include <fmt/format.h>

namespace postferry::jobs {

using store::tables;

namespace {

/// No server's octets end a variable early.
std::string clean(std::string_view text) {
    std::string out(text);
    std::erase(out, '\0');
    return out;
}

struct found {
    std::string batch_name;
    std::optional<secret> password;
};

} // namespace

std::vector<std::pair<std::string, std::string>> hook_environment(const store::migration& m,
                                                                  const std::string& batch_name,
                                                                  store::mailbox_state becomes,
                                                                  const std::string& grade) {
    return {{"PATH", "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"},
            {"POSTFERRY_MAILBOX", std::to_string(m.id)},
            {"POSTFERRY_BATCH", std::to_string(m.batch)},
            {"POSTFERRY_BATCH_NAME", clean(batch_name)},
            {"POSTFERRY_STATE", std::string(store::name_of(becomes))},
            {"POSTFERRY_SOURCE", clean(m.source_url)},
            {"POSTFERRY_TARGET", clean(m.target_url)},
            {"POSTFERRY_SOURCE_USER", clean(m.source_user)},
            {"POSTFERRY_TARGET_USER", clean(m.target_user)},
            {"POSTFERRY_GRADE", grade},
            {"POSTFERRY_MESSAGES", std::to_string(m.counts.messages_source)},
            {"POSTFERRY_FAILED", std::to_string(m.counts.messages_failed)}};
}

task<hook_end> command_hook::run(const work& what, store::mailbox_state becomes, std::string grade) {
    const hook_settings& hook = what.settings.hook;
    auto got = co_await db_.read([&vault = vault_, id = what.mailbox.id, batch = what.mailbox.batch,
                                  wanted = hook.with_password](tables& t) -> result<found> {
        found f;
        auto row = t.batches.find(batch);
        if (!row) return std::unexpected(std::move(row.error()));
        if (*row) f.batch_name = (*row)->name;
        if (!wanted) return f;
        auto password =
            vault.get(t, {.kind = store::owner_kind::migration, .owner = std::to_string(id), .purpose = "target"});
        if (!password) return std::unexpected(std::move(password.error()));
        f.password = std::move(*password);
        return f;
    });
    if (!got) co_return hook_end{.text = fmt::format("the hook was not run: {}", got.error().message())};
    directory::command c{.arguments = hook.command,
                         .environment = hook_environment(what.mailbox, got->batch_name, becomes, grade)};
    if (got->password) c.input = std::move(*got->password);
    auto ended =
        co_await directory::run_command(std::move(c), deadline::in(std::chrono::seconds(hook.patience_seconds)));
    if (!ended)
        co_return hook_end{.text = fmt::format("the hook {}: {}", hook.command.front(), ended.error().message())};
    std::string text = fmt::format("the hook {} ended with {}", hook.command.front(), ended->exit_code);
    for (const auto& [name, said] : {std::pair("it printed", &ended->out), std::pair("it said", &ended->err)})
        if (!said->empty()) text += fmt::format("; {}: {}", name, quote_server_text(*said));
    co_return hook_end{.good = ended->exit_code == 0, .text = std::move(text)};
}

} // namespace postferry::jobs
