#pragma once
// What systemd is told, and the journal: datagrams to the sockets that the environment names (sd_notify(3), "Notes";
// systemd.io/JOURNAL_NATIVE_PROTOCOL). No library for two of them.
#include <chrono>
#include <optional>
#include <string_view>

namespace postferry::app {

/// "READY=1", "STOPPING=1", "STATUS=...": lines. Nothing happens without $NOTIFY_SOCKET.
void notify_system(std::string_view lines) noexcept;
/// How often "WATCHDOG=1" is to be said: half of what the unit allows. Nothing: nobody listens.
[[nodiscard]] std::optional<std::chrono::microseconds> watchdog_interval() noexcept;

/// One entry of the journal. False: there is no journal here.
/// @param priority of syslog, 3 (error) to 7 (debug)  @param mailbox POSTFERRY_MAILBOX; may be empty
bool write_to_journal(int priority, std::string_view mailbox, std::string_view text) noexcept;

} // namespace postferry::app
