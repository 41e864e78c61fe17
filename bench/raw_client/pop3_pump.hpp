#pragma once

#include "pump.hpp"

namespace raw_client {

// The same from a POP3 maildrop: RETR of everything in one flight. A message's length is known with its end, so the
// ring holds one whole before its APPEND begins.
class pop3_pump final : public pump {
  public:
    pop3_pump(connection& source, connection& target, const options& how, std::uint64_t messages)
        : pump(source, target, how, {{"INBOX", "INBOX"}}), left_(messages), messages_(messages) {}

  private:
    void send_fetches() override;
    bool parse_line() override;
    void push_message(std::uint64_t begin, std::uint64_t end);

    std::uint64_t left_, messages_;
    std::uint64_t body_ = 0;    // where the message begins, 0: its +OK has not come
    std::uint64_t scanned_ = 0; // for its end
};

} // namespace raw_client
