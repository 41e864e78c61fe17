#include "app/standard_output.hpp"

#include <atomic>
#include <cerrno>
#include <cstdio>

namespace postferry::app {

namespace {

std::atomic<int> trouble = 0;
std::atomic<bool> left = false;

void keep(int number) noexcept {
    int none = 0;
    if (number == EPIPE) left = true;
    if (number != EPIPE) trouble.compare_exchange_strong(none, number);
}

} // namespace

void to_stdout(std::string_view text) noexcept {
    errno = 0;
    if (std::fwrite(text.data(), 1, text.size(), stdout) < text.size() || std::fflush(stdout) != 0) keep(errno);
}

void to_stderr(std::string_view text) noexcept { std::fwrite(text.data(), 1, text.size(), stderr); }

bool reader_has_left() noexcept { return left; }

int output_trouble() noexcept {
    errno = 0;
    if (std::fflush(stdout) != 0) keep(errno);
    return trouble;
}

} // namespace postferry::app
