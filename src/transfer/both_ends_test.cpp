#include "transfer/detail/both_ends.hpp"

#include <gtest/gtest.h>

namespace postferry::transfer {
namespace {

error failed(retry_class cls, std::string what, std::string said = {}, std::string advice = {}) {
    return {.cls = cls,
            .what = std::move(what),
            .server_said = std::move(said),
            .advice = std::move(advice),
            .response_code = {}};
}

TEST(both_ends, advice_that_both_have_is_given_once) {
    const error both = of_both_ends(failed(retry_class::auth, "a refused anna", "\"NO no\"", "Check the password"),
                                    failed(retry_class::auth, "b refused anna", "\"NO bad\"", "Check the password"));
    EXPECT_EQ(both.message(),
              "source: a refused anna (\"NO no\"); target: b refused anna (\"NO bad\"). Check the password");
    EXPECT_EQ(both.cls, retry_class::auth);
}

TEST(both_ends, each_has_its_own_advice) {
    const error both = of_both_ends(failed(retry_class::auth, "a refused anna", {}, "Check the password"),
                                    failed(retry_class::config, "b has no TLS", {}, "Add tls=off"));
    EXPECT_EQ(both.message(), "source: a refused anna; Check the password; target: b has no TLS; Add tls=off");
}

TEST(both_ends, what_goes_away_by_itself_is_named_behind_what_somebody_must_mend) {
    error away = failed(retry_class::transient, "b does not answer", {}, "Check host and port");
    away.backoff_ms = 500;
    const error wrong = failed(retry_class::auth, "a refused anna", "\"NO no\"", "Check the password");
    const error both = of_both_ends(wrong, away);
    EXPECT_EQ(both.message(), "source: a refused anna; the target cannot be used now: b does not answer; server said: "
                              "\"NO no\". Check the password");
    EXPECT_EQ(both.cls, retry_class::auth);
    EXPECT_EQ(both.backoff_ms, 500);
    EXPECT_TRUE(of_both_ends(away, wrong).what.starts_with("target: a refused anna; the source cannot be used now: b"));
}

} // namespace
} // namespace postferry::transfer
