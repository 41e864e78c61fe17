#include "pump.hpp"

#include "session.hpp"

#include <algorithm>
#include <array>
#include <cerrno>
#include <charconv>
#include <cstring>
#include <poll.h>

namespace raw_client {
namespace {

constexpr std::size_t glue_octets = 1 << 20;
constexpr std::size_t longest_glue = 16 << 10; // flags, date and folder name of one message
constexpr int parts_per_write = 256;

// The flags of a FETCH line without \Recent, which a client must not send.
std::string flags_of(std::string_view line) {
    const auto open = line.find("FLAGS (");
    if (open == std::string_view::npos) return "()";
    line.remove_prefix(open + 6);
    std::string flags(line.substr(0, line.find(')') + 1));
    constexpr std::string_view recent = "\\Recent";
    if (const auto at = flags.find(recent); at != std::string::npos) {
        flags.erase(at, recent.size());
        if (flags[at] == ' ')
            flags.erase(at, 1);
        else if (flags[at - 1] == ' ')
            flags.erase(at - 1, 1);
    }
    return flags;
}

std::string_view date_of(std::string_view line) {
    const auto open = line.find("INTERNALDATE \"");
    if (open == std::string_view::npos) return {};
    line.remove_prefix(open + 13);
    return line.substr(0, line.find('"', 1) + 1);
}

} // namespace

pump::pump(connection& source, connection& target, const options& how, std::vector<folder_pair> folders)
    : source_(source), how_(how), ring_(how.ring_octets), target_(target), folders_(std::move(folders)),
      glue_(glue_octets) {}

totals pump::run() {
    send_fetches();
    while (!finished()) {
        const bool got = fill();
        parse();
        // While the source delivers, small pieces are gathered: fewer and larger writes.
        bool full = false;
        if (!got || queued_octets_ >= how_.write_octets) full = !drain();
        if (!got && (full || !source_has_buffered_)) wait(full);
    }
    return totals_;
}

bool pump::finished() const {
    return folder_ == folders_.size() && queue_.empty() && !target_.has_unsent() &&
           commands_answered_ == commands_sent_;
}

void pump::send_fetches() {
    std::string flight;
    for (const auto& f : folders_)
        flight += "X EXAMINE " + quoted(f.source) + "\r\nF UID FETCH 1:* (UID FLAGS INTERNALDATE BODY.PEEK[])\r\n";
    source_.send_all(flight);
}

bool pump::fill() {
    if (folder_ == folders_.size() || glue_.room() < 2 * longest_glue) return false;
    const std::size_t room = std::min(ring_.room(), how_.read_octets);
    if (room < std::min(ring_.capacity() / 8, how_.read_octets)) return false;
    ++totals_.reads;
    const std::size_t n = source_.read(ring_.end(), room);
    ring_.filled(n);
    source_has_buffered_ = source_.tls() && n == room;
    return n > 0;
}

void pump::parse() {
    for (;;) {
        if (literal_left_ > 0) {
            const std::size_t n = std::min(literal_left_, static_cast<std::size_t>(ring_.head() - parsed_));
            if (n == 0) break;
            push_ring(parsed_, n);
            literal_left_ -= n;
        } else if (glue_.room() < 2 * longest_glue || !parse_line()) {
            break;
        }
    }
    if (queue_.empty()) ring_.release_to(parsed_);
}

bool pump::parse_line() {
    const char* begin = ring_.at(parsed_);
    const auto* end =
        static_cast<const char*>(std::memchr(begin, '\n', static_cast<std::size_t>(ring_.head() - parsed_)));
    if (end == nullptr) return false;
    const std::string_view line(begin, static_cast<std::size_t>(end + 1 - begin));
    parsed_ += line.size();
    if (line.ends_with("}\r\n") && line.starts_with("* "))
        begin_message(line);
    else if (line.starts_with("F "))
        end_of_folder(line);
    else if (line.starts_with("X ") && !line.starts_with("X OK"))
        die(line);
    return true;
}

void pump::begin_message(std::string_view line) {
    const std::size_t open = line.rfind('{');
    std::from_chars(line.data() + open + 1, line.data() + line.size(), literal_left_);
    if (literal_left_ == 0) {
        ++totals_.empty;
        return;
    }
    const auto& folder = folders_[folder_];
    std::string text;
    if (batch_messages_ > 0 && (batch_messages_ >= how_.batch_messages || batch_octets_ >= how_.batch_octets))
        end_batch();
    if (batch_messages_ == 0) {
        if (how_.select && !folder_selected_) {
            text += "S SELECT " + quoted(folder.target) + "\r\n";
            ++commands_sent_;
            folder_selected_ = true;
        }
        text += "A APPEND " + quoted(folder.target);
        ++totals_.batches;
        ++commands_sent_;
    }
    text += ' ' + flags_of(line);
    if (const auto date = date_of(line); !date.empty()) (text += ' ') += date;
    text += " {" + std::to_string(literal_left_) + "+}\r\n";
    push_glue(text);
    ++batch_messages_;
    ++totals_.messages;
    batch_octets_ += literal_left_;
    totals_.octets += literal_left_;
}

void pump::end_batch() {
    if (batch_messages_ > 0) push_glue("\r\n");
    batch_messages_ = batch_octets_ = 0;
}

void pump::end_of_folder(std::string_view line) {
    if (!line.starts_with("F OK")) die(line);
    end_batch();
    folder_selected_ = false;
    ++folder_;
}

void pump::push_glue(std::string_view text) {
    if (text.size() > longest_glue) die("a line is too long");
    std::memcpy(glue_.end(), text.data(), text.size());
    const char* data = glue_.end();
    glue_.filled(text.size());
    queue_.push_back({data, text.size(), 0, glue_.head()});
    queued_octets_ += text.size();
}

void pump::push_ring(std::uint64_t from, std::size_t octets) {
    parsed_ += octets;
    queued_octets_ += octets;
    const char* data = ring_.at(from);
    if (!queue_.empty() && queue_.back().data + queue_.back().octets == data && queue_.back().ring_end == from) {
        queue_.back().octets += octets;
        queue_.back().ring_end = from + octets;
    } else {
        queue_.push_back({data, octets, from + octets, 0});
    }
}

bool pump::drain() {
    while (!queue_.empty()) {
        std::array<iovec, parts_per_write> parts{};
        int count = 0;
        for (const auto& s : queue_) {
            if (count == parts_per_write) break;
            parts[static_cast<std::size_t>(count++)] = {const_cast<char*>(s.data), s.octets};
        }
        ++totals_.writes;
        const std::size_t n = target_.write(parts.data(), count);
        if (n == 0) return false;
        written(n);
    }
    return target_.flush();
}

void pump::written(std::size_t octets) {
    queued_octets_ -= octets;
    while (octets > 0) {
        auto& s = queue_.front();
        const std::size_t n = std::min(octets, s.octets);
        octets -= n;
        s.data += n;
        s.octets -= n;
        if (s.ring_end > 0) ring_.release_to(s.ring_end - s.octets);
        if (s.octets > 0) return;
        if (s.glue_end > 0) glue_.release_to(s.glue_end);
        queue_.pop_front();
    }
    if (queue_.empty()) ring_.release_to(parsed_);
}

void pump::read_answers() {
    std::array<char, 16 << 10> chunk{};
    while (const std::size_t n = target_.read(chunk.data(), chunk.size())) {
        answer_.append(chunk.data(), n);
        std::size_t begin = 0;
        for (std::size_t end = 0; (end = answer_.find('\n', begin)) != std::string::npos; begin = end + 1) {
            const std::string_view line(answer_.data() + begin, end + 1 - begin);
            if (line.starts_with("* BYE")) die(line);
            if (line.starts_with("* ")) continue;
            errno = 0;
            if (!line.substr(1).starts_with(" OK")) die(line);
            ++commands_answered_;
        }
        answer_.erase(0, begin);
        if (!target_.tls()) break; // plain: poll() tells whether there is more
    }
}

void pump::wait(bool full) {
    const bool reading = folder_ < folders_.size() &&
                         ring_.room() >= std::min(ring_.capacity() / 8, how_.read_octets) &&
                         glue_.room() >= 2 * longest_glue;
    std::array<pollfd, 2> p{{{reading ? source_.fd() : -1, POLLIN, 0},
                             {target_.fd(), static_cast<short>(full ? POLLIN | POLLOUT : POLLIN), 0}}};
    ++totals_.polls;
    while (poll(p.data(), p.size(), -1) < 0)
        if (errno != EINTR) die("poll");
    if ((p[1].revents & (POLLIN | POLLHUP | POLLERR)) != 0) read_answers();
}

} // namespace raw_client
