#include "transfer/folder_rules.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace postferry::transfer {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using verdict = mapped_folder::verdict;

std::vector<folder_entry> listed(std::initializer_list<std::string_view> names) {
    std::vector<folder_entry> out;
    for (const std::string_view name : names) out.push_back({.name = std::string(name)});
    return out;
}

folder_entry special(std::string_view name, special_use use) { return {.name = std::string(name), .use = use}; }

folder_map map_of(const std::vector<folder_entry>& source, const std::vector<folder_entry>& target = {},
                  const folder_rules& rules = {}, const target_naming& naming = {}) {
    auto out = map_folders(source, target, rules, naming);
    EXPECT_TRUE(out);
    return out ? *out : folder_map{};
}

/// "source -> target (why)", or "source: verdict".
std::vector<std::string> shown(const folder_map& map) {
    std::vector<std::string> out;
    for (const mapped_folder& f : map.folders) {
        std::string line = f.source;
        line += f.what == verdict::copy ? " -> " + f.target : ": " + std::string(name_of(f.what));
        if (!f.why.empty()) line += " (" + f.why + ")";
        out.push_back(line);
    }
    return out;
}

TEST(glob_match, stars_and_levels) {
    struct glob_case {
        std::string_view glob, name;
        bool matches;
    };
    for (const glob_case& c : {glob_case{"Work", "Work", true},
                               {"Work", "work", false},
                               {"Work", "Work/a", false},
                               {"*", "Work", true},
                               {"*", "Work/a", false},
                               {"*/*", "Work/a", true},
                               {"**", "Work/a/b", true},
                               {"**", "", true},
                               {"Work/**", "Work/a/b", true},
                               {"Work/**", "Work", false},
                               {"Work**", "Work", true},
                               {"**/a", "x/y/a", true},
                               {"W?rk", "Work", true},
                               {"W?rk", "W/rk", false},
                               {"?t?", "Été", true},
                               {"a***b", "a/x/b", true},
                               {"a.b[c]", "a.b[c]", true},
                               {"a.b", "axb", false},
                               {"*.*", "a.b", true},
                               {"inbox", "INBOX", true},
                               {"Inbox/Lists", "INBOX/Lists", true},
                               {"inb*", "INBOX/x", false},
                               {"INB*", "Inbox", true},
                               {"inbox/lists", "INBOX/Lists", false},
                               {"inboxes", "INBOXES", false},
                               {"", "", true},
                               {"", "a", false},
                               {"*\xff", "a\xff", true}})
        EXPECT_EQ(glob_match(c.glob, c.name), c.matches) << c.glob << " against " << c.name;
}

TEST(glob_match, many_stars_take_no_exponential_time) {
    std::string glob;
    for (int i = 0; i < 200; ++i) glob += "*a**a";
    EXPECT_FALSE(glob_match(glob + "b", std::string(2000, 'a')));
    EXPECT_TRUE(glob_match(glob, std::string(2000, 'a')));
}

TEST(parse_map_rule, splits_at_the_first_arrow) {
    const auto rule = parse_map_rule("Old/(.*)=>Archive/\\1=>x");
    ASSERT_TRUE(rule);
    EXPECT_EQ(rule->pattern, "Old/(.*)");
    EXPECT_EQ(rule->replacement, "Archive/\\1=>x");
}

TEST(parse_map_rule, names_what_is_wrong) {
    struct fault {
        std::string_view text, what;
    };
    for (const fault& f : {fault{"Old", "no \"=>\""},
                           {"=>x", "expression is empty"},
                           {"x=>", "replacement is empty"},
                           {"(x=>y", "missing )"},
                           {"x=>\\1", "\\1"}}) {
        const auto rule = parse_map_rule(f.text);
        ASSERT_FALSE(rule) << f.text;
        EXPECT_EQ(rule.error().cls, retry_class::config);
        EXPECT_THAT(rule.error().what, HasSubstr(f.what)) << f.text;
        EXPECT_THAT(rule.error().advice, HasSubstr("REGEX=>REPLACEMENT"));
    }
}

