// Asks a driver of src/directory what the tests against real servers want: settings as JSON in the first argument, one
// question a line as JSON on standard input, one answer a line.
//   {"verb": "account-create", "address": "a@b", "password": "x", "mode": "upsert", "quota": 5}  ->  {"change":
//   "created", "note": ""} on failure {"class": "config", "code": "ALREADYEXISTS", "what": "...", "said": "..."}
#include "directory/hash_pool.hpp"
#include "directory/settings.hpp"

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/json.hpp>

#include <iostream>
#include <optional>
#include <string>

namespace {

namespace json = boost::json;
using namespace postferry;
using namespace postferry::directory;

setting_list settings_of(const json::object& all) {
    setting_list out;
    for (const auto& [name, value] : all) {
        setting one{.name = std::string(name), .value = std::string()};
        if (value.is_int64()) one.value = value.get_int64();
        if (value.is_bool()) one.value = value.get_bool();
        if (value.is_string()) one.value = std::string(value.get_string());
        if (value.is_array()) {
            setting::list texts;
            for (const auto& text : value.get_array()) texts.emplace_back(text.as_string());
            one.value = std::move(texts);
        }
        out.push_back(std::move(one));
    }
    return out;
}

class question {
  public:
    explicit question(const json::object& said) : said_(said) {}
    std::string text(std::string_view name) const {
        const json::value* v = said_.if_contains(name);
        return v == nullptr ? std::string() : std::string(v->as_string());
    }
    std::optional<std::uint64_t> number(std::string_view name) const {
        const json::value* v = said_.if_contains(name);
        return v == nullptr ? std::nullopt : std::optional(v->to_number<std::uint64_t>());
    }
    bool flag(std::string_view name) const {
        const json::value* v = said_.if_contains(name);
        return v != nullptr && v->as_bool();
    }
    directory::address address(std::string_view name = "address") const {
        return directory::address::parse(text(name)).value();
    }
    domain_name domain() const { return domain_name::parse(text("domain")).value(); }
    create_mode mode() const { return text("mode") == "upsert" ? create_mode::upsert : create_mode::create_only; }
    new_password password() const {
        if (!text("hashed").empty()) return {.form = new_password::kind::hashed, .value = secret(text("hashed"))};
        if (text("password").empty()) return {};
        return {.form = new_password::kind::plain, .value = secret(text("password"))};
    }

  private:
    const json::object& said_;
};

json::object told(const error& e) {
    return {{"class", name_of(e.cls)}, {"code", e.response_code}, {"what", e.what}, {"said", e.server_said}};
}

json::object told(const result<outcome>& r) {
    if (!r) return told(r.error());
    return {{"change", name_of(r->what)}, {"note", r->note}};
}

task<json::object> check(provisioner& to) {
    auto report = co_await to.check();
    if (!report) co_return told(report.error());
    json::array findings;
    for (const check_finding& f : report->findings)
        findings.push_back({{"fault", f.how == check_finding::grade::fault}, {"text", f.text}});
    co_return json::object{{"good", report->good()}, {"server", report->server}, {"findings", std::move(findings)}};
}

task<json::object> create_many(provisioner& to, const question& q) {
    std::vector<account_spec> all;
    for (std::uint64_t i = 0; i < q.number("count").value_or(0); ++i)
        all.push_back({.address = address::parse("user" + std::to_string(i) + "@" + q.text("domain")).value(),
                       .password = q.password()});
    const auto out = co_await to.create_many(all, q.mode());
    json::object counts;
    for (const auto& one : out) {
        auto& count = counts[one ? name_of(one->what) : "failed"];
        count = count.is_null() ? 1 : count.as_int64() + 1;
    }
    co_return counts;
}

task<json::object> list_accounts(provisioner& to, const question& q) {
    json::array all;
    const page_handler<account_entry> take = [&all](std::span<account_entry> page) -> result<void> {
        for (const auto& e : page)
            all.push_back({{"address", e.address},
                           {"quota", e.quota ? json::value(*e.quota) : json::value()},
                           {"active", e.active}});
        return {};
    };
    auto ok = co_await to.list_accounts(q.domain(), take);
    if (!ok) co_return told(ok.error());
    co_return json::object{{"accounts", std::move(all)}};
}

task<json::object> list_aliases(provisioner& to, const question& q) {
    json::object all;
    const page_handler<alias_entry> take = [&all](std::span<alias_entry> page) -> result<void> {
        for (const auto& e : page) all[e.address] = json::array(e.targets.begin(), e.targets.end());
        return {};
    };
    auto ok = co_await to.list_aliases(q.domain(), take);
    if (!ok) co_return told(ok.error());
    co_return json::object{{"aliases", std::move(all)}};
}

task<json::object> account_create(provisioner& to, const question& q) {
    account_spec spec{
        .address = q.address(), .password = q.password(), .name = q.text("name"), .quota = q.number("quota")};
    co_return told(co_await to.account_create(std::move(spec), q.mode()));
}

task<json::object> alias_create(provisioner& to, const question& q) {
    alias_spec spec{.address = q.address(), .targets = {q.address("target")}};
    co_return told(co_await to.alias_create(std::move(spec)));
}

task<json::object> answer(provisioner& to, json::object said) {
    const question q(said);
    const std::string verb = q.text("verb");
    if (verb == "check") co_return co_await check(to);
    if (verb == "create-many") co_return co_await create_many(to, q);
    if (verb == "list-accounts") co_return co_await list_accounts(to, q);
    if (verb == "list-aliases") co_return co_await list_aliases(to, q);
    if (verb == "account-create") co_return co_await account_create(to, q);
    if (verb == "alias-create") co_return co_await alias_create(to, q);
    if (verb == "domain-create") {
        domain_spec spec{.name = q.domain()};
        co_return told(co_await to.domain_create(std::move(spec)));
    }
    if (verb == "set-password") co_return told(co_await to.set_password(q.address(), q.password()));
    if (verb == "set-quota") co_return told(co_await to.set_quota(q.address(), q.number("quota").value_or(0)));
    if (verb == "suspend") co_return told(co_await to.suspend(q.address(), q.flag("suspended")));
    auto there = co_await to.account_exists(q.address());
    if (!there) co_return told(there.error());
    co_return json::object{{"exists", *there}};
}

task<> answer_all(provisioner& to) {
    for (std::string line; std::getline(std::cin, line);) {
        json::object said = co_await answer(to, json::parse(line).as_object());
        std::cout << json::serialize(said) << std::endl;
    }
}

} // namespace

int main(int argc, char** argv) {
    if (argc != 2) return 2;
    boost::asio::io_context io{1};
    auto made = make_provisioner(settings_of(json::parse(argv[1]).as_object()), io.get_executor());
    if (!made) {
        for (const setting_fault& f : made.error()) std::cerr << f.text() << '\n';
        return 1;
    }
    boost::asio::co_spawn(io, answer_all(**made), [&made](std::exception_ptr thrown) {
        made->reset(); // with its connection, which would keep the context going
        if (thrown) std::rethrow_exception(thrown);
    });
    io.run();
    return 0;
}
