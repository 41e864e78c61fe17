#pragma once
#include "net/connection.hpp"
#include "net/detail/piece_cursor.hpp"
#include "net/detail/tls_session.hpp"

#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/steady_timer.hpp>

#include <memory>
#include <optional>
#include <string>

namespace postferry::net::detail {

/// The connection over a real socket. Every transfer is tried at once on the non-blocking socket; only when that says
/// "not now" is the reactor asked to wait, and only then is a timer looked at.
class tcp_connection final : public connection {
  public:
    /// `socket` is connected; `where` is what the user named.
    tcp_connection(boost::asio::ip::tcp::socket socket, endpoint where);
    ~tcp_connection() override;

    task<result<void>> start_tls(const tls_settings& tls, deadline until) override;
    task<result<std::size_t>> read_some(std::span<char> buffer, deadline until) override;
    task<result<void>> write(std::span<const iovec> pieces, std::chrono::milliseconds patience,
                             deadline until) override;
    [[nodiscard]] bool readable() const noexcept override;
    void close() noexcept override;
    void discard_unsent(bool on) noexcept override;
    void acknowledge() noexcept override;
    void ask_before_sending(std::function<bool()> may) override;

    [[nodiscard]] bool encrypted() const noexcept override { return tls_ != nullptr; }
    [[nodiscard]] std::string peer() const override { return peer_; }
    [[nodiscard]] std::string tls_summary() const override { return tls_ ? tls_->summary() : std::string(); }

  private:
    using moment = deadline::clock::time_point;
    using socket_type = boost::asio::ip::tcp::socket;

    /// One direction's waiting. The timer is not set anew for each wait: when it fires early it is set for what is
    /// left, so a busy connection touches the timer queue about once a deadline and not once a wait.
    struct lane {
        explicit lane(const executor& ex) : timer(ex) {}
        boost::asio::steady_timer timer;
        moment armed = moment::max(); ///< when the timer fires; max = it is not set
        moment until = moment::max(); ///< what the wait in progress may last
        moment since{};               ///< when the call in progress began to wait without progress
        std::size_t burst = 0;        ///< octets since the executor last had its turn
        bool waiting = false;
    };
    struct waiting_mark;

    task<> wait(lane& l, socket_type::wait_type what, deadline until);
    void arm(lane& l);
    void on_timer(lane& l);
    void ask_again();

    io_step receive(std::span<char> buffer) noexcept;
    io_step send(piece_cursor& pieces);
    [[nodiscard]] bool may_send() const { return !may_send_ || may_send_(); }
    io_step send_plain(piece_cursor& pieces) noexcept;
    void flush_in_background();

    const error& shut(error why) noexcept; ///< closes and keeps the first reason
    error late(const lane& l) const;
    error failure() const;
    error not_allowed() const;

    socket_type socket_;
    lane reading_;
    lane writing_;
    boost::asio::steady_timer asking_;
    std::unique_ptr<tls_session> tls_;
    std::optional<error> why_closed_;
    std::shared_ptr<void> alive_ =
        std::make_shared<char>(); ///< timers and waits that end later look whether we still are
    endpoint where_;
    std::string peer_;
    std::function<bool()> may_send_;
    int os_error_ = 0;
    bool writer_active_ = false;
    bool flushing_ = false;
};

} // namespace postferry::net::detail
