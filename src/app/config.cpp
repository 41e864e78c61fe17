#include "app/config.hpp"

#include "app/config_keys.hpp"
#include "app/credentials.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

namespace postferry::app {

namespace {

constexpr std::size_t max_file = 1U << 20U;

std::unexpected<config_faults> cannot(const std::filesystem::path& file, std::string what) {
    config_faults out;
    out.file = file;
    out.list.push_back({.where = {}, .key = {}, .what = std::move(what)});
    out.count = 1;
    return std::unexpected(std::move(out));
}

/// All of it, at most one octet more than is allowed. Nothing: errno says why.
std::optional<std::string> read_all(int fd) {
    std::string text(max_file + 1, '\0');
    std::size_t size = 0;
    while (size < text.size()) {
        const ssize_t n = ::read(fd, text.data() + size, text.size() - size);
        if (n < 0 && errno == EINTR) continue;
        if (n < 0) return std::nullopt;
        if (n == 0) break;
        size += static_cast<std::size_t>(n);
    }
    text.resize(size);
    return text;
}

std::expected<config_file, config_faults> read_config(const std::filesystem::path& file,
                                                      const config_surroundings& around) {
    const int fd = ::open(file.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    if (fd < 0) return cannot(file, fmt::format("cannot be read: {}", std::strerror(errno)));
    struct stat s{};
    const bool known = ::fstat(fd, &s) == 0;
    auto text = known && S_ISREG(s.st_mode) ? read_all(fd) : std::nullopt;
    const int why = known && !S_ISREG(s.st_mode) ? EINVAL : errno;
    ::close(fd);
    if (!text) return cannot(file, fmt::format("cannot be read: {}", std::strerror(why)));
    // Whoever may write it decides which commands run and where passwords go.
    if ((s.st_mode & S_IWOTH) != 0)
        return cannot(file, fmt::format("can be written by others: chmod o-w {}", file.string()));
    auto read = parse_config(*text, file, (s.st_mode & S_IROTH) != 0, around);
    if (read) read->note = fmt::format("configuration: {}", file.string());
    return read;
}

} // namespace

std::filesystem::path config_store::sqlite_file() const {
    constexpr std::string_view scheme = "sqlite:";
    return url.starts_with(scheme) ? std::filesystem::path(url.substr(scheme.size())) : std::filesystem::path{};
}

bool config_secret::is_nowhere() const { return file.string().starts_with("${"); }

result<secret> config_secret::value() const {
    if (file.empty()) return text;
    const std::string name = fmt::format("{}_file", key);
    if (is_nowhere())
        return fail(retry_class::config, phase::usage,
                    fmt::format("{}: CREDENTIALS_DIRECTORY is not set, so {} is nowhere", name, file.string()),
                    "systemd sets it for LoadCredential= in the unit; name a file by its path elsewhere");
    struct stat s{};
    if (::stat(file.c_str(), &s) == 0 && (s.st_mode & S_IROTH) != 0)
        return fail(retry_class::config, phase::usage,
                    fmt::format("{}: others can read {}, which holds a secret", name, file.string()),
                    fmt::format("chmod o-rwx {}", file.string()));
    return read_secret_file(file, name);
}

std::string config_faults::text() const {
    std::string out;
    for (const config_fault& f : list) {
        out += file.string();
        if (f.where.line != 0) out += fmt::format(":{}:{}", f.where.line, f.where.column);
        out += fmt::format(": {}{}{}\n", f.key, f.key.empty() ? "" : ": ", f.what);
    }
    if (count > list.size()) out += fmt::format("{}: and {} more\n", file.string(), count - list.size());
    return out;
}

config_surroundings config_surroundings::of_process() {
    return {.environment = [](const char* name) { return static_cast<const char*>(std::getenv(name)); }};
}

std::expected<config_file, config_faults> find_config(const std::filesystem::path& named,
                                                      const config_surroundings& around) {
    if (!named.empty()) return read_config(named, around);
    if (const char* file = around.environment ? around.environment("POSTFERRY_CONFIG") : nullptr; file != nullptr) {
        if (*file != '\0') return read_config(file, around);
        config_file none;
        none.values = config::standard();
        none.note = "configuration: none ($POSTFERRY_CONFIG is empty)";
        return none;
    }
    if (::access(around.usual.c_str(), R_OK) == 0) return read_config(around.usual, around);
    config_file none;
    none.values = config::standard();
    // The service's file is often not for everybody, and their own copies can do without it.
    none.note = errno == ENOENT || errno == ENOTDIR
                    ? fmt::format("configuration: none (there is no {})", around.usual.string())
                    : fmt::format("configuration: none ({}: {})", around.usual.string(), std::strerror(errno));
    return none;
}

std::vector<config_fault> try_secrets(const config_file& file) {
    std::vector<config_fault> out;
    const auto try_one = [&](const config_secret& s, std::string_view section, std::string_view name) {
        if (s.file.empty() || s.is_nowhere()) return;
        const auto value = s.value();
        if (value) return;
        const auto at = std::ranges::find_if(file.given, [&](const config_given& g) {
            return g.section == section && g.key == fmt::format("{}_file", name);
        });
        out.push_back(
            {.where = at == file.given.end() ? config_place{} : at->where, .key = {}, .what = value.error().message()});
    };
    for (const auto& [name, client] : file.values.oauth) {
        const std::string section = fmt::format("oauth.{}", name);
        try_one(client.client_secret, section, "client_secret");
        try_one(client.refresh_token, section, "refresh_token");
    }
    try_one(file.values.defaults.source_password, "defaults", "source_password");
    try_one(file.values.defaults.target_password, "defaults", "target_password");
    try_one(file.values.store.password, "store", "password");
    for (const auto& [name, driver] : file.values.provisioning)
        for (const config_entry& e : driver.settings) {
            const std::string section = fmt::format("provisioning.{}", name);
            const config_secret s = secret_file_of(e, fmt::format("{}.{}", section, e.key));
            try_one(s, section, std::string_view(e.key).substr(0, e.key.size() - (s.given() ? 5 : 0)));
        }
    return out;
}

} // namespace postferry::app
