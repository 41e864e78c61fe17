#pragma once
// Many RETR or TOP, as many at a time as the server takes.
#include "client/pop3_session.hpp"
#include "mailbox/mailbox.hpp"

#include <cstdint>
#include <deque>
#include <optional>
#include <string>

namespace postferry::mailbox::detail {

/// Reads messages one after the other. The answers come in the order of the asking (RFC 1939 has no other way).
class pop3_reader : public client::pop3_body_sink {
  public:
    pop3_reader(client::pop3_session& session, std::size_t in_flight) : session_(session), in_flight_(in_flight) {}
    ~pop3_reader() override { session_.set_body_sink(nullptr); }
    pop3_reader(const pop3_reader&) = delete;
    pop3_reader& operator=(const pop3_reader&) = delete;

    /// Sends RETR (or TOP n 0), and waits first until the server has room for one more. `key` is the caller's.
    task<result<void>> ask(std::uint32_t number, std::uint64_t key, bool header_only);
    /// Until everything asked for is answered. Those whose TOP was refused are read by RETR.
    task<result<void>> finish();

    task<result<void>> body_begin(pop3::command_id command) final;
    task<result<void>> body_chunk(const client::block_ref& owner, std::string_view octets) final;
    task<result<void>> body_end(pop3::command_id command, const pop3::status_line& status) final;

  protected:
    virtual task<result<void>> begin(std::uint64_t key) = 0;
    virtual task<result<void>> chunk(const client::block_ref& owner, std::string_view octets) = 0;
    virtual task<result<void>> end(std::uint64_t key) = 0;
    virtual void refused(std::uint64_t key, const error& why) = 0;

    client::pop3_session& session_;

  private:
    struct asked {
        std::uint32_t number = 0;
        std::uint64_t key = 0;
        bool header_only = false;
    };
    task<result<void>> send(asked what);
    task<result<void>> make_room(std::size_t below);

    std::size_t in_flight_;
    std::deque<asked> asked_;
    std::deque<asked> again_; ///< their TOP was refused
    bool top_refused_ = false;
};

/// Gathers the header of each message, at most so much of it.
class header_reader : public pop3_reader {
  public:
    using pop3_reader::pop3_reader;

  protected:
    virtual void header(std::uint64_t key, std::string_view fields) = 0;

    task<result<void>> begin(std::uint64_t key) final;
    task<result<void>> chunk(const client::block_ref& owner, std::string_view octets) final;
    task<result<void>> end(std::uint64_t key) final;

  private:
    std::string text_;
};

} // namespace postferry::mailbox::detail
