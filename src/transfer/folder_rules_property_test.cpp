// What holds for every list of folders, tried on random ones that are full of what makes names difficult.
#include "base/text.hpp"
#include "transfer/folder_rules.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <random>
#include <set>

namespace postferry::transfer {
namespace {

using verdict = mapped_folder::verdict;

class generator {
  public:
    explicit generator(std::uint32_t seed) : random_(seed) {}

    std::size_t below(std::size_t n) { return random_() % n; }

    std::vector<folder_entry> folders() {
        std::vector<folder_entry> out;
        for (std::size_t n = below(12); n > 0; --n) {
            folder_entry entry{.name = name()};
            entry.use = below(6) == 0 ? static_cast<special_use>(below(10)) : special_use::none;
            entry.selectable = below(8) != 0;
            entry.personal = below(10) != 0;
            out.push_back(std::move(entry));
        }
        return out;
    }

    target_naming naming() {
        static constexpr std::array<std::optional<char>, 5> delimiters{'/', '.', '\\', '~', std::nullopt};
        return {.delimiter = delimiters[below(5)],
                .utf8 = below(2) == 0,
                .case_insensitive = below(3) == 0,
                .children_of_inbox = below(3) != 0,
                .trailing_spaces = below(2) == 0,
                .refused = below(2) == 0 ? "" : "!b;",
                .supplementary = below(2) == 0};
    }

    folder_rules rules() {
        folder_rules out;
        if (below(4) == 0) out.maps.push_back({"(a)(.*)", "b\\2"});
        if (below(6) == 0) out.include = {"**a**", "INBOX"};
        if (below(6) == 0) out.exclude = {"*/*"};
        return out;
    }

  private:
    std::string name() {
        static const std::vector<std::string> levels{"INBOX", "inbox", "Sent", "sent",      "Gesendet", "Trash",   "a",
                                                     "A",     "a.b",   "a․b",  "b",         "a ",       "",        " ",
                                                     "\t",    "␉",     "␣",    "~",         "%7E",      "caf\xe9", "é",
                                                     "É",     "a\\b",  "a!b;", "\U0001f4ec"};
        std::string out = levels[below(levels.size())];
        while (below(3) == 0) out += "/" + levels[below(levels.size())];
        return out;
    }

    std::mt19937 random_;
};

/// Pairs of copied folders with one target are fine only where a collision that is not fatal names both.
void expect_injective(const folder_map& map) {
    for (const mapped_folder& a : map.folders) {
        for (const mapped_folder& b : map.folders) {
            if (&a == &b || a.what != verdict::copy || b.what != verdict::copy || a.target != b.target) continue;
            EXPECT_TRUE(std::ranges::any_of(map.collisions,
                                            [&](const collision& c) {
                                                return !c.fatal && std::ranges::count(c.sources, a.source) == 1 &&
                                                       std::ranges::count(c.sources, b.source) == 1;
                                            }))
                << a.source << " and " << b.source << " both to " << a.target;
        }
    }
}

void expect_fit_for_the_target(const mapped_folder& f, const target_naming& naming,
                               const std::set<std::string>& known) {
    if (f.what != verdict::copy || known.contains(f.target)) return;
    EXPECT_TRUE(is_utf8(f.target)) << f.target;
    EXPECT_TRUE(
        std::ranges::none_of(f.target, [](char c) { return static_cast<unsigned char>(c) < 0x20 || c == 0x7f; }));
    EXPECT_EQ(("/" + f.target + "/").find("//"), std::string::npos) << f.target;
    if (naming.delimiter && naming.delimiter != '/')
        EXPECT_EQ(f.target.find(*naming.delimiter), std::string::npos) << f.target;
    if (!naming.delimiter) EXPECT_EQ(f.target.find('/'), std::string::npos) << f.target;
    if (!naming.children_of_inbox) EXPECT_FALSE(f.target.starts_with("INBOX/")) << f.target;
    if (!naming.trailing_spaces) EXPECT_EQ((f.target + "/").find(" /"), std::string::npos) << f.target;
    EXPECT_EQ(f.target.find_first_of(naming.refused), std::string::npos) << f.target;
    if (!naming.supplementary) EXPECT_EQ(f.target.find('\xf0'), std::string::npos) << f.target;
    EXPECT_TRUE(!iequals(f.target, "INBOX") || f.target == "INBOX");
}

TEST(map_folders, holds_its_promises_for_random_folders) {
    generator random(3);
    for (int round = 0; round < 4000; ++round) {
        const auto source = random.folders();
        const auto target = random.below(2) == 0 ? random.folders() : std::vector<folder_entry>{};
        const auto naming = random.naming();
        const auto map = map_folders(source, target, random.rules(), naming);
        ASSERT_TRUE(map);
        std::set<std::string> known;
        for (const folder_entry& entry : target)
            known.insert(iequals(entry.name.substr(0, entry.name.find('/')), "INBOX") ? "INBOX" + entry.name.substr(5)
                                                                                      : entry.name);
        std::set<std::string> sources;
        for (const folder_entry& entry : source) sources.insert(iequals(entry.name, "INBOX") ? "INBOX" : entry.name);
        EXPECT_EQ(map->folders.size(), sources.size()); // each once
        for (const mapped_folder& f : map->folders) {
            EXPECT_TRUE(sources.contains(f.source));
            expect_fit_for_the_target(f, naming, known);
            if (f.what == verdict::impossible) EXPECT_FALSE(f.why.empty());
            if (f.source == "INBOX" && f.what == verdict::copy) EXPECT_EQ(f.target, "INBOX");
            if (f.what == verdict::copy && f.target != f.source && !iequals(f.target, f.source) &&
                !f.source.starts_with("inbox/"))
                EXPECT_FALSE(f.why.empty()) << f.source << " -> " << f.target;
        }
        expect_injective(*map);
    }
}

TEST(map_folders, is_stable_once_the_folders_are_there) {
    generator random(5);
    for (int round = 0; round < 2000; ++round) {
        auto source = random.folders();
        for (folder_entry& entry : source) entry.use = special_use::none;
        const auto naming = random.naming();
        const auto first = map_folders(source, {}, {}, naming);
        ASSERT_TRUE(first);
        std::vector<folder_entry> target;
        for (const mapped_folder& f : first->folders)
            if (f.what == verdict::copy) target.push_back({.name = f.target});
        const auto second = map_folders(source, target, {}, naming);
        ASSERT_TRUE(second);
        for (std::size_t i = 0; i < first->folders.size(); ++i)
            EXPECT_EQ(second->folders[i].target, first->folders[i].target) << first->folders[i].source;
    }
}

} // namespace
} // namespace postferry::transfer
