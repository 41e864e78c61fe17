// What must be right of several keys together.
#include "app/config_keys.hpp"
#include "mailbox/endpoint.hpp"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>

namespace postferry::app {

namespace {

class rules {
  public:
    explicit rules(const config_file& file) : file_(file), is_(file.values) {}

    std::vector<config_fault> check() {
        for (const auto& [name, client] : is_.oauth) check_client(fmt::format("oauth.{}", name), client);
        check_ends();
        check_service();
        if (is_.log.format == config_log_format::journald && !is_.log.file.empty())
            fault("log", "file", "does not go with format = \"journald\"");
        return std::move(out_);
    }

  private:
    void fault(std::string_view section, std::string_view key, std::string what) {
        const auto at = std::ranges::find_if(
            file_.given, [&](const config_given& g) { return g.section == section && g.key == key; });
        out_.push_back({.where = at == file_.given.end() ? config_place{} : at->where,
                        .key = fmt::format("{}.{}", section, key),
                        .what = std::move(what)});
    }

    void check_client(const std::string& section, const config_oauth& client) {
        if (!client.refresh && !client.client_secret.given())
            fault(section, "client_id", "the grant client-credentials needs client_secret or client_secret_file");
    }

    void check_oauth_name(std::string_view key, std::string_view name) {
        if (name.empty() || is_.oauth.contains(name)) return;
        std::vector<std::string_view> names;
        for (const auto& [known, client] : is_.oauth) names.push_back(known);
        fault("defaults", key,
              names.empty() ? fmt::format("there is no [oauth.{}]", name)
                            : fmt::format("there is no [oauth.{}], but {}", name, fmt::join(names, ", ")));
    }

    void check_ends() {
        const config_defaults& d = is_.defaults;
        check_oauth_name("source_oauth", d.source_oauth);
        check_oauth_name("target_oauth", d.target_oauth);
        for (const auto& [key, url] : {std::pair("source", d.source), std::pair("target", d.target)})
            if (const auto e = mailbox::parse_endpoint(url); !url.empty() && e) check_oauth_name(key, e->oauth);
    }

    void check_service() {
        const config_service& s = is_.service;
        const bool certificate = !s.tls_certificate.empty();
        if (certificate != !s.tls_key.empty())
            fault("service", certificate ? "tls_certificate" : "tls_key",
                  "tls_certificate and tls_key belong together");
        if (certificate || s.behind_proxy) return;
        const auto open = std::ranges::find_if(s.listen, [](std::string_view address) {
            return !address.starts_with("127.") && !address.starts_with("[::1]:") && !address.starts_with("localhost:");
        });
        if (open != s.listen.end())
            fault("service", "listen",
                  fmt::format("{} would have passwords cross the network in the clear: give tls_certificate and "
                              "tls_key, or set behind_proxy = true where a proxy does the TLS",
                              *open));
    }

    const config_file& file_;
    const config& is_;
    std::vector<config_fault> out_;
};

} // namespace

std::vector<config_fault> check_together(const config_file& file) { return rules(file).check(); }

} // namespace postferry::app
