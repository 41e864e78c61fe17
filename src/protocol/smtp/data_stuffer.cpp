#include "protocol/smtp/data_stuffer.hpp"

#include <algorithm>

namespace postferry::smtp {

void data_stuffer::put(std::string_view octets, std::string& out) {
    while (!octets.empty()) {
        if (held_cr_) {
            held_cr_ = false;
            if (octets.front() == '\n')
                octets.remove_prefix(1);
            else
                ++mended_;
            out += "\r\n";
            at_line_start_ = true;
            continue;
        }
        const std::size_t end = std::min(octets.find_first_of("\r\n"), octets.size());
        const std::string_view text = octets.substr(0, end);
        if (!text.empty()) {
            if (at_line_start_ && text.front() == '.') out += '.';
            out += text;
            at_line_start_ = false;
        }
        octets.remove_prefix(end);
        if (octets.empty()) return;
        if (octets.front() == '\r') {
            held_cr_ = true;
        } else {
            ++mended_;
            out += "\r\n";
            at_line_start_ = true;
        }
        octets.remove_prefix(1);
    }
}

void data_stuffer::finish(std::string& out) {
    if (held_cr_) {
        ++mended_;
        out += "\r\n";
    } else if (!at_line_start_) {
        added_ = true;
        out += "\r\n";
    }
    out += ".\r\n";
}

} // namespace postferry::smtp
