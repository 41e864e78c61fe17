#include "client/oauth.hpp"

#include "client/oauth_answer.hpp"
#include "net/event.hpp"

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/strand.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <mutex>

namespace postferry::client {

namespace {

using moment = std::chrono::steady_clock::time_point;
using namespace std::chrono_literals;

constexpr auto unknown_life = 10min;
constexpr auto refusal_holds = 10s;

class oauth_client final : public token_source, public std::enable_shared_from_this<oauth_client> {
  public:
    oauth_client(const executor& ex, oauth_settings settings, oauth_hooks hooks)
        : strand_(boost::asio::make_strand(ex)), settings_(std::move(settings)), hooks_(std::move(hooks)),
          round_ended_(strand_) {}

    task<result<secret>> take() override {
        if (auto token = good()) co_return std::move(*token);
        co_return co_await boost::asio::co_spawn(strand_, share(shared_from_this()), boost::asio::use_awaitable);
    }

    void refused(const secret& token) override {
        const std::lock_guard lock(mutex_);
        if (token.reveal() == token_.reveal()) good_until_ = {};
    }

  private:
    std::optional<secret> good() {
        const std::lock_guard lock(mutex_);
        if (token_.empty() || hooks_.now() >= good_until_) return std::nullopt;
        return token_;
    }

    // On the strand. One of those who need a token asks for it; whoever is cancelled leaves that to the next.
    static task<result<secret>> share(std::shared_ptr<oauth_client> self) {
        while (true) {
            if (auto token = self->good()) co_return std::move(*token);
            if (self->failure_ && self->hooks_.now() < self->failure_until_) co_return std::unexpected(*self->failure_);
            if (!self->asking_) break;
            co_await self->round_ended_.wait();
        }
        struct round {
            oauth_client& of;
            explicit round(oauth_client& c) : of(c) { of.asking_ = true; }
            ~round() {
                of.asking_ = false;
                of.round_ended_.notify();
            }
        } mine(*self);
        auto got = co_await self->renew();
        if (got) {
            self->failure_.reset();
            co_return std::move(*got);
        }
        self->failure_ = got.error();
        // Who waited hears of it; later ones ask again, unless somebody must do something first.
        const bool final = got.error().cls == retry_class::auth || got.error().cls == retry_class::config;
        self->failure_until_ = self->hooks_.now() + (final ? refusal_holds : 1s);
        co_return std::unexpected(got.error());
    }

    task<result<secret>> renew() {
        net::form_body form;
        const bool refresh = settings_.grant == oauth_grant::refresh_token;
        form.add("grant_type", refresh ? "refresh_token" : "client_credentials");
        if (refresh) form.add("refresh_token", settings_.refresh_token.reveal());
        form.add("client_id", settings_.client_id);
        if (!settings_.client_secret.empty()) form.add("client_secret", settings_.client_secret.reveal());
        if (!settings_.scope.empty()) form.add("scope", settings_.scope);
        const moment asked = hooks_.now();
        auto answer = co_await ask(std::move(form).take());
        const std::string& host = settings_.token_endpoint.where.host;
        if (!answer) {
            error e = answer.error();
            e.what = fmt::format("No token from {}: {}", host, e.what);
            co_return std::unexpected(std::move(e));
        }
        const std::array<std::string_view, 2> hidden{settings_.client_secret.reveal(),
                                                     settings_.refresh_token.reveal()};
        auto token = read_token_answer(host, answer->status, answer->body, hidden);
        if (!token) {
            if (answer->retry_after)
                token.error().backoff_ms = static_cast<std::uint32_t>(
                    std::chrono::duration_cast<std::chrono::milliseconds>(*answer->retry_after).count());
            co_return std::unexpected(token.error());
        }
        if (token->refresh_token && token->refresh_token->reveal() != settings_.refresh_token.reveal()) {
            settings_.refresh_token = std::move(*token->refresh_token);
            if (settings_.keep_refresh_token) settings_.keep_refresh_token(settings_.refresh_token);
        }
        const auto life = std::chrono::duration_cast<std::chrono::milliseconds>(token->lives.value_or(unknown_life));
        const std::lock_guard lock(mutex_);
        token_ = std::move(token->access_token);
        good_until_ = asked + life - std::min<std::chrono::milliseconds>(life / 4, 60s);
        co_return token_;
    }

    task<result<net::http_answer>> ask(secret body) {
        if (hooks_.ask) co_return co_await hooks_.ask(std::move(body));
        co_return co_await net::http_post(strand_, settings_.token_endpoint, settings_.tls, std::move(body),
                                          deadline::in(settings_.patience));
    }

    executor strand_;
    oauth_settings settings_; ///< on the strand
    oauth_hooks hooks_;
    net::event round_ended_;
    bool asking_ = false;
    std::optional<error> failure_;
    moment failure_until_{};

    std::mutex mutex_; ///< of the token
    secret token_;
    moment good_until_{};
};

} // namespace

std::shared_ptr<token_source> oauth_tokens(executor ex, oauth_settings settings, oauth_hooks hooks) {
    return std::make_shared<oauth_client>(std::move(ex), std::move(settings), std::move(hooks));
}

} // namespace postferry::client
