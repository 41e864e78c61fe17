#pragma once
// A TCP line with a delay, a rate and faults: one thread, one epoll.

#include "flow.hpp"
#include "options.hpp"

#include <array>
#include <cstdio>
#include <memory>
#include <netinet/in.h>
#include <optional>
#include <sys/socket.h>
#include <unordered_map>

namespace postferry::lab {

class proxy {
  public:
    explicit proxy(options settings);
    ~proxy();
    proxy(const proxy&) = delete;
    proxy& operator=(const proxy&) = delete;

    // Resolves the target and listens; on failure says why on standard error. Returns the port, or 0.
    std::uint16_t open();

    // Until SIGTERM, SIGINT or, if asked for, the end of standard input.
    void run();

  private:
    enum class state { open, stalled, draining };

    struct end {
        int fd = -1;
        std::uint32_t interest = 0; // what epoll was told
        bool watched = false;
    };

    struct connection {
        std::uint64_t number = 0;
        moment accepted;
        state now_in = state::open;
        bool connected = false;
        bool faulty = false;
        std::array<end, 2> ends;           // by side
        std::array<flow, 2> flows;         // by the side that sends
        std::array<moment, 2> line_free{}; // as the whole line's below, where the rate is each connection's
        std::uint64_t turns = 0;
        std::optional<side> last_sender;
    };

    bool listen_on_loopback();
    bool watch_signals();
    void on_event(std::uint64_t key, std::uint32_t events, moment now);
    void accept_all(moment now);
    void start(int client, moment now);
    void on_connected(connection& one);
    void on_ready(connection& one, side from, std::uint32_t events, moment now);
    void read_from(connection& one, side from, moment now);
    void pump(connection& one, side sender, moment now);
    void after(connection& one, side sender, flow::outcome result, std::uint64_t passed_before);
    void apply_fault(connection& one);
    void settle(connection& one);
    void watch(connection& one, side which);
    void close(connection& one, bool reset);
    void report(const connection& one) const;
    void collect_closed();
    moment due(connection& one, side sender, std::size_t octets, moment now);
    moment next_due() const;

    options settings_;
    sockaddr_storage target_{};
    socklen_t target_size_ = 0;
    int listener_ = -1;
    int signals_ = -1;
    int epoll_ = -1;
    bool stop_ = false;
    std::uint64_t last_number_ = 0;
    std::size_t most_queued_ = 0;
    std::array<moment, 2> line_free_{}; // by sender: when the line has sent all it was given, at the rate
    std::unordered_map<std::uint64_t, std::unique_ptr<connection>> connections_;
    std::vector<std::uint64_t> closed_;
    std::vector<char> buffer_;
    std::FILE* counts_ = nullptr;
};

} // namespace postferry::lab
