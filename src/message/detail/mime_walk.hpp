#pragma once
// Walks the entities of a MIME message line by line, in bounded memory and without fail: what cannot be understood is
// the text of the entity it stands in.
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace postferry::message::detail {

enum class body_encoding : std::uint8_t { identity, quoted_printable, base64, other };

/// A line, or a part of one that is too long to be kept.
struct mime_piece {
    std::string_view text; ///< with the line's end, if `ends`; never empty
    bool begins = true;    ///< the first piece of its line
    bool ends = true;      ///< the last piece of its line
    char next = '\0';      ///< the octet behind it, where the line goes on
};

class mime_walker {
  public:
    virtual ~mime_walker() = default;

  protected:
    /// Says what the piece is by one of the calls below.
    void pass(const mime_piece& p);
    [[nodiscard]] bool in_header() const noexcept { return at_ == place::header || at_ == place::start; }
    /// Of the body that a piece passed now belongs to.
    [[nodiscard]] body_encoding encoding() const noexcept {
        return at_ == place::body ? encoding_ : body_encoding::other;
    }

    /// A header begins: of the message, of a part, of a message within. Numbered from 0.
    virtual void on_entity(std::uint32_t number) = 0;
    virtual void on_header(const mime_piece& p) = 0;
    /// The empty line. `encodable`: its body is a text or file of no encoding yet, and may be given one.
    virtual void on_header_end(const mime_piece& p, bool of_message, bool encodable) = 0;
    virtual void on_body(const mime_piece& p) = 0;
    /// Boundaries and what stands before the first and behind the last.
    virtual void on_other(const mime_piece& p) = 0;

  private:
    enum class place : std::uint8_t { start, header, body, outside };
    struct level {
        std::string boundary;
        bool digest = false;
    };

    bool cross_boundary(const mime_piece& p);
    void begin_header(bool of_message);
    void header_piece(const mime_piece& p);
    void end_field();
    void end_header(const mime_piece& p);

    place at_ = place::start;
    std::vector<level> levels_;
    std::uint32_t entities_ = 0;
    bool of_message_ = true;
    bool in_digest_ = false;
    std::string field_; ///< Content-Type or Content-Transfer-Encoding as far as it came
    std::string type_, transfer_encoding_;
    body_encoding encoding_ = body_encoding::identity;
};

} // namespace postferry::message::detail
