// postferry batch watch, postferry event follow: what happens, as it happens.
#include "app/batch_status.hpp"
#include "app/exit_code.hpp"
#include "app/noun_actions.hpp"
#include "app/remote_follow.hpp"
#include "app/standard_output.hpp"
#include "app/words.hpp"
#include "base/text.hpp"

#include <boost/asio/as_tuple.hpp>
#include <boost/asio/signal_set.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <fmt/format.h>

#include <csignal>
#include <deque>
#include <map>
#include <sys/ioctl.h>
#include <unistd.h>

namespace postferry::app {

namespace json = boost::json;

namespace {

using std::chrono::seconds;

constexpr seconds tick{1};
constexpr seconds look_at_least_every{3};
constexpr seconds patience{300}; ///< with a service that has gone, as when it is started anew
constexpr seconds farewell{30};  ///< for news on their way, when all is done
constexpr std::size_t most_names = 100'000;

std::size_t terminal_rows() {
    winsize size{};
    return ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) == 0 && size.ws_row > 0 ? size.ws_row : 24;
}

/// A frame over the frame before it.
class frame {
  public:
    void draw(const std::string& text, std::size_t columns) {
        std::string out = lines_ > 0 ? fmt::format("\x1b[{}F", lines_) : std::string{};
        lines_ = 0;
        for (std::string_view rest = text; !rest.empty(); ++lines_) {
            const std::string_view line = rest.substr(0, rest.find('\n'));
            rest.remove_prefix(std::min(rest.size(), line.size() + 1));
            out += fitted(line, columns, false) + "\x1b[K\n";
        }
        to_stdout(out + "\x1b[J");
    }

  private:
    std::size_t lines_ = 0;
};

std::string newest_event(std::string_view batch) { return fmt::format("/batches/{}/events?limit=1", batch); }

/// 0: there is none.
std::uint64_t event_of(const remote_reply& newest) {
    const json::array& items = array_at(whole(newest), "items");
    return items.empty() || !items[0].is_object() ? 0 : count_at(items[0].get_object(), "id");
}

class watcher {
  public:
    /// @param after the last event that is no news
    watcher(noun_context& c, const json::object& batch, std::uint64_t after)
        : c_(c), io_(c.api.io()), batch_(batch), id_(text_at(batch, "id")), asks_(io_.get_executor(), c.api.place()),
          heard_(after), feed_(io_.get_executor(), c.api.place(), "/events/stream?batch=" + id_, std::to_string(after)),
          timer_(io_), signals_(io_, SIGINT, SIGTERM),
          terminal_(!c.json() && !c.quiet() && terminal_columns().has_value()) {}

    result<int> run() {
        signals_.async_wait([this](boost::system::error_code ec, int number) {
            if (ec) return;
            signal_ = number;
            timer_.cancel();
        });
        feed_.start([this](const sse_event& e) { heard(e); });
        auto outcome = c_.api.wait(work());
        signals_.cancel();
        feed_.stop();
        io_.restart();
        while (!feed_.ended() && io_.run_one() > 0) {
        }
        return outcome;
    }

  private:
    void heard(const sse_event& e) {
        dirty_ = true;
        boost::system::error_code ec;
        json::value event = json::parse(e.data, ec);
        if (!ec && event.is_object() && !terminal_) {
            heard_ = std::max(heard_, count_at(event.get_object(), "id"));
            news_.push_back(std::move(event.get_object()));
        }
        if (!terminal_) timer_.cancel();
    }

    task<result<int>> work() {
        for (;;) {
            if (auto ok = co_await tell_news(); !ok) co_return std::unexpected(std::move(ok.error()));
            const bool old = std::chrono::steady_clock::now() - looked_ >= look_at_least_every;
            if (std::exchange(dirty_, false) || old)
                if (auto ok = co_await look(); !ok) co_return std::unexpected(std::move(ok.error()));
            if (signal_ != 0) co_return interrupted();
            if (reader_has_left()) co_return exit_codes::incomplete;
            if (feed_.failed()) co_return std::unexpected(*feed_.failed());
            if (lost_since_ == time_point{} && standing_of(batch_).at_rest && co_await nothing_on_its_way())
                co_return ended();
            if (!news_.empty()) continue;
            timer_.expires_after(tick);
            co_await timer_.async_wait(boost::asio::as_tuple(boost::asio::use_awaitable));
        }
    }

