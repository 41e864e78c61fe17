#include "app/user_in_store.hpp"

#include "api/audit.hpp"
#include "api/person_rules.hpp"
#include "api/views.hpp"
#include "app/remote_values.hpp"
#include "directory/hash_pool.hpp"
#include "store/database.hpp"
#include "store/tables.hpp"

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/use_future.hpp>
#include <fmt/format.h>

#include <unistd.h>

namespace postferry::app {

namespace json = boost::json;

namespace {

std::unexpected<error> refuse(std::string what) { return fail(retry_class::config, phase::usage, std::move(what)); }

template <class T> T wait_for(task<T> work) {
    boost::asio::io_context io;
    auto outcome = boost::asio::co_spawn(io, std::move(work), boost::asio::use_future);
    io.run();
    return outcome.get();
}

result<store::person> read(const json::object& body) {
    store::person p;
    auto name = api::login_name_of(text_at(body, "name"));
    if (!name) return refuse(fmt::format("name {}", api::login_name_rule));
    p.name = std::move(*name);
    p.display = text_at(body, "display");
    const auto role = store::parse<store::person_role>(text_at(body, "role"));
    if (!role) return refuse("role is none");
    p.role = *role;
    return p;
}

result<std::string> hashed(const json::object& body) {
    const json::value* given = body.if_contains("password");
    if (given == nullptr || !given->is_string()) return std::string{};
    secret password(std::string(given->get_string()));
    const std::size_t n = password.reveal().size();
    if (n < api::least_password || n > api::most_password)
        return refuse(fmt::format("the password must have {} to {} octets", api::least_password, api::most_password));
    auto hash =
        wait_for(directory::hash_pool::shared()->hash(std::move(password), directory::password_scheme::argon2id));
    if (!hash) return std::unexpected(std::move(hash.error()));
    return std::string(hash->reveal());
}

} // namespace

result<json::object> add_user_to_store(const config_file& file, const json::object& body) {
    auto p = read(body);
    if (!p) return std::unexpected(std::move(p.error()));
    auto hash = hashed(body);
    if (!hash) return std::unexpected(std::move(hash.error()));
    p->password = std::move(*hash);
    const config_store& s = file.values.store;
    store::database_options options{.holder_description = "postferry user add", .kind_of_thing = "store"};
    if (s.password.given()) {
        auto password = s.password.value();
        if (!password) return std::unexpected(std::move(password.error()));
        options.password = std::move(*password);
    }
    auto db = store::database::open(s.url, options);
    if (!db) return std::unexpected(std::move(db.error()));
    auto added = wait_for(
        (*db)->synced([row = *p, actor = fmt::format("cli/{}", ::getuid())](store::tables& t) -> result<store::person> {
            auto now = t.now();
            if (!now) return std::unexpected(std::move(now.error()));
            store::person one = row;
            one.created = *now;
            auto made = t.people.add(one);
            if (!made) return made;
            auto kept = api::audit(
                t, actor, {.what = "user.create", .after = api::view_of(*made), .detail = {{"user", made->id}}});
            if (!kept) return std::unexpected(std::move(kept.error()));
            return made;
        }));
    if (!added) return std::unexpected(std::move(added.error()));
    return api::view_of(*added);
}

} // namespace postferry::app
