#include "app/credentials.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <fstream>
#include <map>
#include <pty.h>
#include <sys/wait.h>
#include <termios.h>
#include <unistd.h>

namespace postferry::app {
namespace {

using testing::HasSubstr;

struct file {
    explicit file(std::string_view text)
        : path(std::filesystem::temp_directory_path() / ("postferry-secret-" + std::to_string(::getpid()))) {
        std::ofstream(path, std::ios::binary) << text;
    }
    ~file() { std::filesystem::remove(path); }
    std::filesystem::path path;
};

/// A machine with these variables and, if given, a person who answers so.
struct machine {
    std::map<std::string, std::string, std::less<>> variables{};
    std::optional<std::string> person{};
    std::vector<std::string> prompts{};

    password_sources sources() {
        return {.environment =
                    [this](const char* name) {
                        const auto it = variables.find(name);
                        return it == variables.end() ? static_cast<const char*>(nullptr) : it->second.c_str();
                    },
                .ask = [this](const std::string& prompt) -> std::optional<result<secret>> {
                    prompts.push_back(prompt);
                    if (!person) return std::nullopt;
                    return result<secret>(secret(*person));
                }};
    }
};

run_options one(std::string source = "imaps://alice@old", std::string target = "imaps://alice@new") {
    run_options o;
    o.source_url = std::move(source);
    o.target_url = std::move(target);
    return o;
}

TEST(credentials, a_file_goes_before_the_environment_and_that_before_the_person) {
    const file f("from file\r\nsecond line\n");
    machine m{.variables = {{"POSTFERRY_SOURCE_PASSWORD", "env s"}, {"POSTFERRY_TARGET_PASSWORD", ""}},
              .person = "typed"};
    auto o = one();
    ASSERT_TRUE(complete_passwords(o, m.sources()));
    EXPECT_EQ(o.source.password.reveal(), "env s");
    EXPECT_EQ(o.target.password.reveal(), "typed");
    EXPECT_THAT(m.prompts, testing::ElementsAre("Password for the target imaps://alice@new: "));
    o.source.password_file = f.path;
    ASSERT_TRUE(complete_passwords(o, m.sources()));
    EXPECT_EQ(o.source.password.reveal(), "from file");
}

TEST(credentials, nobody_there_is_a_fault_that_says_what_to_do) {
    machine m;
    auto o = one();
    const auto r = complete_passwords(o, m.sources());
    ASSERT_FALSE(r);
    EXPECT_EQ(r.error().cls, retry_class::config);
    EXPECT_THAT(r.error().message(), HasSubstr("Give --source-password-file, or set POSTFERRY_SOURCE_PASSWORD"));
}

TEST(credentials, a_certificate_needs_none) {
    machine m;
    auto o = one("imaps://a@old?auth=external&cert=c&key=k", "imaps://a@new?auth=external&cert=c&key=k");
    EXPECT_TRUE(complete_passwords(o, m.sources()));
    EXPECT_TRUE(m.prompts.empty());
}

TEST(credentials, a_csv_asks_only_for_a_common_login) {
    machine m{.person = "adminpw"};
    auto o = one("imaps://old?admin=root", "imaps://new");
    o.accounts = "a.csv";
    ASSERT_TRUE(complete_passwords(o, m.sources()));
    EXPECT_EQ(o.source.password.reveal(), "adminpw");
    EXPECT_TRUE(o.target.password.empty());
    EXPECT_THAT(m.prompts, testing::ElementsAre(HasSubstr("imaps://old as root")));
    machine nobody;
    auto again = one("imaps://old?admin=root", "");
    again.accounts = "a.csv";
    EXPECT_TRUE(complete_passwords(again, nobody.sources())); // the rows may have it
}

TEST(credentials, files_that_hold_no_password) {
    EXPECT_THAT(read_secret_file("/nonexistent", "--source-password-file").error().message(),
                HasSubstr("--source-password-file: cannot read /nonexistent: No such file"));
    EXPECT_THAT(read_secret_file("/", "x").error().message(), HasSubstr("cannot read"));
    for (const std::string_view text :
         {std::string_view(""), std::string_view("\nhunter2\n"), std::string_view("a\0b", 3)}) {
        const file f(text);
        const auto r = read_secret_file(f.path, "x");
        ASSERT_FALSE(r);
        EXPECT_EQ(r.error().message().find("hunter2"), std::string::npos);
    }
    const file big(std::string(100'000, 'x'));
    EXPECT_THAT(read_secret_file(big.path, "x").error().message(), HasSubstr("too long"));
    const file spaces(" p w \n");
    EXPECT_EQ(read_secret_file(spaces.path, "x")->reveal(), " p w ");
}

/// A terminal: what the person types goes in at once, what they see comes out.
struct terminal {
    int person = -1, program = -1;
    terminal() { EXPECT_EQ(::openpty(&person, &program, nullptr, nullptr, nullptr), 0); }
    ~terminal() {
        ::close(person);
        ::close(program);
    }
    [[nodiscard]] tcflag_t local_flags() const {
        termios t{};
        ::tcgetattr(program, &t);
        return t.c_lflag;
    }
    /// ask_on_terminal flushes what was typed before its prompt, so the typing waits for the prompt.
    result<secret> ask(std::string_view typed) {
        std::string seen_by_person;
        const pid_t child = ::fork();
        if (child == 0) {
            char c = 0;
            while (::read(person, &c, 1) == 1 && c != '?') {
            }
            const bool all = ::write(person, typed.data(), typed.size()) == static_cast<ssize_t>(typed.size());
            ::_exit(all ? 0 : 1);
        }
        auto r = ask_on_terminal(program, "Password?");
        int status = 0;
        ::waitpid(child, &status, 0);
        return r;
    }
    std::string screen() const {
        std::string text(4096, '\0');
        const ssize_t n = ::read(person, text.data(), text.size());
        text.resize(n > 0 ? static_cast<std::size_t>(n) : 0);
        return text;
    }
};

TEST(credentials, the_terminal_shows_nothing_and_is_as_before) {
    terminal t;
    const auto before = t.local_flags();
    const auto r = t.ask("wrong\x15huntxé\x7f\x7f"
                         "er2\n");
    ASSERT_TRUE(r);
    EXPECT_EQ(r->reveal(), "hunter2");
    EXPECT_EQ(t.local_flags(), before);
    EXPECT_THAT(t.screen(), testing::Not(HasSubstr("hunt")));
}

TEST(credentials, control_c_gives_up_and_leaves_the_terminal_as_before) {
    terminal t;
    const auto before = t.local_flags();
    const auto r = t.ask("hun\x03");
    ASSERT_FALSE(r);
    EXPECT_EQ(r.error().cls, retry_class::cancelled);
    EXPECT_EQ(t.local_flags(), before);
}

} // namespace
} // namespace postferry::app
