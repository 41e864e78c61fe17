#include "transfer/sharing.hpp"

#include <algorithm>
#include <numeric>

namespace postferry::transfer {

namespace {

constexpr std::uint64_t cut_above = 20'000;

std::uint64_t count(const std::vector<lane>& work) {
    return std::accumulate(work.begin(), work.end(), std::uint64_t{0},
                           [](std::uint64_t n, const lane& l) { return n + l.uids.count(); });
}

// Folders that would keep one connection busy when the others have long finished.
std::vector<lane> cut_large(std::vector<lane> work, std::size_t connections) {
    const std::uint64_t share = count(work) / connections + 1;
    std::vector<lane> out;
    for (lane& l : work) {
        if (l.uids.count() > cut_above && l.uids.count() > share)
            while (l.uids.count() > share)
                out.push_back(
                    {.folder = l.folder, .batch_limit = l.batch_limit, .uids = l.uids.take_front(share, SIZE_MAX)});
        if (!l.uids.empty()) out.push_back(std::move(l));
    }
    return out;
}

} // namespace

std::size_t connections_worth(const std::vector<lane>& work, std::uint64_t messages, std::size_t limit) {
    if (std::ranges::any_of(work, [](const lane& l) { return l.batch_limit != 0; })) return 1;
    return std::clamp<std::size_t>(count(work) / std::max<std::uint64_t>(messages, 1), 1,
                                   std::max<std::size_t>(limit, 1));
}

std::vector<std::vector<lane>> share_out(std::vector<lane> work, std::size_t connections) {
    if (connections < 2) {
        std::vector<std::vector<lane>> all;
        if (!work.empty()) all.push_back(std::move(work));
        return all;
    }
    work = cut_large(std::move(work), connections);
    std::vector<std::size_t> by_size(work.size()), owner(work.size());
    std::iota(by_size.begin(), by_size.end(), 0);
    std::ranges::sort(by_size, [&work](std::size_t a, std::size_t b) {
        const std::uint64_t in_a = work[a].uids.count(), in_b = work[b].uids.count();
        return in_a != in_b ? in_a > in_b : a < b;
    });
    std::vector<std::uint64_t> load(connections);
    for (const std::size_t i : by_size) {
        const auto least = std::ranges::min_element(load);
        owner[i] = static_cast<std::size_t>(least - load.begin());
        *least += work[i].uids.count();
    }
    std::vector<std::vector<lane>> parts(connections);
    for (std::size_t i = 0; i < work.size(); ++i) parts[owner[i]].push_back(std::move(work[i]));
    std::erase_if(parts, [](const std::vector<lane>& p) { return p.empty(); });
    return parts;
}

} // namespace postferry::transfer
