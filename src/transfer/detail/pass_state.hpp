#pragma once
// The inside of a pass: one object whose steps are spread over pass_*.cpp in the order in which they run.
#include "transfer/match.hpp"
#include "transfer/pass.hpp"
#include "transfer/sharing.hpp"

#include <chrono>
#include <map>
#include <memory>
#include <set>
#include <span>
#include <string>
#include <vector>

namespace postferry::transfer {

/// What outlives an attempt: a lost connection must not turn what this run copied into "already present".
struct folder_memory {
    uid_set copied; ///< source UIDs acknowledged in this run
    std::uint64_t copied_octets = 0;
    uid_set unanswered;                           ///< given to the target, whose line died before it answered
    std::map<std::uint32_t, unsigned> strikes;    ///< how often a message was under way when a line died
    std::map<std::uint32_t, failed_item> refused; ///< by the target, for good: not brought again in this run
    unsigned replans = 0;                         ///< how often the folder changed under our hands
    uid_set failed; ///< so that a message which fails in each attempt counts as progress only once
};

/// A flag of the source that changed since the last pass.
struct flag_update {
    std::size_t row = 0;     ///< index into folder_work::rows
    std::uint32_t flags = 0; ///< index into folder_work::flag_sets
};

/// One folder during one attempt.
struct folder_work {
    mapped_folder map;
    std::string source_handle, target_handle;
    mailbox::folder_state source;                ///< as listed, then as scanned
    std::optional<mailbox::folder_state> target; ///< nothing: not there yet
    ledger_folder book;                          ///< id 0: not in the ledger yet
    std::vector<ledger_brief> rows;              ///< loaded for folders that moved
    bool moved = true;
    bool scanned = false;
    bool prepared = false;
    bool new_generation = false;
    uid_set present, wanted, vanished;
    uid_set known;  ///< in the ledger and not failed, or matched
    uid_set unread; ///< asked for and not brought, for no stated reason
    std::uint64_t known_octets = 0;
    std::map<std::uint32_t, std::int64_t> odd_dates; ///< target UID -> INTERNALDATE sent, to be read back
    std::uint32_t highest_target_uid = 0;            ///< of what was stored in this attempt
    bool uids_untold = false;                        ///< the target stores without saying where (no UIDPLUS)
    std::map<std::string, uid_set> skipped;          ///< by rule
    std::uint64_t skipped_octets = 0;
    std::vector<std::string> flag_sets;                     ///< first those of the ledger, same index
    std::vector<std::optional<std::uint32_t>> flag_set_ids; ///< in the ledger
    std::vector<flag_update> flag_updates;
    std::optional<std::vector<std::string>> permanent_flags;
    std::set<std::string> keywords_dropped;
    std::map<std::uint32_t, failed_item> failed; ///< by source UID; includes those of earlier passes
    std::vector<ledger_row> to_record;
    std::vector<failed_item> failures_to_record;
    uid_set failures_to_name;     ///< failed in this attempt; their Message-ID is still to be read
    std::optional<error> trouble; ///< the folder as a whole could not be done
    folder_memory* memory = nullptr;
    folder_report proof; ///< what verify found
    std::vector<std::string> notes;
};

class mailbox_pass::state final : private mailbox::scan_sink {
  public:
    state(pass_names names, pass_options options, pass_environment environment);
    ~state() override;

    task<mailbox_report> run();
    task<result<mailbox_plan>> plan();
    task<mailbox_report> verify();
    void stop() noexcept;

  private:
    class stream; ///< detail/pass_stream.hpp
    struct pair_of_ends {
        std::unique_ptr<mailbox::source> from;
        std::unique_ptr<mailbox::target> to;
    };

    // mailbox::scan_sink
    void flags(std::size_t request, std::uint32_t uid, const std::vector<std::string>& flags) override;
    void done(std::size_t request, const mailbox::folder_state& state, uid_set present) override;
    void failed(std::size_t request, error why) override;