    /// Of a batch at rest. The stream comes from behind, the more so when it was lost: what has happened until now is
    /// told before the end.
    task<bool> nothing_on_its_way() {
        if (terminal_ || c_.quiet()) co_return !dirty_; // no events are shown
        if (!news_.empty() || dirty_) co_return false;
        const auto now = std::chrono::steady_clock::now();
        if (!last_) {
            auto newest = co_await asks_.ask({.target = newest_event(id_), .patience = seconds(20)});
            if (newest) last_ = {.event = event_of(*newest), .until = now + farewell};
        }
        co_return last_ && (heard_ >= last_->event || now >= last_->until) && news_.empty();
    }

    /// Asks for the batch. A service that does not answer is waited for.
    task<result<void>> look() {
        auto now = co_await asks_.ask({.target = "/batches/" + id_, .patience = seconds(20)});
        looked_ = std::chrono::steady_clock::now();
        if (now && now->json.is_object()) {
            batch_ = now->json.get_object();
            lost_since_ = {};
            if (!standing_of(batch_).at_rest) last_.reset();
            if (terminal_) co_return co_await draw();
            co_return result<void>{};
        }
        const error why = now ? error{.what = "the service's answer is no batch",
                                      .server_said = {},
                                      .advice = {},
                                      .response_code = {}}
                              : std::move(now.error());
        const bool may_return = why.where != phase::usage && (!is_answer(why) || why.response_code.starts_with('5'));
        if (lost_since_ == time_point{}) {
            lost_since_ = looked_;
            if (may_return) to_stderr(fmt::format("postferry: {}; waiting for it\n", why.message()));
        }
        dirty_ = true;
        if (!may_return || looked_ - lost_since_ > patience) co_return std::unexpected(why);
        co_return result<void>{};
    }

    task<result<void>> draw() {
        const std::size_t columns = terminal_columns().value_or(80), rows = terminal_rows();
        std::string text = batch_status_text(batch_);
        const auto used = static_cast<std::size_t>(std::ranges::count(text, '\n')) + 4;
        if (standing_of(batch_).moving > 0 && rows > used + 2) {
            auto page = co_await asks_.ask(
                {.target = fmt::format(
                     "/batches/{}/mailboxes?state=copying,verifying,discovering,provisioning,throttled&limit={}", id_,
                     std::min<std::size_t>(rows - used, 100)),
                 .patience = seconds(20)});
            if (page && page->json.is_object()) text += "\n" + table_of(page->json.get_object(), columns);
        }
        text += fmt::format("\nCtrl-C ends the watching, not the batch\n");
        frame_.draw(text, columns);
        co_return result<void>{};
    }

    static std::string table_of(const json::object& page, std::size_t columns) {
        text_table table({{"MAILBOX", false, true},
                          {"STATE"},
                          {"MESSAGES", true},
                          {"OF", true},
                          {"DATA", true},
                          {"NOTE", false, true}});
        for (const json::value& one : array_at(page, "items")) {
            if (!one.is_object()) continue;
            const json::object& m = one.get_object();
            const json::object& n = object_at(m, "messages");
            const std::uint64_t done =
                count_at(n, "copied") + count_at(n, "present") + count_at(n, "skipped") + count_at(n, "failed");
            const std::string until = moment_at(m, "until");
            table.add(
                {text_at(m, "source_user"), text_at(m, "state"), grouped(done), grouped(count_at(n, "source")),
                 format_size(count_at(object_at(m, "bytes"), "copied")),
                 until.empty() ? text_at(m, "reason") : fmt::format("until {}: {}", until, text_at(m, "reason"))});
        }
        return table.empty() ? std::string() : table.text(columns);
    }