TEST(map_folders, keeps_names_and_puts_inbox_first) {
    EXPECT_THAT(shown(map_of(listed({"Work", "Work/Été", "Inbox"}))),
                ElementsAre("INBOX -> INBOX", "Work -> Work", "Work/Été -> Work/Été"));
}

TEST(map_folders, inbox_is_inbox_in_any_case) {
    const auto map = map_of(listed({"inbox", "INBOX", "Inbox/Lists", "INBOXES"}));
    EXPECT_THAT(shown(map), ElementsAre("INBOX -> INBOX", "Inbox/Lists -> INBOX/Lists", "INBOXES -> INBOXES"));
    EXPECT_EQ(map.folders[0].use, special_use::inbox);
}

TEST(map_folders, excludes_and_includes) {
    folder_rules rules;
    rules.include = {"INBOX", "Work", "Work/**"};
    rules.exclude = {"Work/secret", "Work/secret/**"};
    const auto map = map_of(listed({"INBOX", "Work", "Work/a", "Work/secret/x", "Other"}), {}, rules);
    EXPECT_THAT(shown(map), ElementsAre("INBOX -> INBOX", "Work -> Work", "Work/a -> Work/a", "Work/secret/x: excluded",
                                        "Other: not included"));
}

TEST(map_folders, other_peoples_folders_only_when_asked_for) {
    auto source = listed({"INBOX", "Shared/a", "Other Users/bob"});
    source[1].personal = source[2].personal = false;
    EXPECT_THAT(shown(map_of(source)),
                ElementsAre("INBOX -> INBOX", "Shared/a: not personal", "Other Users/bob: not personal"));
    folder_rules rules;
    rules.include = {"**", "Shared/**"};
    EXPECT_THAT(shown(map_of(source, {}, rules)),
                ElementsAre("INBOX -> INBOX", "Shared/a -> Shared/a", "Other Users/bob: not personal"));
}

TEST(map_folders, what_its_own_server_leaves_out_is_copied_only_by_its_name) {
    const std::vector<folder_entry> source{{.name = "INBOX"}, {.name = "[Gmail]/Chats", .left_out = "no mail"}};
    const auto what = [&](const folder_rules& rules) {
        const auto map = map_folders(source, {}, rules, {});
        return std::pair(map->folders[1].what, map->folders[1].why);
    };
    EXPECT_EQ(what({}), std::pair(verdict::excluded, std::string("no mail")));
    EXPECT_EQ(what({.maps = {}, .include = {"**"}, .exclude = {}}),
              std::pair(verdict::excluded, std::string("no mail")));
    EXPECT_EQ(what({.maps = {}, .include = {"[Gmail]/Chats"}, .exclude = {}}).first, verdict::copy);
}

TEST(map_folders, a_folder_that_holds_all_mail_comes_last) {
    const std::vector<folder_entry> source{
        {.name = "All Mail", .use = special_use::all}, {.name = "Work"}, {.name = "INBOX"}, {.name = "Old"}};
    std::vector<std::string> order;
    for (const mapped_folder& f : map_folders(source, {}, {}, {})->folders) order.push_back(f.source);
    EXPECT_THAT(order, ElementsAre("INBOX", "Work", "Old", "All Mail"));
}

TEST(map_folders, does_not_select_what_cannot_be_selected) {
    auto source = listed({"[Gmail]", "[Gmail]/All Mail"});
    source[0].selectable = false;
    const auto map = map_of(source);
    EXPECT_THAT(shown(map), ElementsAre("[Gmail]: not selectable", "[Gmail]/All Mail -> [Gmail]/All Mail"));
    EXPECT_EQ(map.folders[0].target, "[Gmail]");
}

