// How fast accounts and their passwords are made, and the limit: the same hashes by crypt(3) and libsodium alone, one
// thread a processor and nothing between.
//   directory_bench hash SCHEME COUNT     our pool, default costs
//   directory_bench limit SCHEME COUNT    the libraries alone, the same costs
//   directory_bench create FILE COUNT     accounts with hashed passwords into an SQLite database with PostfixAdmin's
//   tables
#include "directory/hash_pool.hpp"
#include "directory/sql_provisioner.hpp"

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/io_context.hpp>

#include <algorithm>
#include <atomic>
#include <crypt.h>
#include <iostream>
#include <sodium.h>
#include <string>
#include <thread>

namespace {

using namespace postferry;
using namespace postferry::directory;

constexpr std::string_view some_hash = "{SHA512-CRYPT}$6$saltstring$svn8UoSVapNtMuq1ukKS4tPQd8iKwSMHWjl/"
                                       "O817G3uBnIFNjnQJuesI68u4OTLiBFdcbYEdFCoEOfaS35inz1";

std::string password_of(std::size_t i) { return "password number " + std::to_string(i); }

template <class T> T run(task<T> work) {
    boost::asio::io_context io{1};
    std::optional<T> out;
    boost::asio::co_spawn(io, std::move(work), [&out](std::exception_ptr thrown, T value) {
        if (thrown) std::rethrow_exception(thrown);
        out.emplace(std::move(value));
    });
    io.run();
    return std::move(*out);
}

bool by_pool(password_scheme scheme, std::size_t count) {
    hash_pool pool;
    std::vector<secret> passwords;
    for (std::size_t i = 0; i < count; ++i) passwords.emplace_back(password_of(i));
    const auto all = run(pool.hash_many(passwords, scheme));
    return std::ranges::all_of(all, [](const auto& one) { return one.has_value(); });
}

bool one_alone(password_scheme scheme, const std::string& password, crypt_data& memory) {
    const hash_cost cost;
    char salt[CRYPT_GENSALT_OUTPUT_SIZE];
    switch (scheme) {
    case password_scheme::blf_crypt: crypt_gensalt_rn("$2y$", cost.bcrypt, nullptr, 0, salt, sizeof salt); break;
    case password_scheme::sha512_crypt: crypt_gensalt_rn("$6$", cost.sha512, nullptr, 0, salt, sizeof salt); break;
    case password_scheme::sha256_crypt: crypt_gensalt_rn("$5$", cost.sha256, nullptr, 0, salt, sizeof salt); break;
    default:
        char hash[crypto_pwhash_STRBYTES];
        return crypto_pwhash_str_alg(hash, password.data(), password.size(), cost.argon2_passes,
                                     std::size_t{cost.argon2_kib} * 1024, crypto_pwhash_ALG_ARGON2ID13) == 0;
    }
    const char* hash = crypt_rn(password.c_str(), salt, &memory, sizeof memory);
    return hash != nullptr && *hash != '*';
}

bool alone(password_scheme scheme, std::size_t count) {
    if (sodium_init() < 0) return false;
    std::atomic<std::size_t> next = 0;
    std::atomic<bool> good = true;
    std::vector<std::jthread> threads;
    for (unsigned t = 0; t < std::thread::hardware_concurrency(); ++t)
        threads.emplace_back([&] {
            const auto memory = std::make_unique<crypt_data>();
            for (std::size_t i = next++; i < count; i = next++)
                if (!one_alone(scheme, password_of(i), *memory)) good = false;
        });
    threads.clear();
    return good;
}

task<bool> create(sql_provisioner& to, std::span<const account_spec> all) {
    domain_spec domain{.name = domain_name::parse("bench.example").value()};
    auto made = co_await to.domain_create(std::move(domain));
    if (!made) co_return false;
    const auto out = co_await to.create_many(all, create_mode::create_only);
    co_return std::ranges::all_of(out, [](const auto& one) { return one.has_value(); });
}

bool create_all(const std::string& file, std::size_t count) {
    sql_provisioner to({.database = {.file = file}}, hash_pool::shared());
    std::vector<account_spec> all;
    all.reserve(count);
    for (std::size_t i = 0; i < count; ++i)
        all.push_back({.address = address::parse("user" + std::to_string(i) + "@bench.example").value(),
                       .password = {.form = new_password::kind::hashed, .value = secret(std::string(some_hash))},
                       .name = "User " + std::to_string(i),
                       .quota = 1'000'000'000});
    return run(create(to, all));
}

} // namespace

int main(int argc, char** argv) {
    if (argc != 4) return 2;
    const std::string what = argv[1], which = argv[2];
    const std::size_t count = std::stoul(argv[3]);
    const auto scheme = parse_password_scheme(which);
    if (what == "create") return create_all(which, count) ? 0 : 1;
    if (!scheme || *scheme == password_scheme::plain) return 2;
    return (what == "limit" ? alone(*scheme, count) : by_pool(*scheme, count)) ? 0 : 1;
}
