#include "api/json_writer.hpp"

#include <boost/json.hpp>
#include <gtest/gtest.h>

namespace postferry::api {
namespace {

TEST(json_writer, writes_what_a_tree_of_values_would) {
    std::string every;
    for (int c = 0; c < 256; ++c) every += static_cast<char>(c);
    std::string text;
    json_writer w(text);
    w.open();
    w.put("every", every);
    w.put("empty", "");
    w.put("least", INT64_MIN);
    w.put("most", UINT64_MAX);
    w.put("yes", true);
    w.put("none", std::optional<int>());
    w.put("some", std::optional<int>(7));
    w.open("nested");
    w.close();
    w.open("other");
    w.put_or_null("a", "");
    w.put_or_null("b", "x");
    w.close();
    w.put_moment("at", 1'795'370'400'250);
    w.put_moment("never", std::nullopt);
    w.close();
    const boost::json::object same{{"every", every},
                                   {"empty", ""},
                                   {"least", INT64_MIN},
                                   {"most", UINT64_MAX},
                                   {"yes", true},
                                   {"none", nullptr},
                                   {"some", 7},
                                   {"nested", boost::json::object()},
                                   {"other", {{"a", nullptr}, {"b", "x"}}},
                                   {"at", "2026-11-22T18:00:00.250Z"},
                                   {"never", nullptr}};
    EXPECT_EQ(text, boost::json::serialize(same));
}

} // namespace
} // namespace postferry::api
