#pragma once
// What a handler of the HTTP server is given, and what it answers (RFC 9110, RFC 9112).
#include "base/error.hpp"
#include "net/awaitable.hpp"

#include <cstdint>
#include <filesystem>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

namespace postferry::http {

enum class method : std::uint8_t { get, head, post, put, patch, del };
[[nodiscard]] std::string_view name_of(method m) noexcept; ///< "GET" ...
/// Whether it only reads (RFC 9110, section 9.2.1): GET and HEAD.
[[nodiscard]] constexpr bool is_safe(method m) noexcept { return m == method::get || m == method::head; }

/// Who is at the other end of the connection.
struct peer {
    std::string address;              ///< "192.0.2.1", "2001:db8::1"; "unix" for the local socket
    std::optional<std::uint32_t> uid; ///< of the process at the other end of the local socket (SO_PEERCRED)
    bool tls = false;
};

/// Whose address it is, as far as one can tell: an IPv4 address itself, the /64 of an IPv6 address (its owner has all
/// of it), "unix", or a text that is no address as it is.
[[nodiscard]] std::string network_of(std::string_view address);

/// Fields in the order sent; names are compared without regard to case.
using field_list = std::vector<std::pair<std::string, std::string>>;

/// A request whose head has been read; its body is asked for by whoever wants it, so that nobody sends a large one in
/// vain. One strand; lives until the handler's reply has been sent.
class exchange {
  public:
    virtual ~exchange() = default;
    [[nodiscard]] virtual method verb() const noexcept = 0;
    /// Percent-decoded segments of the path: {"api", "v1", "batches", "12"}. Never empty ones, "." or "..", no NUL.
    [[nodiscard]] virtual const std::vector<std::string>& path() const noexcept = 0;
    /// As it was sent, without the query; for logs.
    [[nodiscard]] virtual std::string_view raw_path() const noexcept = 0;
    /// Decoded names and values of the query, in order.
    [[nodiscard]] virtual const field_list& query() const noexcept = 0;
    /// The first field of this name; empty: there is none.
    [[nodiscard]] virtual std::string_view header(std::string_view name) const noexcept = 0;
    [[nodiscard]] virtual const peer& from() const noexcept = 0;

    /// Reads the whole body. Errors: class permanent, response_code "413": longer than `most` octets; transient: the
    /// peer has gone or stalled. Once, this or body_to_file().
    virtual task<result<std::string>> body(std::size_t most) = 0;
    /// Writes the body into a new file that only we may read; on failure the file is removed. Errors as body(), and
    /// local (disk full).
    virtual task<result<std::uint64_t>> body_to_file(std::filesystem::path file, std::uint64_t most) = 0;
};

/// Where a body that is made while it is sent goes to.
class body_sink {
  public:
    virtual ~body_sink() = default;
    /// False: the peer has gone, or takes nothing for too long; whatever follows is in vain.
    virtual task<bool> write(std::string_view octets) = 0;
    /// The server is stopping: a stream without an end should end now.
    [[nodiscard]] virtual bool stopping() const noexcept = 0;
};

/// Makes a body piece by piece. Returns when there is no more, or write() said no. A peer that leaves is noticed by the
/// next write(), so a stream with nothing to say says something empty now and then.
using body_maker = std::function<task<>(body_sink&)>;

struct reply {
    unsigned status = 200;
    std::string type = "application/json"; ///< Content-Type; empty with an empty body
    std::variant<std::string, body_maker> body = {};
    field_list fields = {}; ///< further ones; names and values without CR, LF and NUL, or the reply becomes a 500

    [[nodiscard]] static reply empty(unsigned status = 204) { return {.status = status, .type = {}}; }
};

/// Splits "a=b&c=d". Nothing: broken escapes, or more than 64 fields.
[[nodiscard]] std::optional<field_list> parse_query(std::string_view query);
/// Segments of an absolute path. Nothing: broken escapes, empty segments in the middle, "." or "..", "/" or control
/// characters within a segment, more than 32 of them.
[[nodiscard]] std::optional<std::vector<std::string>> parse_path(std::string_view path);

} // namespace postferry::http
