#include "mailbox/pop3_names.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <string_view>
#include <unordered_map>

namespace postferry::mailbox {

namespace {

/// "UIDL" alone, or "UIDL digest size" (no UIDL holds a space), the UIDL empty where there is none.
struct parts {
    std::string_view uidl;
    std::string_view print; ///< "digest size"; empty: named by its UIDL alone
};

parts parts_of(std::string_view name) {
    const std::size_t space = name.find(' ');
    if (space == std::string_view::npos) return {.uidl = name, .print = {}};
    return {.uidl = name.substr(0, space), .print = name.substr(space + 1)};
}

std::string print_of(const pop3_message& m) { return fmt::format("{} {}", m.print, m.octets); }

class matching {
  public:
    matching(const name_book::page& book, std::span<const pop3_message> messages)
        : book_(book), messages_(messages), taken_(book.entries.size(), false) {
        out_.uids.resize(messages.size(), 0);
        for (const pop3_message& m : messages)
            if (!m.uidl.empty()) ++bearers_[m.uidl];
        for (std::size_t e = 0; e < book.entries.size(); ++e) {
            const parts p = parts_of(book.entries[e].name);
            (p.print.empty() ? plain_ : printed_).emplace(p.print.empty() ? p.uidl : p.print, e);
            if (!p.print.empty()) ++printed_uidls_[p.uidl];
        }
    }

    name_match run() && {
        by_unique_uidl();
        by_print();
        by_shared_uidl();
        for (std::size_t e = 0; e < book_.entries.size(); ++e)
            if (!taken_[e]) out_.gone.push_back(book_.entries[e].uid);
        return std::move(out_);
    }

  private:
    using by_text = std::multimap<std::string_view, std::size_t>; ///< equal keys in the order of the book

    bool is_unique(const pop3_message& m) const { return !m.uidl.empty() && bearers_.at(m.uidl) == 1; }

    bool take(std::size_t i, const by_text& from, std::string_view key, std::string_view uidl) {
        const auto [begin, end] = from.equal_range(key);
        for (auto at = begin; at != end; ++at) {
            if (taken_[at->second]) continue;
            const std::string_view theirs = parts_of(book_.entries[at->second].name).uidl;
            if (!theirs.empty() && !uidl.empty() && theirs != uidl) continue;
            taken_[at->second] = true;
            out_.uids[i] = book_.entries[at->second].uid;
            return true;
        }
        return false;
    }

    /// Unless others bore its UIDL before: then it may be one of them.
    void by_unique_uidl() {
        for (std::size_t i = 0; i < messages_.size(); ++i) {
            const pop3_message& m = messages_[i];
            if (is_unique(m) && !printed_uidls_.contains(m.uidl)) (void)take(i, plain_, m.uidl, m.uidl);
        }
    }

    /// Also a message whose UIDL is alone today may have been named when it was not, or when there was none.
    void by_print() {
        for (std::size_t i = 0; i < messages_.size(); ++i) {
            const pop3_message& m = messages_[i];
            const bool shared = !m.uidl.empty() && !is_unique(m);
            if (shared) out_.same_uidl.push_back(i);
            if (out_.uids[i] != 0) continue;
            const bool named_so_before = printed_uidls_.contains(m.uidl) || printed_uidls_.contains("");
            if (is_unique(m) && !named_so_before) continue;
            if (m.print.empty())
                out_.need_print.push_back(i);
            else
                (void)take(i, printed_, print_text(i), m.uidl);
        }
    }

    void by_shared_uidl() {
        for (std::size_t i = 0; i < messages_.size(); ++i) {
            const pop3_message& m = messages_[i];
            if (out_.uids[i] == 0 && !m.uidl.empty()) (void)take(i, plain_, m.uidl, m.uidl);
        }
    }

    std::string_view print_text(std::size_t i) { return texts_.emplace(i, print_of(messages_[i])).first->second; }

    const name_book::page& book_;
    std::span<const pop3_message> messages_;
    std::vector<bool> taken_;
    std::unordered_map<std::string_view, std::size_t> bearers_, printed_uidls_;
    by_text plain_, printed_;
    std::map<std::size_t, std::string> texts_;
    name_match out_;
};

} // namespace

name_match match_names(const name_book::page& book, std::span<const pop3_message> messages) {
    return matching(book, messages).run();
}

std::string book_name(const pop3_message& message, bool unique) {
    if (unique) return message.uidl;
    return fmt::format("{} {}", message.uidl, print_of(message));
}

bool may_forget(std::size_t in_book, std::size_t gone) noexcept { return gone * 2 <= in_book; }

} // namespace postferry::mailbox
