#include "options.hpp"

#include <cstdio>
#include <cstdlib>
#include <functional>
#include <map>
#include <string_view>

namespace raw_client {
namespace {

constexpr const char* usage =
    "usage: raw_client --source imap://user@host:port --target imaps://user@host:port [options] [FOLDER ...]\n"
    "       raw_client --source pop3://user@host:port --target imaps://user@host:port [options]\n"
    "Copies as fast as the two servers can: no ledger, no digest, no safety. For benchmarks only.\n"
    "Passwords: RAW_SOURCE_PASSWORD and RAW_TARGET_PASSWORD in the environment.\n"
    "  --batch-messages N   messages in one MULTIAPPEND          --batch-octets N  octets in one MULTIAPPEND\n"
    "  --ring N             buffer per connection, octets        --read N          octets asked for by one read\n"
    "  --write N            octets gathered for one write        --rcvbuf N        SO_RCVBUF on the source\n"
    "  --sndbuf N           SO_SNDBUF on the target              --lowat N         SO_RCVLOWAT on the source\n"
    "  --connections N      pairs of connections (threads)       --select          SELECT before the first APPEND\n"
    "  --quiet\n";

[[noreturn]] void refuse(const std::string& why) {
    std::fprintf(stderr, "raw_client: %s\n%s", why.c_str(), usage);
    std::exit(2);
}

// imap://user@host:port, and for the source pop3://; the user may hold an '@' of its own, so the last one counts.
server parse_url(std::string_view url, const char* password_variable) {
    server s;
    const auto scheme = url.substr(0, url.find("://"));
    s.pop3 = scheme == "pop3" || scheme == "pop3s";
    s.tls = scheme == "imaps" || scheme == "pop3s";
    if (!s.pop3 && scheme != "imap" && !s.tls) refuse("not a URL: " + std::string(url));
    url.remove_prefix(scheme.size() + 3);
    const auto at = url.rfind('@');
    const auto colon = url.rfind(':');
    if (at == std::string_view::npos || colon == std::string_view::npos || colon < at)
        refuse("user, host and port are needed");
    s.user = url.substr(0, at);
    s.host = url.substr(at + 1, colon - at - 1);
    s.port = std::atoi(std::string(url.substr(colon + 1)).c_str());
    const char* password = std::getenv(password_variable);
    if (password == nullptr) refuse(std::string(password_variable) + " is not set");
    s.password = password;
    return s;
}

} // namespace

options parse_options(int argc, char** argv) {
    options o;
    const auto size_into = [](std::size_t& n) { return [&n](const char* v) { n = std::strtoull(v, nullptr, 10); }; };
    const auto int_into = [](int& n) { return [&n](const char* v) { n = std::atoi(v); }; };
    const std::map<std::string_view, std::function<void(const char*)>> with_value = {
        {"--source", [&o](const char* v) { o.source = parse_url(v, "RAW_SOURCE_PASSWORD"); }},
        {"--target", [&o](const char* v) { o.target = parse_url(v, "RAW_TARGET_PASSWORD"); }},
        {"--batch-messages", size_into(o.batch_messages)},
        {"--batch-octets", size_into(o.batch_octets)},
        {"--ring", size_into(o.ring_octets)},
        {"--read", size_into(o.read_octets)},
        {"--write", size_into(o.write_octets)},
        {"--rcvbuf", int_into(o.source_rcvbuf)},
        {"--sndbuf", int_into(o.target_sndbuf)},
        {"--lowat", int_into(o.lowat)},
        {"--connections", int_into(o.connections)},
    };
    for (int i = 1; i < argc; ++i) {
        const std::string_view word = argv[i];
        if (const auto it = with_value.find(word); it != with_value.end()) {
            if (++i == argc) refuse(std::string(word) + " needs a value");
            it->second(argv[i]);
        } else if (word == "--select") {
            o.select = true;
        } else if (word == "--quiet") {
            o.quiet = true;
        } else if (word.starts_with("--")) {
            refuse("unknown option " + std::string(word));
        } else {
            o.folders.emplace_back(word);
        }
    }
    if (o.source.user.empty() || o.target.user.empty()) refuse("--source and --target are needed");
    if (o.target.pop3) refuse("POP3 takes no mail");
    if (o.source.pop3 && (o.connections > 1 || !o.folders.empty())) refuse("POP3 has one connection and one folder");
    if (o.connections < 1 || o.batch_messages < 1 || o.ring_octets < (64 << 10)) refuse("a number is too small");
    return o;
}

} // namespace raw_client
