#pragma once
// The file with the keys that seal the store's secrets. Text: comments behind '#', and one key a line, the first of
// which seals; the others open what is not sealed anew yet:
//   postferry-seal-key-1 64 hexadecimal digits
#include "store/seal.hpp"

#include <filesystem>

namespace postferry::store {

/// Class config, with the words that mend it: not there, not a plain file, readable by others (its mode must be 0600 or
/// 0400), owned by somebody else than root or us, empty, cut off or not of this form. At most 64 keys.
[[nodiscard]] result<key_ring> load_keys(const std::filesystem::path& file);
/// A new file with one new key, mode 0600, on the disk when it returns. Class config when there is a file already.
[[nodiscard]] result<key_ring> make_key_file(const std::filesystem::path& file);
/// Takes the file's place as a whole, or leaves it as it is; on the disk when it returns. Owner and group stay.
[[nodiscard]] result<void> save_keys(const std::filesystem::path& file, const key_ring& keys);

} // namespace postferry::store