TEST(map_folders, the_first_map_wins_and_matches_whole_names) {
    folder_rules rules;
    rules.maps = {{"Old/(.*)", "Archive/\\1"}, {"Old/.*|Sent", "Never"}, {"Stuff", "inbox"}};
    const auto map = map_of(listed({"Old/2019", "Older", "Stuff", "INBOX"}), {}, rules);
    EXPECT_THAT(shown(map), ElementsAre("INBOX -> INBOX", "Old/2019 -> Archive/2019 (--map Old/(.*)=>Archive/\\1)",
                                        "Older -> Older", "Stuff -> INBOX (--map Stuff=>inbox)"));
    ASSERT_EQ(map.collisions.size(), 1U);
    EXPECT_EQ(map.collisions[0].how, "merged by --map");
    EXPECT_THAT(map.collisions[0].sources, ElementsAre("INBOX", "Stuff"));
    EXPECT_FALSE(map.collisions[0].fatal);
}

TEST(map_folders, a_map_that_does_not_compile_is_refused) {
    folder_rules rules;
    rules.maps = {{"(", "x"}};
    const auto map = map_folders(listed({"a"}), {}, rules, {});
    ASSERT_FALSE(map);
    EXPECT_EQ(map.error().cls, retry_class::config);
}

TEST(map_folders, special_folders_find_the_targets_own) {
    const auto map =
        map_of({special("Sent", special_use::sent), special("Sent/2019", special_use::none),
                special("Papierkorb", special_use::none)},
               {special("Éléments envoyés", special_use::sent), special("Deleted Items", special_use::trash)});
    EXPECT_THAT(shown(map), ElementsAre("Sent -> Éléments envoyés (special use \\Sent)",
                                        "Sent/2019 -> Éléments envoyés/2019 (below special use \\Sent)",
                                        "Papierkorb -> Deleted Items (special use \\Trash)"));
    EXPECT_EQ(map.folders[2].use, special_use::trash);
}

TEST(map_folders, what_the_server_says_counts_before_names) {
    const auto map = map_of({special("Outbox", special_use::sent), special("Gesendet", special_use::none)},
                            {special("Sent", special_use::none)});
    EXPECT_THAT(shown(map), ElementsAre("Outbox -> Sent (special use \\Sent)", "Gesendet -> Gesendet"));
}

TEST(map_folders, two_folders_of_one_use_keep_their_names) {
    EXPECT_THAT(shown(map_of(listed({"Sent Items", "Gesendet"}), {special("Sent", special_use::sent)})),
                ElementsAre("Sent Items -> Sent Items", "Gesendet -> Gesendet"));
    EXPECT_THAT(
        shown(map_of(listed({"Gesendet"}), {special("Sent", special_use::sent), special("Sent 2", special_use::sent)})),
        ElementsAre("Gesendet -> Gesendet"));
}

TEST(map_folders, a_mapped_or_excluded_folder_leaves_its_use_to_the_other) {
    folder_rules rules;
    rules.maps = {{"Sent Items", "Old sent"}};
    EXPECT_THAT(
        shown(map_of(listed({"Sent Items", "Gesendet"}), {special("Sent", special_use::sent)}, rules)),
        ElementsAre("Sent Items -> Old sent (--map Sent Items=>Old sent)", "Gesendet -> Sent (special use \\Sent)"));
}

TEST(map_folders, an_explicit_map_beats_special_use) {
    folder_rules rules;
    rules.maps = {{"Sent", "Sent mail of 2019"}};
    EXPECT_THAT(shown(map_of({special("Sent", special_use::sent)}, {special("Gesendet", special_use::sent)}, rules)),
                ElementsAre("Sent -> Sent mail of 2019 (--map Sent=>Sent mail of 2019)"));
}

TEST(map_folders, virtual_folders_and_other_peoples_are_no_special_targets) {
    auto target = std::vector{special("Virtual/All", special_use::all), special("Shared/Sent", special_use::sent)};
    target[1].personal = false;
    EXPECT_THAT(shown(map_of({special("All Mail", special_use::all), special("Gesendet", special_use::sent)}, target)),
                ElementsAre("Gesendet -> Gesendet", "All Mail -> All Mail"));
}

