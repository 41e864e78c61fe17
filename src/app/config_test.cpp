#include "app/config.hpp"
#include "app/config_keys.hpp"
#include "app/config_provisioning.hpp"
#include "app/nearest.hpp"

#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <array>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <sys/stat.h>

namespace postferry::app {
namespace {

using testing::AllOf;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::Not;
using testing::StartsWith;

const config_surroundings nothing{};
const config_surroundings systemd{.environment = [](const char* name) -> const char* {
    return std::string_view(name) == "CREDENTIALS_DIRECTORY" ? "/run/credentials/postferry" : nullptr;
}};

config_file must(std::string_view text, const config_surroundings& around = nothing, bool is_public = false) {
    auto read = parse_config(text, "/etc/pf/x.toml", is_public, around);
    EXPECT_TRUE(read) << read.error().text();
    return read ? std::move(*read) : config_file{};
}

std::string faults(std::string_view text, bool is_public = false) {
    const auto read = parse_config(text, "x.toml", is_public, nothing);
    EXPECT_FALSE(read) << text;
    return read ? std::string{} : read.error().text();
}

TEST(config, an_empty_file_says_nothing_and_the_standard_holds) {
    const config c = must("").values;
    EXPECT_THAT(c.service.listen, ElementsAre("127.0.0.1:8080"));
    EXPECT_EQ(c.service.socket, "/run/postferry/postferry.sock");
    EXPECT_THAT(c.service.trusted_proxies, ElementsAre("127.0.0.1", "::1"));
    EXPECT_EQ(c.service.jobs, 8U);
    EXPECT_EQ(c.service.timeout, std::chrono::minutes(3));
    EXPECT_EQ(c.store.sqlite_file(), "/var/lib/postferry/postferry.db");
    EXPECT_EQ(c.log.level, config_log_level::info);
    EXPECT_EQ(c.schedule.delta_every, std::chrono::hours(4));
    EXPECT_THAT(c.schedule.hours, IsEmpty());
    EXPECT_FALSE(c.limits.octets_per_second || c.limits.connections_per_server);
    EXPECT_FALSE(c.defaults.jobs || c.defaults.acl);
    EXPECT_EQ(config::standard().service.listen, c.service.listen);
}

TEST(config, the_service) {
    const config c = must(R"(
[service]
listen = ["*:8443", "[::1]:0"]
socket = ""
public_url = "https://mail.example.org/postferry/"
tls_certificate = "tls.crt"
tls_key = "/etc/pf/../tls.key"
trusted_proxies = ["10.0.0.0/8"]
threads = 2
jobs = 0
timeout = "2m"
[store]
url = "postgresql://pf@db.example.org/pf"
key_file = "/srv/key"
[log]
level = "wire"
format = "json"
file = "/var/log/pf.log"
[limits]
preset = ["source=gmail"]
connections_per_server = 20
limit_rate = "2MB"
limit_messages = 0.5
limit_logins = 4
daily_bytes = 1500
[schedule]
hours = ["mon-fri 20:00-06:00", "Sun"]
delta_every = "0s"
)")
                         .values;
    EXPECT_THAT(c.service.listen, ElementsAre("*:8443", "[::1]:0"));
    EXPECT_EQ(c.service.socket, "");
    EXPECT_EQ(c.service.public_url, "https://mail.example.org/postferry");
    EXPECT_EQ(c.service.tls_certificate, "/etc/pf/tls.crt") << "relative to the file";
    EXPECT_EQ(c.service.tls_key, "/etc/tls.key");
    EXPECT_EQ(c.service.jobs, 0U);
    EXPECT_EQ(c.service.timeout, std::chrono::minutes(2));
    EXPECT_TRUE(c.store.postgresql());
    EXPECT_EQ(c.store.sqlite_file(), "");
    EXPECT_EQ(c.log.level, config_log_level::wire);
    EXPECT_EQ(c.log.format, config_log_format::json);
    EXPECT_THAT(c.limits.presets, ElementsAre("gmail", ""));
    EXPECT_EQ(c.limits.connections_per_server, 20U);
    EXPECT_EQ(c.limits.octets_per_second, 2'000'000U);
    EXPECT_EQ(c.limits.messages_per_second, 0.5);
    EXPECT_EQ(c.limits.logins_per_second, 4.0);
    EXPECT_EQ(c.limits.octets_per_day, 1500U);
    using namespace std::chrono_literals;
    EXPECT_THAT(c.schedule.hours, ElementsAre(config_window{.days = 0b00'11111, .from = 20h, .to = 6h},
                                              config_window{.days = 0b10'00000, .from = 0h, .to = 24h}));
    EXPECT_EQ(c.schedule.delta_every, 0s);
}

TEST(config, oauth_and_defaults) {
    const config c = must(R"(
[oauth.work]
token_endpoint = "https://login.example.org/token"
client_id = "pf"
client_secret_file = "${CREDENTIALS_DIRECTORY}/secret"
[oauth.home]
token_endpoint = "https://login.example.org/token"
client_id = "pf"
refresh_token = "word-of-the-user"
[oauth.rows]
token_endpoint = "https://login.example.org/token"
client_id = "pf"
grant = "refresh-token"
[defaults]
source = "imaps://{user}@old?auth=xoauth2&oauth=home"
target_oauth = "work"
jobs = 20
acl = false
map = ['Old/(.*)=>Archive/\1']
limit_rate = 1000
)",
                          systemd)
                         .values;
    EXPECT_FALSE(c.oauth.at("work").refresh);
    EXPECT_EQ(c.oauth.at("work").client_secret.file, "/run/credentials/postferry/secret");
    EXPECT_TRUE(c.oauth.at("home").refresh) << "because a refresh token is there";
    EXPECT_EQ(c.oauth.at("home").refresh_token.value()->reveal(), "word-of-the-user");
    EXPECT_TRUE(c.oauth.at("rows").refresh);
    EXPECT_EQ(c.defaults.jobs, 20U);
    EXPECT_EQ(c.defaults.acl, false);
    EXPECT_THAT(c.defaults.map, ElementsAre("Old/(.*)=>Archive/\\1"));
    EXPECT_EQ(c.defaults.limit_rate, "1000");
}

TEST(config, a_drivers_settings_are_handed_on_unread) {
    const config_file f = must(R"(
[provisioning.pf]
database = "postgresql://pf@db/mail"
driver = "sql"
"odd key" = ["a", "b"]
password_file = "db.password"
quota-multiplier = 1024
[provisioning.pf.columns]
account = "mailbox"
)");
    const config_provisioning& p = f.values.provisioning.at("pf");
    EXPECT_EQ(p.driver, "sql");
    ASSERT_EQ(p.settings.size(), 5U);
    EXPECT_EQ(p.settings[0].key, "database");
    EXPECT_EQ(p.settings[0].where.line, 3U);
    EXPECT_EQ(p.settings[0].where.column, 12U);
    EXPECT_EQ(std::get<std::vector<std::string>>(p.settings[1].value).size(), 2U);
    EXPECT_EQ(std::get<std::string>(p.settings[2].value), "/etc/pf/db.password");
    EXPECT_EQ(std::get<std::int64_t>(p.settings[3].value), 1024);
    EXPECT_EQ(p.settings[4].key, "columns.account");
}

TEST(config, a_directory_gets_places_and_secrets) {
    const auto settings = provisioning_settings(must(R"([provisioning.pf]
driver = "sql"
batch = 100
tables.mailbox = "public.mailbox"
password_scheme = "BLF-CRYPT"
admin-password = "hush-hush"
)"),
                                                "pf");
    ASSERT_TRUE(settings);
    ASSERT_EQ(settings->size(), 5U);
    EXPECT_EQ((*settings)[0].name, "driver");
    EXPECT_EQ((*settings)[0].position, "/etc/pf/x.toml:2:1");
    EXPECT_EQ(std::get<std::int64_t>((*settings)[1].value), 100);
    EXPECT_EQ((*settings)[2].name, "tables.mailbox");
    EXPECT_EQ(std::get<std::string>((*settings)[3].value), "BLF-CRYPT") << "not every key with the word is a secret";
    EXPECT_EQ(std::get<secret>((*settings)[4].value).reveal(), "hush-hush");
    EXPECT_TRUE(provisioning_settings(must(""), "pf")->empty());
    const auto fraction = provisioning_settings(must("[provisioning.pf]\ndriver = \"none\"\nx = 1.5"), "pf");
    EXPECT_THAT(fraction.error().text(), HasSubstr("/etc/pf/x.toml:3:5: provisioning.pf.x: no driver takes a number"));
    const auto nowhere = provisioning_settings(
        must("[provisioning.pf]\ndriver = \"sql\"\npassword_file = \"${CREDENTIALS_DIRECTORY}/db\""), "pf");
    EXPECT_THAT(nowhere.error().text(), HasSubstr("CREDENTIALS_DIRECTORY is not set"));
}

TEST(config, all_faults_are_told_at_once_with_place_and_what_is_allowed) {
    const std::string text = faults(R"([service]
lisen = ["127.0.0.1:1"]
jobs = "eight"
threads = 1000
behind_proxy = 1
listen = ["127.0.0.1:1", "mail:80"]
  timeout = "1s"
url = "sqlite:/x"
[sevice]
jobs = 3
also = 4
[log]
level = "loud"
file = 2024-02-29
[limits]
limit_rate = "fast"
limit_logins = 0
preset = ["gmial"]
)");
    EXPECT_EQ(
        text,
        "x.toml:2:1: service.lisen: there is no such key; did you mean listen?\n"
        "x.toml:3:8: service.jobs: is a text, and takes a number from 0 to 1000\n"
        "x.toml:4:11: service.threads: is 1000, and takes a number from 0 to 256\n"
        "x.toml:5:16: service.behind_proxy: is a number, and takes true or false\n"
        "x.toml:6:10: service.listen: takes a list of ADDRESS:PORT, as \"127.0.0.1:8080\", \"[::1]:8080\" or "
        "\"*:8443\": number 2 has no IP address before the port (nor localhost, nor *)\n"
        "x.toml:7:13: service.timeout: takes a time such as \"90s\", \"30m\", \"4h\" or \"2d\", from 5s to 1h\n"
        "x.toml:8:1: service.url: there is no such key; it belongs into [store]\n"
        "x.toml:9:2: sevice: there is no such section; did you mean service?. There are oauth, defaults, service, "
        "store, log, limits, schedule, provisioning\n"
        "x.toml:13:9: log.level: takes error, warning, info, debug or wire\n"
        "x.toml:14:8: log.file: is a date or a time, and takes the path of a file\n"
        "x.toml:16:14: limits.limit_rate: takes a size such as \"25MB\" (10^6) or \"25MiB\" (2^20), or a number of "
        "octets\n"
        "x.toml:17:16: limits.limit_logins: takes a number a second such as 4 or 0.5\n"
        "x.toml:18:10: limits.preset: takes a list of presets of providers: NAME, source=NAME, target=NAME: is none "
        "of gmail, office365, exchange, yahoo, icloud, generic\n");
}

TEST(config, sections_and_names) {
    EXPECT_THAT(faults("jobs = 4"),
                HasSubstr("jobs: stands outside of all sections; it belongs into [defaults] or [service]"));
    EXPECT_THAT(faults("service = 4"), HasSubstr("is a section: [service]"));
    EXPECT_THAT(faults("[oauth]\nclient_id = \"x\""),
                HasSubstr("this section needs a name of your choice: [oauth.NAME]"));
    EXPECT_THAT(faults("[oauth.\"a b\"]\nclient_id = \"x\""), HasSubstr("a name is made of letters"));
    EXPECT_THAT(faults("[oauth.a]"), AllOf(HasSubstr("oauth.a.token_endpoint: is missing"), HasSubstr("x.toml:1:")));
    EXPECT_THAT(faults("[provisioning.x]\ndatabase = 1"),
                HasSubstr("provisioning.x.driver: is missing; it takes sql,"));
    EXPECT_THAT(faults("[service.jobs]\nx = 1"), HasSubstr("service.jobs: is a table, and takes a number"));
    EXPECT_THAT(faults("[[service]]\nx = 1"), HasSubstr("is a section"));
    EXPECT_THAT(faults("[provisioning.x]\ndriver = \"none\"\na.b.c.d.e.f.g.h.i = 1"), HasSubstr("more than 8 levels"));
}

TEST(config, what_belongs_together) {
    EXPECT_THAT(faults("[service]\ntls_key = \"k\""),
                HasSubstr(":2:1: service.tls_key: tls_certificate and tls_key belong"));
    EXPECT_THAT(faults("[service]\nlisten = [\"*:80\"]"), HasSubstr("passwords cross the network in the clear"));
    must("[service]\nlisten = [\"*:80\"]\nbehind_proxy = true");
    EXPECT_THAT(faults("[defaults]\nsource_oauth = \"a\""), HasSubstr("there is no [oauth.a]"));
    EXPECT_THAT(faults("[defaults]\ntarget = \"imaps://h?auth=xoauth2&oauth=b\""), HasSubstr("there is no [oauth.b]"));
    EXPECT_THAT(faults("[oauth.a]\ntoken_endpoint = \"https://h/\"\nclient_id = \"i\""),
                HasSubstr("needs client_secret"));
    EXPECT_THAT(faults("[store]\nurl = \"postgresql://a:pw-in-it@h/d\""),
                AllOf(HasSubstr("password_file"), Not(HasSubstr("pw-in"))));
}

constexpr std::string_view own_secret =
    "[oauth.a]\ntoken_endpoint = \"https://h/\"\nclient_id = \"i\"\nclient_secret = \"hush-hush\"\n";

TEST(config, a_file_that_others_can_read_holds_no_secret) {
    EXPECT_EQ(must(own_secret).values.oauth.at("a").client_secret.value()->reveal(), "hush-hush");
    EXPECT_THAT(faults(own_secret, true),
                AllOf(HasSubstr("x.toml:4:1: oauth.a.client_secret: is a secret"), HasSubstr("chmod o-rwx x.toml"),
                      HasSubstr("client_secret_file"), Not(HasSubstr("hush"))));
    EXPECT_THAT(faults("[provisioning.p]\ndriver = \"sql\"\nadmin-password = \"hush-hush\"", true),
                AllOf(HasSubstr("is a secret"), Not(HasSubstr("hush"))));
    EXPECT_THAT(faults(std::string(own_secret) + "client_secret_file = \"f\""), HasSubstr("exclude each other"));
}

TEST(config, a_secret_never_stands_in_a_fault_nor_in_the_effective_settings) {
    for (const char* line :
         {"client_secret = \"hush-hush\\q\"", "client_secret = hush-hush", "client_secret = 99999999999999999999999",
          "client_secret = [\"hush-hush\", 999999]", "client_secret = 'hush-hush"})
        EXPECT_THAT(faults(fmt::format("[oauth.a]\n{}\n", line)),
                    AllOf(Not(HasSubstr("hush")), Not(HasSubstr("9999")), HasSubstr("x.toml:2:")))
            << line;
    const std::string shown = effective_config(must(own_secret));
    EXPECT_THAT(shown, AllOf(HasSubstr("[oauth.a]\n"), HasSubstr("# client_secret is set\n"), Not(HasSubstr("hush"))));
}

TEST(config, what_is_no_toml_is_said_with_its_place) {
    EXPECT_THAT(faults("[service]\njobs = = 3\n"), AllOf(StartsWith("x.toml:2:"), HasSubstr("this is not TOML")));
    EXPECT_THAT(faults("[service]\n\xc7\xa8\xd8\x8f = 1\n"),
                HasSubstr("x.toml:2:1: only ASCII stands outside of texts"));
    EXPECT_THAT(faults("# ok\n#\xff\n"), HasSubstr("x.toml:2:1: is no UTF-8"));
    must("\xef\xbb\xbf# \xc3\xa9\n[provisioning.p]\ndriver = \"none\"\n\"\xc3\xa9\" = \"\xc3\xa9\"\n");
    EXPECT_THAT(faults("[(service]\n"), AllOf(StartsWith("x.toml:1:2"), HasSubstr("this is not TOML")));
    EXPECT_THAT(faults("[service]\njobs = 1\njobs = 2\n"), StartsWith("x.toml:3:"));
    EXPECT_THAT(faults(std::string("[service]\n\x01")), StartsWith("x.toml:2:"));
    EXPECT_THAT(faults(std::string((1U << 20U) + 1, '#')), HasSubstr("larger than 1 MiB"));
    std::string dots = "a";
    for (int i = 0; i < 100'000; ++i) dots += ".a";
    EXPECT_THAT(faults("#....................................................\nx = \"\"\"\n" + std::string(50, '.') +
                       "\n\"\"\"\n" + dots + " = 1"),
                HasSubstr("x.toml:5:1: more than 32 dots"));
    EXPECT_THAT(faults("a = " + std::string(5000, '[')), HasSubstr("not TOML"));
}

TEST(config, many_faults_are_counted) {
    std::string text = "[service]\n";
    for (int i = 0; i < 150; ++i) text += fmt::format("unknown_{} = 1\n", i);
    EXPECT_THAT(faults(text), HasSubstr("x.toml: and 50 more\n"));
}

TEST(config, windows) {
    using namespace std::chrono_literals;
    EXPECT_EQ(parse_window("22:00-05:30"), (config_window{.days = 0x7f, .from = 22h, .to = 5h + 30min}));
    EXPECT_EQ(parse_window("fri-mon"), (config_window{.days = 0b11'10001, .from = 0h, .to = 24h}));
    EXPECT_EQ(parse_window("tue,THU 00:00-24:00"), (config_window{.days = 0b00'01010, .from = 0h, .to = 24h}));
    for (const char* text :
         {"", "-", "mon-", "20:00", "20:00-6:00", "24:00-06:00", "20:60-21:00", "mon 20:00 - 21:00", "mon tue", "mon,"})
        EXPECT_FALSE(parse_window(text)) << text;
}

TEST(config, the_nearest_word) {
    const std::array<std::string_view, 4> words{"listen", "jobs", "tls_key", "timeout"};
    EXPECT_EQ(nearest_word("lisen", words), "listen");
    EXPECT_EQ(nearest_word("Tls-Key", words), "tls_key");
    EXPECT_EQ(nearest_word("tiemout", words), "timeout");
    EXPECT_EQ(nearest_word("job", words), "jobs");
    EXPECT_EQ(nearest_word("colour", words), "");
    EXPECT_EQ(nearest_word(std::string(100'000, 'x'), words), "");
}

class config_files : public testing::Test {
  protected:
    config_files() {
        std::string name = (std::filesystem::temp_directory_path() / "postferry-config-XXXXXX").string();
        folder_ = ::mkdtemp(name.data());
    }
    ~config_files() override { std::filesystem::remove_all(folder_); }

    std::filesystem::path write(std::string_view name, std::string_view text, ::mode_t mode = 0600) {
        const auto file = folder_ / name;
        std::ofstream(file) << text;
        ::chmod(file.c_str(), mode);
        return file;
    }

    std::filesystem::path folder_;
};

TEST_F(config_files, the_option_goes_before_the_environment_and_that_before_the_usual_place) {
    const auto first = write("first.toml", "[service]\njobs = 1"), second = write("second.toml", "[service]\njobs = 2"),
               third = write("third.toml", "[service]\njobs = 3");
    const std::string in_environment = second.string();
    config_surroundings around{.environment = [&](const char*) { return in_environment.c_str(); }, .usual = third};
    EXPECT_EQ(find_config(first, around)->values.service.jobs, 1U);
    EXPECT_EQ(find_config({}, around)->values.service.jobs, 2U);
    around.environment = [](const char*) { return ""; };
    EXPECT_EQ(find_config({}, around)->file, "") << "empty: none";
    around.environment = [](const char*) -> const char* { return nullptr; };
    const auto usual = find_config({}, around);
    EXPECT_EQ(usual->values.service.jobs, 3U);
    EXPECT_EQ(usual->note, "configuration: " + third.string());
    around.usual = folder_ / "none.toml";
    const auto none = find_config({}, around);
    EXPECT_EQ(none->file, "");
    EXPECT_EQ(none->values.service.jobs, 8U);
    EXPECT_THAT(none->note, HasSubstr("there is no"));
    EXPECT_THAT(find_config(around.usual, around).error().text(), HasSubstr("none.toml: cannot be read: No such file"));
    EXPECT_THAT(find_config(folder_, around).error().text(), HasSubstr("cannot be read"));
}

TEST_F(config_files, modes) {
    EXPECT_THAT(find_config(write("a", own_secret, 0644), nothing).error().text(), HasSubstr("others can read"));
    EXPECT_TRUE(find_config(write("b", own_secret, 0640), nothing)) << "the group may";
    EXPECT_THAT(find_config(write("c", "", 0666), nothing).error().text(),
                HasSubstr("can be written by others: chmod o-w"));
    const std::string text =
        "[oauth.a]\ntoken_endpoint = \"https://h/\"\nclient_id = \"i\"\nclient_secret_file = \"secret\"\n";
    const auto file = write("d", text, 0644);
    write("secret", "hush-hush\n", 0644);
    auto read = find_config(file, nothing);
    ASSERT_TRUE(read) << read.error().text();
    const auto problems = try_secrets(*read);
    ASSERT_EQ(problems.size(), 1U);
    EXPECT_EQ(problems[0].where.line, 4U);
    EXPECT_THAT(problems[0].what,
                AllOf(HasSubstr("oauth.a.client_secret_file: others can read"), HasSubstr("chmod o-rwx")));
    ::chmod((folder_ / "secret").c_str(), 0600);
    EXPECT_THAT(try_secrets(*read), IsEmpty());
    EXPECT_EQ(read->values.oauth.at("a").client_secret.value()->reveal(), "hush-hush");
    std::filesystem::remove(folder_ / "secret");
    EXPECT_EQ(try_secrets(*read).size(), 1U);
    const auto driver =
        find_config(write("e", "[provisioning.pf]\ndriver = \"sql\"\npassword_file = \"db\"\n"), nothing);
    EXPECT_THAT(try_secrets(*driver).at(0).what, HasSubstr("provisioning.pf.password_file: cannot read"));
    write("db", "of-the-database\n");
    EXPECT_THAT(try_secrets(*driver), IsEmpty());
    const auto settings = provisioning_settings(*driver, "pf");
    ASSERT_TRUE(settings) << settings.error().text();
    EXPECT_EQ(settings->at(1).name, "password");
    EXPECT_EQ(std::get<secret>(settings->at(1).value).reveal(), "of-the-database");
}

TEST(config, credentials_without_systemd_are_told_when_they_are_read) {
    const config_file f = must("[store]\npassword_file = \"${CREDENTIALS_DIRECTORY}/db\"");
    EXPECT_THAT(f.values.store.password.value().error().message(),
                AllOf(HasSubstr("store.password_file"), HasSubstr("CREDENTIALS_DIRECTORY is not set")));
    EXPECT_THAT(try_secrets(f), IsEmpty()) << "another process will have it";
}

} // namespace
} // namespace postferry::app
