#pragma once
// A client of the API without a network: a request in, the reply out, over a database of its own.
#include "api/service.hpp"
#include "support/run_to_end.hpp"

#include <gtest/gtest.h>

#include <filesystem>
#include <unistd.h>

namespace postferry::api {

struct test_request {
    http::method verb = http::method::get;
    std::string target; ///< below /api/v1, with its query
    std::string body = {};
    http::field_list fields = {};
    http::peer from = {.address = "192.0.2.1", .uid = {}};
    std::function<bool()> on_piece = {}; ///< of a stream: goes on? Without: it ends after its first piece
    bool whole = false;                  ///< `target` is the whole path, not below /api/v1
};

struct test_reply {
    unsigned status = 0;
    std::string text;
    http::field_list fields;
    [[nodiscard]] boost::json::value json() const { return boost::json::parse(text); }
    [[nodiscard]] std::string field(std::string_view name) const {
        for (const auto& [n, v] : fields)
            if (n == name) return v;
        return {};
    }
};

using support::run_to_end;
test_reply ask_service(service& of, test_request r);

class api_test : public testing::Test {
  protected:
    void SetUp() override {
        std::string pattern = testing::TempDir() + "postferry-api-XXXXXX";
        folder_ = mkdtemp(pattern.data());
        store::database_options options;
        options.clock = [this] { return now_; };
        auto opened = store::database::open((folder_ / "store.db").string(), options);
        ASSERT_TRUE(opened) << opened.error().message();
        db_ = std::move(*opened);
        service_ = std::make_unique<service>(
            parts{.db = *db_,
                  .hashing = directory::hash_pool::shared(),
                  .guard = {.remember = std::chrono::milliseconds(0)}}); // their clock is not the store's
    }
    void TearDown() override {
        service_.reset();
        db_.reset();
        std::filesystem::remove_all(folder_);
    }

    test_reply ask(test_request r) { return ask_service(*service_, std::move(r)); }
    /// As root on the local socket: may do anything.
    test_reply as_root(http::method verb, std::string target, std::string body = {}, http::field_list fields = {}) {
        return ask({.verb = verb,
                    .target = std::move(target),
                    .body = std::move(body),
                    .fields = std::move(fields),
                    .from = {.address = "unix", .uid = 0}});
    }
    test_reply with_token(const std::string& token, http::method verb, std::string target, std::string body = {}) {
        return ask({.verb = verb,
                    .target = std::move(target),
                    .body = std::move(body),
                    .fields = {{"Authorization", "Bearer " + token}}});
    }
    /// A user of that role (named like it) and a token with all scopes.
    std::string token_of(std::string_view role);
    template <class T> T wait_for(task<T> work) { return run_to_end(std::move(work)); }

    store::unix_ms now_ = 1'795'370'400'000;
    std::filesystem::path folder_;
    std::unique_ptr<store::database> db_;
    std::unique_ptr<service> service_;
};

} // namespace postferry::api
