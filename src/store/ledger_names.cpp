// The name book in the ledger's file.
#include "store/ledger_books.hpp"

#include <algorithm>
#include <chrono>
#include <map>

namespace postferry::store {

namespace {

/// Later than any that was given for the folder in a ledger that is lost since.
std::uint32_t new_uid_validity() {
    const auto now = std::chrono::system_clock::now().time_since_epoch();
    return static_cast<std::uint32_t>(
        std::clamp<std::int64_t>(std::chrono::duration_cast<std::chrono::seconds>(now).count(), 1, 0xffff'ffff));
}

} // namespace

class ledger_names final : public mailbox::name_book {
  public:
    ledger_names(ledger_books& ledger, std::string source_key, std::string target_key)
        : ledger_(ledger), source_key_(std::move(source_key)), target_key_(std::move(target_key)) {}

    task<result<page>> open(std::string place, std::string folder) override {
        if (const auto at = forgotten_.find({place, folder}); at != forgotten_.end()) co_return at->second;
        const name_key key = key_of(place, folder);
        auto found = co_await ledger_.find_names(key);
        if (!found) co_return std::unexpected(std::move(found.error()));
        if (!ledger_.read_only()) {
            if (*found) co_return std::move(**found);
            co_return co_await ledger_.create_names(key, new_uid_validity());
        }
        page& to = seen(std::move(place), std::move(folder));
        if (*found) to = std::move(**found);
        co_return to;
    }

    task<result<std::vector<entry>>> add(std::string place, std::string folder,
                                         std::vector<std::string> names) override {
        if (!ledger_.read_only()) co_return co_await ledger_.add_names(key_of(place, folder), std::move(names));
        page& to = seen(std::move(place), std::move(folder));
        if (auto ok = may_be_named(names, to.uid_next); !ok) co_return std::unexpected(ok.error());
        std::vector<entry> given;
        given.reserve(names.size());
        for (std::string& name : names) given.push_back({.uid = to.uid_next++, .name = std::move(name)});
        to.entries.insert(to.entries.end(), given.begin(), given.end());
        co_return given;
    }

    task<result<void>> remove(std::string place, std::string folder, std::vector<std::uint32_t> uids) override {
        if (!ledger_.read_only()) co_return co_await ledger_.remove_names(key_of(place, folder), std::move(uids));
        std::ranges::sort(uids);
        std::erase_if(seen(std::move(place), std::move(folder)).entries,
                      [&](const entry& e) { return std::ranges::binary_search(uids, e.uid); });
        co_return result<void>{};
    }

  private:
    [[nodiscard]] name_key key_of(std::string place, std::string folder) const {
        return {.source_key = source_key_,
                .target_key = target_key_,
                .place = std::move(place),
                .folder = std::move(folder)};
    }

    page& seen(std::string place, std::string folder) {
        page& p = forgotten_[{std::move(place), std::move(folder)}];
        if (p.uid_validity == 0) p.uid_validity = new_uid_validity();
        return p;
    }

    ledger_books& ledger_;
    std::string source_key_, target_key_;
    std::map<std::pair<std::string, std::string>, page> forgotten_; ///< of a read-only run, at its end
};

std::unique_ptr<mailbox::name_book> ledger_books::names(std::string source_key, std::string target_key) {
    return std::make_unique<ledger_names>(*this, std::move(source_key), std::move(target_key));
}

} // namespace postferry::store
