#include "directory/hash_pool.hpp"
#include "directory/password_hash.hpp"
#include "directory/test_directory.hpp"

#include <boost/asio/bind_cancellation_slot.hpp>
#include <boost/asio/cancellation_signal.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/thread_pool.hpp>

#include <set>

namespace postferry::directory {
namespace {

// As little as each scheme takes: these tests are not about cost.
constexpr hash_cost cheap{.bcrypt = 4, .sha512 = 1000, .sha256 = 1000, .argon2_passes = 1, .argon2_kib = 8};

TEST(password_hash_test, every_scheme_makes_what_it_verifies_and_nothing_else) {
    const std::pair<password_scheme, std::string_view> schemes[] = {
        {password_scheme::blf_crypt, "{BLF-CRYPT}$2y$04$"},
        {password_scheme::sha512_crypt, "{SHA512-CRYPT}$6$"},
        {password_scheme::sha256_crypt, "{SHA256-CRYPT}$5$"},
        {password_scheme::argon2id, "{ARGON2ID}$argon2id$v=19$m=8,t=1,p=1$"},
        {password_scheme::plain, "{PLAIN}"},
    };
    for (const auto& [scheme, start] : schemes) {
        const secret right("Zauber-Wort/7+x \xc3\xa4");
        const auto hash = hash_password(right, scheme, cheap);
        ASSERT_TRUE(hash) << name_of(scheme);
        EXPECT_TRUE(hash->reveal().starts_with(start)) << hash->reveal();
        EXPECT_TRUE(check_hashed(*hash));
        EXPECT_EQ(verify_password(right, *hash), true) << name_of(scheme);
        EXPECT_EQ(verify_password(secret("Zauber-Wort/7+x"), *hash), false) << name_of(scheme);
        EXPECT_EQ(verify_password(secret(""), *hash), false);
        EXPECT_EQ(parse_password_scheme(name_of(scheme)), scheme);
    }
    EXPECT_EQ(parse_password_scheme("blf-crypt"), password_scheme::blf_crypt);
    EXPECT_EQ(parse_password_scheme("MD5"), std::nullopt);
}

TEST(password_hash_test, salts_differ) {
    std::set<std::string, std::less<>> seen;
    for (const auto s : {password_scheme::blf_crypt, password_scheme::sha512_crypt, password_scheme::argon2id})
        for (int i = 0; i < 8; ++i) seen.emplace(hash_password(secret("same"), s, cheap)->reveal());
    EXPECT_EQ(seen.size(), 24U);
}

// What other programs made: openssl passwd -6 and -5, and a vector of crypt_blowfish.
TEST(password_hash_test, reads_what_others_have_made) {
    EXPECT_EQ(verify_password(secret("Hello world!"),
                              secret("{SHA512-CRYPT}$6$saltstring$svn8UoSVapNtMuq1ukKS4tPQd8iKwSMHWjl/"
                                     "O817G3uBnIFNjnQJuesI68u4OTLiBFdcbYEdFCoEOfaS35inz1")),
              true);
    EXPECT_EQ(verify_password(secret("Hello world!"),
                              secret("{CRYPT}$5$saltstring$5B8vYYiY.CVt1RlTTf8KbXBH3hsxY/GNooZaBBGWEc5")),
              true);
    EXPECT_EQ(verify_password(secret("U*U"),
                              secret("{BLF-CRYPT}$2y$05$CCCCCCCCCCCCCCCCCCCCC.E5YPO9kmyuRGyh0XouQYb4YMJKvyOeW")),
              true);
    EXPECT_EQ(verify_password(secret("U*V"),
                              secret("{BLF-CRYPT}$2y$05$CCCCCCCCCCCCCCCCCCCCC.E5YPO9kmyuRGyh0XouQYb4YMJKvyOeW")),
              false);
}

TEST(password_hash_test, bcrypt_never_cuts_silently) {
    const auto longest = hash_password(secret(std::string(72, 'a')), password_scheme::blf_crypt, cheap);
    ASSERT_TRUE(longest);
    const auto longer = hash_password(secret(std::string(73, 'a')), password_scheme::blf_crypt, cheap);
    ASSERT_FALSE(longer);
    EXPECT_EQ(longer.error().cls, retry_class::config);
    EXPECT_EQ(longer.error().what, "the password has 73 octets, BLF-CRYPT takes 72");
    // bcrypt itself would say yes: the first 72 octets are the same.
    EXPECT_EQ(verify_password(secret(std::string(73, 'a')), *longest), false);
    EXPECT_TRUE(hash_password(secret(std::string(511, 'a')), password_scheme::sha512_crypt, cheap));
    EXPECT_FALSE(hash_password(secret(std::string(512, 'a')), password_scheme::argon2id, cheap));
}

TEST(password_hash_test, what_cannot_be_a_password_is_refused_by_name) {
    EXPECT_EQ(hash_password(secret(""), password_scheme::sha512_crypt, cheap).error().what, "the password is empty");
    EXPECT_NE(hash_password(secret(std::string("a\0b", 3)), password_scheme::argon2id, cheap).error().what.find("NUL"),
              std::string::npos);
    EXPECT_NE(hash_password(secret("a\nb"), password_scheme::plain, cheap).error().what.find("line end"),
              std::string::npos);
}

TEST(password_hash_test, costs_out_of_range_are_named) {
    EXPECT_TRUE(validate(hash_cost{}));
    EXPECT_FALSE(validate({.bcrypt = 3}));
    EXPECT_FALSE(validate({.bcrypt = 19}));
    EXPECT_FALSE(validate({.sha512 = 999}));
    EXPECT_FALSE(validate({.argon2_passes = 0}));
    EXPECT_FALSE(validate({.argon2_kib = 2'000'000}));
    EXPECT_FALSE(hash_password(secret("a"), password_scheme::blf_crypt, {.bcrypt = 31}));
}

TEST(password_hash_test, what_is_no_hash_is_refused_without_repeating_it) {
    for (const std::string text :
         {"", "secret", "{}x", "{BLF-CRYPT}", "{BLF CRYPT}x", "{BLF-CRYPT}a\nb", "BLF-CRYPT}x"}) {
        const auto ok = check_hashed(secret(text));
        ASSERT_FALSE(ok) << text;
        EXPECT_EQ(ok.error().message().find("secret"), std::string::npos);
    }
    EXPECT_FALSE(check_hashed(secret("{CRYPT}" + std::string(513, 'x'))));
    EXPECT_TRUE(check_hashed(secret("{SSHA512.b64}abc=")));
    EXPECT_FALSE(verify_password(secret("a"), secret("{MD5-CRYPT-X}abc")));
    EXPECT_FALSE(verify_password(secret("a"), secret("{ARGON2ID}" + std::string(400, 'x'))));
    EXPECT_FALSE(verify_password(secret("a"), secret("{CRYPT}!")));
}

// --- the pool ---

TEST(hash_pool_test, many_keep_their_order_and_one_fault_is_its_own) {
    hash_pool pool(3);
    std::vector<secret> passwords;
    for (int i = 0; i < 40; ++i) passwords.emplace_back(i == 17 ? std::string() : "password " + std::to_string(i));
    const auto all = run(pool.hash_many(passwords, password_scheme::sha256_crypt, cheap));
    ASSERT_EQ(all.size(), 40U);
    for (std::size_t i = 0; i < all.size(); ++i) {
        ASSERT_EQ(all[i].has_value(), i != 17);
        if (i != 17) EXPECT_EQ(verify_password(passwords[i], *all[i]), true) << i;
    }
    EXPECT_TRUE(run(pool.hash_many({}, password_scheme::plain)).empty());
    EXPECT_EQ(run(pool.verify(secret("password 3"), *all[3])), true);
}

TEST(hash_pool_test, one_login_does_not_wait_for_a_whole_file) {
    hash_pool pool(1);
    boost::asio::io_context io{1};
    const std::vector<secret> file(200, secret("a"));
    std::vector<std::string> order;
    boost::asio::co_spawn(io, pool.hash_many(file, password_scheme::sha512_crypt, cheap),
                          [&](std::exception_ptr, auto) { order.emplace_back("file"); });
    boost::asio::co_spawn(io, pool.hash(secret("b"), password_scheme::sha512_crypt, cheap),
                          [&](std::exception_ptr, auto) { order.emplace_back("login"); });
    io.run();
    EXPECT_EQ(order, (std::vector<std::string>{"login", "file"}));
}

TEST(hash_pool_test, cancelling_leaves_out_what_was_not_begun) {
    hash_pool pool(1);
    boost::asio::io_context io{1};
    const std::vector<secret> file(100'000, secret("a"));
    boost::asio::cancellation_signal stop;
    bool ended = false;
    // A second caller behind the first: when it is served, the first has begun; then it is cancelled.
    boost::asio::co_spawn(
        io, pool.hash_many(file, password_scheme::sha512_crypt, cheap),
        boost::asio::bind_cancellation_slot(stop.slot(), [&](std::exception_ptr, auto) { ended = true; }));
    boost::asio::co_spawn(io, pool.hash(secret("b"), password_scheme::sha512_crypt, cheap),
                          [&](std::exception_ptr, auto) { stop.emit(boost::asio::cancellation_type::terminal); });
    const auto begin = std::chrono::steady_clock::now();
    io.run();
    EXPECT_TRUE(ended);
    // 100,000 would take minutes.
    EXPECT_LT(std::chrono::steady_clock::now() - begin, std::chrono::seconds(30));
}

TEST(hash_pool_test, the_shared_one_is_shared) {
    const auto one = hash_pool::shared();
    EXPECT_EQ(one, hash_pool::shared());
    EXPECT_EQ(one->threads(), std::max(1U, std::thread::hardware_concurrency()));
}

} // namespace
} // namespace postferry::directory
