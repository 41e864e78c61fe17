// The driver `exec` with real programs: what they are told, how they answer, and that they end.
#include "directory/exec_provisioner.hpp"
#include "directory/test_directory.hpp"

#include <boost/asio/bind_cancellation_slot.hpp>
#include <boost/asio/cancellation_signal.hpp>
#include <boost/asio/steady_timer.hpp>
#include <gmock/gmock.h>

#include <csignal>
#include <filesystem>
#include <fstream>
#include <sstream>
#include <unistd.h>

namespace postferry::directory {
namespace {

using enum create_mode;
using namespace std::chrono_literals;
using testing::HasSubstr;

class exec_provisioner_test : public testing::Test {
  protected:
    void SetUp() override {
        std::string name = (std::filesystem::temp_directory_path() / "pf-exec-XXXXXX").string();
        ASSERT_NE(::mkdtemp(name.data()), nullptr);
        folder = name;
    }
    void TearDown() override { std::filesystem::remove_all(folder); }

    /// A program that is this shell script; $0's folder is `here`.
    std::string script(const std::string& name, const std::string& text) {
        const std::filesystem::path path = folder / name;
        std::ofstream(path) << "#!/bin/sh\nhere=" << folder.string() << "\n" << text;
        std::filesystem::permissions(path, std::filesystem::perms::owner_all);
        return path.string();
    }
    void use(verb v, const std::string& text) { settings.commands[v] = {script(std::string(name_of(v)), text)}; }
    std::string words(const std::string& name) {
        std::ifstream in(folder / name);
        std::stringstream all;
        all << in.rdbuf();
        return all.str();
    }
    exec_provisioner driver() { return exec_provisioner(settings); }