TEST(map_folders, special_use_gives_way_to_a_folder_of_that_name) {
    const auto map = map_of({special("Sent", special_use::sent), special("Sent Items", special_use::none)},
                            {special("Sent Items", special_use::sent)});
    EXPECT_THAT(shown(map), ElementsAre("Sent -> Sent", "Sent Items -> Sent Items"));
    ASSERT_EQ(map.collisions.size(), 1U);
    EXPECT_FALSE(map.collisions[0].fatal);
    EXPECT_THAT(map.collisions[0].how, HasSubstr("special use \\Sent"));
}

TEST(map_folders, a_delimiter_inside_a_level_becomes_its_look_alike) {
    const auto map = map_of(listed({"v1.2/a.b", "plain", "AC∕DC"}), {}, {}, {.delimiter = '.'});
    EXPECT_THAT(shown(map),
                ElementsAre("v1.2/a.b -> v1․2/a․b (\".\" is the target's delimiter and is written as \"․\")",
                            "plain -> plain", "AC∕DC -> AC∕DC"));
    EXPECT_EQ(map_of(listed({"a\\b"}), {}, {}, {.delimiter = '\\'}).folders[0].target, "a∖b");
    EXPECT_EQ(map_of(listed({"a~b"}), {}, {}, {.delimiter = '~'}).folders[0].target, "a%7Eb");
    EXPECT_EQ(map_of(listed({"a.b"}), {}, {}, {.delimiter = '/'}).folders[0].target, "a.b");
}

TEST(map_folders, names_that_servers_refuse_are_written_so_that_they_can_be_read) {
    const auto map = map_of({special("tab\there", special_use::none), special("a//b/", special_use::none),
                             special("caf\xe9", special_use::none), special("end ", special_use::none)},
                            {}, {}, {.trailing_spaces = false});
    EXPECT_THAT(shown(map),
                ElementsAre("tab\there -> tab␉here (control characters are written as their pictures (U+2400 ...))",
                            "a//b/ -> a/␣/b/␣ (an empty level is written as \"␣\")",
                            "caf\xe9 -> caf%E9 (octets that are no UTF-8 are written as %XX)",
                            "end  -> end␣ (spaces at the end of a level are written as \"␣\")"));
    EXPECT_EQ(map_of(listed({"end "})).folders[0].target, "end ");
}

// docs/quirks.md#names-refused: CREATE "100% sicher" -> NO Invalid mailbox name
TEST(map_folders, characters_that_the_target_is_known_to_refuse_become_full_width) {
    const auto map = map_of(listed({"100% sicher/R&D \"x\"", "back\\slash", "caf\xe9", "star*"}), {}, {},
                            {.refused = "!\"%;<>\\^`{|}"});
    EXPECT_THAT(
        shown(map),
        ElementsAre(
            "100% sicher/R&D \"x\" -> 100\uff05 sicher/R&D \uff02x\uff02 (the target refuses \"%\" in names, it "
            "is written as \"\uff05\"; the target refuses \"\"\" in names, it is written as \"\uff02\")",
            "back\\slash -> back\uff3cslash (the target refuses \"\\\" in names, it is written as \"\uff3c\")",
            "caf\xe9 -> caf\uff05E9 (octets that are no UTF-8 are written as %XX)", "star* -> star*"));
}

// docs/quirks.md#names-refused: CREATE "INBOX.&2D3c7A- Post" -> NO Error in IMAP command received by server.
TEST(map_folders, characters_beyond_16_bits_become_their_numbers_where_the_target_refuses_them) {
    EXPECT_THAT(
        shown(map_of(listed({"\U0001f4ec Post", "\u65e5\u672c"}), {}, {}, {.supplementary = false})),
        ElementsAre("\U0001f4ec Post -> U+1F4EC Post (the target refuses characters beyond U+FFFF: they are written by "
                    "their numbers)",
                    "\u65e5\u672c -> \u65e5\u672c"));
    EXPECT_EQ(map_of(listed({"\U0001f4ec Post"})).folders[0].target, "\U0001f4ec Post");
}

