// An mbox as a target: its lock, and what is made before messages come.
#include "base/deadline.hpp"
#include "base/text.hpp"
#include "mailbox/mbox_mailbox.hpp"

#include <boost/asio/steady_timer.hpp>
#include <boost/asio/this_coro.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <fmt/format.h>

#include <algorithm>
#include <map>

namespace postferry::mailbox {

task<result<mbox_file>> mbox_mailbox::lock(std::string path, bool create, bool* created) {
    boost::asio::steady_timer timer(co_await boost::asio::this_coro::executor);
    const deadline until = deadline::in(options_.lock_patience);
    while (true) {
        if (closed_) co_return std::unexpected(closed_error());
        std::vector<std::string> remarks;
        bool made = false;
        auto got =
            co_await options_.files->run([this, &path, create, &remarks, &made]() -> result<std::optional<mbox_file>> {
                auto place = tree_.place_of(path, create);
                if (!place) return std::unexpected(place.error());
                return mbox_file::try_open(std::move(*place), create, made, remarks);
            });
        remarks_.insert(remarks.begin(), remarks.end());
        if (!got) co_return std::unexpected(got.error());
        if (created != nullptr) *created = *created || made;
        if (*got) co_return std::move(**got);
        if (until.passed())
            co_return fail(retry_class::transient, phase::append,
                           fmt::format("{} is locked by another program", quote_server_text(path)),
                           fmt::format("If no mail program uses it any more, remove {}.lock", quote_server_text(path)));
        timer.expires_after(std::chrono::milliseconds(50));
        co_await timer.async_wait(boost::asio::use_awaitable);
    }
}

task<result<void>> mbox_mailbox::prepare_one(const folder_wish& wish, prepared_folder& out) {
    out.handle = wish.handle;
    std::map<std::string, std::string> known;
    for (const auto& [handle, f] : folders_)
        if (!f.path.empty()) known.emplace(handle, f.path);
    auto path = co_await options_.files->run([&] { return tree_.path_of(wish.handle, known); });
    if (!path) co_return std::unexpected(path.error());
    bool created = false;
    {
        // Takes out what a killed run left, too.
        const auto file = co_await lock(*path, wish.create, &created);
        if (!file) co_return std::unexpected(file.error());
    }
    folder& f = folders_[wish.handle];
    f.path = *path;
    if (created && options_.names != nullptr) {
        const auto page = co_await options_.names->open(options_.place, wish.handle);
        if (!page) co_return std::unexpected(page.error());
        // What the books know of it is gone with the file that was there.
        if (!page->entries.empty())
            if (auto given = co_await options_.names->add(options_.place, wish.handle, {std::string(generation_name)});
                !given)
                co_return std::unexpected(given.error());
    }
    const auto seen = co_await look(wish.handle);
    if (!seen) co_return std::unexpected(seen.error());
    out.state = state_of(f);
    co_return result<void>{};
}

task<result<std::vector<prepared_folder>>> mbox_mailbox::prepare(std::span<const folder_wish> wishes) {
    std::vector<prepared_folder> out(wishes.size());
    if (auto ok = co_await find_folders(nullptr); !ok) co_return std::unexpected(ok.error());
    // A folder before those below it: a name that is needed as a file and as a folder goes to the file.
    std::vector<std::size_t> order(wishes.size());
    for (std::size_t i = 0; i < order.size(); ++i) order[i] = i;
    std::ranges::sort(order, {}, [&](std::size_t i) { return wishes[i].handle; });
    for (const std::size_t i : order) {
        if (closed_) co_return std::unexpected(closed_error());
        auto ok = co_await prepare_one(wishes[i], out[i]);
        if (!ok && ok.error().cls == retry_class::cancelled) co_return std::unexpected(ok.error());
        if (!ok) out[i].failure = ok.error();
    }
    co_return out;
}

task<result<void>> mbox_mailbox::subscribe(std::span<const std::string> handles) {
    std::vector<std::string> names(handles.begin(), handles.end());
    co_return co_await options_.files->run([this, &names] { return tree_.subscribe(names); });
}

task<result<void>> mbox_mailbox::change_flags(std::string_view, std::span<const flag_change>) {
    co_return fail(retry_class::permanent, phase::store_flags,
                   "an mbox keeps the flags that a message was brought with");
}

} // namespace postferry::mailbox
