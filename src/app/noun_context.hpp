#pragma once
// What a command over the API has in hand.
#include "app/noun_words.hpp"
#include "app/remote.hpp"
#include "app/remote_values.hpp"
#include "app/text_table.hpp"

#include <boost/json.hpp>

#include <functional>
#include <span>
#include <string>
#include <string_view>

namespace postferry::app {

class noun_context {
  public:
    noun_context(const noun_words& w, remote& r) : words(w), api(r) {}

    const noun_words& words;
    remote& api;

    [[nodiscard]] bool json() const { return words.has("--json"); }
    [[nodiscard]] bool quiet() const { return words.has("--quiet"); }
    /// For people; nothing with --json or --quiet.
    void say(std::string_view line) const;
    /// What was asked for: one line of JSON with --json, else `text`.
    void show(const boost::json::value& value, const std::function<std::string()>& text) const;

    /// Goes through a collection. With --json a line for each; else a table of what `row` makes of each, up to
    /// `--limit` of them (`usual`, where that is not given; --limit 0: all), and `none` where there is none.
    [[nodiscard]] result<int> list(const std::string& target, text_table table,
                                   const std::function<std::vector<std::string>(const boost::json::object&)>& row,
                                   std::string_view none, std::uint64_t usual = 0) const;

    struct where {
        std::string narrowed = {};         ///< query that finds the name among few: "?name=spring"
        std::string all = {};              ///< query of where to look for what was probably meant
        std::string_view field = "name";   ///< its name
        std::string_view other_field = {}; ///< another one that does as well
    };
    /// By its number or its name. Errors (phase usage): none of that name, with those that are nearly named so;
    /// several.
    /// @param collection "/batches"  @param what as people call it: "batch"
    [[nodiscard]] result<boost::json::object> find(std::string_view collection, const std::string& word,
                                                   std::string_view what, const where& look) const;
};

/// An error of usage (exit code 2).
[[nodiscard]] std::unexpected<error> misused(std::string what, std::string advice = {});
/// 3: not reached, not allowed, not now; 5: this machine; 130: cancelled; else 2.
[[nodiscard]] int exit_code_of_remote(const error& why) noexcept;
/// "?a=b&c=d" of what was given: pairs of an option and the name of the query's field.
[[nodiscard]] std::string query_of(const noun_words& words,
                                   std::span<const std::pair<std::string_view, std::string_view>> fields);

/// The object that a reply is; an empty one when it is none.
[[nodiscard]] const boost::json::object& whole(const remote_reply& reply);

} // namespace postferry::app
