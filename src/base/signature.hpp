#pragma once
// Ed25519 (RFC 8032) over whole documents; the keys are PEM as `openssl genpkey -algorithm ed25519` writes them
// (RFC 8410), a signature is its 64 octets as they are.
#include "base/error.hpp"

#include <memory>
#include <string>
#include <string_view>

namespace postferry {

class signing_key {
  public:
    /// A private key. Errors: class config (no PEM, another kind of key, under a passphrase).
    [[nodiscard]] static result<signing_key> read(std::string_view pem);
    [[nodiscard]] static result<signing_key> make();
    signing_key(signing_key&&) noexcept;
    signing_key& operator=(signing_key&&) noexcept;
    ~signing_key();

    [[nodiscard]] result<std::string> sign(std::string_view document) const;
    [[nodiscard]] std::string private_pem() const; ///< a secret
    [[nodiscard]] std::string public_pem() const;

  private:
    struct state;
    explicit signing_key(std::unique_ptr<state> s) noexcept;
    std::unique_ptr<state> state_;
};

/// Whether the owner of the key signed exactly this document. Errors: class config, the key cannot be read.
[[nodiscard]] result<bool> is_signed(std::string_view document, std::string_view signature,
                                     std::string_view public_pem);

} // namespace postferry
