#include "net/detail/resolver.hpp"

#include "base/text.hpp"

#include <ares.h>
#include <boost/asio/as_tuple.hpp>
#include <boost/asio/ip/address.hpp>
#include <boost/asio/posix/stream_descriptor.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/this_coro.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <fmt/format.h>

#include <cstring>
#include <map>
#include <memory>
#include <netinet/in.h>
#include <optional>
#include <sys/time.h>

namespace asio = boost::asio;

namespace postferry::net::detail {

namespace {

bool start_library() noexcept {
    static const bool started = ares_library_init(ARES_LIB_INIT_ALL) == ARES_SUCCESS;
    return started;
}

/// One search. c-ares says which sockets it wants watched and when it wants to be called; handlers that come late find
/// the search ended by `channel_` being empty. Used on one strand.
class lookup : public std::enable_shared_from_this<lookup> {
  public:
    explicit lookup(const executor& ex) : ex_(ex), tick_(ex), finished_(ex) {}
    lookup(const lookup&) = delete;
    lookup& operator=(const lookup&) = delete;
    ~lookup() { stop(); }

    int open(const resolver_options& options);
    void start(const endpoint& where);
    void stop() noexcept;

    [[nodiscard]] asio::steady_timer& finished() noexcept { return finished_; }
    [[nodiscard]] std::optional<int> status() const noexcept { return status_; }
    [[nodiscard]] const address_list& addresses() const noexcept { return addresses_; }

  private:
    struct watched {
        watched(const executor& ex, int fd, unsigned long id) : descriptor(ex, fd), number(id) {}
        asio::posix::stream_descriptor descriptor;
        unsigned long number; ///< file descriptors are reused, numbers are not
        bool wants_read = false, wants_write = false, reads = false, writes = false;
    };

    static void on_socket(void* self, ares_socket_t fd, int readable, int writable);
    static void on_answer(void* self, int status, int timeouts, ares_addrinfo* info);
    void watch(int fd, bool read, bool write);
    void wait_for(int fd, watched& w);
    void ready(int fd, unsigned long number, bool is_read);
    void set_tick();

