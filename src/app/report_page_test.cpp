// The report as a table and as a page.
#include "app/report_csv.hpp"
#include "app/report_html.hpp"
#include "app/sample_reports.hpp"

#include <gmock/gmock.h>

#include <filesystem>
#include <fstream>
#include <sstream>
#include <unistd.h>

namespace postferry::app {
namespace {

namespace json = boost::json;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::Not;

std::vector<std::string> cells_of(std::string_view row) {
    std::vector<std::string> out(1);
    bool quoted = false;
    for (std::size_t i = 0; i < row.size(); ++i) {
        const char c = row[i];
        if (c == '"' && quoted && i + 1 < row.size() && row[i + 1] == '"') {
            out.back() += '"';
            ++i;
        } else if (c == '"') {
            quoted = !quoted;
        } else if (c == ',' && !quoted) {
            out.emplace_back();
        } else {
            out.back() += c;
        }
    }
    return out;
}

std::string cell(const transfer::mailbox_report& r, std::string_view column) {
    const auto names = cells_of(csv_header());
    const auto at = std::ranges::find(names, column) - names.begin();
    return cells_of(csv_row(json_of(r))).at(static_cast<std::size_t>(at));
}

TEST(report_csv, every_row_has_every_column) {
    const auto columns = cells_of(csv_header()).size();
    for (const auto& r : {samples::synced(), samples::with_failures(), samples::verified(), samples::sampled(),
                          samples::with_deletions(), samples::wrong_password()})
        EXPECT_EQ(cells_of(csv_row(json_of(r))).size(), columns) << r.source;
    EXPECT_EQ(cells_of(csv_row({})).size(), columns) << "what is missing is empty or 0";
    EXPECT_TRUE(csv_row({}).ends_with("\r\n"));
}

TEST(report_csv, tells_what_the_mailbox_did) {
    EXPECT_EQ(cell(samples::with_failures(), "source"), "imaps://bob@old");
    EXPECT_EQ(cell(samples::with_failures(), "messages_failed"), "2");
    EXPECT_EQ(cell(samples::with_failures(), "failures_waived"), "1");
    EXPECT_EQ(cell(samples::with_failures(), "messages_residual"), "0");
    EXPECT_EQ(cell(samples::with_failures(), "skip_rules"), "'--max-size 25 MB=6") << "no formula";
    EXPECT_EQ(cell(samples::verified(), "verify_identical"), "4998");
    EXPECT_EQ(cell(samples::synced(), "verify_identical"), "") << "it was not verified";
    EXPECT_EQ(cell(samples::wrong_password(), "advice"), "Check user name and password");
    EXPECT_EQ(cell(samples::with_deletions(), "deleted"), "3");
}

TEST(report_csv, no_cell_is_a_formula) {
    EXPECT_EQ(csv_cell("=1+1"), "'=1+1");
    EXPECT_EQ(csv_cell("+49"), "'+49");
    EXPECT_EQ(csv_cell("-x"), "'-x");
    EXPECT_EQ(csv_cell("@SUM(A1)"), "'@SUM(A1)");
    EXPECT_EQ(csv_cell("\t=1"), "\"'\t=1\"");
    EXPECT_EQ(csv_cell("\r=1"), "\"'\r=1\"");
    EXPECT_EQ(csv_cell("a,\"b\""), "\"a,\"\"b\"\"\"");
    EXPECT_EQ(csv_cell("plain"), "plain");
    EXPECT_EQ(csv_cell(""), "");
}

class report_html : public testing::Test {
  protected:
    std::filesystem::path place_ =
        std::filesystem::temp_directory_path() / ("postferry-page-" + std::to_string(::getpid()) + ".html");
    void TearDown() override { std::filesystem::remove(place_); }

