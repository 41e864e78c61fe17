#include "transfer/recipient_search.hpp"

#include "base/words.hpp"
#include "transfer/folder_entries.hpp"

#include <fmt/format.h>

#include <algorithm>

namespace postferry::transfer {

namespace {

using message::recipient_tally;

bool receives_mail(const folder_entry& f) {
    if (!f.selectable || !f.personal || !f.left_out.empty()) return false;
    const special_use use = f.use == special_use::none ? special_use_by_name(f.name) : f.use;
    return use == special_use::none || use == special_use::inbox || use == special_use::archive;
}

/// Which messages there are.
class uid_lister final : public mailbox::scan_sink {
  public:
    struct folder {
        std::uint32_t uid_validity = 0;
        uid_set uids;
        std::optional<error> why;
    };
    explicit uid_lister(std::size_t folders) : all(folders) {}
    std::vector<folder> all;

    void flags(std::size_t, std::uint32_t, const std::vector<std::string>&) override {}
    void done(std::size_t request, const mailbox::folder_state& state, uid_set present) override {
        all[request].uid_validity = state.uid_validity;
        all[request].uids = std::move(present);
    }
    void failed(std::size_t request, error why) override { all[request].why = std::move(why); }
};

class header_counter final : public mailbox::message_sink {
  public:
    explicit header_counter(recipient_tally& tally) : tally_(tally) {}
    std::uint64_t octets = 0;
    std::optional<error> trouble;

    void header(mailbox::message_head head, std::string_view fields) override {
        octets += fields.size();
        tally_.add(fields, head.date ? std::optional(head.date->unix_seconds) : std::nullopt);
    }
    task<result<void>> begin(mailbox::message_head) override { co_return result<void>{}; }
    task<result<void>> chunk(const client::block_ref&, std::string_view) override { co_return result<void>{}; }
    task<result<void>> end() override { co_return result<void>{}; }
    void missing(std::size_t, uid_set, std::optional<error>) override {}
    void unavailable(std::size_t, error why) override { trouble = std::move(why); }

  private:
    recipient_tally& tally_;
};

/// The newest UIDs of a set, at most `most`; they leave it.
uid_set take_newest(uid_set& from, std::size_t most) {
    uid_set out;
    while (most > 0 && !from.empty()) {
        const uid_set::range last = from.ranges().back();
        const auto first = static_cast<std::uint32_t>(std::max<std::uint64_t>(
            last.first, std::uint64_t{last.last} + 1 - std::min<std::uint64_t>(most, last.last)));
        out.add(first, last.last);
        from.remove(first, last.last);
        most -= last.last - first + 1;
    }
    return out;
}

/// One search, from the listing to what it has found.
class search {
  public:
    search(mailbox::source& from, const message::recipient_wish& wish, const recipient_limits& limits)
        : from_(from), limits_(limits), tally_(wish), counter_(tally_),
          part_(wish.deliveries ? mailbox::fetch_part::deliveries : mailbox::fetch_part::recipients) {}

    task<result<message::recipients_found>> run() {
        auto list = co_await from_.list(false);
        if (!list) co_return std::unexpected(std::move(list.error()));
        const auto scans = choose(*list);
        uid_lister uids(scans.size());
        if (auto ok = co_await from_.scan(scans, uids); !ok) co_return std::unexpected(std::move(ok.error()));
        for (std::size_t i = 0; i < scans.size() && !spent(); ++i)
            if (auto ok = co_await read(scans[i].handle, names_[i], uids.all[i]); !ok)
                co_return std::unexpected(std::move(ok.error()));
        if (spent())
            out_.notes.push_back(fmt::format("no more than {} of headers were read", counted(limits_.octets, "octet")));
        if (tally_.full())
            out_.notes.push_back(
                fmt::format("only the first {} addresses were counted", grouped(recipient_tally::most_addresses)));
        out_.messages = tally_.messages();
        out_.all = tally_.found();
        co_return std::move(out_);
    }

  private:
    [[nodiscard]] bool spent() const noexcept { return counter_.octets >= limits_.octets; }

    std::vector<mailbox::scan_request> choose(const mailbox::listing& list) {
        const std::vector<folder_entry> entries = entries_of(list);
        std::vector<mailbox::scan_request> out;
        std::size_t left_out = 0;
        const auto take = [&](bool inbox) {
            for (std::size_t i = 0; i < entries.size(); ++i) {
                if ((entries[i].use == special_use::inbox) != inbox || !receives_mail(entries[i])) continue;
                if (!inbox && out.size() > limits_.folders) {
                    ++left_out;
                    continue;
                }
                out.push_back({.handle = list.folders[i].handle});
                names_.push_back(entries[i].name);
            }
        };
        take(true);
        take(false);
        if (left_out > 0) out_.notes.push_back(fmt::format("not looked at: {}", counted(left_out, "further folder")));
        return out;
    }

    task<result<void>> read(const std::string& handle, const std::string& name, uid_lister::folder& f) {
        std::size_t left = name == "INBOX" ? limits_.of_inbox : limits_.of_folder;
        counter_.trouble = std::move(f.why);
        while (left > 0 && !f.uids.empty() && !counter_.trouble && !spent()) {
            mailbox::fetch_request some{.handle = handle, .uid_validity = f.uid_validity, .uids = {}};
            some.uids = take_newest(f.uids, std::min(left, limits_.at_once));
            left -= static_cast<std::size_t>(some.uids.count());
            if (auto ok = co_await from_.fetch({&some, 1}, part_, counter_); !ok) co_return ok;
        }
        if (counter_.trouble)
            out_.notes.push_back(fmt::format("{} could not be read: {}", name, counter_.trouble->message()));
        else
            ++out_.folders;
        co_return result<void>{};
    }

    mailbox::source& from_;
    const recipient_limits& limits_;
    recipient_tally tally_;
    header_counter counter_;
    mailbox::fetch_part part_;
    std::vector<std::string> names_;
    message::recipients_found out_;
};

} // namespace

task<result<message::recipients_found>> find_recipients(mailbox::source& from, message::recipient_wish wish,
                                                        recipient_limits limits) {
    search s(from, wish, limits);
    co_return co_await s.run();
}

} // namespace postferry::transfer
