// The API over real HTTP with something of everything in its store, for contract_test.py: sample_server STORE KEY_FILE
// SOCKET. Says in one line of JSON where it listens, what its routes are and what is in it; ends when its input does.
#include "api/service.hpp"
#include "directory/hash_pool.hpp"
#include "http/server.hpp"
#include "jobs/directory_desk.hpp"
#include "jobs/import.hpp"
#include "store/change_state.hpp"

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/use_future.hpp>
#include <fmt/format.h>

#include <cstdio>
#include <thread>
#include <unistd.h>

namespace postferry::api {
namespace {

namespace asio = boost::asio;
namespace json = boost::json;
using store::mailbox_state;
using store::tables;

template <class T> T must(result<T> r) {
    if (!r) throw std::runtime_error(r.error().message());
    if constexpr (!std::is_void_v<T>) return std::move(*r);
}

/// Draws nothing but what shows that it was called.
class plain_document final : public report_document {
  public:
    explicit plain_document(report_form f) : form_(f) {}
    bool looks_first() const noexcept override { return form_ == report_form::html; }
    std::string begin() override {
        return form_ == report_form::json ? R"({"version":1,"started":"","ended":"","totals":{},"mailboxes":[)"
                                          : "begin\n";
    }
    result<std::string> mailbox(std::string_view text) override {
        return (form_ == report_form::json && count_++ > 0 ? "," : "") + std::string(text);
    }
    std::string end() override { return form_ == report_form::json ? "]}" : "end\n"; }