    std::string page(const std::vector<transfer::mailbox_report>& reports) {
        auto file = atomic_file::create(place_);
        EXPECT_TRUE(file);
        const mailbox_walk walk = [&](const auto& take) -> result<void> {
            for (const auto& r : reports)
                if (auto ok = take(json::serialize(json_of(r))); !ok) return ok;
            return {};
        };
        EXPECT_TRUE(
            write_html_report(*file, {.started = "2024-02-29T12:00:00Z", .ended = "2024-02-29T13:00:00Z"}, walk));
        EXPECT_TRUE(file->commit());
        std::ostringstream text;
        text << std::ifstream(place_).rdbuf();
        return text.str();
    }
};

TEST_F(report_html, needs_nothing_from_elsewhere) {
    const std::string text = page({samples::synced(), samples::with_failures()});
    for (const char* word :
         {"<script", "<link", "<img", "<iframe", "url(", "@import", "src=", "http:", "https:", "javascript:"})
        EXPECT_THAT(text, Not(HasSubstr(word)));
    EXPECT_THAT(text, HasSubstr("default-src 'none'"));
    EXPECT_THAT(text, HasSubstr("prefers-color-scheme:dark"));
    EXPECT_THAT(text, HasSubstr("@media print"));
}

TEST_F(report_html, every_text_is_escaped) {
    transfer::mailbox_report r = samples::with_failures();
    const std::string evil = "</title><script>alert(1)</script>\"'&\x1b[2J";
    r.source = r.target = evil;
    r.failures[0].folder = r.failures[0].reason = r.failures[0].message_id = evil;
    r.folders[0].source = r.folders[0].target = r.folders[0].state = evil;
    r.warnings = r.keywords_dropped = r.not_deleted = {evil};
    r.skip_rules = {{evil, 1}};
    r.repairs = {{evil, 1}};
    r.stopped_by = error{.cls = retry_class::auth,
                         .where = phase::login,
                         .what = evil,
                         .server_said = {},
                         .advice = evil,
                         .response_code = {}};
    const std::string text = page({r, samples::with_deletions()});
    EXPECT_THAT(text, Not(HasSubstr("<script")));
    EXPECT_THAT(text, Not(HasSubstr("\x1b")));
    EXPECT_THAT(text, HasSubstr("&lt;script&gt;alert(1)&lt;/script&gt;&quot;&#39;&amp;"));
}

TEST_F(report_html, failures_have_cause_and_advice) {
    const std::string text = page({samples::with_failures()});
    EXPECT_THAT(text, HasSubstr("Mail size is larger than the maximum size allowed"));
    EXPECT_THAT(text, HasSubstr("Raise the target&#39;s limit"));
    EXPECT_THAT(text, HasSubstr("accepted by the administrator"));
}

TEST_F(report_html, a_sampled_proof_says_what_it_is_worth) {
    const std::string text = page({samples::sampled()});
    EXPECT_THAT(text, HasSubstr("12.0 % of the messages drawn by lot"));
    EXPECT_THAT(text, HasSubstr("(600)</b>, without a difference"));
    EXPECT_THAT(text, HasSubstr("no more than 0.5 % of all messages differ"));
    EXPECT_THAT(text, HasSubstr("Seed 42"));
}

TEST_F(report_html, grades_are_explained_and_counted) {
    const std::string text = page({samples::synced(), samples::synced(), samples::wrong_password()});
    EXPECT_THAT(text, HasSubstr("2 perfect"));
    EXPECT_THAT(text, HasSubstr("1 poor"));
    EXPECT_THAT(text, HasSubstr("at most 10, and at most one in 1,000"));
    EXPECT_THAT(text, HasSubstr("Something needs a look"));
    EXPECT_THAT(page({samples::synced()}), HasSubstr("Everything is accounted for"));
}

TEST_F(report_html, of_no_mailbox_at_all) { EXPECT_THAT(page({}), HasSubstr("0 mailboxes")); }

TEST(balance_picture, parts_add_up_and_small_ones_can_be_seen) {
    const std::string picture =
        balance_picture({.source = 100'001, .copied = 100'000, .present = 0, .skipped = 0, .failed = 1}, "large");
    EXPECT_THAT(picture, HasSubstr("class=\"f-failed\" x=\"994.0\" y=\"6\" width=\"6.0\""));
    EXPECT_THAT(picture, HasSubstr("class=\"f-source\" x=\"0\" y=\"0\" width=\"1000.0\""));
    EXPECT_THAT(picture, HasSubstr("100,001 messages on the source: 100,000 copied; 1 failed;"));
    EXPECT_THAT(balance_picture({.source = 10, .copied = 5}, "x"), HasSubstr("f-open\" x=\"500.0\""));
    EXPECT_THAT(balance_picture({}, "x"), Not(HasSubstr("rect")));
    const std::string more = balance_picture({.source = 1, .copied = 2}, "large");
    EXPECT_THAT(more, Not(HasSubstr("f-open"))) << "more than there was";
    EXPECT_THAT(more, HasSubstr("f-source\" x=\"0\" y=\"0\" width=\"500.0\"")) << "and it shows";
}

} // namespace
} // namespace postferry::app
