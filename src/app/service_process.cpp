#include "app/service_process.hpp"

#include "api/pages.hpp"
#include "app/config_provisioning.hpp"
#include "app/exit_code.hpp"
#include "app/first_owner_notice.hpp"
#include "app/log.hpp"
#include "app/outage_teller.hpp"
#include "app/service.hpp"
#include "app/service_pass_runner.hpp"
#include "app/service_store.hpp"
#include "app/system_notify.hpp"
#include "http/server.hpp"
#include "jobs/hook.hpp"
#include "jobs/opening.hpp"
#include "jobs/pace_book.hpp"
#include "jobs/worker.hpp"
#include "metrics/metered_runner.hpp"

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/signal_set.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/strand.hpp>
#include <fmt/format.h>
#include <fmt/ranges.h>

#include <csignal>
#include <thread>

namespace postferry::app {

namespace asio = boost::asio;

namespace {

constexpr std::chrono::seconds books_every{5};
constexpr std::chrono::seconds goodbyes{5};  ///< at the end, for servers that are told goodbye
constexpr std::chrono::seconds patience{10}; ///< at the end, with a database that is gone

void on_request(const http::served& r) {
    log::debug({}, "{} {} {} in {} us for {}", http::name_of(r.verb), api::shown_path(r.path), r.status, r.took.count(),
               r.from.address);
}

http::server_options listen_options(const config_service& s) {
    http::server_options o{.listen = s.listen, .socket = s.socket};
    if (!s.tls_certificate.empty()) o.tls = http::tls_identity{.certificate = s.tls_certificate, .key = s.tls_key};
    if (s.behind_proxy) o.trusted_proxies = s.trusted_proxies;
    return o;
}

result<jobs::driver_book::settings_by_name> driver_settings(const config_file& file) {
    jobs::driver_book::settings_by_name all;
    for (const auto& [name, driver] : file.values.provisioning) {
        auto settings = provisioning_settings(file, name);
        if (!settings) return fail(retry_class::config, phase::usage, settings.error().text());
        all.emplace(name, std::move(*settings));
    }
    return all;
}

std::vector<jobs::window> windows_of(const config_schedule& s) {
    std::vector<jobs::window> out;
    for (const config_window& w : s.hours)
        out.push_back({.days = w.days,
                       .from_minute = static_cast<int>(w.from.count()),
                       .to_minute = static_cast<int>(w.to.count()),
                       .time_zone = jobs::local_time_zone()});
    return out;
}

/// Everything of the process, in the order in which it is made. One strand, `control_`, but for the threads that run
/// it.
class service_process {
  public:
    service_process(const service_call& call, asio::io_context& io)
        : call_(call), io_(io), control_(asio::make_strand(io.get_executor())), signals_(control_, SIGTERM, SIGINT),
          ticks_(control_), last_orders_(control_), looks_(control_), done_(control_) {
        signals_.add(SIGHUP);
    }

    result<void> open() {
        auto opened = open_store(*call_.file, call_.serves);
        if (!opened) return std::unexpected(std::move(opened.error()));
        store_ = std::move(*opened);
        meters_ = std::make_unique<metrics::meters>(*store_.db, POSTFERRY_VERSION);
        auto settings = driver_settings(*call_.file);
        if (!settings) return std::unexpected(std::move(settings.error()));
        drivers_ = std::make_unique<jobs::driver_book>(io_.get_executor(), std::move(*settings));
        accounts_ = std::make_unique<jobs::provisioner_desk>(*store_.db, *store_.vault, *drivers_);
        hook_ = std::make_unique<jobs::command_hook>(*store_.db, *store_.vault);
        commands_ = std::make_unique<jobs::commands>(*store_.db, [this] {
            if (worker_) worker_->wake();
        });
        const foundation base{.file = call_.file,
                              .ex = io_.get_executor(),
                              .db = *store_.db,
                              .vault = *store_.vault,
                              .woken =
                                  [this] {
                                      if (worker_) worker_->wake();
                                  },
                              .unfit = [this](const error& why) { give_up(why); },
                              .counts = meters_.get(),
                              .drivers = drivers_.get(),
                              .accounts = accounts_.get()};
        const std::uint32_t jobs = call_.jobs.value_or(call_.file->values.service.jobs);
        if (jobs > 0) {
            auto runner = service_pass_runner::make(base, jobs);
            if (!runner) return std::unexpected(std::move(runner.error()));
            runner_ = std::move(*runner);
            metered_ = std::make_unique<metrics::metered_runner>(*runner_, *meters_);
            worker_ = std::make_unique<jobs::worker>(io_.get_executor(), *store_.db, *metered_, worker_options(jobs));
        }
        // Bound first, begun last: links name the port that it got.
        if (auto bound = call_.serves ? listen() : result<void>{}; !bound) return bound;
        const auto addresses = server_ ? server_->addresses() : std::vector<std::string>{};
        facades_ = std::make_unique<facades>(base, call_.serves, addresses.empty() ? "" : addresses.front());
        return {};
    }

