#pragma once
// A real PostgreSQL of this test program's own (lab/postgres.py), and databases to test on, of either kind.
#include "sql/open.hpp"

#include <fmt/format.h>
#include <gtest/gtest.h>

#include <array>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <memory>
#include <stdexcept>
#include <string>
#include <unistd.h>

namespace postferry::support {

/// Starts with the first call of shared(), ends with the program, however that ends.
class postgres_server {
  public:
    static postgres_server& shared() {
        static postgres_server server("");
        return server;
    }
    /// `options` of lab/postgres.py.
    explicit postgres_server(const std::string& options) {
        std::array<int, 2> to{}, from{};
        if (pipe(to.data()) != 0 || pipe(from.data()) != 0) throw std::runtime_error("pipe");
        const char* named = std::getenv("POSTFERRY_SOURCE_DIR"); // NOLINT(concurrency-mt-unsafe): set before main
        const std::string root = named != nullptr ? named : std::filesystem::current_path().string();
        const std::string line = fmt::format("exec python3 '{}/lab/postgres.py' {}", root, options);
        if (fork() == 0) {
            dup2(to[0], 0), dup2(from[1], 1);
            for (int fd = 3; fd < 64; ++fd) close(fd);
            execl("/bin/sh", "sh", "-c", line.c_str(), nullptr);
            _exit(127);
        }
        close(to[0]), close(from[1]);
        to_ = to[1], from_ = fdopen(from[0], "r");
        const std::string about = answer();
        socket_ = field(about, "\"socket\": \"");
        port_ = field(about, "\"port\": ");
        ca_ = field(about, "\"ca\": \"");
        if (port_.empty()) throw std::runtime_error("no PostgreSQL: scripts/install lab");
    }
    ~postgres_server() {
        close(to_);
        fclose(from_);
    }
    postgres_server(const postgres_server&) = delete;
    postgres_server& operator=(const postgres_server&) = delete;

    void kill() { obey("kill"); } ///< as kill -9 would
    void stop() { obey("stop"); }
    void start() { obey("start"); } ///< returns when it answers

    /// A new database's name.
    std::string make_database() {
        std::string name = fmt::format("t{}_{}", getpid(), ++made_);
        sql("CREATE DATABASE " + name);
        return name;
    }
    /// Over the socket, where everybody is trusted; TCP wants passwords ("lab-superuser").
    [[nodiscard]] std::string url(const std::string& database, const std::string& user = "postgres") const {
        std::string folder;
        for (const char c : socket_) folder += c == '/' ? std::string("%2F") : std::string(1, c);
        return fmt::format("postgresql://{}@/{}?host={}&port={}", user, database, folder, port_);
    }
    [[nodiscard]] std::string tcp_url(const std::string& database, const std::string& user = "postgres") const {
        return fmt::format("postgresql://{}@127.0.0.1:{}/{}", user, port_, database);
    }
    /// One statement, as the superuser.
    void sql(const std::string& text, const std::string& database = "postgres") const {
        auto db = sql::open(url(database), {}, {});
        ASSERT_TRUE(db) << db.error().message();
        auto done = (*db)->script(text);
        ASSERT_TRUE(done) << done.error().message();
    }
    [[nodiscard]] int port() const { return std::stoi(port_); }
    [[nodiscard]] const std::string& ca() const { return ca_; }

  private:
    std::string answer() {
        std::array<char, 4096> line{};
        return fgets(line.data(), line.size(), from_) != nullptr ? line.data() : "";
    }
    static std::string field(const std::string& json, const std::string& start) {
        const auto at = json.find(start);
        if (at == std::string::npos) return {};
        const auto from = at + start.size();
        return json.substr(from, json.find_first_of("\",}", from) - from);
    }
    void obey(const std::string& word) {
        const std::string line = word + "\n";
        ASSERT_EQ(write(to_, line.data(), line.size()), static_cast<ssize_t>(line.size()));
        ASSERT_EQ(answer(), "ok\n");
    }

    int to_ = -1;
    FILE* from_ = nullptr;
    std::string socket_, port_, ca_;
    int made_ = 0;
};

/// A fresh, empty database of one kind, for suites that run over both.
class test_database {
  public:
    explicit test_database(sql::dialect kind) {
        if (kind == sql::dialect::postgresql) {
            auto& server = postgres_server::shared();
            url_ = server.url(server.make_database());
            return;
        }
        std::string pattern = testing::TempDir() + "postferry-db-XXXXXX";
        folder_ = mkdtemp(pattern.data());
        url_ = (folder_ / "postferry.db").string();
    }
    ~test_database() {
        if (!folder_.empty()) std::filesystem::remove_all(folder_);
    }
    test_database(const test_database&) = delete;
    test_database& operator=(const test_database&) = delete;

    [[nodiscard]] const std::string& url() const { return url_; }
    [[nodiscard]] std::unique_ptr<sql::connection> open(const sql::open_options& options = {}) const {
        auto db = sql::open(url_, {}, options);
        EXPECT_TRUE(db) << db.error().message();
        return db ? std::move(*db) : nullptr;
    }

  private:
    std::filesystem::path folder_;
    std::string url_;
};

/// "sqlite", "postgresql": for the names of parameterised tests.
inline std::string name_of(const testing::TestParamInfo<sql::dialect>& info) {
    return info.param == sql::dialect::sqlite ? "sqlite" : "postgresql";
}
inline auto both_databases() { return testing::Values(sql::dialect::sqlite, sql::dialect::postgresql); }

} // namespace postferry::support
