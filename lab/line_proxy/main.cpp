// A TCP line between a client and a server on loopback, with the delay, the rate and the faults of a real one.
// Prints its port as the first line, and one JSON object per closed connection (to --count's file, if given).

#include "proxy.hpp"

#include <cstdio>
#include <sys/resource.h>

int main(int argc, char** argv) {
    auto settings = postferry::lab::parse_options(argc, argv);
    if (!settings) return 2;
    rlimit files{};
    if (::getrlimit(RLIMIT_NOFILE, &files) == 0) {
        files.rlim_cur = files.rlim_max;
        ::setrlimit(RLIMIT_NOFILE, &files);
    }
    postferry::lab::proxy line{std::move(*settings)};
    const auto port = line.open();
    if (port == 0) return 1;
    std::printf("%u\n", unsigned{port});
    std::fflush(stdout);
    line.run();
}
