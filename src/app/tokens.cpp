#include "app/tokens.hpp"

#include "app/credentials.hpp"
#include "app/log.hpp"
#include "client/oauth.hpp"

#include <fmt/format.h>

#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <fcntl.h>
#include <mutex>
#include <sys/stat.h>
#include <unistd.h>

namespace postferry::app {

namespace {

/// What a changed file differs in.
struct file_stamp {
    ::ino_t inode = 0;
    ::off_t size = 0;
    std::int64_t modified_s = 0, modified_ns = 0;
    bool operator==(const file_stamp&) const = default;
};

class watched_file final : public client::token_source {
  public:
    explicit watched_file(std::filesystem::path file) : file_(std::move(file)) {}

    task<result<secret>> take() override {
        const std::lock_guard lock(mutex_);
        struct stat s{};
        if (::stat(file_.c_str(), &s) == 0) {
            const file_stamp now{
                .inode = s.st_ino, .size = s.st_size, .modified_s = s.st_mtim.tv_sec, .modified_ns = s.st_mtim.tv_nsec};
            if (token_.empty() || now != stamp_) {
                auto read = read_secret_file(file_, "token file");
                // Somebody is writing it anew: the token from before may still do.
                if (!read && token_.empty()) co_return std::unexpected(read.error());
                if (read) {
                    stamp_ = now;
                    token_ = std::move(*read);
                }
            }
        } else if (token_.empty()) {
            co_return fail(retry_class::config, phase::usage,
                           fmt::format("token file: cannot read {}: {}", file_.string(), std::strerror(errno)));
        }
        if (token_.reveal() == refused_.reveal())
            co_return fail(retry_class::auth, phase::login, fmt::format("The token in {} was refused", file_.string()),
                           "It may have expired: write a new one into the file, and run again");
        co_return token_;
    }

    void refused(const secret& token) override {
        const std::lock_guard lock(mutex_);
        refused_ = token;
    }