    task<result<void>> attempt();
    task<> let_go();
    task<result<void>> unless_stopped(task<result<void>> work);
    task<result<void>> wait(std::chrono::milliseconds time);
    // pass_plan.cpp
    task<result<void>> connect();
    task<result<void>> connect_both();
    task<result<void>> list(bool with_octets);
    result<void> map();
    void place_on_target(folder_work& f);
    void pin_target(folder_work& f, const std::vector<ledger_folder>& books);
    task<result<void>> read_ledger();
    void decide_moved();
    task<result<void>> scan_and_prepare();
    task<result<void>> load_rows();
    task<result<void>> scan();
    task<result<void>> prepare();
    void choose_wanted(folder_work& f);
    task<result<void>> apply_limits();
    // pass_match.cpp
    task<result<void>> wait_for_quiet();
    task<result<void>> match_and_open();
    task<result<void>> open_books(folder_work& f, std::uint32_t mark);
    task<result<void>> match(folder_work& f, uid_set candidates);
    static bool knows_target_of(const folder_work& other, const folder_work& f);
    task<result<void>> claim_known(const folder_work& f);
    task<result<void>> leave_out_untold(folder_work& f, std::vector<match_candidate>& on_target);
    task<result<void>> decide_by_content(folder_work& f, const std::vector<ambiguous_group>& groups,
                                         std::vector<matched_pair>& pairs);
    // pass_copy.cpp
    task<result<void>> copy();
    std::vector<lane> plan_first_sweep();
    std::vector<lane> plan_next_sweep();
    task<result<void>> sweep(std::vector<lane> work);
    [[nodiscard]] std::size_t connections_for(const std::vector<lane>& work) const;
    task<> run_stream(stream& s, mailbox::source& from, mailbox::target& to);
    task<> run_beside();
    task<result<void>> connect_beside(std::size_t n);
    void end_streams(const error& why);
    verdict judge(const lane& l, const mailbox::message_head& head);
    void stored(std::size_t folder, sent_message message, std::uint32_t uid_validity, std::uint32_t uid);
    void refused(std::size_t folder, std::vector<sent_message> batch, const error& why);
    void missing(std::size_t folder, const uid_set& uids, const std::optional<error>& why);
    void unavailable(std::size_t folder, const error& why);
    task<> keep_books();
    task<result<void>> record(folder_work& f);
    void fail_message(folder_work& f, std::uint32_t uid, std::uint64_t octets, const error& why);
    void fail_again(folder_work& f);
    // pass_finish.cpp
    task<result<void>> update_flags();
    task<result<void>> update_flags_of(folder_work& f);
    task<result<void>> read_back_dates();
    task<result<void>> subscribe();
    task<result<void>> close_folders();
    task<result<void>> settle_unread();
    task<result<void>> name_failures();
    void fill_report();
    void fill_folder(const folder_work& f, folder_report& out);

    // pass_verify.cpp
    struct folder_proof;
    task<result<void>> verify_once();
    std::set<std::uint32_t> judge_folder(folder_work& f, const folder_proof& proof, const content_match& altered);
    void count_unclaimed(const std::string& target_handle, const uid_set& uids);

    std::uint32_t flag_index(folder_work& f, const std::string& canonical);
    void progress_now(mailbox_state s, std::string_view folder = {}, std::string note = {});
    void note(std::string_view text) {
        if (env_.on_note) env_.on_note(text);
    }
    [[nodiscard]] error stopped() const;

    pass_names names_;
    pass_options options_;
    pass_environment env_;
    mailbox_report report_;

    std::unique_ptr<mailbox::source> source_;
    std::unique_ptr<mailbox::target> target_;
    mailbox::listing source_list_, target_list_;
    folder_map map_;
    mailbox_id mailbox_ = 0;
    bool mailbox_open_ = false;
    std::vector<folder_work> folders_;
    std::vector<std::size_t> scanned_; ///< request index of the scan -> folder
    std::vector<lane> leftovers_;      ///< refused together, or under way when a line died: to be brought again
    std::vector<pair_of_ends> beside_; ///< further connections
    bool beside_refused_ = false;      ///< a server did not want them
    std::vector<std::unique_ptr<stream>> streams_; ///< of the sweep under way
    std::size_t running_ = 0;                      ///< of them
    std::optional<error> first_failure_;           ///< of them
    std::optional<error> halt_;                    ///< ends the sweep: quota, throttling, a folder to be planned again
    std::optional<error> replan_;                  ///< a folder changed under our hands: another attempt plans it anew
    std::optional<error> books_failure_;
    std::map<std::string, uid_set> claimed_; ///< by target handle: UIDs that are some message's partner already
    bool suspicion_ = false;                 ///< a message was under way when the line died: it may be its fault
    /// Its line died with messages unanswered, it may still be storing them; nobody knows what an earlier run left.
    bool target_owes_ = true;
    std::map<std::string, folder_memory> memory_;
    net::event* bookkeeper_ = nullptr;
    bool ever_connected_ = false, stop_ = false;
    bool changes_nothing_ = false;                   ///< plan, verify: no answer of the target is waited for
    boost::asio::steady_timer* stoppable_ = nullptr; ///< waits as long as something may be cancelled by stop()
    std::uint64_t dates_from_header_ = 0;
    std::uint64_t progress_mark_ = 0; ///< messages settled so far: attempts in a row without any are counted
    progress progress_;
};

} // namespace postferry::transfer
