#include "session.hpp"

#include <openssl/evp.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstdlib>
#include <poll.h>

namespace raw_client {
namespace {

std::string base64(std::string_view bytes) {
    std::string text((bytes.size() + 2) / 3 * 4 + 1, '\0');
    const int n = EVP_EncodeBlock(reinterpret_cast<unsigned char*>(text.data()),
                                  reinterpret_cast<const unsigned char*>(bytes.data()), static_cast<int>(bytes.size()));
    text.resize(static_cast<std::size_t>(n));
    return text;
}

// Setup only: answers are short and hold no literals.
class line_reader {
  public:
    explicit line_reader(connection& io) : io_(io) {}

    // Lines up to the tagged one of `tag`, which is last.
    std::vector<std::string> until(std::string_view tag) {
        std::vector<std::string> lines;
        do lines.push_back(next());
        while (!lines.back().starts_with(tag));
        return lines;
    }

    std::string next() {
        std::array<char, 16 << 10> chunk{};
        std::size_t end = 0;
        while ((end = text_.find("\r\n")) == std::string::npos) {
            const std::size_t n = io_.read(chunk.data(), chunk.size());
            if (n == 0) io_.wait(POLLIN);
            text_.append(chunk.data(), n);
        }
        std::string line = text_.substr(0, end);
        text_.erase(0, end + 2);
        return line;
    }

  private:
    connection& io_;
    std::string text_;
};

// The quoted string or atom at the front of `text`, which is moved behind it.
std::string take_string(std::string_view& text) {
    std::string value;
    if (text.starts_with('"')) {
        std::size_t i = 1;
        for (; i < text.size() && text[i] != '"'; ++i) {
            if (text[i] == '\\') ++i;
            value += text[i];
        }
        text.remove_prefix(std::min(i + 1, text.size()));
    } else {
        value = text.substr(0, text.find_first_of(" )"));
        text.remove_prefix(value.size());
    }
    if (text.starts_with(' ')) text.remove_prefix(1);
    return value;
}

// * NAMESPACE (("INBOX." ".")) NIL NIL
void take_namespace(session& s, std::string_view line) {
    const auto open = line.find("((");
    if (open == std::string_view::npos) return;
    line.remove_prefix(open + 2);
    s.prefix = take_string(line);
    const std::string delimiter = take_string(line);
    if (!delimiter.empty()) s.delimiter = delimiter[0];
}

// * LIST (\HasNoChildren) "." INBOX.sub
void take_list(session& s, std::string_view line) {
    const auto close = line.find(") ");
    if (close == std::string_view::npos) return;
    const std::string_view attributes = line.substr(0, close);
    if (attributes.find("\\Noselect") != std::string_view::npos ||
        attributes.find("\\NonExistent") != std::string_view::npos)
        return;
    line.remove_prefix(close + 2);
    take_string(line);
    s.folders.push_back(take_string(line));
}

} // namespace

std::string quoted(std::string_view name) {
    std::string text = "\"";
    for (const char c : name) {
        if (c == '"' || c == '\\') text += '\\';
        text += c;
    }
    return text + '"';
}

session open_session(const server& where, bool list, int rcvbuf, int sndbuf) {
    session s;
    s.io = std::make_unique<connection>(where, rcvbuf, sndbuf);
    using namespace std::string_literals;
    std::string flight = "L AUTHENTICATE PLAIN " + base64("\0"s + where.user + "\0"s + where.password) + "\r\n";
    flight += "N NAMESPACE\r\n";
    if (list) flight += "E LIST \"\" *\r\n";
    s.io->send_all(flight);
    errno = 0;
    line_reader answers(*s.io);
    if (!answers.until("L ").back().starts_with("L OK")) die("login failed");
    for (const auto& line : answers.until(list ? "E " : "N ")) {
        if (line.starts_with("* NAMESPACE ")) take_namespace(s, line);
        if (line.starts_with("* LIST ")) take_list(s, line);
    }
    return s;
}

std::unique_ptr<connection> open_maildrop(const server& where, int rcvbuf, std::uint64_t& messages) {
    auto io = std::make_unique<connection>(where, rcvbuf, 0);
    using namespace std::string_literals;
    io->send_all("AUTH PLAIN " + base64("\0"s + where.user + "\0"s + where.password) + "\r\n");
    line_reader answers(*io);
    errno = 0;
    for (const char* what : {"greeting", "login"})
        if (!answers.next().starts_with("+OK")) die(what);
    io->send_all("STAT\r\n");
    const std::string stat = answers.next();
    if (!stat.starts_with("+OK ")) die(stat);
    messages = std::strtoull(stat.c_str() + 4, nullptr, 10);
    return io;
}

std::string target_name(const session& source, const session& target, std::string_view name) {
    if (name == "INBOX") return "INBOX";
    if (name.starts_with(source.prefix)) name.remove_prefix(source.prefix.size());
    std::string out = target.prefix + std::string(name);
    std::replace(out.begin() + static_cast<std::ptrdiff_t>(target.prefix.size()), out.end(), source.delimiter,
                 target.delimiter);
    return out;
}

void create_folders(session& target, const std::vector<std::string>& names) {
    std::string flight;
    for (const auto& name : names)
        if (name != "INBOX") flight += "C CREATE " + quoted(name) + "\r\n";
    target.io->send_all(flight + "D NOOP\r\n");
    line_reader(*target.io).until("D ");
}

} // namespace raw_client