    task<result<void>> tell_news() {
        while (!news_.empty()) {
            const json::object event = std::move(news_.front());
            news_.pop_front();
            if (c_.quiet()) continue;
            if (c_.json()) {
                to_stdout(json::serialize(event) + "\n");
                continue;
            }
            const std::string mailbox = text_at(event, "mailbox");
            std::string who = text_at(batch_, "name");
            if (!mailbox.empty()) who = co_await name_of(mailbox);
            to_stdout(event_line(event, who));
        }
        co_return result<void>{};
    }

    task<std::string> name_of(std::string mailbox) {
        const auto known = names_.find(mailbox);
        if (known != names_.end()) co_return known->second;
        auto found = co_await asks_.ask({.target = "/mailboxes/" + mailbox, .patience = seconds(20)});
        std::string name =
            found && found->json.is_object() ? text_at(found->json.get_object(), "source_user") : std::string{};
        if (name.empty()) name = "mailbox " + mailbox;
        if (names_.size() >= most_names) names_.clear();
        names_.emplace(std::move(mailbox), name);
        co_return name;
    }

    int interrupted() {
        if (!c_.quiet())
            to_stderr(
                fmt::format("\n{} goes on. Look again: postferry batch watch {}. Stop it: postferry batch pause {}\n",
                            text_at(batch_, "name"), batch_word(batch_), batch_word(batch_)));
        return signal_ == SIGTERM ? exit_codes::terminated : exit_codes::interrupted;
    }

    int ended() {
        if (c_.json())
            to_stdout(json::serialize(batch_) + "\n");
        else if (terminal_)
            frame_.draw(batch_status_text(batch_) + batch_advice_text(batch_), 10'000);
        else
            c_.say(batch_status_text(batch_) + batch_advice_text(batch_));
        return standing_of(batch_).complete ? exit_codes::done : exit_codes::incomplete;
    }

    using time_point = std::chrono::steady_clock::time_point;

    noun_context& c_;
    boost::asio::io_context& io_;
    json::object batch_;
    std::string id_;
    remote_session asks_;
    std::uint64_t heard_; ///< the last event
    remote_feed feed_;
    boost::asio::steady_timer timer_;
    boost::asio::signal_set signals_;
    bool terminal_, dirty_ = true;
    int signal_ = 0;
    time_point looked_{}, lost_since_{};
    struct last_news {
        std::uint64_t event = 0; ///< its number
        time_point until;        ///< is waited for it
    };
    std::optional<last_news> last_; ///< once the batch is at rest
    std::deque<json::object> news_;
    std::map<std::string, std::string, std::less<>> names_;
    frame frame_;
};

} // namespace

result<int> watch_batch(noun_context& c, const json::object& batch) {
    auto last = c.api.get(newest_event(text_at(batch, "id")));
    if (!last) return std::unexpected(std::move(last.error()));
    watcher w(c, batch, event_of(*last));
    return w.run();
}

// Ends by the signal itself, as tail -f does.
result<int> follow_events(noun_context& c, const std::string& query) {
    auto& io = c.api.io();
    io.restart();
    remote_feed feed(io.get_executor(), c.api.place(), "/events/stream" + query);
    feed.start([&](const sse_event& e) {
        if (reader_has_left()) return feed.stop();
        if (c.json()) return to_stdout(e.data + "\n");
        boost::system::error_code ec;
        const json::value event = json::parse(e.data, ec);
        if (ec || !event.is_object()) return;
        const json::object& o = event.get_object();
        to_stdout(event_line(o, text_at(o, "mailbox").empty() ? fmt::format("batch {}", text_at(o, "batch"))
                                                              : fmt::format("mailbox {}", text_at(o, "mailbox"))));
    });
    while (!feed.ended() && io.run_one() > 0) {
    }
    if (feed.failed()) return std::unexpected(*feed.failed());
    return exit_codes::done;
}

} // namespace postferry::app
