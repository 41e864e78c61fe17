#include "app/config_provisioning.hpp"

#include "app/config_keys.hpp"

#include <fmt/format.h>

namespace postferry::app {

namespace {

constexpr std::size_t file_suffix = 5; // "_file", "-file"

class converter {
  public:
    converter(const config_file& file, std::string_view name)
        : file_(file), section_(fmt::format("provisioning.{}", name)) {
        faults_.file = file.file;
    }

    std::expected<directory::setting_list, config_faults> convert(const config_provisioning& driver) {
        add("driver", driver.driver, place_of("driver"));
        for (const config_entry& e : driver.settings) take(e);
        if (faults_.count > 0) return std::unexpected(std::move(faults_));
        return std::move(out_);
    }

  private:
    config_place place_of(std::string_view key) const {
        for (const config_given& g : file_.given)
            if (g.section == section_ && g.key == key) return g.where;
        return {};
    }

    template <class T> void add(std::string name, T value, config_place where) {
        out_.push_back({.name = std::move(name),
                        .value = std::move(value),
                        .position = fmt::format("{}:{}:{}", file_.file.string(), where.line, where.column)});
    }

    void fault(const config_entry& e, std::string key, std::string what) {
        faults_.list.push_back({.where = e.where, .key = std::move(key), .what = std::move(what)});
        ++faults_.count;
    }

    void take(const config_entry& e) {
        const std::string full = fmt::format("{}.{}", section_, e.key);
        if (const auto* flag = std::get_if<bool>(&e.value)) return add(e.key, *flag, e.where);
        if (const auto* n = std::get_if<std::int64_t>(&e.value)) return add(e.key, *n, e.where);
        if (std::holds_alternative<double>(e.value)) return fault(e, full, "no driver takes a number with a fraction");
        if (const auto* list = std::get_if<std::vector<std::string>>(&e.value)) return add(e.key, *list, e.where);
        take_text(e, full, std::get<std::string>(e.value));
    }

    void take_text(const config_entry& e, const std::string& full, const std::string& text) {
        if (sounds_secret(e.key)) return add(e.key, secret(text), e.where);
        const config_secret from = secret_file_of(e, full);
        if (!from.given()) return add(e.key, text, e.where);
        auto value = from.value();
        if (!value) return fault(e, {}, value.error().message());
        add(e.key.substr(0, e.key.size() - file_suffix), std::move(*value), e.where);
    }

    const config_file& file_;
    std::string section_;
    directory::setting_list out_;
    config_faults faults_;
};

} // namespace

config_secret secret_file_of(const config_entry& e, std::string_view full_key) {
    const auto* text = std::get_if<std::string>(&e.value);
    const bool file = e.key.ends_with("_file") || e.key.ends_with("-file");
    config_secret out;
    if (text == nullptr || !file || !sounds_secret(std::string_view(e.key).substr(0, e.key.size() - file_suffix)))
        return out;
    out.file = *text;
    out.key = full_key.substr(0, full_key.size() - file_suffix);
    return out;
}

std::expected<directory::setting_list, config_faults> provisioning_settings(const config_file& file,
                                                                            std::string_view name) {
    const auto found = file.values.provisioning.find(name);
    if (found == file.values.provisioning.end()) return directory::setting_list{};
    return converter(file, name).convert(found->second);
}

} // namespace postferry::app