    std::filesystem::path folder;
    exec_settings settings;
};

TEST_F(exec_provisioner_test, values_are_in_the_environment_and_the_password_is_on_standard_input) {
    use(verb::account_create,
        "env | sort > $here/told; cat > $here/read; tr '\\0' ' ' < /proc/$$/cmdline > $here/line; pwd > $here/where\n"
        "ls /proc/$$/fd | tr '\\n' ' ' > $here/open\n");
    settings.commands[verb::account_create].push_back("--flag with spaces;$(touch /tmp/no)");
    const auto out = run(driver().account_create(
        {.address = addr("anna@example.org"), .password = plain("pass word 'x'"), .name = "Anna; rm", .quota = 5000},
        create_only));
    EXPECT_EQ(told(out), "created");
    const std::string env = words("told");
    for (const char* line :
         {"POSTFERRY_ADDRESS=anna@example.org\n", "POSTFERRY_LOCAL=anna\n", "POSTFERRY_DOMAIN=example.org\n",
          "POSTFERRY_QUOTA=5000\n", "POSTFERRY_NAME=Anna; rm\n", "POSTFERRY_MODE=create-only\n",
          "POSTFERRY_VERB=account-create\n", "POSTFERRY_PASSWORD_FORM=plain\n"})
        EXPECT_THAT(env, HasSubstr(line));
    EXPECT_THAT(env, Not(HasSubstr("pass word")));
    EXPECT_THAT(env, Not(HasSubstr("POSTFERRY_SOURCE_DIR"))) << "our own environment";
    EXPECT_EQ(words("read"), "pass word 'x'\n");
    EXPECT_THAT(words("line"), HasSubstr("--flag with spaces;$(touch /tmp/no)"));
    EXPECT_THAT(words("line"), Not(HasSubstr("pass word")));
    EXPECT_EQ(words("where"), "/\n");
    // 10: the script's own.
    EXPECT_THAT(words("open"), testing::AnyOf("0 1 10 2 ", "0 1 2 "));
}

TEST_F(exec_provisioner_test, exit_codes_mean_what_the_settings_say) {
    use(verb::account_create, "echo oops >&2; exit $(cat $here/code)\n");
    const auto with = [&](int code, create_mode mode) {
        std::ofstream(folder / "code") << code;
        return told(run(driver().account_create({.address = addr("a@b")}, mode)));
    };
    const std::string program = settings.commands[verb::account_create][0];
    EXPECT_EQ(with(0, create_only), "created");
    EXPECT_EQ(with(17, create_only), "config ALREADYEXISTS: " + program + " ended with 17, which means that it exists");
    EXPECT_EQ(with(17, upsert), "existed");
    EXPECT_EQ(with(18, upsert),
              "config NONEXISTENT: " + program + " ended with 18, which means that there is no such account or domain");
    EXPECT_EQ(with(19, upsert), "unchanged");
    EXPECT_EQ(with(75, upsert), "transient: " + program + " ended with 75");
    EXPECT_EQ(with(1, upsert), "permanent: " + program + " ended with 1");
    settings.exists_code = 1;
    EXPECT_EQ(with(1, upsert), "existed");
    const auto failed = run(driver().account_create({.address = addr("a@b")}, create_only));
    EXPECT_EQ(failed.error().server_said, "\"oops\"");
}

TEST_F(exec_provisioner_test, a_command_may_say_what_it_has_done) {
    use(verb::account_create, "echo updated the account\n");
    use(verb::suspend, "echo $POSTFERRY_SUSPENDED > $here/told; echo unchanged\n");
    EXPECT_EQ(told(run(driver().account_create({.address = addr("a@b")}, upsert))), "updated");
    EXPECT_EQ(told(run(driver().suspend(addr("a@b"), true))), "unchanged");
    EXPECT_EQ(words("told"), "1\n");
}

TEST_F(exec_provisioner_test, every_verb_is_told_its_values) {
    for (const verb v :
         {verb::domain_create, verb::set_password, verb::set_quota, verb::alias_create, verb::account_exists})
        use(v, "env | grep POSTFERRY | sort | tr '\\n' ' ' > $here/told; cat >> $here/told\n");
    EXPECT_EQ(told(run(driver().domain_create({.name = dom("b.org"), .max_accounts = 3, .language = "de"}))),
              "created");
    EXPECT_EQ(words("told"), "POSTFERRY_ACTIVE=1 POSTFERRY_DOMAIN=b.org POSTFERRY_LANGUAGE=de POSTFERRY_MAX_ACCOUNTS=3 "
                             "POSTFERRY_VERB=domain-create ");
    const std::string who = "POSTFERRY_ADDRESS=a@b.org POSTFERRY_DOMAIN=b.org POSTFERRY_LOCAL=a ";
    EXPECT_EQ(told(run(driver().set_password(addr("a@b.org"), hashed("{PLAIN}x")))), "updated");
    EXPECT_EQ(words("told"), who + "POSTFERRY_PASSWORD_FORM=hashed POSTFERRY_VERB=set-password {PLAIN}x\n");
    EXPECT_EQ(told(run(driver().set_quota(addr("a@b.org"), 0))), "updated");
    EXPECT_EQ(words("told"), who + "POSTFERRY_QUOTA=0 POSTFERRY_VERB=set-quota ");
    EXPECT_EQ(told(run(driver().alias_create({.address = addr("a@b.org"), .targets = {addr("c@d"), addr("e@f")}}))),
              "created");
    EXPECT_EQ(words("told"), who + "POSTFERRY_TARGETS=c@d e@f POSTFERRY_VERB=alias-create ");
    EXPECT_EQ(run(driver().account_exists(addr("a@b.org"))), true);
    use(verb::account_exists, "exit 18");
    EXPECT_EQ(run(driver().account_exists(addr("a@b.org"))), false);
    use(verb::account_exists, "exit 1");
    EXPECT_FALSE(run(driver().account_exists(addr("a@b.org"))));
}

TEST_F(exec_provisioner_test, verbs_without_a_command_and_odd_passwords_are_refused) {
    EXPECT_FALSE(driver().can(verb::suspend));
    EXPECT_EQ(told(run(driver().suspend(addr("a@b"), true))), "config CANNOT: the driver exec cannot do suspend");
    use(verb::set_password, "exit 0");
    EXPECT_TRUE(driver().can(verb::set_password));
    EXPECT_FALSE(run(driver().set_password(addr("a@b"), plain("two\nlines"))));
    EXPECT_FALSE(run(driver().set_password(addr("a@b"), plain(std::string("n\0l", 3)))));
    EXPECT_FALSE(run(driver().set_password(addr("a@b"), plain(std::string(5000, 'x')))));
    EXPECT_FALSE(run(driver().set_password(addr("a@b"), {})));
    settings.commands[verb::set_password] = {(folder / "none").string()};
    EXPECT_TRUE(told(run(driver().set_password(addr("a@b"), plain("x")))).starts_with("config: cannot run "))
        << told(run(driver().set_password(addr("a@b"), plain("x"))));
}

// The script and what it has started, which holds its standard output, both end.
TEST_F(exec_provisioner_test, a_late_command_is_killed_with_all_it_has_started) {
    use(verb::suspend, "echo $$ > $here/pid; sleep 1000 & echo $! > $here/child; sleep 1000\n");
    settings.patience = 300ms;
    const auto begin = std::chrono::steady_clock::now();
    const auto out = run(driver().suspend(addr("a@b"), true));
    EXPECT_LT(std::chrono::steady_clock::now() - begin, 20s);
    EXPECT_TRUE(told(out).starts_with("transient: ")) << told(out);
    EXPECT_THAT(told(out), HasSubstr("did not end in time"));
    EXPECT_EQ(::kill(std::stoi(words("pid")), 0), -1) << "reaped";
    // Its child is init's to reap now; it is dead or about to be.
    const std::string status = "/proc/" + std::to_string(std::stoi(words("child"))) + "/stat";
    for (int i = 0; i < 1000 && std::filesystem::exists(status); ++i) {
        std::ifstream in(status);
        std::string id, name, state;
        in >> id >> name >> state;
        if (state == "Z") break;
        ASSERT_LT(i, 999) << state;
        ::sched_yield();
    }
}

TEST_F(exec_provisioner_test, cancelling_kills_it) {
    use(verb::suspend, "echo $$ > $here/pid; exec sleep 1000\n");
    boost::asio::io_context io{1};
    boost::asio::cancellation_signal stop;
    exec_provisioner exec = driver();
    bool ended = false;
    boost::asio::co_spawn(
        io, exec.suspend(addr("a@b"), true),
        boost::asio::bind_cancellation_slot(stop.slot(), [&](std::exception_ptr, auto) { ended = true; }));
    boost::asio::steady_timer look(io);
    const std::function<void()> when_it_runs = [&] {
        if (words("pid").ends_with('\n')) return stop.emit(boost::asio::cancellation_type::terminal);
        look.expires_after(1ms);
        look.async_wait([&](auto) { when_it_runs(); });
    };
    when_it_runs();
    io.run();
    EXPECT_TRUE(ended);
    EXPECT_EQ(::kill(std::stoi(words("pid")), 0), -1);
}

TEST_F(exec_provisioner_test, much_output_is_read_and_its_beginning_is_kept_escaped) {
    use(verb::suspend, "head -c 3000000 /dev/zero; head -c 3000000 /dev/zero >&2; exit 3\n");
    const auto out = run(driver().suspend(addr("a@b"), true));
    EXPECT_TRUE(told(out).ends_with("ended with 3"));
    EXPECT_LT(out.error().server_said.size(), 2000U);
    EXPECT_THAT(out.error().server_said, HasSubstr("\\x00"));
}

TEST_F(exec_provisioner_test, a_command_that_reads_nothing_and_ends_by_a_signal) {
    use(verb::set_password, "exec <&-; kill -9 $$\n");
    EXPECT_TRUE(told(run(driver().set_password(addr("a@b"), plain("x")))).ends_with("ended with 137"));
}

TEST_F(exec_provisioner_test, many_run_side_by_side_but_not_more_than_allowed) {
    // Everybody waits until three are there: with fewer than three places this would be late.
    use(verb::account_create, "mkdir $here/in-$POSTFERRY_LOCAL; n=0; while [ $n -lt 3 ]; do n=$(ls -d $here/in-* | wc "
                              "-l); done; ls -d $here/now-* 2>/dev/null | wc -l >> $here/most\n"
                              "touch $here/now-$POSTFERRY_LOCAL; [ $POSTFERRY_LOCAL = u4 ] && exit 17; rm "
                              "$here/now-$POSTFERRY_LOCAL; exit 0\n");
    settings.concurrency = 3;
    std::vector<account_spec> many;
    for (int i = 0; i < 9; ++i) many.push_back({.address = addr("u" + std::to_string(i) + "@b")});
    const auto out = run(driver().create_many(many, create_only));
    ASSERT_EQ(out.size(), 9U);
    for (std::size_t i = 0; i < 9; ++i) EXPECT_EQ(out[i].has_value(), i != 4) << told(out[i]);
    std::ifstream most(folder / "most");
    for (int n = 0; most >> n;) EXPECT_LE(n, 3);
}

TEST_F(exec_provisioner_test, lists_are_lines) {
    use(verb::list_accounts, "i=0; while [ $i -lt 2500 ]; do echo \"u$i@$POSTFERRY_DOMAIN\"; i=$((i+1)); done; printf "
                             "'x@b\\tXaver X\\t500\\t0\\n\\ny@b\\t\\t\\t1'\n");
    std::vector<account_entry> all;
    int pages = 0;
    ASSERT_TRUE(run(driver().list_accounts(dom("b"), [&](std::span<account_entry> page) -> result<void> {
        ++pages;
        all.insert(all.end(), page.begin(), page.end());
        return {};
    })));
    ASSERT_EQ(all.size(), 2502U);
    EXPECT_EQ(pages, 3);
    EXPECT_EQ(all[1].address, "u1@b");
    EXPECT_EQ(all[2500].name, "Xaver X");
    EXPECT_EQ(all[2500].quota, 500U);
    EXPECT_FALSE(all[2500].active);
    EXPECT_EQ(all[2501].quota, std::nullopt);
    use(verb::list_aliases, "printf 'info@b\\ta@b,c@d\\n'\n");
    std::string aliases;
    ASSERT_TRUE(run(driver().list_aliases(dom("b"), [&](std::span<alias_entry> page) -> result<void> {
        for (const auto& e : page) aliases += e.address + ":" + e.targets.at(0) + ":" + e.targets.at(1);
        return {};
    })));
    EXPECT_EQ(aliases, "info@b:a@b:c@d");
}

TEST_F(exec_provisioner_test, lists_that_are_none_are_refused) {
    const auto take_all = [](std::span<account_entry>) -> result<void> { return {}; };
    for (const char* text : {"printf 'a@b\\tx\\tmany\\n'", "printf 'a@b\\tx\\t1\\t2\\n'", "printf '\\377\\n'",
                             "printf 'a\\t\\t\\t\\t\\n'", "printf '\\tx\\n'"}) {
        use(verb::list_accounts, text);
        const auto ok = run(driver().list_accounts(dom("b"), take_all));
        ASSERT_FALSE(ok) << text;
        EXPECT_EQ(ok.error().cls, retry_class::protocol);
    }
    // A line without end, from a program without end.
    use(verb::list_accounts, "while :; do printf xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx; done\n");
    EXPECT_THAT(run(driver().list_accounts(dom("b"), take_all)).error().what, HasSubstr("16384"));
    use(verb::list_accounts, "while :; do echo a@b; done\n");
    EXPECT_EQ(run(driver().list_accounts(dom("b"),
                                         [](std::span<account_entry>) -> result<void> {
                                             return fail(retry_class::local, phase::list, "enough");
                                         }))
                  .error()
                  .what,
              "enough");
    use(verb::list_accounts, "echo a@b; exit 1\n");
    EXPECT_FALSE(run(driver().list_accounts(dom("b"), take_all)));
}

TEST_F(exec_provisioner_test, the_check_looks_at_the_programs) {
    use(verb::account_create, "exit 0");
    EXPECT_TRUE(run(driver().check())->good());
    settings.commands[verb::suspend] = {"/no/such/program"};
    settings.commands[verb::set_quota] = {script("open", "")};
    std::filesystem::permissions(folder / "open", std::filesystem::perms::all);
    const auto report = run(driver().check());
    ASSERT_FALSE(report->good());
    std::string texts;
    for (const auto& f : report->findings) texts += f.text + "\n";
    EXPECT_THAT(texts, HasSubstr("suspend: /no/such/program is not there"));
    EXPECT_THAT(texts, HasSubstr("can be written by anybody"));
}

} // namespace
} // namespace postferry::directory
