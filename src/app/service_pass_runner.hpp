#pragma once
// Passes of the service: what jobs asks for, made over mailbox/ and transfer/ as the command line makes them.
#include "app/farewells.hpp"
#include "app/pass_assembly.hpp"
#include "app/service.hpp"
#include "jobs/pass_runner.hpp"
#include "net/event.hpp"
#include "store/ledger_books.hpp"

#include <memory>
#include <string>

namespace postferry::app {

/// Logins come from the vault, by these keys, the first that is there:
///   migration/ID "source", "target"                 the mailbox's own password (of admin= its password; or a token)
///   server/KEY   "source", "target"                 the same for all mailboxes of a server (store::server::key)
///   migration/ID "source.refresh_token", "target.refresh_token"   with oauth= in the URL; the endpoint's next one is
///                                                   put in its place
class service_pass_runner final : public jobs::pass_runner {
  public:
    /// @param jobs mailboxes at a time in this process. Errors, class config: a secret of an [oauth.NAME] cannot be
    /// read.
    [[nodiscard]] static result<std::unique_ptr<service_pass_runner>> make(const foundation& on, std::size_t jobs);
    ~service_pass_runner() override;

    task<jobs::pass_end> run(jobs::work what, jobs::pass_hooks hooks, std::stop_token stop) override;

    /// Budgets as the store has them, of all workers: at the start, and every few seconds with what was moved here.
    task<result<void>> load();
    task<result<void>> save();
    /// Whoever still says goodbye to a server need not wait for its answer. From any thread.
    void hurry() { leaving_.hurry(); }
    /// Connections that still say goodbye.
    [[nodiscard]] int on_their_way_out() const noexcept { return going_.load(); }

  private:
    service_pass_runner(const foundation& on, std::size_t jobs);
    struct logins;
    struct one;
    task<result<logins>> open_logins(const store::migration& m);
    task<jobs::pass_end> make_pass(one& pass);
    [[nodiscard]] std::shared_ptr<const row_token> refresh_token_of(const store::migration& m, std::string_view purpose,
                                                                    const std::optional<secret>& token);

    foundation on_;
    std::size_t jobs_;
    run_options words_; ///< of all mailboxes: the configuration, the patience
    store::ledger_books books_;
    std::atomic<int> going_ = 0;
    farewells leaving_;
    std::shared_ptr<guests> guests_;
    std::unique_ptr<token_desk> tokens_;
};

} // namespace postferry::app
