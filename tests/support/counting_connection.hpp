#pragma once
// A connection that counts what is asked of the one behind it: what a server's round trips come to.
#include "sql/connection.hpp"

#include <atomic>
#include <memory>

namespace postferry::support {

/// Statements, and what begins and ends transactions. The repositories prepare a statement each time that they run it.
struct asked {
    std::atomic<int> statements = 0, transactions = 0;
};

class counting_connection final : public sql::connection {
  public:
    counting_connection(std::unique_ptr<sql::connection> behind, asked& count)
        : behind_(std::move(behind)), count_(count) {}

    using connection::prepare;
    result<sql::query> prepare(std::string_view sql) override {
        ++count_.statements;
        return behind_->prepare(sql);
    }
    result<void> script(std::string_view sql) override {
        ++count_.statements;
        return behind_->script(sql);
    }
    result<void> begin(sql::durability how) override {
        ++count_.transactions;
        return behind_->begin(how);
    }
    sql::dialect dialect() const noexcept override { return behind_->dialect(); }
    result<void> commit() override { return behind_->commit(); }
    void rollback() noexcept override { behind_->rollback(); }
    void begin_single() noexcept override { behind_->begin_single(); }
    void end_single() noexcept override { behind_->end_single(); }
    bool in_transaction() const noexcept override { return behind_->in_transaction(); }
    result<void> savepoint() override { return behind_->savepoint(); }
    result<void> release_savepoint() override { return behind_->release_savepoint(); }
    result<void> rollback_to_savepoint() override { return behind_->rollback_to_savepoint(); }
    result<bool> was_committed() override { return behind_->was_committed(); }
    result<sql::schema_mark> read_schema_mark() override { return behind_->read_schema_mark(); }
    result<void> lock_schema() override { return behind_->lock_schema(); }
    result<void> write_schema_mark(std::uint32_t application, int version) override {
        return behind_->write_schema_mark(application, version);
    }
    sql::trouble last_trouble() const noexcept override { return behind_->last_trouble(); }

  private:
    std::unique_ptr<sql::connection> behind_;
    asked& count_;
};

} // namespace postferry::support
