#pragma once
// What the tests of odd servers share: one call plays a transcript and gives what came of it.
#include "support/mailbox_script.hpp"

#include <fmt/format.h>
#include <fmt/ranges.h>
#include <gmock/gmock.h>

#include <string>
#include <string_view>
#include <vector>

namespace postferry::support {

inline imap_options with_quirks(std::string_view names) {
    imap_options out;
    out.quirks = *client::parse_quirks(names);
    return out;
}

inline std::vector<std::string> fetch(std::string_view uids, std::string_view script, std::string_view quirks = "",
                                      std::string_view capabilities = "") {
    std::vector<std::string> log;
    const std::vector<fetch_request> requests{{.handle = "x", .uid_validity = 7, .uids = *uid_set::parse(uids)}};
    const std::function<task<result<void>>(imap_mailbox&)> use = [&](imap_mailbox& box) -> task<result<void>> {
        support::noting_message_sink sink(log);
        co_return co_await box.fetch(requests, fetch_part::whole, sink);
    };
    const auto ok = play<result<void>>(capabilities, script, use, &log, with_quirks(quirks));
    if (!ok) log.push_back("failed: " + ok.error().message());
    return log;
}

inline listing list(std::string_view capabilities, std::string_view script, const imap_options& options = {}) {
    auto got = play<result<listing>>(
        capabilities, script, [](imap_mailbox& box) { return box.list(false); }, nullptr, options);
    EXPECT_TRUE(got) << got.error().message();
    return got.value_or(listing{});
}

inline std::vector<std::string> names(const listing& all) {
    std::vector<std::string> out;
    for (const listed_folder& f : all.folders) out.push_back(fmt::format("{} <{}>", f.name, f.handle));
    return out;
}

/// Lists, then scans; the log holds what the scan told.
inline std::vector<std::string> list_and_scan(std::string_view capabilities, std::string_view script,
                                              const std::vector<scan_request>& folders,
                                              const imap_options& options = {}) {
    class sink final : public scan_sink {
      public:
        explicit sink(std::vector<std::string>& log) : log_(log) {}
        void flags(std::size_t request, std::uint32_t uid, const std::vector<std::string>& flags) override {
            log_.push_back(fmt::format("{} flags {} ({})", request, uid, fmt::join(flags, " ")));
        }
        void done(std::size_t request, const folder_state& s, uid_set present) override {
            log_.push_back(
                fmt::format("{} done v{} m{}: {}", request, s.uid_validity, s.messages, present.to_string()));
        }
        void failed(std::size_t request, error why) override {
            log_.push_back(fmt::format("{} failed: {}", request, why.message()));
        }
        void also_in(std::size_t request, std::uint32_t uid, std::span<const std::string> handles) override {
            log_.push_back(fmt::format("{} also {} in {}", request, uid, fmt::join(handles, ", ")));
        }

      private:
        std::vector<std::string>& log_;
    };
    std::vector<std::string> log;
    const std::function<task<result<void>>(imap_mailbox&)> use = [&](imap_mailbox& box) -> task<result<void>> {
        auto listed = co_await box.list(false);
        if (!listed) co_return std::unexpected(listed.error());
        sink told(log);
        co_return co_await box.scan(folders, told);
    };
    const auto ok = play<result<void>>(capabilities, script, use, &log, options);
    if (!ok) log.push_back("failed: " + ok.error().message());
    return log;
}

} // namespace postferry::support
