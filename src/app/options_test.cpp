#include "app/options.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <sstream>

namespace postferry::app {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::Not;
using testing::StartsWith;

command_line parse(const std::vector<const char*>& words) { return parse_command_line(words); }

run_options must(const std::vector<const char*>& words) {
    auto line = parse(words);
    EXPECT_TRUE(line.run) << line.err;
    return line.run.value_or(run_options{});
}

std::string refusal(const std::vector<const char*>& words) {
    const auto line = parse(words);
    EXPECT_FALSE(line.run);
    EXPECT_EQ(line.exit_code, 2);
    EXPECT_EQ(line.out, "");
    return line.err;
}

constexpr const char* src = "imaps://alice@old.example.org";
constexpr const char* dst = "imaps://alice@new.example.org?prefix=Old";

TEST(options, copy_takes_two_endpoints_and_has_defaults) {
    const auto o = must({"copy", src, dst});
    EXPECT_EQ(o.what, command::copy);
    EXPECT_TRUE(o.one_mailbox());
    EXPECT_EQ(o.source_url, src);
    EXPECT_EQ(o.target_url, dst);
    EXPECT_EQ(o.jobs, 8U);
    EXPECT_EQ(o.timeout, std::chrono::minutes(3));
    EXPECT_EQ(o.state, "postferry.db");
    EXPECT_EQ(o.pass, transfer::pass_kind::bulk);
    EXPECT_FALSE(o.dry_run || o.json || o.quiet || o.skip_invalid);
    EXPECT_EQ(o.source_url, must({"copy", "--source", src, "--target", dst}).source_url);
}

TEST(options, migrate_takes_a_csv) {
    const auto o = must({"migrate", "a.csv", "--source", "imaps://{local}@imap.{domain}", "--target=imaps://new",
                         "--jobs", "20", "--skip-invalid"});
    EXPECT_EQ(o.accounts, "a.csv");
    EXPECT_EQ(o.source_url, "imaps://{local}@imap.{domain}");
    EXPECT_EQ(o.jobs, 20U);
    EXPECT_TRUE(o.skip_invalid);
}

TEST(options, plan_check_and_verify_take_either) {
    for (const char* name : {"plan", "check", "verify"}) {
        EXPECT_TRUE(must({name, src, dst}).one_mailbox());
        EXPECT_EQ(must({name, "./a:b.csv"}).accounts, "./a:b.csv");
        EXPECT_THAT(refusal({name, src}), HasSubstr("SOURCE and TARGET, or one ACCOUNTS.csv"));
        EXPECT_THAT(refusal({name}), HasSubstr("or one ACCOUNTS.csv"));
    }
    EXPECT_EQ(must({"verify", src, dst}).pass, transfer::pass_kind::verify);
}

TEST(options, everything_ends_in_the_struct) {
    const auto o = must({"copy",
                         "--include",
                         "INBOX",
                         "--include=Work/**",
                         src,
                         "--exclude",
                         "Trash",
                         dst,
                         "--map",
                         "A/(.*)=>B/\\1",
                         "--since",
                         "2024-02-29",
                         "--max-size",
                         "25MiB",
                         "--pass",
                         "delta",
                         "--state",
                         "l.db",
                         "--report",
                         "r.JSON",
                         "--dry-run",
                         "--json",
                         "--log",
                         "x.log",
                         "--log-format=json",
                         "-vv",
                         "--source-password-file",
                         "s.txt",
                         "--target-password-file",
                         "t.txt"});
    EXPECT_THAT(o.rules.include, ElementsAre("INBOX", "Work/**"));
    EXPECT_THAT(o.rules.exclude, ElementsAre("Trash"));
    ASSERT_EQ(o.rules.maps.size(), 1U);
    EXPECT_EQ(o.rules.maps[0].pattern, "A/(.*)");
    EXPECT_EQ(o.rules.maps[0].replacement, "B/\\1");
    EXPECT_EQ(o.since, std::chrono::sys_days(std::chrono::year(2024) / 2 / 29));
    EXPECT_EQ(o.max_size, 25U << 20U);
    EXPECT_EQ(o.pass, transfer::pass_kind::delta);
    EXPECT_EQ(o.state, "l.db");
    EXPECT_THAT(o.reports, ElementsAre("r.JSON"));
    EXPECT_TRUE(o.dry_run && o.json);
    EXPECT_EQ(o.log_file, "x.log");
    EXPECT_EQ(o.log, log_format::json);
    EXPECT_EQ(o.verbosity, 2);
    EXPECT_EQ(o.source.password_file, "s.txt");
    EXPECT_EQ(o.target.password_file, "t.txt");
}

TEST(options, what_is_not_there_yet_is_refused_by_name) {
    for (const char* name : {"bulletin", "dns", "cutover", "route", "ping"})
        EXPECT_THAT(refusal({name, "create", "--x"}),
                    StartsWith(std::string("postferry: ") + name +
                               " is part of the command line but not in this version yet\n"));
    EXPECT_EQ(must({"copy", "pop3://a@h", dst}).source_url, "pop3://a@h");
    EXPECT_THAT(refusal({"copy", src, "pop3://a@h"}), HasSubstr("it can only be a source"));
    EXPECT_THAT(refusal({"copy", "lmtp://a@h", dst}), HasSubstr("it can only be a target"));
    EXPECT_EQ(must({"copy", src, "maildir:/x"}).target_url, "maildir:/x");
}

TEST(options, repairs) {
    using message::repair;
    EXPECT_EQ(must({"copy", src, dst}).repairs, message::repair_set::all());
    EXPECT_EQ(must({"copy", src, dst, "--repair", "all"}).repairs, message::repair_set::all());
    EXPECT_EQ(must({"copy", src, dst, "--no-repair"}).repairs, message::repair_set{});
    EXPECT_TRUE(must({"copy", src, dst, "--acl"}).acl);
    EXPECT_FALSE(must({"copy", src, dst}).acl);
    EXPECT_EQ(must({"migrate", "a.csv", "--repair=nul,long-lines"}).repairs,
              (message::repair_set{repair::nul, repair::long_lines}));
    EXPECT_THAT(refusal({"copy", src, dst, "--repair", "nul,noise"}), HasSubstr("--repair takes all, or some of"));
    EXPECT_THAT(refusal({"copy", src, dst, "--repair", "nul", "--no-repair"}), HasSubstr("excludes"));
}

TEST(options, faults_say_what_is_allowed) {
    EXPECT_THAT(refusal({}), HasSubstr("a command is needed: copy, migrate"));
    EXPECT_THAT(refusal({"kopy"}), HasSubstr("Try: postferry --help"));
    EXPECT_THAT(refusal({"copy", src}), HasSubstr("copy takes SOURCE and TARGET"));
    EXPECT_THAT(refusal({"copy", "a.csv"}), HasSubstr("copy takes SOURCE and TARGET"));
    EXPECT_THAT(refusal({"migrate", src, dst}), HasSubstr("migrate takes one ACCOUNTS.csv"));
    EXPECT_THAT(refusal({"copy", src, dst, "--source", src}), HasSubstr("twice"));
    EXPECT_THAT(refusal({"copy", src, dst, "--colour"}), HasSubstr("--colour"));
    EXPECT_THAT(refusal({"copy", src, dst, "--jobs", "0"}), HasSubstr("--jobs"));
    EXPECT_THAT(refusal({"copy", src, dst, "--jobs", "many"}), HasSubstr("--jobs"));
    for (const char* seconds : {"4", "3601", "-1", "soon"})
        EXPECT_THAT(refusal({"copy", src, dst, "--timeout", seconds}), HasSubstr("--timeout"));
    EXPECT_EQ(must({"copy", src, dst, "--timeout", "5"}).timeout, std::chrono::seconds(5));
    EXPECT_THAT(refusal({"copy", src, dst, "--since", "2023-02-29"}), HasSubstr("2024-02-29"));
    EXPECT_THAT(refusal({"copy", src, dst, "--max-size", "big"}), HasSubstr("25MiB"));
    EXPECT_THAT(refusal({"copy", src, dst, "--max-size", "0"}), HasSubstr("25MiB"));
    EXPECT_THAT(refusal({"copy", src, dst, "--pass", "fast"}), HasSubstr("sweep, repair or verify"));
    EXPECT_THAT(refusal({"verify", src, dst, "--pass", "bulk"}), HasSubstr("takes no --pass bulk"));
    EXPECT_THAT(refusal({"copy", src, dst, "--report", "r.txt"}), HasSubstr(".json"));
    EXPECT_THAT(refusal({"copy", src, dst, "--map", "nothing"}), HasSubstr("=>"));
    EXPECT_THAT(refusal({"copy", src, dst, "--exclude", ""}), HasSubstr("--exclude"));
    EXPECT_THAT(refusal({"copy", src, dst, "--log-format", "json"}), HasSubstr("--log"));
    EXPECT_THAT(refusal({"copy", src, dst, "--log", "x", "--log-format", "xml"}), HasSubstr("text or json"));
    EXPECT_THAT(refusal({"copy", src, dst, "-v", "--quiet"}), HasSubstr("excludes"));
    EXPECT_THAT(refusal({"copy", src, dst, "--skip-invalid"}), HasSubstr("ACCOUNTS.csv"));
    EXPECT_THAT(refusal({"copy", src, src}), HasSubstr("same mailbox"));
    EXPECT_THAT(refusal({"copy", "imaps://{user}@h", dst}), HasSubstr("rows of ACCOUNTS.csv"));
    EXPECT_THAT(refusal({"copy", "imaps://h", dst}), HasSubstr("source: the URL names no user"));
    EXPECT_THAT(refusal({"migrate", "a.csv", "--source", "imaps://h?tls=x"}), HasSubstr("source: tls= takes"));
    EXPECT_THAT(refusal({"copy", src, dst, "--source-token-file", "t"}), HasSubstr("needs auth=xoauth2"));
    EXPECT_THAT(refusal({"copy", "imaps://a@h?auth=xoauth2", dst}), HasSubstr("needs --source-token-file"));
    EXPECT_THAT(refusal({"copy", src, dst, "--target-token-file", "t", "--target-password-file", "p"}),
                HasSubstr("exclude each other"));
}

TEST(options, what_was_probably_meant_is_named) {
    EXPECT_THAT(refusal({"copy", src, dst, "--exlude", "Trash"}),
                HasSubstr("copy has no option --exlude. Did you mean --exclude?"));
    EXPECT_THAT(refusal({"copy", src, dst, "--exlude=Trash"}), HasSubstr("--exlude. Did you mean --exclude?"));
    EXPECT_THAT(refusal({"copy", src, dst, "--password=hunter2"}), Not(HasSubstr("hunter2")));
    EXPECT_THAT(refusal({"report", "--sate", "x"}), HasSubstr("report has no option --sate. Did you mean --state?"));
    EXPECT_THAT(refusal({"cpoy", src, dst}), HasSubstr("Did you mean copy?"));
    EXPECT_THAT(refusal({"COPY", src, dst}), HasSubstr("Did you mean copy?"));
    EXPECT_THAT(refusal({"--verson"}), HasSubstr("Did you mean --version?"));
    EXPECT_THAT(refusal({"--state", "x", "copy", src, dst}), HasSubstr("--state stands behind the command"));
    EXPECT_THAT(refusal({"copy", src, dst, "--exclude"}), HasSubstr("--exclude needs a value: --exclude FOLDER-GLOB"));
    EXPECT_THAT(refusal({"copy", src, dst, "--jobs", "many"}), HasSubstr("--jobs takes a number\n"));
    EXPECT_THAT(refusal({"copy", "accounts.csv"}), HasSubstr("postferry migrate accounts.csv"));
    EXPECT_THAT(refusal({"migrate", src, dst}), HasSubstr("postferry copy SOURCE TARGET"));
    EXPECT_THAT(refusal({"copy", "/home/anna/Maildir", dst}), HasSubstr("maildir:/PATH"));
}

TEST(options, a_size_without_its_unit_is_a_slip) {
    EXPECT_THAT(refusal({"copy", src, dst, "--max-size", "25"}), HasSubstr("25 octets is hardly meant: write 25MB"));
    EXPECT_THAT(refusal({"copy", src, dst, "--limit-rate", "2"}), HasSubstr("2 octets is hardly meant: write 2MB"));
    EXPECT_THAT(refusal({"copy", src, dst, "--daily-bytes", "500"}), HasSubstr("write 500MB"));
    EXPECT_EQ(must({"copy", src, dst, "--max-size", "25B"}).max_size, 25U);
    EXPECT_EQ(must({"copy", src, dst, "--max-size", "25000000"}).max_size, 25'000'000U);
}

TEST(options, passes_by_name) {
    for (const char* name : {"trial", "bulk", "delta", "final", "sweep", "repair", "verify"})
        EXPECT_EQ(name_of(must({"copy", src, dst, "--pass", name}).pass), name);
}

TEST(options, delete_extra_looks_at_everything_or_is_refused) {
    EXPECT_FALSE(must({"copy", src, dst}).delete_extra) << "never the default";
    for (const char* pass : {"bulk", "delta", "final"})
        EXPECT_TRUE(must({"copy", src, dst, "--delete-extra", "--pass", pass}).delete_extra);
    for (const char* pass : {"trial", "repair", "sweep", "verify"})
        EXPECT_THAT(refusal({"copy", src, dst, "--delete-extra", "--pass", pass}), HasSubstr("--delete-extra"));
    EXPECT_THAT(refusal({"verify", src, dst, "--delete-extra"}), HasSubstr("verify deletes nothing"));
    EXPECT_THAT(refusal({"check", src, dst, "--delete-extra"}), HasSubstr("check deletes nothing"));
    EXPECT_TRUE(must({"copy", src, dst, "--delete-extra", "--dry-run"}).dry_run);
}

TEST(options, samples) {
    EXPECT_FALSE(must({"verify", src, dst}).sample.wanted());
    EXPECT_EQ(must({"verify", src, dst, "--sample", "600"}).sample.messages, 600U);
    EXPECT_DOUBLE_EQ(must({"verify", src, dst, "--sample", "1%"}).sample.share.value_or(0), 0.01);
    EXPECT_DOUBLE_EQ(must({"verify", src, dst, "--sample", "0.25%"}).sample.share.value_or(0), 0.0025);
    const auto o = must({"copy", src, dst, "--pass", "verify", "--sample", "100%", "--seed", "18446744073709551615"});
    EXPECT_EQ(o.sample.seed, UINT64_MAX);
    EXPECT_TRUE(o.seed_given);
    for (const char* text : {"0", "0%", "101%", "1.5.5%", "-1", "many", "%", "0.0%", "1,5%"})
        EXPECT_THAT(refusal({"verify", src, dst, "--sample", text}), HasSubstr("--sample takes")) << text;
    EXPECT_THAT(refusal({"copy", src, dst, "--sample", "600"}), HasSubstr("are for verify"));
    EXPECT_THAT(refusal({"verify", src, dst, "--seed", "7"}), HasSubstr("goes with --sample"));
}

TEST(options, reports_of_each_kind) {
    const auto o = must({"copy", src, dst, "--report", "r.json", "--report", "r.csv", "--report", "r.HTML", "--report",
                         "r.htm", "--sign-key", "key.pem"});
    EXPECT_THAT(o.reports, ElementsAre("r.json", "r.csv", "r.HTML", "r.htm"));
    EXPECT_EQ(o.sign_key, "key.pem");
    EXPECT_THAT(refusal({"copy", src, dst, "--report", "r.json", "--report", "r.json"}), HasSubstr("twice"));
    EXPECT_THAT(refusal({"plan", src, dst, "--report", "r.html"}), HasSubstr("one .json file"));
    EXPECT_THAT(refusal({"copy", src, dst, "--dry-run", "--report", "a.json", "--report", "b.json"}),
                HasSubstr("one .json file"));
    EXPECT_THAT(refusal({"copy", src, dst, "--sign-key", "key.pem"}), HasSubstr("--sign-key signs"));
    EXPECT_THAT(refusal({"check", src, dst, "--report", "r.json", "--sign-key", "key.pem"}), HasSubstr("--sign-key"));
}

TEST(options, report_renders_a_ledger) {
    const auto o = must({"report", "alice", "bob@", "--state", "s.db", "--pass", "verify", "--report", "r.html"});
    EXPECT_EQ(o.what, command::report);
    EXPECT_THAT(o.filters, ElementsAre("alice", "bob@"));
    EXPECT_EQ(o.report_pass, "verify");
    EXPECT_EQ(o.state, "s.db");
    EXPECT_THAT(o.reports, ElementsAre("r.html"));
    EXPECT_EQ(must({"report"}).state, "postferry.db");
    EXPECT_EQ(must({"report", "--make-key", "k"}).make_key, "k");
    EXPECT_EQ(must({"report", "--check-signature", "r.json", "--key", "k.pub"}).key, "k.pub");
    EXPECT_THAT(refusal({"report", "--check-signature", "r.json"}), HasSubstr("needs --key"));
    EXPECT_THAT(refusal({"report", "--pass", "fast"}), HasSubstr("--pass takes"));
    EXPECT_THAT(refusal({"report", "--jobs", "3"}), HasSubstr("--jobs"));
    EXPECT_THAT(parse({"report", "--help"}).out, HasSubstr("--make-key"));
}

TEST(options, a_password_in_a_url_is_not_repeated) {
    EXPECT_THAT(refusal({"copy", "imap://alice:hunter2@h", dst}), Not(HasSubstr("hunter2")));
}

TEST(options, help_teaches) {
    const auto main = parse({"--help"});
    EXPECT_FALSE(main.run);
    EXPECT_EQ(main.exit_code, 0);
    for (const char* part : {"Exit codes:", "copy many mailboxes", "POSTFERRY_SOURCE_PASSWORD", "130  interrupted",
                             "postferry copy --help"})
        EXPECT_THAT(main.out, HasSubstr(part));
    for (const char* name : {"copy", "migrate", "plan", "check", "verify"}) {
        const auto help = parse({name, "--help"});
        EXPECT_EQ(help.exit_code, 0);
        for (const char* part : {"Usage: postferry ", "Examples:\n", "--jobs N  ", "--json  ",
                                 "What is copied:", "The run:", "Output:", "Both ends:"})
            EXPECT_THAT(help.out, HasSubstr(part)) << name;
        std::istringstream lines(help.out);
        for (std::string line; std::getline(lines, line);) EXPECT_LE(line.size(), 130U) << line;
    }
}

TEST(options, help_is_a_command_too) {
    EXPECT_EQ(parse({"help"}).out, parse({"--help"}).out);
    EXPECT_EQ(parse({"help", "copy"}).out, parse({"copy", "--help"}).out);
    EXPECT_THAT(refusal({"help", "kopy"}), HasSubstr("Did you mean copy?"));
    EXPECT_EQ(parse({"-V"}).out, parse({"--version"}).out);
}

TEST(options, version) {
    const auto line = parse({"--version"});
    EXPECT_EQ(line.exit_code, 0);
    EXPECT_THAT(line.out, StartsWith("postferry " POSTFERRY_VERSION "\n"));
}

} // namespace
} // namespace postferry::app
