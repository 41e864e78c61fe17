#pragma once
// Where the folders of a mbox: endpoint lie on the disk. Everything here blocks: call it on a file_pool's thread.
#include "mailbox/local_files.hpp"

#include <map>
#include <string>
#include <string_view>
#include <vector>

namespace postferry::mailbox {

/// An mbox as a place among others: its directory is open, so that nobody can exchange a folder above it.
struct mbox_place {
    file_handle directory;
    std::string file; ///< name in it
};

struct mbox_found {
    std::string name; ///< decoded; "INBOX"
    std::string path; ///< below the root; the file's name where the endpoint is a file
    bool subscribed = true;
};

struct mbox_tree_listing {
    std::vector<mbox_found> folders; ///< by name
    std::vector<std::string> notes;  ///< files that are left out
};

/// A file, which is the INBOX and nothing else, or a folder of files: its folders are levels, "Work.sbd" (Thunderbird)
/// is the folder of Work's children, "Work.mbox" beside a folder "Work" is Work's own mail, "inbox" in any case is the
/// INBOX. Names are modified UTF-7 as Dovecot and UW-IMAP have them, UTF-8 where they are not that, else Latin-1.
class mbox_tree {
  public:
    enum class kind : std::uint8_t { file, tree };

    /// @param path absolute. What is not there yet is a file if it ends in ".mbox", else a folder.
    explicit mbox_tree(std::string path);

    [[nodiscard]] kind what() const noexcept { return kind_; }
    [[nodiscard]] bool exists() const noexcept { return exists_; }
    /// All mboxes below. A file counts as one if it is empty or has a From_ line (the first 64 kB are looked at).
    [[nodiscard]] result<mbox_tree_listing> list() const;
    /// The path below the root that a folder has, or would have. @param known name -> path of those that are there.
    /// Errors: permanent, a name that no file can have.
    [[nodiscard]] result<std::string> path_of(std::string_view name,
                                              const std::map<std::string, std::string>& known) const;
    /// Opens the directory of `path`; with `create` it is made if it is not there.
    [[nodiscard]] result<mbox_place> place_of(const std::string& path, bool create) const;
    /// Adds to ".subscriptions", which Dovecot reads; nothing where the endpoint is a file.
    [[nodiscard]] result<void> subscribe(const std::vector<std::string>& names) const;

  private:
    struct walk;
    [[nodiscard]] result<file_handle> open_root(bool create) const;

    std::string path_;
    kind kind_ = kind::tree;
    bool exists_ = false;
};

} // namespace postferry::mailbox
