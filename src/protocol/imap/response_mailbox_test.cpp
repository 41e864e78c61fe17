// Untagged data about mailboxes and the server: RFC 3501 section 7.2, 7.3 and extensions.
#include "protocol/imap/detail/parse_for_test.hpp"

#include <gmock/gmock.h>

namespace postferry::imap {
namespace {

using namespace std::string_view_literals;
using detail::malformed;
using detail::parse;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::Pair;

TEST(capability, upper_case_atoms) {
    EXPECT_THAT(parse<capability_data>("* CAPABILITY IMAP4rev1 auth=PLAIN ID ").capabilities,
                ElementsAre("IMAP4REV1", "AUTH=PLAIN", "ID"));
    EXPECT_THAT(parse<capability_data>("* CAPABILITY IMAP4rev1 LITERAL + IDLE").capabilities, // MailKit #1654
                ElementsAre("IMAP4REV1", "LITERAL+", "IDLE"));
    EXPECT_THAT(parse<enabled_data>("* ENABLED CONDSTORE qresync").capabilities, ElementsAre("CONDSTORE", "QRESYNC"));
    EXPECT_THAT(parse<enabled_data>("* ENABLED").capabilities, IsEmpty()); // Cyrus, iCloud
    EXPECT_THAT(malformed("* CAPABILITY (IMAP4rev1)\r\n"), HasSubstr("expected a capability"));
}

TEST(list, atoms_strings_and_literals) {
    const auto atom = parse<list_data>("* LIST (\\Noselect \\HasChildren) \"/\" ~/Mail/foo");
    EXPECT_THAT(atom.attributes, ElementsAre("\\Noselect", "\\HasChildren"));
    EXPECT_TRUE(atom.has("\\noselect"));
    EXPECT_FALSE(atom.has("\\Noinferiors"));
    EXPECT_EQ(atom.delimiter, '/');
    EXPECT_EQ(atom.name, "~/Mail/foo");
    EXPECT_EQ(parse<list_data>("* LIST () \".\" \"a \\\"b\\\" \\\\c\"").name, "a \"b\" \\c");
    EXPECT_EQ(parse<list_data>("* LIST () \"/\" {7}\r\na\rb\"\\ {").name, "a\rb\"\\ {");
    EXPECT_EQ(parse<list_data>("* LIST () \"/\" {3+}\r\nabc").name, "abc");
    EXPECT_EQ(parse<list_data>("* LIST () \"/\" {3-}\nabc").name, "abc");
    EXPECT_EQ(parse<list_data>("* LIST () \"/\" ~{3}\r\na\0c"sv).name, "a\0c"sv);
    EXPECT_EQ(parse<list_data>("* LIST () \"/\" {0}\r\n").name, "");
    EXPECT_EQ(parse<list_data>("* LIST () \"/\" \"\"").name, "");
    EXPECT_EQ(parse<list_data>("* LIST () \"/\" \"\xe2\x98\x83&\xe2\x98\xba\"").name, "\xe2\x98\x83&\xe2\x98\xba");
}

TEST(list, a_literal_that_looks_like_a_header_or_ends_in_cr) {
    EXPECT_EQ(parse<list_data>("* LIST () \"/\" {6}\r\na {99}").name, "a {99}");
    EXPECT_EQ(parse<list_data>("* LIST () \"/\" {2}\r\na\r").name, "a\r");
}

TEST(list, delimiters) {
    EXPECT_FALSE(parse<list_data>("* LIST () NIL Folder1").delimiter);
    EXPECT_FALSE(parse<list_data>("* LIST () \"\" \"Folder2\"").delimiter);
    EXPECT_EQ(parse<list_data>("* LIST () \"\\\\\" \"a\\\\b\"").delimiter, '\\');
    const auto domino = parse<list_data>("* LIST () \"\\\" \"a\\b\""); // a backslash that nobody escaped
    EXPECT_EQ(domino.delimiter, '\\');
    EXPECT_EQ(domino.name, "a\\b");
    EXPECT_THAT(malformed("* LIST () \"//\" x\r\n"), HasSubstr("hierarchy delimiter"));
}

TEST(list, verbs) {
    EXPECT_EQ(parse<list_data>("* LSUB () \".\" #news.comp.mail.misc").kind, list_data::verb::lsub);
    EXPECT_EQ(parse<list_data>("* XLIST (\\Inbox) \".\" \"INBOX\"").kind, list_data::verb::xlist);
    EXPECT_EQ(parse<list_data>("* list NIL \".\" x").kind, list_data::verb::list);
}

TEST(list, extended_data) {
    const auto r =
        parse<list_data>("* LIST (\\NonExistent) \"/\" \"Foo\" (\"ChildInfo\" (\"SUBSCRIBED\") OLDNAME (\"a b\"))");
    EXPECT_EQ(r.name, "Foo");
    EXPECT_THAT(r.extended, ElementsAre(Pair("CHILDINFO", "(\"SUBSCRIBED\")"), Pair("OLDNAME", "(\"a b\")")));
}

TEST(list, names_that_servers_forgot_to_quote) {
    EXPECT_EQ(parse<list_data>("* LIST () \"/\" Public\tFolders").name, "Public\tFolders"); // Exchange, MailKit #945
    EXPECT_EQ(parse<list_data>("* LIST () \"/\" Sent Items ").name, "Sent Items");
    EXPECT_EQ(parse<list_data>("* LIST () \"/\" Sent Items (\"CHILDINFO\" (\"SUBSCRIBED\"))").name, "Sent Items");
    EXPECT_EQ(parse<list_data>("* LIST () \"/\" \"the \"old\" mail\"").name, "the \"old\" mail"); // MailKit #485
    EXPECT_EQ(parse<list_data>("* LIST () \"/\" \"the \"old\"\" (\"A\" (\"B\"))").name, "the \"old\"");
    EXPECT_EQ(parse<list_data>("* LIST () \"/\" sizes{5}").name, "sizes{5}");
    EXPECT_EQ(parse<list_data>("* LIST () \"/\" \"a {5}\"").name, "a {5}");
    EXPECT_EQ(parse<list_data>("*  LIST  ()  \"/\"  \"Foo\"  ").name, "Foo");
}

TEST(list, garbage) {
    EXPECT_THAT(malformed("* LIST INBOX\r\n"), HasSubstr("LIST response: expected '('"));
    EXPECT_THAT(malformed("* LIST (\\Seen \"/\" x\r\n"), HasSubstr("expected ')'"));
    EXPECT_THAT(malformed("* LIST () \"/\" \"Foo\" (\"A\" (\"B\"\r\n"), HasSubstr("expected ')'"));
}

TEST(mailbox_status, items) {
    const auto r = parse<mailbox_status>(
        "* STATUS \"a b\" (MESSAGES 231 UIDNEXT 44292 UIDVALIDITY 7 UNSEEN 1 RECENT 2 DELETED 3 SIZE 5000000000 "
        "HIGHESTMODSEQ 7011231777 APPENDLIMIT 35651584 MAILBOXID (F2212ea87) DELETED-STORAGE 8 X-COMP (\"s\" (1 "
        "2:3)))");
    EXPECT_EQ(r.name, "a b");
    EXPECT_EQ(r.messages, 231U);
    EXPECT_EQ(r.uid_next, 44292U);
    EXPECT_EQ(r.uid_validity, 7U);
    EXPECT_EQ(r.unseen, 1U);
    EXPECT_EQ(r.recent, 2U);
    EXPECT_EQ(r.deleted, 3U);
    EXPECT_EQ(r.size, 5'000'000'000U);
    EXPECT_EQ(r.highest_modseq, 7011231777U);
    EXPECT_EQ(r.append_limit, 35651584U);
    EXPECT_EQ(r.mailbox_id, "F2212ea87");
}

TEST(mailbox_status, lenient) {
    EXPECT_EQ(parse<mailbox_status>("* STATUS {6}\r\nFolder (MESSAGES 60)").name, "Folder");
    EXPECT_EQ(parse<mailbox_status>("* STATUS {6}\r\nFolder (MESSAGES 60)").messages, 60U);
    EXPECT_EQ(parse<mailbox_status>("* STATUS Sent Items (MESSAGES 2 MAILBOXID (F1))").name, "Sent Items");
    EXPECT_FALSE(parse<mailbox_status>("* STATUS INBOX ()").messages); // 163, modern-email #15
    EXPECT_EQ(parse<mailbox_status>("* STATUS INBOX").name, "INBOX");
    EXPECT_EQ(parse<mailbox_status>("* STATUS x (UIDNEXT 1 UIDVALIDITY 1234) ").uid_validity, 1234U);
    EXPECT_EQ(parse<mailbox_status>("* STATUS x (MESSAGES 9.3736e+06)").messages, 9373600U); // mail.ru, MailKit #1838
    EXPECT_FALSE(parse<mailbox_status>("* STATUS x (HIGHESTMODSEQ -1)").highest_modseq);     // Zoho
    EXPECT_FALSE(parse<mailbox_status>("* STATUS x (APPENDLIMIT NIL)").append_limit);
    EXPECT_FALSE(parse<mailbox_status>("* STATUS x (MESSAGES 99999999999)").messages);
    EXPECT_THAT(malformed("* STATUS x (MESSAGES many)\r\n"),
                HasSubstr("STATUS response: expected a number at octet 21"));
    EXPECT_THAT(malformed("* STATUS x (MESSAGES 1\r\n"), HasSubstr("found the end"));
}

TEST(search, numbers_in_the_order_sent) {
    EXPECT_THAT(parse<search_data>("* SEARCH 23 3 6").numbers, ElementsAre(23, 3, 6)); // Yahoo sends them descending
    EXPECT_THAT(parse<search_data>("* SEARCH").numbers, IsEmpty());
    EXPECT_THAT(parse<search_data>("* SEARCH ").numbers, IsEmpty());
    const auto with = parse<search_data>("* SEARCH 2 5 (MODSEQ 917162500)");
    EXPECT_THAT(with.numbers, ElementsAre(2, 5));
    EXPECT_EQ(with.modseq, 917162500U);
    EXPECT_THAT(malformed("* SEARCH 1 two\r\n"), HasSubstr("expected a number"));
}

TEST(search, as_many_numbers_as_the_limit_allows) {
    parser_limits limits;
    limits.list_items = 3;
    EXPECT_THAT(parse<search_data>("* SEARCH 1 2 3", limits).numbers, ElementsAre(1, 2, 3));
    EXPECT_THAT(malformed("* SEARCH 1 2 3 4\r\n", limits), HasSubstr("expected fewer items"));
}

TEST(esearch, return_data) {
    const auto r =
        parse<esearch_data>("* ESEARCH (TAG \"A285\") UID MIN 7 MAX 3800 COUNT 15 ALL 17,900:901 MODSEQ 1236");
    EXPECT_EQ(r.tag, "A285");
    EXPECT_TRUE(r.uid);
    EXPECT_EQ(r.min, 7U);
    EXPECT_EQ(r.max, 3800U);
    EXPECT_EQ(r.count, 15U);
    EXPECT_EQ(r.all->to_string(), "17,900:901");
    EXPECT_EQ(r.modseq, 1236U);
    EXPECT_EQ(parse<esearch_data>("* ESEARCH (TAG \"a\") ALL 5,3,2,1").all->to_string(), "1:3,5");
    EXPECT_FALSE(parse<esearch_data>("* ESEARCH").uid);
    EXPECT_EQ(parse<esearch_data>("* ESEARCH (TAG \"A\") UID PARTIAL (-1:-100 200:250) X-NEW foo COUNT 1").count, 1U);
    EXPECT_THAT(malformed("* ESEARCH ALL 1:*\r\n"), HasSubstr("a set of numbers"));
}

TEST(mailbox_size, numbers) {
    EXPECT_EQ(parse<number_data>("* 23 EXISTS").number, 23U);
    EXPECT_EQ(parse<number_data>("* 5 recent").kind, number_data::verb::recent);
    EXPECT_EQ(parse<number_data>("* 44 EXPUNGE").kind, number_data::verb::expunge);
    EXPECT_EQ(parse<number_data>("* 9.3736e+06 EXISTS").number, 9373600U); // mail.ru
    EXPECT_THAT(malformed("* 99999999999 EXISTS\r\n"), HasSubstr("out of range"));
    EXPECT_THAT(malformed("* 12\r\n"), HasSubstr("without a keyword"));
}

TEST(flags, odd_ones) { // Gmail: brackets, quotes, spaces within quotes
    EXPECT_THAT(parse<flags_data>("* FLAGS (\\Answered $Etc a]b \"two words\" caf\xc3\xa9 NonJunk,x(y)").flags,
                ElementsAre("\\Answered", "$Etc", "a]b", "two words", "caf\xc3\xa9", "NonJunk,x(y"));
    EXPECT_THAT(parse<flags_data>("* FLAGS NIL").flags, IsEmpty());
    EXPECT_THAT(malformed("* FLAGS \\Seen\r\n"), HasSubstr("expected '('"));
}

TEST(vanished, sets) {
    EXPECT_TRUE(parse<vanished_data>("* VANISHED (EARLIER) 41,43:116").earlier);
    EXPECT_EQ(parse<vanished_data>("* VANISHED 405,407").uids.to_string(), "405,407");
    EXPECT_TRUE(parse<vanished_data>("* VANISHED (EARLIER) ").uids.empty());
    EXPECT_THAT(malformed("* VANISHED 1:*\r\n"), HasSubstr("a set of numbers"));
}

TEST(server, namespaces) {
    const auto r = parse<namespace_data>(
        "* NAMESPACE ((\"\" \"/\")(\"#mh/\" \"/\" \"X-PARAM\" (\"F1\" \"F2\"))) NIL ((\"Public/\" NIL))");
    ASSERT_EQ(r.personal.size(), 2U);
    EXPECT_EQ(r.personal[1].prefix, "#mh/");
    EXPECT_EQ(r.personal[1].delimiter, '/');
    EXPECT_THAT(r.other_users, IsEmpty());
    ASSERT_EQ(r.shared.size(), 1U);
    EXPECT_FALSE(r.shared[0].delimiter);
}

TEST(server, id) {
    EXPECT_THAT(parse<id_data>("* ID (\"Name\" \"GImap\" \"support-url\" NIL)").fields,
                ElementsAre(Pair("name", "GImap"), Pair("support-url", "")));
    EXPECT_THAT(parse<id_data>("* ID NIL").fields, IsEmpty());
}

TEST(server, quota) {
    const auto r = parse<quota_data>("* QUOTA \"\" (STORAGE 10 512 message 1 1000)");
    EXPECT_EQ(r.root, "");
    ASSERT_EQ(r.resources.size(), 2U);
    EXPECT_EQ(r.resources[0].limit, 512U);
    EXPECT_EQ(r.resources[1].name, "MESSAGE");
    EXPECT_EQ(parse<quota_data>("* QUOTA storage=0 (STORAGE 1 2)").root, "storage=0");
    const auto root = parse<quota_root_data>("* QUOTAROOT INBOX \"#user/alice\" \"\"");
    EXPECT_EQ(root.mailbox, "INBOX");
    EXPECT_THAT(root.roots, ElementsAre("#user/alice", ""));
}

TEST(server, knowledge_that_cannot_be_read_is_no_reason_to_stop) {
    EXPECT_EQ(parse<other_data>("* NAMESPACE nonsense").text, "nonsense");
    EXPECT_EQ(parse<other_data>("* ID (\"a\"").keyword, "ID");
    EXPECT_EQ(parse<other_data>("* QUOTA x STORAGE").keyword, "QUOTA");
}

TEST(other, keeps_keyword_and_text) {
    const auto thread = parse<other_data>("* THREAD (166)(167 168)");
    EXPECT_EQ(thread.keyword, "THREAD");
    EXPECT_EQ(thread.text, "(166)(167 168)");
    EXPECT_EQ(parse<other_data>("* acl \"INBOX\" joe lrs").keyword, "ACL");
    EXPECT_EQ(parse<other_data>("* 25997 UIDFETCH (FLAGS (\\Seen))").keyword, "UIDFETCH");
    EXPECT_EQ(parse<other_data>("* 25997 UIDFETCH (FLAGS (\\Seen))").text, "25997 (FLAGS (\\Seen))");
    EXPECT_EQ(parse<other_data>("* 1Q49 x").keyword, "1Q49");
}

TEST(other, literals_become_quoted_strings_where_they_fit) {
    EXPECT_EQ(parse<other_data>("* METADATA x (/a {5}\r\na\"b\\c /b {4}\r\na\r\nb)").text,
              "x (/a \"a\\\"b\\\\c\" /b {4}\na\r\nb)");
}

} // namespace
} // namespace postferry::imap