    /// From any thread; the end comes by a signal.
    void start() { asio::co_spawn(control_, run(), asio::detached); }

    [[nodiscard]] int exit_code() const noexcept { return exit_code_; }

  private:
    result<void> listen() {
        auto server = http::server::listen(
            io_.get_executor(), listen_options(call_.file->values.service),
            [this](http::exchange& x) { return facades_->handle(x); }, on_request);
        if (!server) return std::unexpected(std::move(server.error()));
        server_ = std::move(*server);
        return {};
    }

    jobs::worker_options worker_options(std::uint32_t jobs) const {
        jobs::worker_options o{.name = call_.name, .version = POSTFERRY_VERSION, .jobs = static_cast<int>(jobs)};
        o.term = call_.file->values.service.lease;
        o.beat = o.term / 4;
        const config& c = call_.file->values;
        if (c.limits.connections_per_server)
            o.connections_per_server = static_cast<int>(*c.limits.connections_per_server);
        o.windows = windows_of(c.schedule);
        if (const auto every = std::chrono::duration_cast<std::chrono::minutes>(c.schedule.delta_every);
            every.count() > 0)
            o.delta_every_minutes = static_cast<int>(every.count());
        o.accounts.wanted = jobs::begins_with_account;
        o.accounts.make = [this](jobs::work what, std::string actor, std::stop_token stop) {
            return accounts_->run(std::move(what), std::move(actor), std::move(stop));
        };
        o.hook = hook_.get();
        o.complain = [this](const std::string& text) {
            log::write(store_.db->current_outage() ? log::level::debug : log::level::warning, {}, text);
        };
        return o;
    }

    task<> run() {
        listen_for_signals();
        if (const auto every = watchdog_interval()) watch(*every);
        co_await prepare();
        watch_store();
        for (const background& b : facades_->backgrounds()) begin(b.name, b.run(), b.stop);
        if (worker_) begin_worker();
        if (server_) server_->start();
        co_await announce();
        while (!stopping_) {
            co_await done_.wait_for(books_every);
            co_await keep_books();
            if (auto ok = co_await jobs::pace_book::of_process().sample(*store_.db); !ok)
                log::debug({}, "{}", ok.error().message());
            if (auto started = co_await commands_->start_due(); !started) complain(started.error());
        }
        co_await stop();
    }

    /// Before anybody works: what earlier processes left.
    task<> prepare() {
        auto said = co_await settle_store(*store_.db, worker_ ? worker_->id() : std::string(), call_.serves);
        if (!said) log::warning({}, "{}", said.error().message());
        if (call_.serves) {
            auto ok = co_await store_.db->write([usual = windows_of(call_.file->values.schedule)](store::tables& t) {
                return jobs::follow_usual_hours(t, usual);
            });
            if (!ok) log::warning({}, "{}", ok.error().message());
        }
        if (runner_)
            if (auto ok = co_await runner_->load(); !ok) log::warning({}, "{}", ok.error().message());
    }

    task<> announce() {
        std::string where =
            worker_ ? fmt::format("{} mailboxes at a time", call_.jobs.value_or(call_.file->values.service.jobs))
                    : "no mailboxes in this process";
        if (server_) {
            auto addresses = server_->addresses();
            if (const auto& socket = call_.file->values.service.socket; !socket.empty())
                addresses.push_back(socket.string());
            where += fmt::format(", listening on {}", fmt::join(addresses, ", "));
        }
        log::info({}, "postferry {} {}: {}, {}", POSTFERRY_VERSION, call_.serves ? "serves" : "works", where,
                  store_.db->name());
        notify_system(fmt::format("READY=1\nSTATUS={}", where));
        if (!server_) co_return;
        show_first_owner_link(co_await facades_->first_owner_link(), call_.file->values.store.key_file);
    }

    task<> keep_books() {
        if (!runner_) co_return;
        if (auto ok = co_await runner_->save(); !ok) complain(ok.error());
    }

    /// watch_store() tells of an outage; what fails for it every few seconds does not.
    static void complain(const error& why) {
        log::write(is_of_outage(why) ? log::level::debug : log::level::warning, {}, why.message());
    }

    void watch_store() {
        looks_.expires_after(std::chrono::seconds(1));
        looks_.async_wait([this](boost::system::error_code ec) {
            if (ec || !watching_) return;
            const auto now = std::chrono::system_clock::now().time_since_epoch();
            const auto told = outages_.look(store_.db->current_outage(), store_.db->name(),
                                            std::chrono::duration_cast<std::chrono::milliseconds>(now).count());
            if (told) log::write(told->over ? log::level::info : log::level::warning, {}, told->text);
            watch_store();
        });
    }

    /// Something that runs beside, until it is told to stop.
    void begin(std::string name, task<> work, std::function<void()> stop) {
        ++running_;
        stops_.push_back(std::move(stop));
        asio::co_spawn(asio::make_strand(io_.get_executor()), std::move(work),
                       [this, name = std::move(name)](const std::exception_ptr& thrown) {
                           if (thrown)
                               log::write(log::level::error, {},
                                          fmt::format("{} broke off: {}", name, what_of(thrown)));
                           asio::post(control_, [this] {
                               --running_;
                               done_.notify();
                           });
                       });
    }

