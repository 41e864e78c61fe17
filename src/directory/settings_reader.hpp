#pragma once
#include "directory/settings.hpp"

#include <algorithm>
#include <cstdint>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <vector>

namespace postferry::directory {

/// Takes settings out of a list by name and collects what is wrong with them.
class settings_reader {
  public:
    explicit settings_reader(setting_list all);

    /// The text of a setting; its default when it is not there (or is something else: a fault).
    [[nodiscard]] std::string text(std::string_view name, std::string_view otherwise);
    [[nodiscard]] std::optional<std::string> required_text(std::string_view name);
    [[nodiscard]] std::int64_t number(std::string_view name, std::int64_t otherwise, std::int64_t least,
                                      std::int64_t most);
    /// Octets: a number, or a text such as "25 MB".
    [[nodiscard]] std::uint64_t size(std::string_view name, std::uint64_t otherwise, std::uint64_t most);
    /// A text will do, too.
    [[nodiscard]] secret secret_value(std::string_view name);
    [[nodiscard]] setting::list texts(std::string_view name);
    /// Index of the text among `words`.
    [[nodiscard]] std::size_t choice(std::string_view name, std::span<const std::string_view> words,
                                     std::size_t otherwise);
    /// All "PREFIX.REST", as (REST, text).
    [[nodiscard]] std::vector<std::pair<std::string, std::string>> below(std::string_view prefix);

    void fault(std::string_view name, std::string what);
    /// Takes an error over as a fault of this setting.
    void check(std::string_view name, const result<void>& ok);
    [[nodiscard]] std::string position_of(std::string_view name);
    [[nodiscard]] std::vector<setting_fault> faults_so_far() { return std::move(faults_); }
    /// All faults; what nobody has asked for is one.
    [[nodiscard]] std::vector<setting_fault> finish(std::string_view driver);

  private:
    struct entry {
        setting held;
        bool asked = false;
    };
    [[nodiscard]] entry* find(std::string_view name);
    template <class T> [[nodiscard]] const T* value_of(std::string_view name, std::string_view type);

    std::vector<entry> entries_;
    std::set<std::string, std::less<>> known_;
    std::vector<setting_fault> faults_;
};

} // namespace postferry::directory
