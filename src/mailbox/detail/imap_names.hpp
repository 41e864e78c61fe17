#pragma once
// Folder names of an IMAP server: from the wire and back.
#include "protocol/imap/response.hpp"

#include <map>
#include <optional>
#include <set>
#include <string>
#include <string_view>

namespace postferry::mailbox::detail {

/// How one server writes its names.
struct name_form {
    std::optional<char> delimiter;
    std::string prefix; ///< of the personal namespace, wire form, with its delimiter
    bool utf8 = false;  ///< ENABLE UTF8=ACCEPT worked: names are UTF-8 (RFC 6855), else modified UTF-7
};

[[nodiscard]] bool is_inbox(std::string_view wire) noexcept;
/// The folder that holds a namespace, "shared" of "shared.", belongs to it.
[[nodiscard]] bool in_namespace(std::string_view wire, const imap::namespace_data::entry& space);
/// What two answers about one folder have in common.
[[nodiscard]] std::string folder_key(std::string_view wire, std::optional<char> delimiter);
[[nodiscard]] std::string without_trailing_delimiter(std::string_view wire, std::optional<char> delimiter);

struct decoded_name {
    std::string name;         ///< listed_folder::name
    bool undecodable = false; ///< an escape stands for octets that are neither modified UTF-7 nor UTF-8
};
/// `form.delimiter` is the folder's own, as LIST told it.
[[nodiscard]] decoded_name decode_name(std::string_view wire, const name_form& form);
/// The way back for a name that the server does not have yet.
[[nodiscard]] std::string encode_name(std::string_view name, const name_form& form);

/// Tells two folders apart that decode to one name: `name`, or a spelling of it that is not in `taken`.
[[nodiscard]] std::string unique_name(std::string name, std::string_view wire, std::optional<char> delimiter,
                                      const std::set<std::string, std::less<>>& taken);

/// quirk hidden-prefix: the prefix that every folder but INBOX bears, "INBOX.", where the server tells of no namespace;
/// empty when there is none.
[[nodiscard]] std::string hidden_prefix(const std::vector<imap::list_data>& folders);

} // namespace postferry::mailbox::detail
