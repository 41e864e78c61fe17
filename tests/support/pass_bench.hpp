#pragma once
// Two fake servers, a ledger in memory, and passes between them.
#include "support/fake_mailbox.hpp"
#include "support/memory_ledger.hpp"
#include "transfer/pass.hpp"

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/io_context.hpp>
#include <fmt/format.h>
#include <gmock/gmock.h>

#include <map>
#include <string>
#include <vector>

namespace postferry::support {

class pass_bench {
  public:
    pass_bench() {
        options.first_pause = std::chrono::milliseconds(0);
        options.limits = {.buffered_octets = 2'000, .whole_octets = 300};
    }
    virtual ~pass_bench() = default;

    fake_server source, target;
    std::unique_ptr<memory_ledger> books = std::make_unique<memory_ledger>();
    pass_options options;
    std::vector<std::string> notes;
    std::vector<failure> told_failures;
    std::vector<progress> told_progress;
    std::function<void(const progress&)> on_progress;
    std::function<task<result<std::shared_ptr<void>>>()> admit;
    std::function<void(std::unique_ptr<mailbox::source>)> see_off;
    mailbox_pass* running = nullptr;

    void lose_ledger() { books = std::make_unique<memory_ledger>(); }

    mailbox_report run() {
        return with_pass<mailbox_report>([](mailbox_pass& p) { return p.run(); });
    }
    mailbox_report verify() {
        return with_pass<mailbox_report>([](mailbox_pass& p) { return p.verify(); });
    }
    result<mailbox_plan> plan() {
        return with_pass<result<mailbox_plan>>([](mailbox_pass& p) { return p.plan(); });
    }

    /// What a target must hold, in no order: "folder|flags|date|body".
    static std::vector<std::string> content(const fake_server& s) {
        std::vector<std::string> out;
        for (const auto& [name, f] : s.folders) {
            for (const auto& [uid, m] : f.messages) {
                std::vector<std::string> flags = m.flags;
                std::ranges::sort(flags);
                out.push_back(
                    fmt::format("{}|{}|{}|{}", name, fmt::join(flags, " "), m.date ? m.date->unix_seconds : 0, m.body));
            }
        }
        std::ranges::sort(out);
        return out;
    }
    static std::vector<std::string> bodies(const fake_folder& f) {
        std::vector<std::string> out;
        for (const auto& [uid, m] : f.messages) out.push_back(m.body);
        return out;
    }

  private:
    template <class T> T with_pass(const std::function<task<T>(mailbox_pass&)>& use) {
        source.operations.clear();
        target.operations.clear();
        told_failures.clear();
        told_progress.clear();
        pass_environment env;
        env.open_source = [this]() { return open<mailbox::source>(source); };
        env.open_target = [this]() { return open<mailbox::target>(target); };
        env.books = books.get();
        env.on_note = [this](std::string_view n) { notes.emplace_back(n); };
        env.on_failure = [this](const failure& f) { told_failures.push_back(f); };
        env.on_progress = [this](const progress& p) {
            told_progress.push_back(p);
            if (on_progress) on_progress(p);
        };
        env.admit = admit;
        env.see_off = see_off;
        mailbox_pass pass({.source = "imaps://anna@old", .target = "imaps://anna@new"}, options, std::move(env));
        running = &pass;
        boost::asio::io_context io(1);
        std::optional<T> out;
        boost::asio::co_spawn(io, use(pass), [&out](std::exception_ptr thrown, T value) {
            if (thrown) std::rethrow_exception(thrown);
            out.emplace(std::move(value));
        });
        io.run_for(std::chrono::seconds(10));
        running = nullptr;
        if (!out) throw std::runtime_error("the pass hangs");
        return std::move(*out);
    }
    template <class Place> static task<result<std::unique_ptr<Place>>> open(fake_server& server) {
        if (server.refuses_login) co_return std::unexpected(*server.refuses_login);
        if (server.logins >= server.most_logins)
            co_return std::unexpected(refusal(retry_class::transient, "UNAVAILABLE", "Maximum number of connections"));
        ++server.logins;
        co_return std::make_unique<fake_mailbox>(server);
    }
};

inline std::string mail(std::string_view id, std::string_view text = "text") {
    return fmt::format("Message-ID: <{}@old.example>\r\nSubject: {}\r\n\r\n{}\r\n", id, id, text);
}

/// "source copied present skipped failed", and the residual when there is one.
inline std::string sheet(const balance& b) {
    std::string out = fmt::format("{} = {} + {} + {} + {}", b.source, b.copied, b.present, b.skipped, b.failed);
    if (b.residual() != 0) out += fmt::format(" open {}", b.residual());
    return out;
}

} // namespace postferry::support
