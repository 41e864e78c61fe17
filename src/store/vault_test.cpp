// Sealing, the key file, and what happens when a key changes or is lost.
#include "store/refusal.hpp"
#include "store/vault.hpp"
#include "support/test_store.hpp"

#include <filesystem>
#include <fstream>
#include <sstream>
#include <sys/stat.h>
#include <unistd.h>

namespace postferry::store {
namespace {

namespace fs = std::filesystem;

const credential_key alice{.owner = "7", .purpose = "source"};

class key_files : public testing::Test {
  protected:
    key_files() {
        std::string pattern = testing::TempDir() + "postferry-keys-XXXXXX";
        folder_ = mkdtemp(pattern.data());
    }
    ~key_files() override { fs::remove_all(folder_); }
    std::string why(const fs::path& file) {
        auto keys = load_keys(file);
        return keys ? "it was taken" : keys.error().message();
    }
    void write(const std::string& text) {
        std::ofstream(file_) << text;
        chmod(file_.c_str(), 0600);
    }
    static std::string read(const fs::path& file) {
        std::ostringstream text;
        text << std::ifstream(file).rdbuf();
        return std::move(text).str();
    }
    fs::path folder_, file_;
    void SetUp() override { file_ = folder_ / "seal.key"; }
};

TEST(seal, opens_what_it_sealed_and_nothing_else) {
    const auto key = sealing_key::random();
    const auto sealed = key.seal(secret("s3cret\0x"), "migration 7");
    EXPECT_EQ(key.open(sealed, "migration 7")->reveal(), secret("s3cret\0x").reveal());
    EXPECT_FALSE(key.open(sealed, "migration 8")) << "a row that was put in another's place";
    EXPECT_FALSE(sealing_key::random().open(sealed, "migration 7"));
    EXPECT_NE(key.seal(secret("s3cret"), ""), key.seal(secret("s3cret"), "")) << "equal passwords do not show";
    for (std::size_t i = 0; i < sealed.size(); ++i) {
        auto changed = sealed;
        changed[i] ^= 1;
        EXPECT_FALSE(key.open(changed, "migration 7")) << "octet " << i;
        EXPECT_FALSE(key.open(std::span(sealed).first(i), "migration 7")) << i << " octets";
    }
    EXPECT_EQ(key.open(key.seal(secret(""), "x"), "x")->reveal(), "");
}

TEST(seal, bonds_of_different_credentials_differ) {
    EXPECT_NE(bond_of({.owner = "1", .purpose = "2"}), bond_of({.owner = "12", .purpose = ""}));
    EXPECT_NE(bond_of({.kind = owner_kind::account, .owner = "1"}),
              bond_of({.kind = owner_kind::migration, .owner = "1"}));
}

TEST_F(key_files, one_that_was_made_is_read_back) {
    const auto made = make_key_file(file_);
    ASSERT_TRUE(made) << made.error().message();
    struct stat about{};
    stat(file_.c_str(), &about);
    EXPECT_EQ(about.st_mode & 07777U, 0600U);
    const auto loaded = load_keys(file_);
    ASSERT_TRUE(loaded) << loaded.error().message();
    EXPECT_EQ(loaded->at(0).id(), made->at(0).id());
    EXPECT_EQ(loaded->at(0).hex().reveal(), made->at(0).hex().reveal());
    EXPECT_FALSE(make_key_file(file_)) << "never over another";
    key_ring two{sealing_key::random(), loaded->at(0)};
    ASSERT_TRUE(save_keys(file_, two));
    EXPECT_EQ(load_keys(file_)->size(), 2U);
    stat(file_.c_str(), &about);
    EXPECT_EQ(about.st_mode & 07777U, 0600U);
    EXPECT_EQ(std::distance(fs::directory_iterator(folder_), {}), 1) << "nothing is left beside it";
}

TEST_F(key_files, what_others_may_read_is_refused_with_the_words_that_mend_it) {
    ASSERT_TRUE(make_key_file(file_));
    for (const mode_t mode : {0644U, 0640U, 0660U, 0601U, 0700U}) {
        chmod(file_.c_str(), mode);
        EXPECT_NE(why(file_).find("chmod 0600 " + file_.string()), std::string::npos) << why(file_);
    }
    for (const mode_t mode : {0600U, 0400U}) {
        chmod(file_.c_str(), mode);
        EXPECT_EQ(why(file_), "it was taken");
    }
    fs::create_symlink(file_, folder_ / "link");
    EXPECT_NE(why(folder_ / "link").find("symbolic link"), std::string::npos);
    EXPECT_NE(why(folder_).find("no plain file"), std::string::npos);
    EXPECT_NE(why(folder_ / "none").find("rotate-key"), std::string::npos);
    mkfifo((folder_ / "pipe").c_str(), 0600);
    EXPECT_NE(why(folder_ / "pipe").find("no plain file"), std::string::npos) << "and it does not wait";
    if (geteuid() != 0) GTEST_SKIP() << "changing owners needs root";
    ASSERT_EQ(chown(file_.c_str(), 12345, 12345), 0);
    EXPECT_NE(why(file_).find("chown 0"), std::string::npos) << why(file_);
}

TEST_F(key_files, one_cut_off_anywhere_is_refused_and_its_key_not_shown) {
    const auto made = make_key_file(file_);
    const std::string text = read(file_), hex(made->at(0).hex().reveal());
    for (std::size_t length = 0; length < text.size(); ++length) {
        write(text.substr(0, length));
        EXPECT_NE(why(file_), "it was taken") << length;
        EXPECT_EQ(why(file_).find(hex.substr(0, 8)), std::string::npos);
    }
    write(text + "nonsense\n");
    EXPECT_NE(why(file_).find("line 4 is no key"), std::string::npos) << why(file_);
}

class vaults : public key_files, public testing::WithParamInterface<sql::dialect> {
  protected:
    void SetUp() override {
        key_files::SetUp();
        ASSERT_TRUE(make_key_file(file_));
        open();
        EXPECT_TRUE(s_.must([&](tables& t) { return vault_->attach(t); }).empty());
    }
    void open() {
        auto opened = vault::open(file_);
        ASSERT_TRUE(opened) << opened.error().message();
        vault_ = std::move(*opened);
    }
    void put(const credential_key& key, const std::string& value) {
        s_.must([&](tables& t) { return vault_->put(t, {{.key = key, .value = secret(value)}}); });
    }
    std::string get(const credential_key& key) {
        auto got = s_.in([&](tables& t) { return vault_->get(t, key); });
        if (!got) return got.error().response_code;
        return *got ? std::string((*got)->reveal()) : "none";
    }
    test_store s_{GetParam()};
    std::unique_ptr<vault> vault_;
};

INSTANTIATE_TEST_SUITE_P(on, vaults, support::both_databases(), support::name_of);

TEST_P(vaults, a_secret_goes_in_sealed_and_comes_out_again) {
    put(alice, "tr0ub4dor");
    EXPECT_EQ(get(alice), "tr0ub4dor");
    put(alice, "another");
    EXPECT_EQ(get(alice), "another");
    EXPECT_EQ(get({.owner = "8", .purpose = "source"}), "none");
    const auto row = s_.must([](tables& t) { return t.credentials.find(alice); });
    EXPECT_EQ(std::string(row->sealed.begin(), row->sealed.end()).find("another"), std::string::npos);
}

TEST_P(vaults, rows_that_were_swapped_or_changed_are_found) {
    const credential_key bob{.owner = "8", .purpose = "source"};
    put(alice, "alice's");
    put(bob, "bob's");
    auto a = s_.must([](tables& t) { return t.credentials.find(alice); });
    auto b = s_.must([&](tables& t) { return t.credentials.find(bob); });
    std::swap(a->sealed, b->sealed);
    s_.must([&](tables& t) { return t.credentials.put({*a, *b}); });
    EXPECT_EQ(get(alice), refusal::tampered);
    EXPECT_EQ(get(bob), refusal::tampered);
}

TEST_P(vaults, a_changed_key_opens_the_old_and_seals_the_new_and_is_noticed_by_those_at_work) {
    for (int i = 0; i < 30; ++i) put({.owner = std::to_string(i), .purpose = "source"}, std::to_string(i));
    auto running = std::move(vault_); // another process, which has read the file already
    auto keys = load_keys(file_);
    keys->insert(keys->begin(), sealing_key::random());
    ASSERT_TRUE(save_keys(file_, *keys));
    open();
    s_.must([&](tables& t) { return t.credentials.set_current(vault_->current(), s_.now); });
    EXPECT_EQ(get(alice), "7");
    int resealed = 0, calls = 0;
    for (record_id after = 0;; ++calls) {
        const auto p = s_.must([&](tables& t) { return vault_->reseal(t, after, 7); });
        resealed += p.resealed;
        after = p.after;
        if (!p.more) break;
    }
    EXPECT_EQ(resealed, 30);
    EXPECT_EQ(calls, 4);
    EXPECT_EQ(s_.must([](tables& t) { return t.credentials.keys_in_use(); }).size(), 1U);
    ASSERT_TRUE(save_keys(file_, {keys->front()}));
    vault_ = std::move(running);
    EXPECT_EQ(get(alice), "7") << "it has looked into the file again";
    put(alice, "new");
    EXPECT_EQ(s_.must([](tables& t) { return t.credentials.find(alice); })->key_id, keys->front().id());
}

TEST_P(vaults, a_lost_key_costs_its_credentials_and_nothing_else) {
    put(alice, "gone");
    fs::remove(file_);
    ASSERT_TRUE(make_key_file(file_));
    open();
    auto refused = s_.in([&](tables& t) { return vault_->attach(t); });
    ASSERT_FALSE(refused) << "this may just be the wrong file";
    EXPECT_EQ(refused.error().response_code, refusal::no_key);
    EXPECT_NE(refused.error().advice.find("--key-lost"), std::string::npos);
    const auto lost = s_.must([&](tables& t) { return vault_->attach(t, true); });
    ASSERT_EQ(lost.size(), 1U);
    EXPECT_EQ(lost[0].credentials, 1);
    EXPECT_EQ(get(alice), refusal::no_key);
    put(alice, "given again");
    EXPECT_EQ(get(alice), "given again");
    EXPECT_TRUE(s_.must([&](tables& t) { return vault_->attach(t); }).empty());
}

TEST_F(key_files, a_token_is_for_its_purpose_and_outlives_a_change_of_the_key) {
    const auto first = make_key_file(file_).value();
    const auto before = vault::open(file_).value();
    const auto token = before->seal_token(secret("nonce"), "recredential");
    EXPECT_EQ(before->open_token(token, "recredential")->reveal(), "nonce");
    EXPECT_FALSE(before->open_token(token, "first-owner"));
    EXPECT_FALSE(before->open_token(first.front().seal(secret("nonce"), "recredential"), "recredential"))
        << "what was sealed as something else is no token";
    key_ring both{sealing_key::random(), first.front()};
    ASSERT_TRUE(save_keys(file_, both));
    const auto after = vault::open(file_).value();
    EXPECT_EQ(after->open_token(token, "recredential")->reveal(), "nonce");
    ASSERT_TRUE(save_keys(file_, {both.front()}));
    EXPECT_FALSE(vault::open(file_).value()->open_token(token, "recredential"));
}

} // namespace
} // namespace postferry::store