    void begin_worker() {
        begin(
            "the worker",
            [](service_process* self) -> task<> {
                auto ok = co_await self->worker_->run();
                if (!ok) self->give_up(ok.error());
            }(this),
            [this] { worker_->stop(); });
    }

    static std::string what_of(const std::exception_ptr& thrown) {
        try {
            std::rethrow_exception(thrown);
        } catch (const std::exception& e) {
            return e.what();
        } catch (...) {
            return "something unknown";
        }
    }

    void give_up(const error& why) {
        asio::post(control_, [this, why] {
            if (std::exchange(given_up_, true)) return;
            log::write(log::level::error, {}, why.message());
            exit_code_ = exit_code_of(why);
            begin_stop();
        });
    }

    void begin_stop() {
        if (std::exchange(stopping_, true)) return;
        notify_system("STOPPING=1\nSTATUS=mailboxes come to an orderly end");
        log::info({}, "stopping: what is under way is finished and recorded; leases are given back");
        for (const auto& stop : stops_) stop();
        done_.notify();
        last_orders_.expires_after(patience);
        last_orders_.async_wait([this](boost::system::error_code ec) {
            if (!ec) store_.db->hurry(); // leases that cannot be given back lapse
        });
    }

    /// All at once, then what they have left.
    task<> stop() {
        if (server_) co_await server_->stop();
        while (running_ > 0) co_await done_.wait();
        if (runner_) {
            const auto until = std::chrono::steady_clock::now() + goodbyes;
            while (runner_->on_their_way_out() > 0 && std::chrono::steady_clock::now() < until)
                co_await done_.wait_for(std::chrono::milliseconds(20));
            runner_->hurry();
            if (auto ok = co_await runner_->save(); !ok) log::warning({}, "{}", ok.error().message());
        }
        log::info({}, "stopped");
        signals_.cancel();
        ticks_.cancel();
        watching_ = false;
        looks_.cancel();
        last_orders_.cancel();
    }

    void listen_for_signals() {
        signals_.async_wait([this](boost::system::error_code ec, int number) {
            if (ec) return;
            if (number == SIGHUP) {
                reload();
            } else {
                if (stopping_) std::_Exit(128 + number); // the store is safe at any moment
                log::info({}, "told to stop by signal {}", number);
                begin_stop();
            }
            listen_for_signals();
        });
    }

    void reload() {
        if (auto ok = log::reopen(); !ok) log::warning({}, "{}", ok.error().message());
        if (!server_) return;
        auto ok = server_->reload_tls();
        log::info({}, "{}", ok ? "the log and the certificate are read anew" : ok.error().message());
    }

    void watch(std::chrono::microseconds every) {
        ticks_.expires_after(every);
        ticks_.async_wait([this, every](boost::system::error_code ec) {
            if (ec) return;
            notify_system("WATCHDOG=1");
            watch(every);
        });
    }

    const service_call& call_;
    asio::io_context& io_;
    executor control_;
    asio::signal_set signals_;
    asio::steady_timer ticks_, last_orders_, looks_;
    outage_teller outages_;
    net::event done_;
    bool stopping_ = false, given_up_ = false, watching_ = true;
    int running_ = 0, exit_code_ = exit_codes::done;
    std::vector<std::function<void()>> stops_;
    service_store store_;
    std::unique_ptr<metrics::meters> meters_;
    std::unique_ptr<jobs::driver_book> drivers_;
    std::unique_ptr<jobs::provisioner_desk> accounts_;
    std::unique_ptr<jobs::command_hook> hook_;
    std::unique_ptr<jobs::commands> commands_;
    std::unique_ptr<service_pass_runner> runner_;
    std::unique_ptr<metrics::metered_runner> metered_;
    std::unique_ptr<jobs::worker> worker_;
    std::unique_ptr<facades> facades_;
    std::unique_ptr<http::server> server_;
};

/// Runs until nothing is left to do.
void run_threads(asio::io_context& io, std::uint32_t wanted) {
    const unsigned threads = wanted > 0 ? wanted : std::max(1U, std::thread::hardware_concurrency());
    std::vector<std::jthread> others;
    for (unsigned i = 1; i < threads; ++i) others.emplace_back([&io] { io.run(); });
    io.run();
}

} // namespace

result<int> run_service(const service_call& call) {
    if (auto ok = log::start(call.file->values.log); !ok) return std::unexpected(std::move(ok.error()));
    log::info({}, "{}", call.file->note);
    asio::io_context io; // outlives all that waits in it
    service_process process(call, io);
    if (auto ok = process.open(); !ok) return std::unexpected(std::move(ok.error()));
    process.start();
    run_threads(io, call.file->values.service.threads);
    return process.exit_code();
}

} // namespace postferry::app
