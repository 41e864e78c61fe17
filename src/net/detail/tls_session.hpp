#pragma once
#include "net/connection.hpp"
#include "net/detail/piece_cursor.hpp"
#include "net/detail/tls_context.hpp"

#include <array>
#include <cstdint>
#include <memory>
#include <span>
#include <string>

namespace postferry::net::detail {

enum class io_status : std::uint8_t { done, wait_read, wait_write, closed, failed };

struct io_step {
    io_status status = io_status::done;
    std::size_t octets = 0;
};

/// What OpenSSL sees as its transport: it receives straight from the socket into OpenSSL's buffer, and collects records
/// to be sent so that several leave in one send().
struct tls_wire {
    int fd = -1;
    std::string outbox;
    std::size_t sent = 0;   ///< octets at the front of `outbox` that have left
    bool drained = false;   ///< the last recv() gave less than asked for
    bool satisfied = false; ///< the caller has octets already: no recv() that would only say EAGAIN
    bool eof = false;
    int os_error = 0;                ///< errno of the failure that killed the line
    std::array<char, 64> greeting{}; ///< first octets received, to recognise a server that speaks in the clear
    std::size_t greeting_size = 0;
};

/// One TLS client session over a non-blocking socket that it does not own. It never waits: each call says what to wait
/// for. Reads and writes may alternate freely on one thread: the transport never refuses a record, so SSL_write
/// is never left half done and SSL_read never waits for room.
class tls_session {
  public:
    /// Errors: config (unreadable files, no pin given). SNI and name check use `host`.
    [[nodiscard]] static result<std::unique_ptr<tls_session>> make(int fd, const std::string& host,
                                                                   const tls_settings& settings);
    ~tls_session();
    tls_session(const tls_session&) = delete;
    tls_session& operator=(const tls_session&) = delete;

    [[nodiscard]] io_status handshake(const tls_settings& settings);
    /// Why handshake() failed, for people; `peer` is "imap.example.org:993".
    [[nodiscard]] error handshake_error(const endpoint& where) const;

    /// As much as is there; `octets` may be positive with any status.
    [[nodiscard]] io_step read(std::span<char> buffer);
    /// Encrypts and sends from the cursor until its end, `budget` octets or a full socket buffer. `done` at the end
    /// means that everything has left.
    [[nodiscard]] io_step write(piece_cursor& pieces, std::size_t budget);
    /// Sends what is collected.
    [[nodiscard]] io_status flush();
    [[nodiscard]] bool has_output() const noexcept { return wire_.outbox.size() > wire_.sent; }
    /// Gives the memory of sent records back; an idle connection shall be small.
    void release_output() noexcept;
    /// Says good-bye if the socket takes it at once.
    void shut() noexcept;

    [[nodiscard]] error failure(std::string_view peer) const;
    [[nodiscard]] std::string summary() const;

  private:
    tls_session() = default;
    void set_peer(const std::string& host, const tls_settings& settings);
    io_status fault(int ssl_error);

    context_ptr context_;
    ssl_ptr ssl_;
    tls_wire wire_;
    peer_check check_;
    unsigned long reason_ = 0; ///< OpenSSL's first error of the failure
    bool failed_ = false;
};

} // namespace postferry::net::detail
