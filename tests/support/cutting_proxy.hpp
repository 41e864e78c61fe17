#pragma once
// Between a client and a server on loopback: cuts the line at a chosen moment. Its own thread, plain sockets.
#include <arpa/inet.h>
#include <array>
#include <atomic>
#include <mutex>
#include <netinet/in.h>
#include <poll.h>
#include <string>
#include <string_view>
#include <sys/socket.h>
#include <thread>
#include <unistd.h>
#include <vector>

namespace postferry::support {

class cutting_proxy {
  public:
    enum class cut : int {
        none,
        before, ///< what holds the words never arrives
        after,  ///< it arrives, the answer does not
        hang,   ///< nothing passes any more in either direction, and nobody is told; see deliver()
    };

    explicit cutting_proxy(int server_port) : server_port_(server_port) {
        listener_ = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
        sockaddr_in here = address(0);
        bind(listener_, reinterpret_cast<sockaddr*>(&here), sizeof here);
        listen(listener_, 8);
        socklen_t length = sizeof here;
        getsockname(listener_, reinterpret_cast<sockaddr*>(&here), &length);
        port_ = ntohs(here.sin_port);
        thread_ = std::thread([this] { serve(); });
    }
    ~cutting_proxy() {
        stopping_ = true;
        thread_.join();
        for (const held& line : held_) close(line.client), close(line.server);
        close(listener_);
    }
    cutting_proxy(const cutting_proxy&) = delete;
    cutting_proxy& operator=(const cutting_proxy&) = delete;

    [[nodiscard]] int port() const { return port_; }
    /// Once, at the next packet of the client that holds the words.
    void arm(cut how, std::string words) {
        words_ = std::move(words);
        cut_ = how;
    }
    /// What a hung line holds back arrives at the server after all.
    void deliver() {
        const std::lock_guard lock(mutex_);
        for (const held& line : held_) send(line.server, line.octets.data(), line.octets.size(), MSG_NOSIGNAL);
    }
    /// Connections are refused at once while shut.
    void shut(bool now) { shut_ = now; }

  private:
    static sockaddr_in address(int port) {
        sockaddr_in a{};
        a.sin_family = AF_INET;
        a.sin_port = htons(static_cast<std::uint16_t>(port));
        a.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
        return a;
    }
    bool readable(int a, int b) {
        while (!stopping_) {
            std::array<pollfd, 2> both{
                {{.fd = a, .events = POLLIN, .revents = 0}, {.fd = b, .events = POLLIN, .revents = 0}}};
            if (poll(both.data(), b < 0 ? 1 : 2, 20) > 0) return true;
        }
        return false;
    }
    void serve() {
        while (readable(listener_, -1)) {
            const int client = accept(listener_, nullptr, nullptr);
            const int server = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
            sockaddr_in there = address(server_port_);
            const bool connected = !shut_ && connect(server, reinterpret_cast<sockaddr*>(&there), sizeof there) == 0;
            if (connected && !relay(client, server)) continue;
            close(client);
            close(server);
        }
    }
    enum class passed : std::uint8_t { some, nothing, end, hung };

    /// false: the line hangs, and stays as it is.
    bool relay(int client, int server) {
        while (readable(client, server)) {
            const passed of_client = pass(client, server, true);
            if (of_client == passed::hung) return false;
            if (of_client == passed::end || pass(server, client, false) == passed::end) return true;
        }
        return true;
    }
    passed pass(int from, int to, bool of_client) {
        std::array<char, 65536> octets{};
        const auto got = recv(from, octets.data(), octets.size(), MSG_DONTWAIT);
        if (got < 0) return passed::nothing;
        if (got == 0) return passed::end;
        const std::string_view text(octets.data(), static_cast<std::size_t>(got));
        const bool now = of_client && cut_ != cut::none && text.find(words_) != std::string_view::npos;
        const cut how = now ? cut_.exchange(cut::none) : cut::none;
        if (how == cut::before) return passed::end;
        if (how == cut::hang) {
            const std::lock_guard lock(mutex_);
            held_.push_back({.client = from, .server = to, .octets = std::string(text)});
            return passed::hung;
        }
        if (send(to, octets.data(), text.size(), MSG_NOSIGNAL) != got) return passed::end;
        if (how != cut::after) return passed::some;
        // Until the server has answered: what was sent has been carried out then.
        pollfd one{.fd = to, .events = POLLIN, .revents = 0};
        poll(&one, 1, 5000);
        return passed::end;
    }

    struct held {
        int client, server;
        std::string octets;
    };

    int server_port_, listener_ = -1, port_ = 0;
    std::string words_;
    std::atomic<cut> cut_ = cut::none;
    std::mutex mutex_;
    std::vector<held> held_;
    std::atomic<bool> stopping_ = false, shut_ = false;
    std::thread thread_;
};

} // namespace postferry::support