TEST(map_folders, what_the_target_has_already_stays_as_it_is) {
    EXPECT_THAT(shown(map_of(listed({"tab\there"}), listed({"tab\there"}))), ElementsAre("tab\there -> tab\there"));
}

TEST(map_folders, a_level_that_is_too_long_is_impossible_and_the_others_go_on) {
    const std::string longest(255, 'x');
    auto source = listed({"a", "b"});
    source[0].name = longest + "/" + longest;
    source[1].name = "y" + longest;
    source.push_back({.name = "c"});
    const auto map = map_of(source);
    EXPECT_EQ(map.folders[0].what, verdict::copy);
    EXPECT_EQ(map.folders[1].what, verdict::impossible);
    EXPECT_THAT(map.folders[1].why, HasSubstr("256 octets"));
    EXPECT_EQ(map.folders[2].what, verdict::copy);
}

TEST(map_folders, an_empty_result_of_a_map_is_impossible) {
    folder_rules rules;
    rules.maps = {{"x(.*)", "\\1"}};
    EXPECT_THAT(shown(map_of(listed({"x", "xy"}), {}, rules)),
                ElementsAre("x: impossible (--map x(.*)=>\\1; an empty name)", "xy -> y (--map x(.*)=>\\1)"));
}

TEST(map_folders, children_of_inbox_find_a_place_beside_it) {
    const auto map =
        map_of(listed({"INBOX", "INBOX/Lists", "INBOX/Lists/a", "Lists"}), {}, {}, {.children_of_inbox = false});
    EXPECT_THAT(map.folders, ElementsAre(testing::Field(&mapped_folder::target, "INBOX"),
                                         testing::Field(&mapped_folder::target, "INBOX∕Lists"),
                                         testing::Field(&mapped_folder::target, "INBOX∕Lists/a"),
                                         testing::Field(&mapped_folder::target, "Lists")));
    EXPECT_THAT(map.folders[1].why, HasSubstr("no folders below INBOX"));
    EXPECT_THAT(map.collisions, IsEmpty());
}

TEST(map_folders, a_target_without_hierarchy_gets_flat_names) {
    EXPECT_EQ(map_of(listed({"Work/a"}), {}, {}, {.delimiter = std::nullopt}).folders[0].target, "Work∕a");
}

TEST(map_folders, one_target_for_two_is_a_fatal_collision) {
    const auto map = map_of(listed({"INBOX/x", "Inbox/x", "a.b", "a․b", "c"}), {}, {}, {.delimiter = '.'});
    ASSERT_EQ(map.collisions.size(), 2U);
    EXPECT_EQ(map.collisions[0].target, "INBOX/x");
    EXPECT_THAT(map.collisions[0].sources, ElementsAre("INBOX/x", "Inbox/x"));
    EXPECT_TRUE(map.collisions[0].fatal && map.collisions[1].fatal);
    EXPECT_EQ(map.folders[0].what, verdict::impossible);
    EXPECT_EQ(map.folders[0].why, "collides with \"Inbox/x\" (same name); tell them apart with --map");
    EXPECT_EQ(map.folders[4].what, verdict::copy);
}

TEST(map_folders, names_that_differ_in_case_are_a_warning_or_fatal) {
    const auto source = listed({"Trash/a", "trash/a", "ÄRGER", "ärger"});
    const auto warned = map_of(source);
    ASSERT_EQ(warned.collisions.size(), 2U);
    EXPECT_EQ(warned.collisions[0].how, "differ only in case");
    EXPECT_FALSE(warned.collisions[0].fatal);
    EXPECT_EQ(warned.folders[0].what, verdict::copy);
    const auto refused = map_of(source, {}, {}, {.case_insensitive = true});
    EXPECT_TRUE(refused.collisions[0].fatal);
    EXPECT_EQ(refused.folders[0].what, verdict::impossible);
}

} // namespace
} // namespace postferry::transfer