  private:
    std::filesystem::path file_;
    std::mutex mutex_;
    file_stamp stamp_;
    secret token_, refused_;
};

/// The file's new first line, whole or not at all, with the rights that the file has.
void keep(const std::filesystem::path& file, const secret& token) {
    const std::string part = fmt::format("{}.new", file.string());
    struct stat s{};
    const ::mode_t mode = ::stat(file.c_str(), &s) == 0 ? s.st_mode & 0777 : 0600;
    const int fd = ::open(part.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, mode & 0700);
    bool good = fd >= 0;
    const std::string_view text = token.reveal();
    if (good) {
        good = ::write(fd, text.data(), text.size()) == static_cast<ssize_t>(text.size()) &&
               ::write(fd, "\n", 1) == 1 && ::fsync(fd) == 0;
        ::fchmod(fd, mode);
        ::close(fd);
    }
    if (good) good = ::rename(part.c_str(), file.c_str()) == 0;
    if (!good) {
        log::warning({},
                     "the new refresh token could not be written into {}: {}; the next run may have to be given one",
                     file.string(), std::strerror(errno));
        ::unlink(part.c_str());
    }
}

} // namespace

std::shared_ptr<client::token_source> token_file(std::filesystem::path file) {
    return std::make_shared<watched_file>(std::move(file));
}

const login_options& token_desk::login_at(side which) const noexcept {
    return which == side::source ? options_.source : options_.target;
}

std::string token_desk::client_at(const mailbox::endpoint& where, side which) const {
    const login_options& login = login_at(which);
    const std::string& name = where.oauth.empty() ? login.oauth_name : where.oauth;
    if (!name.empty()) return "oauth." + name;
    if (!login.oauth.wanted()) return {};
    return which == side::source ? "source" : "target";
}

result<void> token_desk::learn(const mailbox::endpoint& where, side which) {
    if (!takes_token(where)) return {};
    const std::string key = client_at(where, which);
    if (key.empty() || clients_.contains(key)) return {};
    if (!key.starts_with("oauth.")) {
        clients_.emplace(key, login_at(which).oauth);
        return {};
    }
    // That it is there was seen when the options and rows were read.
    return learn(key.substr(6));
}

result<void> token_desk::learn(const std::string& name) {
    const config_oauth& c = options_.config->values.oauth.at(name);
    oauth_options o;
    o.token_endpoint = c.token_endpoint;
    o.client_id = c.client_id;
    o.scope = c.scope;
    o.refresh = c.refresh;
    o.ca_file = c.ca;
    o.refresh_token_file = c.refresh_token.file;
    for (const auto& [from, into] :
         {std::pair(&c.client_secret, &o.client_secret), std::pair(&c.refresh_token, &o.refresh_token)}) {
        auto value = from->value();
        if (!value) return std::unexpected(value.error());
        *into = std::move(*value);
    }
    clients_.emplace("oauth." + name, std::move(o));
    return {};
}

result<std::unique_ptr<token_desk>> token_desk::of_config(const run_options& options, executor ex) {
    std::unique_ptr<token_desk> desk(new token_desk(options, std::move(ex)));
    for (const auto& [name, client] : options.config->values.oauth)
        if (auto ok = desk->learn(name); !ok) return std::unexpected(ok.error());
    return desk;
}

result<std::unique_ptr<token_desk>> token_desk::open(const run_options& options, std::span<const account> accounts,
                                                     executor ex) {
    std::unique_ptr<token_desk> desk(new token_desk(options, std::move(ex)));
    for (const account& a : accounts) {
        if (auto ok = desk->learn(a.source_settings(), side::source); !ok) return std::unexpected(ok.error());
        if (auto ok = desk->learn(a.target_settings(), side::target); !ok) return std::unexpected(ok.error());
    }
    return desk;
}

namespace {

client::oauth_settings settings_of(const oauth_options& o) {
    client::oauth_settings s;
    if (auto url = net::parse_http_url(o.token_endpoint)) s.token_endpoint = std::move(*url); // it was read before
    s.tls.ca_file = o.ca_file;
    s.grant = o.refresh ? client::oauth_grant::refresh_token : client::oauth_grant::client_credentials;
    s.client_id = o.client_id;
    s.client_secret = o.client_secret;
    s.scope = o.scope;
    s.refresh_token = o.refresh_token;
    return s;
}

} // namespace

std::function<void(const secret&)> token_desk::keeper(std::filesystem::path file, const secret& first) {
    if (!file.empty()) return [file = std::move(file)](const secret& token) { keep(file, token); };
    return [this, key = sha256::of(first.reveal())](const secret& token) {
        const std::lock_guard lock(mutex_);
        renewed_.insert_or_assign(key, token);
    };
}

std::shared_ptr<client::token_source> token_desk::tokens_of(const mailbox::endpoint& where, side which,
                                                            const std::shared_ptr<const row_token>& own) {
    if (!takes_token(where)) return nullptr;
    const login_options& login = login_at(which);
    const std::string key = client_at(where, which);
    if (own != nullptr && !key.empty()) return of_row(key, own);
    const std::lock_guard lock(mutex_);
    std::shared_ptr<client::token_source>& tokens = shared_[key.empty() ? login.token_file.string() : key];
    if (tokens != nullptr) return tokens;
    if (const auto client = clients_.find(key); client != clients_.end()) {
        client::oauth_settings s = settings_of(client->second);
        if (client->second.refresh)
            s.keep_refresh_token = keeper(client->second.refresh_token_file, client->second.refresh_token);
        tokens = client::oauth_tokens(ex_, std::move(s));
    } else if (!login.token_file.empty()) {
        tokens = token_file(login.token_file);
    }
    return tokens;
}

std::shared_ptr<client::token_source> token_desk::of_row(const std::string& client,
                                                         const std::shared_ptr<const row_token>& own) {
    const sha256_digest digest = sha256::of(own->token.reveal());
    const std::lock_guard lock(mutex_);
    drop_unused();
    std::weak_ptr<client::token_source>& known = of_rows_[{client, digest}];
    if (auto tokens = known.lock()) return tokens;
    client::oauth_settings s = settings_of(clients_.at(client));
    s.grant = client::oauth_grant::refresh_token;
    const auto newer = renewed_.find(digest);
    s.refresh_token = newer == renewed_.end() ? own->token : newer->second;
    // Another row with this file may have had it renewed since it was read.
    if (!own->file.empty())
        if (auto now = read_secret_file(own->file, "the refresh token")) s.refresh_token = std::move(*now);
    s.keep_refresh_token = own->keep ? own->keep : keeper(own->file, own->token);
    auto tokens = client::oauth_tokens(ex_, std::move(s));
    known = tokens;
    return tokens;
}

void token_desk::drop_unused() {
    if (of_rows_.size() < sweep_at_) return;
    std::erase_if(of_rows_, [](const auto& entry) { return entry.second.expired(); });
    sweep_at_ = 2 * of_rows_.size() + 64;
}

std::size_t token_desk::unkept() const {
    const std::lock_guard lock(mutex_);
    return renewed_.size();
}

} // namespace postferry::app