  private:
    report_form form_;
    int count_ = 0;
};

class plain_renderer final : public report_renderer {
  public:
    std::unique_ptr<report_document> make(report_form form, store::unix_ms, store::unix_ms) const override {
        return std::make_unique<plain_document>(form);
    }
};

constexpr std::string_view report = R"({"source":"imaps://a@old","target":"imaps://a@new","state":"completed",)"
                                    R"("pass":"bulk","grade":"investigate","folders":[{"source":"INBOX","target":)"
                                    R"("INBOX","messages":{},"bytes":{},"state":"synced"}],"failures":[{"folder":)"
                                    R"("INBOX","source_uid":7,"bytes":5,"message_id":"<a@b>","class":"permanent",)"
                                    R"("reason":"too large","advice":"raise the limit","waived":false}]})";

struct seeded {
    store::record_id draft = 0, busy = 0, mailbox = 0, failed = 0, pass = 0;
};

store::migration mailbox(store::record_id batch, int i, mailbox_state state) {
    return {.batch = batch,
            .source_url = "imaps://old.example.org",
            .target_url = "imaps://new.example.org",
            .source_user = fmt::format("user{}@old.example.org", i),
            .target_user = fmt::format("user{}@new.example.org", i),
            .source_server = "old.example.org:993",
            .target_server = "new.example.org:993",
            .state = state,
            .reason_class = state == mailbox_state::failed ? "permanent" : "",
            .next_pass = "bulk",
            .position = static_cast<std::uint32_t>(i)};
}

result<seeded> seed(tables& t) {
    const auto now = must(t.now());
    seeded s;
    s.draft = must(t.batches.add({.name = "draft", .created = now, .created_by = "cli/0"})).id;
    s.busy = must(t.batches.add({.name = "busy",
                                 .state = store::batch_state::syncing,
                                 .settings = R"({"retries":3})",
                                 .start_at = now,
                                 .created = now,
                                 .created_by = "cli/0"}))
                 .id;
    std::vector<store::migration> all;
    for (std::size_t i = 0; i < store::count_of<mailbox_state>; ++i)
        all.push_back(mailbox(s.busy, static_cast<int>(i), static_cast<mailbox_state>(i)));
    const auto ids = must(t.migrations.add(all));
    s.mailbox = ids[static_cast<std::size_t>(mailbox_state::ready)];
    s.failed = ids[static_cast<std::size_t>(mailbox_state::failed)];
    for (const auto id : {s.failed, s.mailbox}) must(t.migrations.add_pass(id, "investigate"));
    s.pass = must(t.passes.begin({.migration = s.failed, .kind = "bulk", .started = now, .worker = "w1"}));
    must(t.passes.end({.id = s.pass, .ended = now, .outcome = "done", .report = std::string(report)}));
    must(t.passes.begin({.migration = s.failed, .kind = "delta", .started = now, .worker = "w1"}));
    must(t.logs.add({{.at = now, .batch = s.busy, .text = "begun"},
                     {.at = now,
                      .batch = s.busy,
                      .migration = s.failed,
                      .folder = "INBOX",
                      .level = store::log_level::error,
                      .text = "line one\r\nline two \x01"}}));
    must(t.leases.put(store::worker{
        .id = "w1", .name = "one", .host = "h", .pid = 7, .version = "0", .jobs = 4, .started = now, .seen = now}));
    must(t.leases.put(store::server{.key = "old.example.org:993", .connections_max = 3}));
    must(t.leases.pause_server("new.example.org:993", now + 60'000, "it asked for it"));
    must(t.settings.put("company", "batch", R"({"retries":7})"));
    must(store::change_state(t, ids[static_cast<std::size_t>(mailbox_state::synced)],
                             store::mailbox_change{.to = mailbox_state::queued, .actor = "system", .due = now}));
    return s;
}

std::string_view word_of(access a) {
    static constexpr std::array<std::string_view, 5> words{"anyone", "read", "operate", "admin", "owner"};
    return words[static_cast<std::size_t>(a)];
}

json::array routes_of(const service& s) {
    json::array out;
    for (const route& r : s.routes().routes())
        out.push_back(json::object{{"method", http::name_of(r.verb)},
                                   {"pattern", r.pattern},
                                   {"role", word_of(r.needs)},
                                   {"json", r.body == route::takes::json},
                                   {"raw", r.body == route::takes::raw}});
    return out;
}

int serve(const std::string& where, const std::filesystem::path& key_file, const std::string& socket) {
    auto db = must(store::database::open(where, {}));
    auto keys = must(store::vault::open(key_file));
    asio::io_context io;
    auto work = asio::make_work_guard(io);
    std::jthread threads([&] { io.run(); });
    const auto in_store = [&](auto f) {
        return must(asio::co_spawn(io, db->synced(std::move(f)), asio::use_future).get());
    };
    in_store([&](tables& t) { return keys->attach(t); });
    const seeded s = in_store(seed);
    const plain_renderer renderer;
    jobs::driver_book drivers(io.get_executor(), {});
    jobs::directory_desk directory(*db, drivers);
    jobs::import_desk imports(*db, *keys);
    service api(parts{.db = *db,
                      .hashing = directory::hash_pool::shared(),
                      .vault = keys.get(),
                      .renderer = &renderer,
                      .directory = &directory,
                      .imports = &imports,
                      .uploads = std::filesystem::path(socket).parent_path(),
                      .public_url = "https://migrate.example.org"});
    auto server = must(http::server::listen(io.get_executor(), {.listen = {"127.0.0.1:0"}, .socket = socket},
                                            [&](http::exchange& x) { return api.handle(x); }));
    server->start();
    const json::object about{{"address", server->addresses().at(0)},
                             {"routes", routes_of(api)},
                             {"draft", s.draft},
                             {"busy", s.busy},
                             {"mailbox", s.mailbox},
                             {"failed", s.failed},
                             {"pass", s.pass}};
    std::puts(json::serialize(about).c_str());
    std::fflush(stdout);
    char ignored = 0;
    while (::read(0, &ignored, 1) > 0) continue;
    asio::co_spawn(io, server->stop(), asio::use_future).get();
    work.reset();
    return 0;
}

} // namespace
} // namespace postferry::api

int main(int argc, char** argv) {
    if (argc != 4) return 2;
    try {
        return postferry::api::serve(argv[1], argv[2], argv[3]);
    } catch (const std::exception& e) {
        std::fprintf(stderr, "%s\n", e.what());
        return 1;
    }
}
