// raw_client: the limit of the servers. It only pipelines UID FETCH of whole folders into MULTIAPPEND, as fast as the
// two servers go; nothing is checked but the servers' tagged answers. Its time is the yardstick in bench/results.md.

#include "options.hpp"
#include "pop3_pump.hpp"
#include "pump.hpp"
#include "session.hpp"

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <sys/resource.h>
#include <sys/socket.h>
#include <thread>
#include <vector>

namespace raw_client {
namespace {

void add(totals& sum, const totals& t) {
    sum.messages += t.messages;
    sum.octets += t.octets;
    sum.batches += t.batches;
    sum.empty += t.empty;
    sum.polls += t.polls;
    sum.reads += t.reads;
    sum.writes += t.writes;
}

double seconds_of(const timeval& t) { return static_cast<double>(t.tv_sec) + static_cast<double>(t.tv_usec) / 1e6; }

void report(const totals& t, double wall) {
    rusage usage{};
    getrusage(RUSAGE_SELF, &usage);
    std::printf("%.3f s, %llu messages, %llu octets, cpu %.3f s user %.3f s system, %llu batches, %llu reads, "
                "%llu writes, %llu polls, %llu empty left out\n",
                wall, static_cast<unsigned long long>(t.messages), static_cast<unsigned long long>(t.octets),
                seconds_of(usage.ru_utime), seconds_of(usage.ru_stime), static_cast<unsigned long long>(t.batches),
                static_cast<unsigned long long>(t.reads), static_cast<unsigned long long>(t.writes),
                static_cast<unsigned long long>(t.polls), static_cast<unsigned long long>(t.empty));
}

totals copy_maildrop(const options& o) {
    session target;
    std::unique_ptr<connection> source;
    std::uint64_t messages = 0;
    {
        std::jthread other([&] { target = open_session(o.target, false, 0, o.target_sndbuf); });
        source = open_maildrop(o.source, o.source_rcvbuf, messages);
    }
    return pop3_pump(*source, *target.io, o, messages).run();
}

totals copy(const options& o) {
    // Both logins at once: on a long line a login is several round trips.
    session source, target;
    {
        std::jthread other([&] { target = open_session(o.target, false, 0, o.target_sndbuf); });
        source = open_session(o.source, o.folders.empty(), o.source_rcvbuf, 0);
    }
    const auto& names = o.folders.empty() ? source.folders : o.folders;
    std::vector<std::string> wanted;
    wanted.reserve(names.size());
    for (const auto& name : names) wanted.push_back(target_name(source, target, name));
    create_folders(target, wanted);

    const auto pairs = static_cast<std::size_t>(o.connections);
    std::vector<std::vector<folder_pair>> shares(pairs);
    for (std::size_t i = 0; i < names.size(); ++i) shares[i % pairs].push_back({names[i], wanted[i]});
    std::vector<totals> results(pairs);
    std::vector<std::jthread> others;
    for (std::size_t k = 1; k < pairs; ++k)
        others.emplace_back([&, k] {
            const session from = open_session(o.source, false, o.source_rcvbuf, 0);
            const session to = open_session(o.target, false, 0, o.target_sndbuf);
            results[k] = pump(*from.io, *to.io, o, shares[k]).run();
        });
    if (o.lowat > 0) setsockopt(source.io->fd(), SOL_SOCKET, SO_RCVLOWAT, &o.lowat, sizeof o.lowat);
    results[0] = pump(*source.io, *target.io, o, shares[0]).run();
    others.clear();
    totals sum;
    for (const auto& r : results) add(sum, r);
    return sum;
}

} // namespace
} // namespace raw_client

int main(int argc, char** argv) {
    const auto begin = std::chrono::steady_clock::now();
    const auto o = raw_client::parse_options(argc, argv);
    const auto sum = o.source.pop3 ? raw_client::copy_maildrop(o) : raw_client::copy(o);
    const std::chrono::duration<double> wall = std::chrono::steady_clock::now() - begin;
    if (!o.quiet) raw_client::report(sum, wall.count());
    return 0;
}
