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

std::shared_ptr<client::token_source> tokens_of(const login_options& login, executor ex) {
    if (!login.token_file.empty()) return token_file(login.token_file);
    const oauth_options& o = login.oauth;
    if (!o.wanted()) return nullptr;
    auto url = net::parse_http_url(o.token_endpoint);
    if (!url) return nullptr; // check_oauth_options() has read it
    client::oauth_settings s;
    s.token_endpoint = std::move(*url);
    s.tls.ca_file = o.ca_file;
    s.grant = o.refresh ? client::oauth_grant::refresh_token : client::oauth_grant::client_credentials;
    s.client_id = o.client_id;
    s.client_secret = o.client_secret;
    s.scope = o.scope;
    s.refresh_token = o.refresh_token;
    if (o.refresh) s.keep_refresh_token = [file = o.refresh_token_file](const secret& token) { keep(file, token); };
    return client::oauth_tokens(std::move(ex), std::move(s));
}

} // namespace postferry::app
