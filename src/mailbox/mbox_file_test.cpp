// What a run that was killed in the middle of a batch leaves, and what the next one makes of it.
#include "mailbox/mbox_file.hpp"
#include "message/mbox_for_test.hpp"
#include "support/mbox_place.hpp"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

namespace postferry::mailbox {
namespace {

using test::foreign;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

class mbox_file_test : public test::mbox_case {
  protected:
    std::optional<mbox_file> open() {
        auto place = mbox_tree(root_.string()).place_of("m", false);
        bool created = false;
        remarks_.clear();
        auto file = mbox_file::try_open(std::move(*place), true, created, remarks_);
        EXPECT_TRUE(file) << (file ? "" : file.error().message());
        return file ? std::move(*file) : std::nullopt;
    }
    /// As a run leaves it that is killed when `octets` of its batch are in the file.
    void killed(const std::string& before, const std::string& batch, std::size_t octets) {
        write("m", before + batch.substr(0, octets));
        struct stat st{};
        ASSERT_EQ(::stat((root_ / "m").c_str(), &st), 0);
        write(".m.postferry", fmt::format("1 {} {}\n", st.st_ino, before.size()));
    }
    std::vector<std::string> remarks_;
};

TEST_F(mbox_file_test, a_batch_that_was_cut_off_is_taken_out_wherever_it_was_cut) {
    const std::string before = foreign("1");
    const std::string batch = message::test::write("A: 1\r\n\r\nFrom x\r\n") + message::test::write("B: 2\r\n\r\ny");
    for (const std::string gap : {"", "\n", "\n\n"})
        for (std::size_t n = 0; n <= gap.size() + batch.size(); ++n) {
            killed(before, gap + batch, n);
            ASSERT_TRUE(open());
            ASSERT_EQ(read("m"), before) << n;
            EXPECT_THAT(remarks_, IsEmpty());
        }
}

TEST_F(mbox_file_test, what_others_added_since_is_never_taken_out) {
    const std::string batch = message::test::write("A: 1\r\n\r\nx\r\n");
    const std::string after = foreign("theirs");
    for (const std::size_t n : {std::size_t{40}, batch.size() - 3, batch.size()}) {
        killed(foreign("1"), batch.substr(0, n) + "\n" + after, SIZE_MAX);
        const std::string all = read("m");
        ASSERT_TRUE(open());
        EXPECT_EQ(read("m"), all);
        EXPECT_THAT(remarks_, ElementsAre(HasSubstr("others were added")));
        open().reset();
        EXPECT_THAT(remarks_, IsEmpty()) << "said once";
    }
}

TEST_F(mbox_file_test, a_journal_of_another_file_or_of_nonsense_means_nothing) {
    for (const char* journal : {"", "1 12 5\n", "x", "1 1\n", "2 0 0\n", "1  \n", "1 99999999999999999999999 1\n"}) {
        write("m", foreign("1"));
        write(".m.postferry", journal);
        ASSERT_TRUE(open());
        EXPECT_EQ(read("m"), foreign("1"));
    }
}

TEST_F(mbox_file_test, an_append_leaves_an_empty_journal_and_the_gap_that_is_needed) {
    for (const auto& [before, gap] : std::vector<std::pair<std::string, std::string>>{
             {"", ""}, {"x", "\n\n"}, {"x\n", "\n"}, {"x\n\n", ""}, {"x\r\n\r\n", ""}, {"\n", "\n"}}) {
        write("m", before);
        auto file = open();
        ASSERT_TRUE(file);
        const auto at = file->append("From y\n");
        ASSERT_TRUE(at);
        EXPECT_EQ(*at, before.size() + gap.size());
        EXPECT_EQ(read("m"), before + gap + "From y\n");
        EXPECT_EQ(read(".m.postferry"), "");
        file->forget_journal();
        EXPECT_THAT(files(), ElementsAre("m", "m.lock"));
        file.reset();
        EXPECT_THAT(files(), ElementsAre("m"));
    }
}

TEST_F(mbox_file_test, one_at_a_time) {
    write("m", foreign("1"));
    auto first = open();
    ASSERT_TRUE(first);
    EXPECT_FALSE(open());
    first.reset();
    EXPECT_TRUE(open());
    // Somebody who takes the fcntl lock only.
    const file_handle other(::open((root_ / "m").c_str(), O_RDWR | O_CLOEXEC));
    struct flock what{};
    what.l_type = F_WRLCK;
    ASSERT_EQ(::fcntl(other.get(), F_OFD_SETLK, &what), 0);
    EXPECT_FALSE(open());
    EXPECT_THAT(files(), ElementsAre("m"));
}

} // namespace
} // namespace postferry::mailbox
