#include "app/noun_context.hpp"
#include "app/remote_problem.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace postferry::app {
namespace {

using testing::HasSubstr;

error of(unsigned status, std::string_view body) {
    return error_of_problem(status, body, "POST /api/v1/batches", false, std::nullopt);
}

TEST(remote_problem, fields_are_named_as_people_write_them) {
    const error e = of(
        422,
        R"({"title": "Not valid", "status": 422, "detail": "Some fields are not as they must be; nothing was changed",
        "errors": [{"field": "/settings/windows/0/from", "reason": "must be HH:MM"}, {"field": "/name", "reason": "is missing"}]})");
    EXPECT_EQ(e.message(), "Some fields are not as they must be; nothing was changed\n  settings.windows[0].from must "
                           "be HH:MM\n  name is missing");
    EXPECT_EQ(exit_code_of_remote(e), 2);
    EXPECT_EQ(e.response_code, "422");
}

TEST(remote_problem, each_status_has_its_exit_code_and_its_advice) {
    EXPECT_EQ(exit_code_of_remote(of(404, R"({"title":"Not found","status":404})")), 2);
    EXPECT_EQ(exit_code_of_remote(of(409, "{}")), 2);
    for (const unsigned status : {401U, 403U, 429U, 500U, 503U, 507U})
        EXPECT_EQ(exit_code_of_remote(of(status, R"({"detail":"no"})")), 3) << status;
    EXPECT_THAT(of(401, R"({"detail":"Sign in, or send an API token"})").message(), HasSubstr("--token-file"));
    EXPECT_THAT(error_of_problem(401, "{}", "GET /x", true, std::nullopt).message(), HasSubstr("sudo"));
    EXPECT_THAT(error_of_problem(429, R"({"detail":"slower"})", "GET /x", true, std::chrono::seconds(30)).message(),
                HasSubstr("Try again in 30 s"));
}

TEST(remote_problem, what_is_no_problem_of_ours_is_told_by_its_status) {
    EXPECT_THAT(of(404, "<html>nginx</html>").message(),
                HasSubstr("answered POST /api/v1/batches with 404. Is there a Postferry"));
    EXPECT_THAT(of(502, "").message(), HasSubstr("with 502"));
    EXPECT_EQ(of(409, "[]").where, phase::usage);
}

TEST(remote_problem, control_characters_do_not_reach_the_terminal) {
    EXPECT_EQ(of(409, R"({"detail":"\u001b[31mred"})").what, "\\x1b[31mred");
}

} // namespace
} // namespace postferry::app
