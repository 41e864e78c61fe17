#include "options.hpp"

#include <charconv>
#include <cstdio>
#include <getopt.h>
#include <limits>
#include <string_view>

namespace postferry::lab {
namespace {

constexpr const char* usage =
    "line_proxy --target [HOST:]PORT [--port P] [--delay-ms D] [--rate OCTETS/S [--rate-each]] [--count FILE]\n"
    "           [--exit-on-eof]\n"
    "           [--cut-after N [--reset] | --stall-after N] [--side client|server] [--split K [--split-gap-us G]]\n"
    "           [--only-connection K]\n";

template <class Number> bool read_number(std::string_view text, Number& number) {
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
    return error == std::errc{} && end == text.data() + text.size();
}

bool read_duration(std::string_view text, double unit_us, std::chrono::microseconds& duration) {
    double value = 0;
    if (!read_number(text, value) || value < 0 || value > 1e9) return false;
    duration = std::chrono::microseconds{static_cast<std::int64_t>(value * unit_us)};
    return true;
}

bool read_target(std::string_view text, options& to) {
    const auto colon = text.rfind(':');
    auto host = colon == std::string_view::npos ? std::string_view{} : text.substr(0, colon);
    if (host.size() >= 2 && host.front() == '[' && host.back() == ']') host = host.substr(1, host.size() - 2);
    if (!host.empty()) to.target_host = host;
    to.target_port = colon == std::string_view::npos ? text : text.substr(colon + 1);
    std::uint16_t port = 0;
    return read_number(to.target_port, port) && port != 0;
}

bool read_side(std::string_view text, side& counted) {
    counted = text == "client" ? side::client : side::server;
    return text == "client" || text == "server";
}

bool read_count(std::string_view text, std::optional<std::uint64_t>& count) {
    return read_number(text, count.emplace());
}

bool read_option(int letter, std::string_view text, options& to) {
    switch (letter) {
    case 't': return read_target(text, to);
    case 'p': return read_number(text, to.port);
    case 'd': return read_duration(text, 1000, to.delay);
    case 'r': return read_number(text, to.rate);
    case 'E': return to.rate_each = true;
    case 'c': return read_count(text, to.cut_after);
    case 's': return read_count(text, to.stall_after);
    case 'w': return read_side(text, to.counted);
    case 'R': return to.reset = true;
    case 'k': return read_number(text, to.split);
    case 'g': return read_duration(text, 1, to.split_gap);
    case 'o': return read_number(text, to.only_connection);
    case 'f': to.count_file = text; return true;
    case 'e': return to.exit_on_eof = true;
    default: return false;
    }
}

constexpr option known[] = {{"target", required_argument, nullptr, 't'},
                            {"port", required_argument, nullptr, 'p'},
                            {"delay-ms", required_argument, nullptr, 'd'},
                            {"rate", required_argument, nullptr, 'r'},
                            {"rate-each", no_argument, nullptr, 'E'},
                            {"cut-after", required_argument, nullptr, 'c'},
                            {"stall-after", required_argument, nullptr, 's'},
                            {"side", required_argument, nullptr, 'w'},
                            {"reset", no_argument, nullptr, 'R'},
                            {"split", required_argument, nullptr, 'k'},
                            {"split-gap-us", required_argument, nullptr, 'g'},
                            {"only-connection", required_argument, nullptr, 'o'},
                            {"count", required_argument, nullptr, 'f'},
                            {"exit-on-eof", no_argument, nullptr, 'e'},
                            {nullptr, 0, nullptr, 0}};

} // namespace

std::optional<options> parse_options(int argc, char** argv) {
    options parsed;
    int letter = 0;
    while ((letter = getopt_long(argc, argv, "", known, nullptr)) != -1) {
        if (!read_option(letter, optarg ? optarg : "", parsed)) {
            std::fprintf(stderr, "line_proxy: option not understood: %s\n%s", optarg ? optarg : "", usage);
            return std::nullopt;
        }
    }
    if (optind != argc || parsed.target_port.empty()) {
        std::fputs(usage, stderr);
        return std::nullopt;
    }
    return parsed;
}

} // namespace postferry::lab
