#include "mailbox/uidl_join.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <string_view>
#include <unordered_map>
#include <utility>

namespace postferry::mailbox {

namespace {

template <class Key> using counts = std::unordered_map<Key, std::size_t>;

/// POP3 servers count LF for CRLF, round up to 1 KiB, or add a line end.
bool may_be_one(std::uint64_t a, std::uint64_t b) noexcept {
    const std::uint64_t most = std::max(a, b);
    return most - std::min(a, b) <= 1'088 + most / 50;
}

/// One message on each side with this key, by its index.
struct pairing {
    std::size_t imap = 0, pop3 = 0;
    std::size_t on_imap = 0, on_pop3 = 0;
};

class joining {
  public:
    joining(std::span<const imap_head> imap, std::span<const pop3_message> pop3) : imap_(imap), pop3_(pop3) {
        out_.uidls.resize(imap.size());
        for (const pop3_message& m : pop3)
            if (!m.uidl.empty()) ++bearers_[m.uidl];
    }

    uidl_join run() && {
        const bool aligned = sizes_agree();
        if (aligned) in_order();
        if (!aligned || !left_.empty()) by_header();
        for (std::size_t i = 0; i < pop3_.size(); ++i)
            if (!pop3_[i].uidl.empty() && !given_.contains(i)) ++out_.unclear;
        return std::move(out_);
    }

  private:
    bool is_unique(std::size_t i) const { return !pop3_[i].uidl.empty() && bearers_.at(pop3_[i].uidl) == 1; }

    void give(std::size_t imap, std::size_t pop3) {
        if (!is_unique(pop3) || !out_.uidls[imap].empty()) return;
        out_.uidls[imap] = pop3_[pop3].uidl;
        given_.emplace(pop3, imap);
    }

    bool sizes_agree() const {
        return imap_.size() == pop3_.size() &&
               std::ranges::equal(imap_, pop3_, {}, &imap_head::octets, &pop3_message::octets);
    }

    void in_order() {
        counts<std::uint64_t> sizes;
        for (const imap_head& h : imap_) ++sizes[h.octets];
        for (std::size_t i = 0; i < imap_.size(); ++i) {
            const bool alone = imap_[i].octets != 0 && sizes[imap_[i].octets] == 1;
            if (!alone && pop3_[i].print.empty())
                out_.need_print.push_back(i);
            else if (alone || pop3_[i].print == imap_[i].print)
                give(i, i);
            else
                left_.push_back(i);
        }
    }

    void by_header() {
        for (std::size_t i = 0; i < pop3_.size(); ++i)
            if (pop3_[i].print.empty() && !given_.contains(i) && is_unique(i)) out_.need_print.push_back(i);
        std::ranges::sort(out_.need_print);
        const auto repeated = std::ranges::unique(out_.need_print);
        out_.need_print.erase(repeated.begin(), repeated.end());
        if (!out_.need_print.empty()) return;
        join_where_unique([](const std::string& print, std::uint64_t) { return print; });
        join_where_unique(
            [](const std::string& print, std::uint64_t octets) { return fmt::format("{} {}", print, octets); });
    }

    template <class Key> void join_where_unique(Key key) {
        std::unordered_map<std::string, pairing> found;
        for (std::size_t i = 0; i < imap_.size(); ++i) {
            if (!out_.uidls[i].empty() || imap_[i].print.empty()) continue;
            pairing& p = found[key(imap_[i].print, imap_[i].octets)];
            p.imap = i;
            ++p.on_imap;
        }
        for (std::size_t i = 0; i < pop3_.size(); ++i) {
            if (given_.contains(i) || pop3_[i].print.empty()) continue;
            const auto at = found.find(key(pop3_[i].print, pop3_[i].octets));
            if (at == found.end()) continue;
            at->second.pop3 = i;
            ++at->second.on_pop3;
        }
        for (const auto& [text, p] : found)
            if (p.on_imap == 1 && p.on_pop3 == 1 && may_be_one(imap_[p.imap].octets, pop3_[p.pop3].octets))
                give(p.imap, p.pop3);
    }

    std::span<const imap_head> imap_;
    std::span<const pop3_message> pop3_;
    counts<std::string_view> bearers_;
    std::unordered_map<std::size_t, std::size_t> given_; ///< POP3 index -> IMAP index
    std::vector<std::size_t> left_;                      ///< in the order of both, and yet not the same
    uidl_join out_;
};

} // namespace

uidl_join join_uidls(std::span<const imap_head> imap, std::span<const pop3_message> pop3) {
    return joining(imap, pop3).run();
}

} // namespace postferry::mailbox
