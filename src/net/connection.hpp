#pragma once
#include "base/deadline.hpp"
#include "base/error.hpp"
#include "net/awaitable.hpp"

#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <sys/uio.h>
#include <vector>

namespace postferry::net {

enum class tls_mode : std::uint8_t { detect, require, implicit, off };
enum class tls_verify : std::uint8_t { ca, pin, off };

struct tls_settings {
    tls_mode mode = tls_mode::detect;
    tls_verify verify = tls_verify::ca;
    std::string ca_file;           ///< PEM; empty: the system's
    std::vector<std::string> pins; ///< base64 of the SHA-256 of a SubjectPublicKeyInfo (RFC 7469 style), any of them
    std::string certificate_file, key_file; ///< client certificate (auth=external), PEM
};

struct endpoint {
    /// Name, IPv4 or IPv6 address without brackets; it is what the certificate is checked against.
    std::string host;
    std::uint16_t port = 0;
};

/// Called for the wire trace with what went over the line, before redaction by the caller's layer; see wire_trace.hpp.
enum class direction : std::uint8_t { sent, received };

/// A TCP connection, in the clear or under TLS. One reader and one writer at a time; both on the connection's
/// executor, which must be a strand or a single thread. Destroying it closes it.
class connection {
  public:
    /// Resolves with c-ares (AAAA and A at once), then happy eyeballs (RFC 8305: 250 ms between attempts, families
    /// alternating); the last error of each address is told. With tls_mode::implicit the handshake is done as well.
    /// Errors: resolve (config: no such host; transient: no answer of the name server), connect (config: refused by all
    /// addresses; transient: time-out, unreachable), tls (config).
    static task<result<std::unique_ptr<connection>>> open(executor ex, endpoint where, const tls_settings& tls,
                                                          deadline until);

    virtual ~connection() = default;
    connection(const connection&) = delete;
    connection& operator=(const connection&) = delete;

    /// STARTTLS: handshake on the open line. Octets that were read before and not consumed are the caller's business
    /// (they must be none: RFC 3501 section 11; CVE-2011-0411). Errors say what is wrong with the certificate (expired,
    /// other host name, unknown issuer with its name, pin not matched with the pin that was seen) and what to do.
    virtual task<result<void>> start_tls(const tls_settings& tls, deadline until) = 0;

    /// Reads at least one octet, as much as is there up to buffer.size(). 0 = the peer closed orderly.
    /// A passed deadline gives transient "no answer for N s". After an error the connection is closed.
    virtual task<result<std::size_t>> read_some(std::span<char> buffer, deadline until) = 0;

    /// Whether octets of the peer have arrived. They may turn out to be a TLS record without data.
    [[nodiscard]] virtual bool readable() const noexcept = 0;

    /// Writes everything. The views must live until it returns. The deadline is for progress: it is re-armed by
    /// `patience` each time octets leave, and never beyond `until`.
    virtual task<result<void>> write(std::span<const iovec> pieces, std::chrono::milliseconds patience,
                                     deadline until) = 0;

    /// Wakes a waiting read and write with class cancelled, and closes. Safe to call at any time on the strand, twice
    /// too.
    virtual void close() noexcept = 0;

    /// Whether a close, also by the death of this process, throws away what was written and has not left yet. Otherwise
    /// the system goes on sending it, and the peer goes on taking it, long after nobody waits for an answer.
    virtual void discard_unsent(bool on) noexcept = 0;

    /// Asked right before octets are handed to the system, and every second beside that: behind a dead line the system
    /// holds what was written, and would send it when the line is back. Once it says no, the connection is closed,
    /// class cancelled, and what has not left yet is thrown away. To be set before the first write; a line over nothing
    /// (a test's) does not ask.
    virtual void ask_before_sending(std::function<bool()>) {}

    /// Tells the peer's system at once that its octets have arrived. A peer that sends a small answer and has another
    /// to follow may hold that back until it knows (Nagle), and our system takes 40 ms before it says so unasked.
    virtual void acknowledge() noexcept {}

    [[nodiscard]] virtual bool encrypted() const noexcept = 0;
    [[nodiscard]] virtual std::string peer() const = 0;        ///< "192.0.2.1:993" or "[::1]:993"
    [[nodiscard]] virtual std::string tls_summary() const = 0; ///< "TLSv1.3 TLS_AES_256_GCM_SHA384", empty in the clear

  protected:
    connection() = default;
};

} // namespace postferry::net
