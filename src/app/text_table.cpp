#include "app/text_table.hpp"

#include "app/words.hpp"

#include <algorithm>
#include <sys/ioctl.h>
#include <unistd.h>

namespace postferry::app {

namespace {

constexpr std::size_t gap = 2;
constexpr std::size_t narrowest = 8;

/// Takes from the widest that gives until the line fits.
void narrow(std::vector<std::size_t>& widths, const std::vector<text_table::column>& columns, std::size_t room) {
    std::size_t all = gap * (widths.size() - 1);
    for (const std::size_t w : widths) all += w;
    while (all > room) {
        std::size_t* widest = nullptr;
        for (std::size_t i = 0; i < widths.size(); ++i)
            if (columns[i].gives && widths[i] > narrowest && (widest == nullptr || widths[i] > *widest))
                widest = &widths[i];
        if (widest == nullptr) return;
        --*widest;
        --all;
    }
}

} // namespace

void text_table::add(std::vector<std::string> cells) {
    cells.resize(columns_.size());
    rows_.push_back(std::move(cells));
}

std::string text_table::text(std::optional<std::size_t> room) const {
    std::vector<std::size_t> widths;
    for (std::size_t i = 0; i < columns_.size(); ++i) {
        std::size_t w = display_width(columns_[i].title);
        for (const auto& row : rows_) w = std::max(w, display_width(row[i]));
        widths.push_back(w);
    }
    if (widths.empty()) return {};
    if (room) narrow(widths, columns_, *room);
    std::string out;
    const auto line = [&](const auto& cell_of) {
        std::string text;
        for (std::size_t i = 0; i < columns_.size(); ++i) {
            const std::string cell = fitted(cell_of(i), widths[i], false);
            const std::size_t left = widths[i] - std::min(widths[i], display_width(cell));
            if (columns_[i].right) text.append(left, ' ');
            text += cell;
            if (!columns_[i].right) text.append(left, ' ');
            text.append(gap, ' ');
        }
        text.erase(text.find_last_not_of(' ') + 1);
        out += text + "\n";
    };
    line([&](std::size_t i) { return columns_[i].title; });
    for (const auto& row : rows_) line([&](std::size_t i) { return std::string_view(row[i]); });
    return out;
}

std::optional<std::size_t> terminal_columns() {
    winsize size{};
    if (isatty(STDOUT_FILENO) != 1 || ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) != 0 || size.ws_col == 0)
        return std::nullopt;
    return size.ws_col;
}

} // namespace postferry::app
