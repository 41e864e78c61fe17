#pragma once
// One connection of the server, over TCP, TLS or the local socket. Kept alive by its own coroutine.
#include "http/server.hpp"

#include <boost/asio/generic/stream_protocol.hpp>
#include <boost/asio/ip/address_v6.hpp>
#include <boost/asio/ssl/stream.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/beast/core/basic_stream.hpp>
#include <boost/beast/core/flat_buffer.hpp>
#include <boost/beast/http/buffer_body.hpp>
#include <boost/beast/http/parser.hpp>

#include <array>
#include <atomic>
#include <memory>
#include <optional>

namespace postferry::http::detail {

namespace asio = boost::asio;
namespace beast = boost::beast;

/// TCP and local sockets alike.
using plain_stream = beast::basic_stream<asio::generic::stream_protocol>;
using tls_stream = asio::ssl::stream<plain_stream>;

/// An address with the bits that count.
struct asio_network {
    asio::ip::address_v6 address; ///< IPv4 as IPv4-mapped
    unsigned bits = 128;
    [[nodiscard]] bool has(const std::string& address) const;
};
/// "10.0.0.0/8", "::1". Nothing: it is none.
[[nodiscard]] std::optional<asio_network> parse_network(std::string_view text);

/// What the connections of a server have in common; outlives them.
struct shared_state {
    server_limits limits;
    handler handle;
    std::function<void(const served&)> log;
    std::vector<asio_network> proxies; ///< trusted_proxies
    std::atomic<bool> stopping = false;
};

class session_base {
  public:
    virtual ~session_base() = default;
    /// Serves until either side has had enough.
    virtual task<> run() = 0;
    /// Ends a connection that waits for its next request; one at work goes on to its reply. On the session's strand.
    virtual void stop() = 0;
    /// Ends it now. On the session's strand.
    virtual void abort() = 0;
    [[nodiscard]] const executor& strand() const noexcept { return strand_; }

  protected:
    explicit session_base(executor strand) : strand_(std::move(strand)) {}

  private:
    executor strand_;
};

template <class Stream>
class session final : public session_base,
                      public std::enable_shared_from_this<session<Stream>>,
                      private exchange,
                      private body_sink {
  public:
    session(executor ex, std::shared_ptr<shared_state> shared, Stream stream, peer from)
        : session_base(std::move(ex)), shared_(std::move(shared)), stream_(std::move(stream)), from_(std::move(from)),
          alarm_(strand()) {}

    task<> run() override;
    void stop() override;
    void abort() override;

  private:
    using parser = beast::http::request_parser<beast::http::buffer_body>;

    // exchange
    [[nodiscard]] method verb() const noexcept override { return verb_; }
    [[nodiscard]] const std::vector<std::string>& path() const noexcept override { return path_; }
    [[nodiscard]] std::string_view raw_path() const noexcept override { return raw_path_; }
    [[nodiscard]] const field_list& query() const noexcept override { return query_; }
    [[nodiscard]] std::string_view header(std::string_view name) const noexcept override;
    [[nodiscard]] const peer& from() const noexcept override { return client_; }
    task<result<std::string>> body(std::size_t most) override;
    task<result<std::uint64_t>> body_to_file(std::filesystem::path file, std::uint64_t most) override;
    // body_sink
    task<bool> write(std::string_view octets) override;
    [[nodiscard]] bool stopping() const noexcept override { return shared_->stopping; }

    task<bool> handshake();
    task<bool> read_head();
    void find_client();
    [[nodiscard]] unsigned understand_head(); ///< 0, or the status of a refusal
    task<result<void>> before_body(std::uint64_t most);
    /// The next octets of the body, at most 64 kB, as a view that lives until the next call; empty: the end.
    task<result<std::string_view>> some_body();
    task<> serve_one();
    task<reply> answer();
    task<bool> send(reply answer);
    task<bool> send_made(const body_maker& make, bool chunked);
    task<bool> send_octets(std::string_view octets, std::string_view more_octets = {});
    task<bool> drain();
    task<> close();
    [[nodiscard]] plain_stream& lowest() noexcept { return beast::get_lowest_layer(stream_); }
    using clock = std::chrono::steady_clock;
    /// From now on the line may take that long; then it is closed. The stream's own timer would be set and taken back
    /// for every read and write, each time through the queue of all threads; this one looks when it may be over.
    void allow(std::chrono::milliseconds time) { allow_until(clock::now() + time); }
    /// What is not the line's own time, a handler's above all, has its own deadlines.
    void allow_anything() { allow_until(clock::time_point::max()); }
    void allow_until(clock::time_point end);
    void watch();

    std::shared_ptr<shared_state> shared_;
    Stream stream_;
    peer from_;   ///< at the other end of the line
    peer client_; ///< who asks: the same, or whom a proxy names
    beast::flat_buffer buffer_{256U << 10U};
    std::optional<parser> parser_;
    std::array<char, 16U << 10U> chunk_{};
    method verb_ = method::get;
    std::string raw_path_;
    std::vector<std::string> path_;
    field_list query_;
    bool waiting_ = false; ///< for the first octet of a request
    bool keep_ = true;     ///< the connection serves another request
    bool body_begun_ = false;
    std::chrono::steady_clock::time_point body_since_{};
    std::uint64_t body_octets_ = 0;
    bool chunked_ = false; ///< of the reply that is being made
    asio::steady_timer alarm_;
    clock::time_point until_ = clock::time_point::max(), alarm_at_ = clock::time_point::max();
};

extern template class session<plain_stream>;
extern template class session<tls_stream>;

} // namespace postferry::http::detail
