#include "support/mbox_place.hpp"

#include <sys/stat.h>

namespace postferry::mailbox {
namespace {

using test::foreign;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

class mbox_tree_test : public test::mbox_case {
  protected:
    std::vector<std::string> names(const std::string& below = "") {
        auto list = mbox_tree((root_ / below).string()).list();
        if (!list) return {list.error().message()};
        notes_ = list->notes;
        std::vector<std::string> out;
        for (const mbox_found& f : list->folders)
            out.push_back(f.name + (f.path == f.name ? "" : " <" + f.path + ">") + (f.subscribed ? "" : " -"));
        return out;
    }
    std::string place(std::string_view name) {
        const mbox_tree tree(root_.string());
        std::map<std::string, std::string> known;
        for (const mbox_found& f : tree.list()->folders) known.emplace(f.name, f.path);
        const auto path = tree.path_of(name, known);
        return path ? *path : path.error().message();
    }
    std::vector<std::string> notes_;
};

TEST_F(mbox_tree_test, a_folder_of_files) {
    write("inbox", foreign("1"));
    write("Work/2020", foreign("2"));
    write("Empty", "");
    EXPECT_THAT(names(), ElementsAre("Empty", "INBOX <inbox>", "Work/2020"));
    EXPECT_THAT(notes_, IsEmpty());
    EXPECT_THAT(names("Work/2020"), ElementsAre("INBOX <2020>"));
}

TEST_F(mbox_tree_test, what_mail_programs_keep_beside_is_no_mail) {
    write("Sent", foreign("1"));
    write("Sent.msf", "// <!-- mdb:mork");
    write("Sent.lock", "1:host");
    write(".imap/Sent/dovecot.index", "x");
    write("msgFilterRules.dat", "version=9");
    write("notes.txt", "no mail at all\n");
    write("damaged", "half a line\n\n" + foreign("2"));
    EXPECT_THAT(names(), ElementsAre("Sent", "damaged"));
    EXPECT_THAT(notes_, ElementsAre(HasSubstr("notes.txt is left out: it is no mbox")));
}

TEST_F(mbox_tree_test, names_of_dovecot_of_thunderbird_and_of_others) {
    write("&AMk-t&AOk-", foreign("1"));
    write("R&D", foreign("2"));
    write("Caf\xe9", foreign("3"));
    write("Work", foreign("4"));
    write("Work.sbd/Old", foreign("5"));
    write("Play/Chess", foreign("6"));
    write("Play.mbox", foreign("7"));
    write("alone.mbox", foreign("8"));
    EXPECT_THAT(names(), ElementsAre("Café <Caf\xe9>", "Play <Play.mbox>", "Play/Chess", "R&D", "Work",
                                     "Work/Old <Work.sbd/Old>", "alone.mbox", "Été <&AMk-t&AOk->"));
}

TEST_F(mbox_tree_test, links_are_not_followed_below_the_root) {
    write("real", foreign("1"));
    std::filesystem::create_symlink("real", root_ / "link");
    std::filesystem::create_directory_symlink("/etc", root_ / "etc");
    EXPECT_THAT(names(), ElementsAre("real"));
    EXPECT_THAT(notes_, ElementsAre(HasSubstr("etc is left out"), HasSubstr("link is left out")));
    EXPECT_THAT(names("link"), ElementsAre("INBOX <real>"));
}

TEST_F(mbox_tree_test, where_a_new_folder_goes) {
    write("Work", foreign("1"));
    write("Play/Chess", foreign("2"));
    EXPECT_EQ(place("INBOX"), "inbox");
    EXPECT_EQ(place("Work"), "Work");
    EXPECT_EQ(place("Work/2020"), "Work.sbd/2020");
    EXPECT_EQ(place("Play"), "Play.mbox");
    EXPECT_EQ(place("Play/Go/19"), "Play/Go/19");
    EXPECT_EQ(place("Été/R&D"), "&AMk-t&AOk-/R&-D");
    for (const char* bad : {"..", "a/../b", ".hidden", "a//b", "x.lock", "Work.sbd"})
        EXPECT_THAT(place(bad), HasSubstr("cannot be a file")) << bad;
    EXPECT_THAT(place(std::string(300, 'x')), HasSubstr("too long"));
}

TEST_F(mbox_tree_test, subscriptions_of_dovecot) {
    write("a", foreign("1"));
    write("&AMk-", foreign("2"));
    EXPECT_THAT(names(), ElementsAre("a", "É <&AMk->"));
    write(".subscriptions", "&AMk-\n");
    EXPECT_THAT(names(), ElementsAre("a -", "É <&AMk->"));
    ASSERT_TRUE(mbox_tree(root_.string()).subscribe({"a", "É", "Ö/x"}));
    EXPECT_EQ(read(".subscriptions"), "&AMk-\na\n&ANY-/x\n");
    write(".subscriptions", "V\t2\n\na\nWork\t&AMk-\n");
    EXPECT_THAT(names(), ElementsAre("a", "É <&AMk-> -"));
    ASSERT_TRUE(mbox_tree(root_.string()).subscribe({"Work/É", "a", "Ö/x"}));
    EXPECT_EQ(read(".subscriptions"), "V\t2\n\na\nWork\t&AMk-\n&ANY-\tx\n");
}

TEST_F(mbox_tree_test, what_is_not_there_yet) {
    EXPECT_EQ(mbox_tree((root_ / "new").string()).what(), mbox_tree::kind::tree);
    EXPECT_EQ(mbox_tree((root_ / "new.mbox").string()).what(), mbox_tree::kind::file);
    EXPECT_THAT(names("new"), IsEmpty());
    EXPECT_THAT(names("new.mbox"), IsEmpty());
}

} // namespace
} // namespace postferry::mailbox
