#include "proxy.hpp"

#include <algorithm>
#include <cerrno>
#include <csignal>
#include <cstring>
#include <netdb.h>
#include <netinet/tcp.h>
#include <sys/epoll.h>
#include <sys/signalfd.h>
#include <unistd.h>

namespace postferry::lab {
namespace {

constexpr std::size_t read_size = 256 * 1024;
constexpr std::size_t whole_line = 64 * 1024 * 1024; // per connection and direction; then back-pressure
constexpr int socket_buffer = 8 * 1024 * 1024;

// Keys of what is not a connection; connections use number * 2 + side.
constexpr std::uint64_t listener_key = 0;
constexpr std::uint64_t signals_key = ~std::uint64_t{0};
constexpr std::uint64_t input_key = ~std::uint64_t{1};

constexpr std::size_t at(side which) { return static_cast<std::size_t>(which); }

constexpr side other(side which) { return which == side::client ? side::server : side::client; }

void enlarge_buffers(int fd) {
    // FORCE passes the system's limit but needs root; without it the limit applies.
    for (const auto& [forced, plain] : {std::pair{SO_RCVBUFFORCE, SO_RCVBUF}, std::pair{SO_SNDBUFFORCE, SO_SNDBUF}})
        if (::setsockopt(fd, SOL_SOCKET, forced, &socket_buffer, sizeof socket_buffer) != 0)
            ::setsockopt(fd, SOL_SOCKET, plain, &socket_buffer, sizeof socket_buffer);
    const int on = 1;
    ::setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
}

void add(int epoll, int fd, std::uint64_t key) {
    epoll_event event{.events = EPOLLIN, .data = {.u64 = key}};
    ::epoll_ctl(epoll, EPOLL_CTL_ADD, fd, &event);
}

} // namespace

proxy::proxy(options settings) : settings_{std::move(settings)}, most_queued_{whole_line}, buffer_(read_size) {
    if (settings_.rate != 0) {
        // A slow line does not swallow 64 MB at once: a quarter of a second, and what is travelling.
        const auto seconds = 0.25 + std::chrono::duration<double>(settings_.delay).count();
        const auto octets = static_cast<double>(settings_.rate) * seconds;
        most_queued_ = std::clamp(static_cast<std::size_t>(std::min(octets, 1e9)), std::size_t{64 * 1024}, whole_line);
        buffer_.resize(16 * 1024);
    }
}

proxy::~proxy() {
    for (auto& [number, one] : connections_) close(*one, true);
    if (counts_) std::fclose(counts_);
    for (const int fd : {listener_, signals_, epoll_})
        if (fd >= 0) ::close(fd);
}

std::uint16_t proxy::open() {
    addrinfo wanted{};
    wanted.ai_socktype = SOCK_STREAM;
    addrinfo* found = nullptr;
    if (const int error =
            ::getaddrinfo(settings_.target_host.c_str(), settings_.target_port.c_str(), &wanted, &found)) {
        std::fprintf(stderr, "line_proxy: %s: %s\n", settings_.target_host.c_str(), ::gai_strerror(error));
        return 0;
    }
    std::memcpy(&target_, found->ai_addr, found->ai_addrlen);
    target_size_ = found->ai_addrlen;
    ::freeaddrinfo(found);
    if (!settings_.count_file.empty() && !(counts_ = std::fopen(settings_.count_file.c_str(), "w"))) {
        std::perror(settings_.count_file.c_str());
        return 0;
    }
    epoll_ = ::epoll_create1(EPOLL_CLOEXEC);
    sockaddr_in bound{};
    socklen_t size = sizeof bound;
    if (epoll_ < 0 || !listen_on_loopback() || !watch_signals() ||
        ::getsockname(listener_, reinterpret_cast<sockaddr*>(&bound), &size) != 0) {
        std::perror("line_proxy");
        return 0;
    }
    return ntohs(bound.sin_port);
}

bool proxy::listen_on_loopback() {
    listener_ = ::socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (listener_ < 0) return false;
    const int on = 1;
    ::setsockopt(listener_, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
    enlarge_buffers(listener_);
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_port = htons(settings_.port);
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    if (::bind(listener_, reinterpret_cast<sockaddr*>(&address), sizeof address) != 0) return false;
    if (::listen(listener_, 4096) != 0) return false;
    add(epoll_, listener_, listener_key);
    return true;
}

bool proxy::watch_signals() {
    sigset_t set;
    sigemptyset(&set);
    sigaddset(&set, SIGTERM);
    sigaddset(&set, SIGINT);
    sigprocmask(SIG_BLOCK, &set, nullptr);
    signals_ = ::signalfd(-1, &set, SFD_CLOEXEC);
    if (signals_ < 0) return false;
    add(epoll_, signals_, signals_key);
    if (settings_.exit_on_eof) add(epoll_, STDIN_FILENO, input_key);
    return true;
}

void proxy::run() {
    std::array<epoll_event, 128> events;
    while (!stop_) {
        timespec wait{};
        const auto next = next_due();
        if (next != moment::max()) {
            const auto left = std::max(next - steady::now(), steady::duration::zero());
            const auto seconds = std::chrono::duration_cast<std::chrono::seconds>(left);
            wait = {.tv_sec = seconds.count(), .tv_nsec = std::chrono::nanoseconds(left - seconds).count()};
        }
        const int count = ::epoll_pwait2(epoll_, events.data(), static_cast<int>(events.size()),
                                         next == moment::max() ? nullptr : &wait, nullptr);
        const auto now = steady::now();
        for (int i = 0; i < count; ++i) {
            const auto& event = events[static_cast<std::size_t>(i)];
            on_event(event.data.u64, event.events, now);
        }
        for (auto& [number, one] : connections_)
            for (const auto sender : {side::client, side::server})
                if (one->now_in == state::open && one->flows[at(sender)].next() <= now) pump(*one, sender, now);
        collect_closed();
    }
    for (const auto& [number, one] : connections_) report(*one);
}

void proxy::on_event(std::uint64_t key, std::uint32_t events, moment now) {
    if (key == listener_key) return accept_all(now);
    if (key == signals_key) {
        stop_ = true;
        return;
    }
    if (key == input_key) {
        stop_ = ::read(STDIN_FILENO, buffer_.data(), buffer_.size()) <= 0;
        return;
    }
    // An earlier event of the same round may have closed the connection.
    const auto found = connections_.find(key / 2);
    if (found == connections_.end() || found->second->ends[0].fd < 0) return;
    on_ready(*found->second, static_cast<side>(key % 2), events, now);
}

moment proxy::next_due() const {
    auto next = moment::max();
    for (const auto& [number, one] : connections_)
        if (one->now_in == state::open)
            for (const auto& each : one->flows) next = std::min(next, each.next());
    return next;
}

void proxy::accept_all(moment now) {
    for (;;) {
        const int client = ::accept4(listener_, nullptr, nullptr, SOCK_NONBLOCK | SOCK_CLOEXEC);
        if (client < 0) return;
        start(client, now);
    }
}

void proxy::start(int client, moment now) {
    auto owned = std::make_unique<connection>();
    auto& one = *owned;
    one.number = ++last_number_;
    one.accepted = now;
    one.faulty = settings_.only_connection == 0 || settings_.only_connection == one.number;
    connections_.emplace(one.number, std::move(owned));
    one.ends[at(side::client)].fd = client;
    const int server = ::socket(target_.ss_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    one.ends[at(side::server)].fd = server;
    if (server < 0) return close(one, true);
    enlarge_buffers(client);
    enlarge_buffers(server);
    if (one.faulty) {
        if (settings_.split != 0)
            for (auto& each : one.flows) each.split_every(settings_.split, settings_.split_gap);
        const auto limit = settings_.cut_after ? settings_.cut_after : settings_.stall_after;
        if (limit) one.flows[at(settings_.counted)].allow_until(*limit);
    }
    one.flows[at(side::client)].set_blocked(true); // until connected
    if (::connect(server, reinterpret_cast<const sockaddr*>(&target_), target_size_) != 0 && errno != EINPROGRESS)
        return close(one, true);
    settle(one);
}

void proxy::on_connected(connection& one) {
    int error = 0;
    socklen_t size = sizeof error;
    ::getsockopt(one.ends[at(side::server)].fd, SOL_SOCKET, SO_ERROR, &error, &size);
    if (error != 0) return close(one, true);
    one.connected = true;
    const auto limit = settings_.cut_after ? settings_.cut_after : settings_.stall_after;
    if (one.faulty && limit && *limit == 0) apply_fault(one);
}

void proxy::on_ready(connection& one, side from, std::uint32_t events, moment now) {
    if (one.now_in == state::stalled) {
        if (events & (EPOLLRDHUP | EPOLLHUP | EPOLLERR)) close(one, false);
        return;
    }
    if (from == side::server && !one.connected) {
        on_connected(one);
        if (one.ends[0].fd < 0) return;
    }
    if (events & EPOLLOUT) {
        one.flows[at(other(from))].set_blocked(false);
        if (one.now_in == state::open) pump(one, other(from), now);
        if (one.ends[0].fd < 0) return;
    }
    if (one.now_in != state::stalled && (events & (EPOLLIN | EPOLLHUP | EPOLLERR))) read_from(one, from, now);
    if (one.ends[0].fd < 0) return;
    // A socket that was reset reports it for ever; what is on its way there has nowhere to go.
    if (events & EPOLLERR) one.flows[at(other(from))].give_up();
    settle(one);
}

void proxy::read_from(connection& one, side from, moment now) {
    auto& sent = one.flows[at(from)];
    const auto count = ::recv(one.ends[at(from)].fd, buffer_.data(), buffer_.size(), 0);
    if (count < 0 && (errno == EAGAIN || errno == EINTR)) return;
    if (count <= 0) {
        sent.push_end(one.now_in == state::open ? due(one, from, 0, now) : now);
        return pump(one, from, now);
    }
    if (one.now_in == state::draining || sent.finished()) return;
    const std::span octets{buffer_.data(), static_cast<std::size_t>(count)};
    if (from == side::client && one.last_sender != from) {
        one.turns += one.last_sender ? 1 : 0;
        one.last_sender = from;
    }
    const auto before = sent.passed();
    const auto result = sent.forward(one.ends[at(other(from))].fd, octets, due(one, from, octets.size(), now), now);
    after(one, from, result, before);
}

void proxy::pump(connection& one, side sender, moment now) {
    auto& sent = one.flows[at(sender)];
    if (one.now_in != state::open) return settle(one);
    const auto before = sent.passed();
    after(one, sender, sent.pump(one.ends[at(other(sender))].fd, now), before);
}

void proxy::after(connection& one, side sender, flow::outcome result, std::uint64_t passed_before) {
    // Turns are counted where the client stands: when it sends, and when it is given something.
    if (sender == side::server && one.flows[at(sender)].passed() != passed_before && one.last_sender != sender) {
        one.turns += one.last_sender ? 1 : 0;
        one.last_sender = sender;
    }
    if (result == flow::outcome::at_limit) return apply_fault(one);
    if (result == flow::outcome::broken) return close(one, true);
    settle(one);
}

void proxy::apply_fault(connection& one) {
    if (!settings_.cut_after) {
        one.now_in = state::stalled;
        return settle(one);
    }
    if (settings_.reset) return close(one, true);
    // Closing a socket with unread octets would send RST and might cost the peer what it was just given.
    one.now_in = state::draining;
    for (const auto which : {side::client, side::server}) {
        one.flows[at(which)].give_up();
        ::shutdown(one.ends[at(which)].fd, SHUT_WR);
    }
    settle(one);
}

// Brings epoll's interest in line with the connection, and closes it when both directions are done.
void proxy::settle(connection& one) {
    if (one.ends[0].fd < 0) return;
    const auto done = [](const flow& each) { return each.finished() && each.ended(); };
    if (one.now_in != state::stalled && done(one.flows[0]) && done(one.flows[1])) return close(one, false);
    watch(one, side::client);
    watch(one, side::server);
}

void proxy::watch(connection& one, side which) {
    auto& place = one.ends[at(which)];
    const auto& sent = one.flows[at(which)];
    const auto& received = one.flows[at(other(which))];
    std::uint32_t interest = 0;
    if (one.now_in == state::stalled) {
        interest = EPOLLRDHUP;
    } else {
        if (!sent.ended() && sent.queued() < most_queued_) interest |= EPOLLIN;
        if (received.blocked()) interest |= EPOLLOUT;
    }
    // A socket shut down both ways would report HUP without end.
    const bool watched = one.now_in == state::stalled || !(sent.ended() && received.finished());
    if (watched == place.watched && interest == place.interest) return;
    epoll_event event{.events = interest, .data = {.u64 = one.number * 2 + at(which)}};
    const int operation = !watched ? EPOLL_CTL_DEL : place.watched ? EPOLL_CTL_MOD : EPOLL_CTL_ADD;
    if (watched || place.watched) ::epoll_ctl(epoll_, operation, place.fd, &event);
    place.watched = watched;
    place.interest = interest;
}

void proxy::close(connection& one, bool reset) {
    if (one.ends[0].fd < 0) return;
    const linger at_once{.l_onoff = 1, .l_linger = 0};
    for (auto& place : one.ends) {
        if (place.fd < 0) continue;
        if (reset) ::setsockopt(place.fd, SOL_SOCKET, SO_LINGER, &at_once, sizeof at_once);
        ::close(place.fd);
        place.fd = -1;
    }
    for (auto& each : one.flows) each.give_up();
    closed_.push_back(one.number);
}

void proxy::collect_closed() {
    for (const auto number : closed_) {
        report(*connections_.at(number));
        connections_.erase(number);
    }
    closed_.clear();
}

void proxy::report(const connection& one) const {
    const auto print = [&](std::FILE* to) {
        std::fprintf(to,
                     "{\"connection\": %llu, \"client_octets\": %llu, \"server_octets\": %llu, \"turns\": %llu, "
                     "\"seconds\": %.6f}\n",
                     static_cast<unsigned long long>(one.number),
                     static_cast<unsigned long long>(one.flows[at(side::client)].passed()),
                     static_cast<unsigned long long>(one.flows[at(side::server)].passed()),
                     static_cast<unsigned long long>(one.turns),
                     std::chrono::duration<double>(steady::now() - one.accepted).count());
        std::fflush(to);
    };
    print(counts_ ? counts_ : stdout);
}

// When octets that arrive now reach the other end. The kernel's handshake on loopback takes no time, so its round
// trip is added here: the client may speak 2 delays after its SYN, the server has the client's ACK after 3.
moment proxy::due(connection& one, side sender, std::size_t octets, moment now) {
    auto sent = std::max(now, one.accepted + settings_.delay * (sender == side::client ? 2 : 3));
    if (settings_.rate != 0) {
        auto& free = (settings_.rate_each ? one.line_free : line_free_)[at(sender)];
        const std::chrono::duration<double> takes{static_cast<double>(octets) / static_cast<double>(settings_.rate)};
        free = std::max(free, sent) + std::chrono::duration_cast<steady::duration>(takes);
        sent = free;
    }
    return sent + settings_.delay;
}

} // namespace postferry::lab
