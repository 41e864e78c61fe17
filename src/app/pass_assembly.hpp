#pragma once
// What one mailbox's pass is put together from, whoever makes it: the command line or the service.
#include "app/connect.hpp"
#include "app/farewells.hpp"
#include "app/guests.hpp"
#include "app/options.hpp"
#include "app/tokens.hpp"
#include "mailbox/name_book.hpp"
#include "transfer/pass.hpp"

#include <array>
#include <functional>
#include <memory>

namespace postferry::app {

/// What all mailboxes of a process share. Outlives them.
struct pass_desk {
    shares share;
    std::shared_ptr<guests> at;
    token_desk& tokens;
    farewells& leaving;
};

/// Both ends of a mailbox, with what logs in there.
struct pass_ends {
    mailbox::endpoint from, to;
    std::shared_ptr<const row_token> source_token = {},
                                     target_token = {}; ///< the mailbox's own refresh tokens, or null
};

/// One mailbox's stay at its two servers, and the ways to them. One strand, but for its making.
class pass_assembly : public std::enable_shared_from_this<pass_assembly> {
  public:
    /// @param may_write asked right before anything is written to the target; empty: always
    [[nodiscard]] static std::shared_ptr<pass_assembly> make(const pass_desk& desk, pass_ends ends,
                                                             std::shared_ptr<mailbox::name_book> names,
                                                             std::function<bool()> may_write = {});

    [[nodiscard]] const mailbox::endpoint& from() const noexcept { return ends_.from; }
    [[nodiscard]] const mailbox::endpoint& to() const noexcept { return ends_.to; }
    [[nodiscard]] visit& stay() noexcept { return *stay_; }
    [[nodiscard]] services with() const noexcept;
    /// Opens, admits, throttles and sees off; books and what is told on the way are the caller's to add. It keeps this.
    /// @param strand the pass's
    [[nodiscard]] transfer::pass_environment environment(executor strand);

  private:
    pass_assembly(const pass_desk& desk, pass_ends ends, std::shared_ptr<mailbox::name_book> names,
                  std::function<bool()> may_write);

    pass_desk desk_;
    pass_ends ends_;
    std::shared_ptr<mailbox::name_book> names_;
    std::function<bool()> may_write_;
    std::shared_ptr<visit> stay_;
    std::array<std::shared_ptr<client::token_source>, 2> tokens_;
};

/// How a pass goes that these words ask for.
/// @param jobs mailboxes that share what a server may be asked for
[[nodiscard]] transfer::pass_options pass_options_of(const run_options& words, const mailbox::endpoint& from,
                                                     const mailbox::endpoint& to, const shares& share,
                                                     std::size_t jobs);

} // namespace postferry::app
