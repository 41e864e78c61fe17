#pragma once
// A POP3 session over a scripted line, logged in.
#include "client/pop3_session.hpp"
#include "support/memory_line.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <memory>
#include <string>
#include <string_view>

namespace postferry::support {

inline client::pop3_settings pop3_test_settings() {
    client::pop3_settings s;
    s.where = {.host = "pop.example.org", .port = 995};
    s.tls.mode = net::tls_mode::implicit;
    s.user = "anna";
    s.password = secret("secret");
    return s;
}

/// The part of a script that a login takes. @param capabilities behind it, "," between
inline std::string pop3_login(std::string_view capabilities) {
    std::string out = "S: +OK\nC: CAPA\nS: -ERR\nC: USER anna\nS: +OK\nC: PASS secret\nS: +OK\nC: CAPA\nS: +OK\n";
    while (!capabilities.empty()) {
        const std::size_t end = std::min(capabilities.find(','), capabilities.size());
        out += fmt::format("S: {}\n", capabilities.substr(0, end));
        capabilities.remove_prefix(std::min(end + 1, capabilities.size()));
    }
    return out + "S: .\n";
}

/// @param script what follows the login
inline task<result<std::unique_ptr<client::pop3_session>>>
open_pop3(std::string_view capabilities, std::string script, std::shared_ptr<line_record> record,
          std::shared_ptr<client::block_pool> blocks, line_faults faults = {},
          client::pop3_settings settings = pop3_test_settings()) {
    auto line = std::make_unique<scripted_line>(pop3_login(capabilities) + script, std::move(record), faults);
    line->encrypted_ = true;
    co_return co_await client::pop3_session::open_on(std::move(line), std::move(settings), std::move(blocks));
}

} // namespace postferry::support
