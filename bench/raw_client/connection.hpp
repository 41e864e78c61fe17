#pragma once

#include "options.hpp"

#include <cstddef>
#include <string>
#include <string_view>
#include <sys/types.h>
#include <sys/uio.h>
#include <vector>

struct ssl_st;
struct ssl_ctx_st;

namespace raw_client {

// Says why on standard error and ends the program: a yardstick that failed has no result.
[[noreturn]] void die(std::string_view why);

// A TCP connection, plain or TLS. Reads and writes never block; the setup phase waits by wait().
class connection {
  public:
    explicit connection(const server& where, int rcvbuf, int sndbuf);
    ~connection();
    connection(const connection&) = delete;
    connection& operator=(const connection&) = delete;

    int fd() const { return fd_; }

    bool tls() const { return ssl_ != nullptr; }

    // Octets read (> 0), or 0 when there is nothing now. The end of the connection ends the program.
    std::size_t read(char* to, std::size_t octets);
    // Octets taken, 0 when the socket is full. TLS: encrypts into one buffer, so that one send carries many records.
    std::size_t write(const iovec* parts, int count);

    // True when a TLS write is encrypted but not yet wholly sent.
    bool has_unsent() const { return unsent_ > 0; }

    bool flush();

    // Setup phase: send all of it, wait until it can be read.
    void send_all(std::string_view text);
    void wait(short events) const;

  private:
    void connect_tcp(const server& where, int rcvbuf, int sndbuf);
    void start_tls();
    std::size_t write_tls(const iovec* parts, int count);

    int fd_ = -1;
    ssl_ctx_st* context_ = nullptr;
    ssl_st* ssl_ = nullptr;
    std::vector<char> plain_; // TLS: small pieces gathered into full records
    std::size_t unsent_ = 0;  // TLS: encrypted octets in the memory BIO
    std::size_t sent_ = 0;    // TLS: of the memory BIO's content, already sent
};

} // namespace raw_client
