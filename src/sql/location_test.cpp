#include "sql/open.hpp"

#include <fmt/format.h>
#include <gtest/gtest.h>

namespace postferry::sql {
namespace {

/// "sqlite PATH" or "shown | name=value name=value ..."; or "refused: what".
std::string read(std::string_view url) {
    auto found = parse_location(url);
    if (!found) {
        EXPECT_EQ(found.error().cls, retry_class::config);
        EXPECT_FALSE(found.error().advice.empty());
        return "refused: " + found.error().what;
    }
    if (found->dialect == dialect::sqlite) return "sqlite " + found->file.string();
    std::string text = found->shown + " |";
    for (const auto& [name, value] : found->parameters)
        if (name != "sslrootcert") text += fmt::format(" {}={}", name, value);
    return text;
}

TEST(location, files_are_files) {
    EXPECT_EQ(read("postferry.db"), "sqlite postferry.db");
    EXPECT_EQ(read("/var/lib/a b%20/postferry.db"), "sqlite /var/lib/a b%20/postferry.db");
    EXPECT_EQ(read("sqlite:/var/x.db"), "sqlite /var/x.db");
    EXPECT_EQ(read("sqlite:x.db"), "sqlite x.db");
    EXPECT_EQ(read("odd:name.db"), "sqlite odd:name.db");
}

TEST(location, a_server_is_verified_unless_nobody_can_listen_in_between) {
    EXPECT_EQ(
        read("postgresql://pf@db.example.org/mail"),
        "postgresql://pf@db.example.org/mail | dbname=mail host=db.example.org port=5432 sslmode=verify-full user=pf");
    EXPECT_EQ(read("postgres://pf@127.0.0.1:5433/mail"),
              "postgresql://pf@127.0.0.1:5433/mail | dbname=mail host=127.0.0.1 port=5433 sslmode=prefer user=pf");
    EXPECT_EQ(read("postgresql://[::1]:1/m"), "postgresql://::1:1/m | dbname=m host=::1 port=1 sslmode=prefer");
    EXPECT_EQ(read("postgresql:///mail?host=%2Frun%2Fpostgresql&port=5433"),
              "postgresql:///run/postgresql:5433/mail | dbname=mail host=/run/postgresql port=5433 sslmode=prefer");
    EXPECT_EQ(read("postgresql:///mail"), "postgresql:///mail | dbname=mail sslmode=prefer");
    EXPECT_EQ(read("postgresql://localhost,db.example.org/m"),
              "postgresql://localhost,db.example.org:5432,5432/m | dbname=m "
              "host=localhost,db.example.org port=5432,5432 sslmode=verify-full");
    EXPECT_EQ(read("postgresql://localhost/m?hostaddr=192.0.2.1"),
              "postgresql://localhost/m | dbname=m host=localhost hostaddr=192.0.2.1 port=5432 sslmode=verify-full");
    EXPECT_EQ(
        read("postgresql://127.0.0.1.example.org/m"),
        "postgresql://127.0.0.1.example.org/m | dbname=m host=127.0.0.1.example.org port=5432 sslmode=verify-full");
    EXPECT_EQ(read("postgresql://u%40x@h/m%2fn?sslmode=disable&target_session_attrs=read-write"),
              "postgresql://u@x@h/m/n | dbname=m/n host=h port=5432 sslmode=disable target_session_attrs=read-write "
              "user=u@x");
}

TEST(location, what_verifies_has_authorities_to_verify_with) {
    const auto plain = parse_location("postgresql://db.example.org/m");
    ASSERT_TRUE(plain);
    EXPECT_TRUE(plain->parameters.contains("sslrootcert"));
    EXPECT_EQ(parse_location("postgresql://db.example.org/m?sslrootcert=/x.pem")->parameters.at("sslrootcert"),
              "/x.pem");
}

TEST(location, passwords_do_not_stand_in_urls_and_are_not_repeated) {
    for (const char* url :
         {"postgresql://pf:geheim@h/m", "postgresql://h/m?password=geheim", "postgresql://h/m?sslpassword=geheim",
          "postgresql://pf:geheim@h", "postgresql://pf:geheim/9@h/m", "postgresql://pf:12/geheim@h/m",
          "postgresql://h/m?geheim"}) {
        const std::string said = read(url);
        EXPECT_TRUE(said.starts_with("refused: ")) << said;
        if (!std::string_view(url).ends_with("?geheim")) EXPECT_EQ(said.find("geheim"), std::string::npos) << said;
    }
}

TEST(location, what_is_no_url_is_refused) {
    for (const char* url :
         {"", "sqlite:", "mysql://h/m", "postgresql://", "postgresql://h", "postgresql://h/", "postgresql://@h/m",
          "postgresql://h:x/m", "postgresql://h/m?sslmode", "postgresql://h/m?sslmode=", "postgresql://h/%zz",
          "postgresql://h/a%00b", "postgresql://h/a%2", "postgresql://h/m?options=-cfsync%3Doff",
          "postgresql://h/m?connect_timeout=9999", "postgresql://h%/m"})
        EXPECT_TRUE(read(url).starts_with("refused: ")) << url << " " << read(url);
    EXPECT_NE(read("mysql://h/m").find("mysql"), std::string::npos);
}

} // namespace
} // namespace postferry::sql
