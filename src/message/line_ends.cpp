#include "message/line_ends.hpp"

#include <cstring>

namespace postferry::message {

std::size_t lf_writer::write(std::string_view in, std::string& out) {
    if (!reversible_ || in.empty()) return 0;
    std::size_t at = 0;
    while (at < in.size()) {
        const std::size_t lf = in.find('\n', at);
        const std::size_t end = lf == std::string_view::npos ? in.size() : lf;
        const std::string_view line = in.substr(at, end - at);
        if (!line.empty()) {
            // The held CR was none of a line end.
            if (held_cr_) out += '\r';
            const bool cr_last = line.back() == '\r';
            cr_before_held_ = cr_last && (line.size() > 1 ? line[line.size() - 2] == '\r' : held_cr_);
            held_cr_ = cr_last;
            out += cr_last ? line.substr(0, line.size() - 1) : line;
        }
        if (lf == std::string_view::npos) break;
        if (!held_cr_ || cr_before_held_) {
            reversible_ = false;
            return end;
        }
        held_cr_ = false;
        cr_before_held_ = false;
        out += '\n';
        at = lf + 1;
    }
    return in.size();
}

void lf_writer::finish(std::string& out) {
    if (held_cr_) out += '\r';
    held_cr_ = false;
}

std::size_t crlf_writer::write(std::string_view in, char* out) noexcept {
    const char* const start = out;
    while (!in.empty()) {
        const std::size_t lf = in.find('\n');
        const std::size_t end = lf == std::string_view::npos ? in.size() : lf;
        if (end > 0) {
            std::memcpy(out, in.data(), end);
            out += end;
            last_ = in[end - 1];
        }
        if (lf == std::string_view::npos) break;
        if (last_ != '\r') *out++ = '\r';
        *out++ = '\n';
        last_ = '\n';
        in.remove_prefix(end + 1);
    }
    return static_cast<std::size_t>(out - start);
}

void crlf_writer::write(std::string_view in, std::string& out) {
    const std::size_t before = out.size();
    out.resize(before + 2 * in.size());
    out.resize(before + write(in, out.data() + before));
}

void bare_lf_counter::add(std::string_view text) noexcept {
    for (std::size_t at = text.find('\n'); at != std::string_view::npos; at = text.find('\n', at + 1))
        if ((at > 0 ? text[at - 1] : last_) != '\r') ++count_;
    if (!text.empty()) last_ = text.back();
}

} // namespace postferry::message
