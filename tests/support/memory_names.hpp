#pragma once
// mailbox::name_book in memory, for tests; one suite holds it against the one in the ledger's file.
#include "mailbox/name_book.hpp"

#include <algorithm>
#include <map>
#include <string>
#include <utility>
#include <vector>

namespace postferry::support {

class memory_names final : public mailbox::name_book {
  public:
    task<result<page>> open(std::string place, std::string folder) override {
        page& p = pages[{std::move(place), std::move(folder)}];
        if (p.uid_validity == 0) p.uid_validity = ++last_uid_validity;
        co_return p;
    }
    task<result<std::vector<entry>>> add(std::string place, std::string folder,
                                         std::vector<std::string> names) override {
        const auto at = pages.find({std::move(place), std::move(folder)});
        if (at == pages.end()) co_return fail(retry_class::local, phase::ledger, "no such folder");
        for (const std::string& name : names)
            if (name.size() > 255) co_return fail(retry_class::local, phase::ledger, "a name is too long");
        std::vector<entry> given;
        for (std::string& name : names) given.push_back({.uid = at->second.uid_next++, .name = std::move(name)});
        at->second.entries.insert(at->second.entries.end(), given.begin(), given.end());
        co_return given;
    }
    task<result<void>> remove(std::string place, std::string folder, std::vector<std::uint32_t> uids) override {
        std::erase_if(pages[{std::move(place), std::move(folder)}].entries,
                      [&](const entry& e) { return std::ranges::find(uids, e.uid) != uids.end(); });
        co_return result<void>{};
    }

    std::map<std::pair<std::string, std::string>, page> pages; ///< by place and folder
    std::uint32_t last_uid_validity = 1000;
};

} // namespace postferry::support