    executor ex_;
    asio::steady_timer tick_;
    asio::steady_timer finished_;
    ares_channel channel_ = nullptr;
    std::map<int, watched> sockets_;
    std::uint16_t port_ = 0;
    unsigned long next_number_ = 0;
    std::optional<int> status_;
    address_list addresses_;
};

int lookup::open(const resolver_options& options) {
    if (!start_library()) return ARES_ENOTINITIALIZED;
    ares_options o{};
    o.timeout = static_cast<int>(options.timeout.count());
    o.tries = options.tries;
    o.sock_state_cb = &lookup::on_socket;
    o.sock_state_cb_data = this;
    if (const int rc = ares_init_options(&channel_, &o, ARES_OPT_TIMEOUTMS | ARES_OPT_TRIES | ARES_OPT_SOCK_STATE_CB);
        rc != ARES_SUCCESS) {
        channel_ = nullptr;
        return rc;
    }
    return options.servers.empty() ? static_cast<int>(ARES_SUCCESS)
                                   : ares_set_servers_ports_csv(channel_, options.servers.c_str());
}

void lookup::start(const endpoint& where) {
    ares_addrinfo_hints hints{};
    hints.ai_family = AF_UNSPEC;
    hints.ai_socktype = SOCK_STREAM;
    port_ = where.port;
    ares_getaddrinfo(channel_, where.host.c_str(), nullptr, &hints, &lookup::on_answer, this);
    set_tick();
}

void lookup::stop() noexcept {
    if (channel_ == nullptr) return;
    ares_destroy(std::exchange(channel_, nullptr));
    sockets_.clear();
    tick_.cancel();
}

void lookup::on_socket(void* self, ares_socket_t fd, int readable, int writable) {
    static_cast<lookup*>(self)->watch(fd, readable != 0, writable != 0);
}

void lookup::watch(int fd, bool read, bool write) {
    const auto found = sockets_.find(fd);
    if (!read && !write) {
        if (found == sockets_.end()) return;
        found->second.descriptor.release(); // c-ares closes it
        sockets_.erase(found);
        return;
    }
    watched& w =
        found != sockets_.end() ? found->second : sockets_.try_emplace(fd, ex_, fd, ++next_number_).first->second;
    w.wants_read = read;
    w.wants_write = write;
    wait_for(fd, w);
}

void lookup::wait_for(int fd, watched& w) {
    const auto handler = [this, fd, &w](bool is_read) {
        return [self = shared_from_this(), fd, number = w.number, is_read](const boost::system::error_code& ec) {
            if (ec != asio::error::operation_aborted) self->ready(fd, number, is_read);
        };
    };
    if (w.wants_read && !std::exchange(w.reads, w.wants_read || w.reads))
        w.descriptor.async_wait(asio::posix::stream_descriptor::wait_read, handler(true));
    if (w.wants_write && !std::exchange(w.writes, w.wants_write || w.writes))
        w.descriptor.async_wait(asio::posix::stream_descriptor::wait_write, handler(false));
}

void lookup::ready(int fd, unsigned long number, bool is_read) {
    auto found = sockets_.find(fd);
    if (channel_ == nullptr || found == sockets_.end() || found->second.number != number) return;
    (is_read ? found->second.reads : found->second.writes) = false;
    ares_process_fd(channel_, is_read ? fd : ARES_SOCKET_BAD, is_read ? ARES_SOCKET_BAD : fd);
    found = sockets_.find(fd); // c-ares may have closed it
    if (found != sockets_.end() && found->second.number == number) wait_for(fd, found->second);
    set_tick();
}

void lookup::set_tick() {
    timeval next{};
    if (channel_ == nullptr || status_ || ares_timeout(channel_, nullptr, &next) == nullptr) return;
    tick_.expires_after(std::chrono::seconds(next.tv_sec) + std::chrono::microseconds(next.tv_usec) +
                        std::chrono::milliseconds(1));
    tick_.async_wait([self = shared_from_this()](const boost::system::error_code& ec) {
        if (ec || self->channel_ == nullptr) return;
        ares_process_fd(self->channel_, ARES_SOCKET_BAD, ARES_SOCKET_BAD);
        self->set_tick();
    });
}

std::optional<asio::ip::tcp::endpoint> endpoint_of(const sockaddr* address, std::uint16_t port) {
    asio::ip::tcp::endpoint out;
    if (address->sa_family == AF_INET) {
        std::memcpy(out.data(), address, sizeof(sockaddr_in));
    } else if (address->sa_family == AF_INET6) {
        out = asio::ip::tcp::endpoint(asio::ip::tcp::v6(), 0);
        std::memcpy(out.data(), address, sizeof(sockaddr_in6));
    } else {
        return std::nullopt;
    }
    out.port(port);
    return out;
}

void lookup::on_answer(void* self, int status, int /*timeouts*/, ares_addrinfo* info) {
    auto& me = *static_cast<lookup*>(self);
    me.status_ = status;
    if (status == ARES_SUCCESS && info != nullptr)
        for (const ares_addrinfo_node* node = info->nodes; node != nullptr; node = node->ai_next)
            if (const auto address = endpoint_of(node->ai_addr, me.port_)) me.addresses_.push_back(*address);
    ares_freeaddrinfo(info);
    me.finished_.cancel();
}

std::unexpected<error> no_such_host(const std::string& host) {
    return fail(retry_class::config, phase::resolve, fmt::format("there is no host {}", quote_server_text(host)),
                "Check the name");
}

std::unexpected<error> explain(const std::string& host, int status) {
    switch (status) {
    case ARES_ENOTFOUND: return no_such_host(host);
    case ARES_ENODATA:
        return fail(retry_class::config, phase::resolve,
                    fmt::format("the name {} exists but has no address", quote_server_text(host)), "Check the name");
    case ARES_EBADNAME:
    case ARES_EBADSTR:
        return fail(retry_class::config, phase::resolve, fmt::format("{} is not a host name", quote_server_text(host)),
                    "Check the name");
    case ARES_ENOMEM: return fail(retry_class::local, phase::resolve, "out of memory while resolving a name");
    case ARES_EFILE:
        return fail(retry_class::local, phase::resolve,
                    "the resolver's configuration cannot be read: /etc/resolv.conf");
    case ARES_ETIMEOUT:
    case ARES_ECONNREFUSED:
        return fail(retry_class::transient, phase::resolve,
                    fmt::format("no name server answered the question for {}: {}", quote_server_text(host),
                                ares_strerror(status)),
                    "Check this machine's network and /etc/resolv.conf");
    default:
        return fail(
            retry_class::transient, phase::resolve,
            fmt::format("the name server could not answer for {}: {}", quote_server_text(host), ares_strerror(status)));
    }
}

bool never_exists(std::string_view host) {
    if (host.ends_with('.')) host.remove_suffix(1);
    constexpr std::string_view end = ".invalid";
    return host.size() >= end.size() && iequals(host.substr(host.size() - end.size()), end);
}

} // namespace

task<result<address_list>> resolve(executor ex, endpoint where, deadline until, resolver_options options) {
    boost::system::error_code no_address;
    const asio::ip::address numeric = asio::ip::make_address(where.host, no_address);
    if (!no_address) co_return address_list{asio::ip::tcp::endpoint(numeric, where.port)};
    if (where.host.empty() || never_exists(where.host)) co_return no_such_host(where.host);

    const auto search = std::make_shared<lookup>(ex);
    if (const int rc = search->open(options); rc != ARES_SUCCESS) {
        search->stop();
        co_return explain(where.host, rc);
    }
    const auto since = deadline::clock::now();
    search->finished().expires_at(until.when());
    search->start(where);
    if (!search->status()) co_await search->finished().async_wait(asio::as_tuple(asio::use_awaitable));
    const std::optional<int> status = search->status();
    search->stop();
    const auto cancelled = (co_await asio::this_coro::cancellation_state).cancelled();
    if (cancelled != asio::cancellation_type::none)
        co_return fail(retry_class::cancelled, phase::resolve, "the search for the host's address was stopped");
    if (!status)
        co_return fail(retry_class::transient, phase::resolve,
                       fmt::format("no name server answered the question for {} within {:.3g} s",
                                   quote_server_text(where.host),
                                   std::chrono::duration<double>(deadline::clock::now() - since).count()),
                       "Check this machine's network and /etc/resolv.conf");
    if (*status != ARES_SUCCESS) co_return explain(where.host, *status);
    if (search->addresses().empty()) co_return explain(where.host, ARES_ENODATA);
    co_return search->addresses();
}

} // namespace postferry::net::detail
