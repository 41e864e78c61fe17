#pragma once
// The inside of a pass: one object whose steps are spread over pass_*.cpp in the order in which they run.
#include "transfer/copy_pace.hpp"
#include "transfer/detail/proof.hpp"
#include "transfer/match.hpp"
#include "transfer/pass.hpp"
#include "transfer/pauses.hpp"
#include "transfer/repair_rules.hpp"
#include "transfer/sharing.hpp"

#include <chrono>
#include <map>
#include <memory>
#include <set>
#include <span>
#include <string>
#include <vector>

namespace postferry::transfer {

/// A message that the target refused, and how it may be brought all the same.
struct refused_message {
    refusal_history history;
    std::uint64_t octets = 0;
    std::optional<message::repair_set> applicable{}; ///< once it was looked at
    std::map<message::repair_set, message::repair_plan> plans{};
    std::shared_ptr<const message::repair_plan> under_way{}; ///< in this form it is being brought now
};

struct repaired_message {
    message::repair_set repairs;
    bool wrapped = false; ///< repair_plan::wrapped
};

/// What outlives an attempt: a lost connection must not turn what this run copied into "already present".
struct folder_memory {
    uid_set copied; ///< source UIDs acknowledged in this run
    std::uint64_t copied_octets = 0;
    uid_set unanswered;                                 ///< given to the target, whose line died before it answered
    std::map<std::uint32_t, unsigned> strikes;          ///< how often a message was under way when a line died
    std::map<std::uint32_t, failed_item> refused;       ///< by the target, for good: not brought again in this run
    std::map<std::uint32_t, refused_message> refusals;  ///< for which something is still to be tried
    std::map<std::uint32_t, repaired_message> repaired; ///< copied in this run in another form
    unsigned replans = 0;                               ///< how often the folder changed under our hands
    uid_set plain,
        plain_in_vain; ///< refused with keywords or an odd date: brought again without; refused that way, too
    uid_set joined;    ///< put together by the source from header and text
    uid_set failed;    ///< so that a message which fails in each attempt counts as progress only once
    std::optional<std::uint64_t> had; ///< messages of the source at the last pass, as the run began (--delete-extra)
    std::uint64_t deleted = 0;        ///< from the target
    bool searched_again = false;      ///< the target said OK to more than it holds, and was matched anew
    bool renumbered = false;          ///< its source has moved numbers in this run
    std::uint32_t first_mark = 0;     ///< on the target: what this run has brought lies there or above; 0: nothing yet
};

/// A server whose UIDVALIDITY or UIDs change at each look would keep the pass busy for ever.
inline constexpr unsigned most_replans = 3;

/// How the reason begins of a failure that confirm_stored() found.
inline constexpr std::string_view said_ok = "The target said OK, but ";

/// No room on the target: it ends the mailbox, but not its books.
[[nodiscard]] inline bool is_over_quota(const error& why) { return why.response_code == "OVERQUOTA"; }

/// A flag of the source that changed since the last pass.
struct flag_update {
    std::size_t row = 0;     ///< index into folder_work::rows
    std::uint32_t flags = 0; ///< index into folder_work::flag_sets
};

/// A message that is on the target without a flag that append() does not keep there (target::keeps_flagged). Its row in
/// the ledger says so until the flag is set: what a run that is killed leaves undone, the next sees as a flag to
/// change.
struct owed_flags {
    std::uint32_t source_uid = 0, target_uid = 0;
    std::uint32_t without = 0, full = 0; ///< indices into folder_work::flag_sets
};

/// A wanted message that is one with another folder's.
struct twin {
    std::size_t folder = 0;  ///< where it is at home
    std::uint32_t uid = 0;   ///< there
    std::uint32_t flags = 0; ///< here: index into folder_work::flag_sets
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
    std::map<std::uint32_t, message::repair_set> found_repaired; ///< matched with their repaired forms
    uid_set known;                                               ///< in the ledger and not failed, or matched
    uid_set elsewhere;                   ///< in another folder of the source that is copied as well
    std::uint64_t unlisted = 0;          ///< so many more the source says to hold than it lists
    uid_set unread;                      ///< asked for and not brought, for no stated reason
    std::map<std::uint32_t, twin> twins; ///< of `wanted`: not read while the target may copy them
    std::uint64_t known_octets = 0;
    std::map<std::uint32_t, std::int64_t> odd_dates; ///< target UID -> INTERNALDATE sent, to be read back
    std::uint32_t highest_target_uid = 0;            ///< of what was stored in this attempt
    bool uids_untold = false;                        ///< the target stores without saying where (no UIDPLUS)
    std::map<std::string, uid_set> skipped;          ///< by rule
    std::uint64_t skipped_octets = 0;
    flag_table flag_sets;                                   ///< first those of the ledger, same index
    std::vector<std::optional<std::uint32_t>> flag_set_ids; ///< in the ledger
    std::vector<flag_update> flag_updates;
    std::vector<owed_flags> flags_owed;
    std::optional<std::vector<std::string>> permanent_flags;
    std::set<std::string> keywords_dropped;
    std::map<std::uint32_t, failed_item> failed; ///< by source UID; includes those of earlier passes
    std::vector<ledger_row> to_record;
    std::vector<failed_item> failures_to_record;
    uid_set failures_to_name;     ///< failed in this attempt; their Message-ID is still to be read
    std::optional<error> trouble; ///< the folder as a whole could not be done
    folder_memory* memory = nullptr;
    uid_set held_back; ///< the target said OK to them once and did not hold them: only a repair pass brings them again
    /// Rows of this run whose number the source no longer has, by target UID and, where that is not known, in any
    /// order: the message may be there under another number, and then it is on the target already.
    std::map<std::uint32_t, std::uint32_t> adrift;
    std::vector<std::uint32_t> adrift_untold;
    uid_set gone, returned;   ///< copied once and vanished from the source since: still so; or there again
    std::uint64_t landed = 0; ///< messages to which the target said OK in this attempt
    bool opened = false;      ///< its books are open for copying in this attempt
    bool replanted = false;   ///< sweep: the target's folder is another one since the cutover; the rows still hold
    bool unconfirmed = false; ///< the target said OK to more than it holds
    std::string not_deleted;  ///< why --delete-extra leaves the folder alone; empty: it does not
    folder_report proof;      ///< what verify found
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
    void also_in(std::size_t request, std::uint32_t uid, std::span<const std::string> handles) override;

    task<result<void>> attempt();
    /// Parts from both ends; nobody waits for goodbyes when that is for good and somebody else takes them over.
    task<> let_go(bool for_good);
    task<result<void>> unless_stopped(task<result<void>> work);
    task<result<void>> wait(std::chrono::milliseconds time);
    // pass_pause.cpp
    task<result<void>> enter();
    [[nodiscard]] const std::string& blamed(const error& why) const noexcept;
    /// Waits as long as a throttled end wants; false: not waited for, `why` then says when to come again.
    task<bool> wait_out(error& why, bool progress);
    // pass_plan.cpp
    task<result<void>> connect();
    task<result<void>> connect_both();
    task<result<void>> list(bool with_octets);
    result<void> map();
    void place_on_target(folder_work& f);
    void pin_target(folder_work& f, const std::vector<ledger_folder>& books);
    task<result<void>> read_ledger();
    void decide_moved();
    // pass_scan.cpp
    task<result<void>> scan_and_prepare();
    task<result<void>> load_rows();
    task<result<void>> scan();
    task<result<void>> prepare();
    void choose_wanted(folder_work& f);
    static void leave_elsewhere(folder_work& f);
    static void skip_by_rule(folder_work& f, const uid_set& found, const std::string& rule);
    void fail_too_large(folder_work& f, const uid_set& found, std::uint64_t limit);
    task<result<void>> apply_limits();
    // pass_rights.cpp
    task<result<void>> look_at_extras(std::vector<std::string>& notes);
    task<result<void>> copy_rights();
    // pass_kinds.cpp: what the kinds of passes leave out
    [[nodiscard]] bool only_new() const noexcept;
    void limit_to_kind(folder_work& f) const;
    task<result<void>> replant(folder_work& f, std::uint32_t mark);
    [[nodiscard]] bool is_waived(const std::string& folder, std::uint32_t uid) const;
    // pass_confirm.cpp
    task<result<void>> confirm_stored();
    task<result<void>> look_for(folder_work& f, const uid_set& on_target);
    // pass_delete.cpp
    void note_what_was(const std::vector<ledger_folder>& books);
    void judge_deletion();
    task<result<void>> delete_extra();
    task<result<void>> delete_from(folder_work& f);
    task<result<void>> condemn(folder_work& f, planned_folder& out);
    [[nodiscard]] uid_set targets_of(const folder_work& f, const uid_set& sources) const;
    [[nodiscard]] static bool is_ours(const ledger_brief& row) noexcept;
    // pass_match.cpp
    task<result<void>> wait_for_quiet();
    task<result<void>> match_and_open();
    task<result<void>> open_books(folder_work& f, std::uint32_t mark) const;
    task<> open_for_copy(folder_work& f, std::uint32_t mark, std::optional<error>& first) const;
    task<result<uid_set>> candidates_for(const folder_work& f, std::uint32_t mark);
    task<result<void>> match_all(folder_work& f, std::uint32_t mark, bool new_book);
    task<result<uid_set>> on_target_from(const folder_work& f, std::uint32_t mark);
    task<result<void>> match(folder_work& f, uid_set candidates);
    std::optional<std::uint32_t> take_match(folder_work& f, const matched_pair& pair, std::uint64_t octets,
                                            std::uint32_t flags);
    static bool knows_target_of(const folder_work& other, const folder_work& f);
    task<result<void>> claim_known(const folder_work& f);
    task<result<void>> leave_out_untold(folder_work& f, std::vector<match_candidate>& on_target);
    task<result<void>> decide_by_content(folder_work& f, const std::vector<ambiguous_group>& groups,
                                         std::vector<matched_pair>& pairs);
    // pass_twins.cpp
    struct ready_twin { ///< its home has been brought
        std::uint32_t uid = 0;
        ledger_row row; ///< of its home
    };
    [[nodiscard]] std::vector<mailbox::fetch_request> to_be_named() const;
    task<result<void>> find_twins();
    static void set_twins_aside(folder_work& f, uid_set& ordinary);
    [[nodiscard]] bool may_copy(const folder_work& from, const folder_work& to) const;
    static bool same_flags(const folder_work& from, std::uint32_t number, const folder_work& to, std::uint32_t index);
    static bool is_ready(const folder_work& home, const ledger_row& row, const folder_work& f, std::uint32_t uid);
    task<result<std::map<std::uint32_t, ready_twin>>> ready_twins(const folder_work& home, folder_work& f,
                                                                  const std::map<std::uint32_t, std::uint32_t>& twins);
    task<result<void>> copy_twins(const folder_work& home, folder_work& f,
                                  const std::map<std::uint32_t, std::uint32_t>& twins);
    result<void> judge_copy(const folder_work& f, const error& why, std::chrono::milliseconds unanswered);
    task<result<void>> place_twins();
    void read_other_twins();
    // pass_copy.cpp
    task<result<void>> copy();
    task<result<void>> sweep_all(std::vector<lane> work);
    std::vector<lane> plan_first_sweep();
    std::vector<lane> plan_next_sweep();
    task<result<void>> sweep(std::vector<lane> work);
    [[nodiscard]] std::size_t connections_for(const std::vector<lane>& work) const;
    task<> run_stream(stream& s, mailbox::source& from, mailbox::target& to);
    task<> run_beside();
    task<result<void>> connect_beside(std::size_t n);
    void end_streams(const error& why);
    task<> keep_books();
    task<result<void>> recorded();
    task<result<void>> record(folder_work& f);
    // pass_outcome.cpp
    bool goes_plainer(std::size_t folder, const sent_message& m, const error& why);
    verdict judge(const lane& l, const mailbox::message_head& head);
    void stored(std::size_t folder, sent_message message, std::uint32_t uid_validity, std::uint32_t uid);
    void refused(std::size_t folder, std::vector<sent_message> batch, const error& why);
    static void name_full(error& why, const folder_work& f);
    void missing(std::size_t folder, const uid_set& uids, const std::optional<error>& why);
    void unavailable(std::size_t folder, const error& why);
    void fail_message(folder_work& f, std::uint32_t uid, std::uint64_t octets, const error& why);
    void fail_again(folder_work& f);
    // pass_repair.cpp
    bool take_refusal(folder_work& f, const sent_message& m, const error& why);
    [[nodiscard]] bool has_refusals() const;
    static void set_refused_aside(folder_work& f, uid_set& ordinary);
    task<result<void>> treat_refused();
    std::map<std::uint32_t, std::vector<message::repair_set>> choose_treatment(std::size_t folder);
    task<result<void>> survey(std::size_t folder,
                              const std::map<std::uint32_t, std::vector<message::repair_set>>& wanted);
    void lose_refused(folder_work& f, std::uint32_t uid, const std::optional<error>& why);
    static std::shared_ptr<const message::repair_plan> treatment_of(const folder_work& f, std::uint32_t uid);
    message::repair_set note_repaired(folder_work& f, const sent_message& m);
    static std::map<std::string, std::uint64_t> repairs_of(const folder_work& f);
    task<result<void>> prove_repaired(const folder_work& f, mailbox::fetch_request folder, folder_proof& proof,
                                      const std::vector<match_content>& on_target, content_match& altered);
    // pass_unread.cpp
    task<result<void>> settle_unread();
    void settle_lost(folder_work& f, uid_set lost, bool may_be_there);
    static void note_adrift(folder_work& f, const ledger_brief& row);
    static std::optional<std::uint32_t> moor(folder_work& f, std::uint32_t target_uid);
    // pass_finish.cpp
    task<result<void>> update_flags();
    task<result<void>> update_flags_of(folder_work& f);
    std::uint32_t flags_kept(folder_work& f, std::uint32_t source_uid, std::uint32_t target_uid, std::uint32_t flags);
    task<result<void>> read_back_dates();
    task<result<void>> subscribe();
    task<result<void>> close_folders();
    task<result<void>> name_failures();
    [[nodiscard]] ledger_folder closed_book(folder_work& f) const;
    // pass_report.cpp
    void leave_for_another_pass(balance& m);
    void fill_report();
    void fill_folder(const folder_work& f, folder_report& out);
    void note_oddities(const folder_work& f, folder_report& out);
    void count_unseen(const folder_work& f, folder_report& out);
    void count_seen(const folder_work& f, folder_report& out);

    // pass_verify.cpp
    using unclaimed_uids = std::map<std::string, uid_set>; ///< by target handle
    task<result<void>> verify_once();
    task<result<unclaimed_uids>> prove_all(const std::vector<std::size_t>& which);
    void drop_foreign_rows(folder_work& f, std::uint32_t source_uid_validity,
                           const mailbox::folder_state& on_target) const;
    // pass_sample.cpp
    class sampler;
    task<result<unclaimed_uids>> prove_sample(const std::vector<std::size_t>& which);
    std::set<std::uint32_t> judge_folder(folder_work& f, const folder_proof& proof, const content_match& altered);
    void count_unclaimed(const std::string& target_handle, const uid_set& uids);

    std::uint32_t flag_index(folder_work& f, const std::string& canonical);
    void progress_now(mailbox_state s, std::string_view folder = {}, std::string note = {});
    void note(std::string_view text) const {
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
    bool copies_refused_ = false;      ///< the target does not copy from folder to folder
    std::vector<pair_of_ends> beside_; ///< further connections
    bool beside_refused_ = false;      ///< a server did not want them
    std::vector<std::unique_ptr<stream>> streams_; ///< of the sweep under way
    std::size_t running_ = 0;                      ///< of them
    std::optional<error> first_failure_;           ///< of them
    std::optional<error> halt_;                    ///< ends the sweep: quota, throttling, a folder to be planned again
    std::optional<error> replan_;                  ///< a folder changed under our hands: another attempt plans it anew
    std::optional<error> books_failure_;
    std::map<std::string, uid_set> claimed_;     ///< by target handle: UIDs that are some message's partner already
    std::vector<mailbox::folder_extras> extras_; ///< of the source's folders
    std::vector<std::size_t> extras_of_;         ///< which folder each belongs to
    bool suspicion_ = false;                     ///< a message was under way when the line died: it may be its fault
    /// Its line died with messages unanswered, it may still be storing them; nobody knows what an earlier run left.
    bool target_owes_ = true;
    copy_pace copy_pace_;
    std::chrono::milliseconds rest_{2'000}; ///< so long nothing new must show on a target that owes
    std::map<std::string, folder_memory> memory_;
    net::event* bookkeeper_ = nullptr;
    net::event* recorded_ = nullptr; ///< something that was stored is in the ledger now
    bool recording_ = false;
    std::shared_ptr<void> admission_; ///< room for one connection to each end
    patience patience_;
    bool target_spoke_ = false; ///< the last failure that does not say so itself was the target's
    bool ever_connected_ = false, stop_ = false;
    std::chrono::steady_clock::duration connecting_{0}; ///< time spent on it so far
    bool changes_nothing_ = false;                      ///< plan, verify: no answer of the target is waited for
    boost::asio::steady_timer* stoppable_ = nullptr;    ///< waits as long as something may be cancelled by stop()
    std::optional<std::uint64_t> had_;                  ///< messages of the source at the last pass (--delete-extra)
    std::uint64_t dates_from_header_ = 0;
    std::set<std::string> remarks_;   ///< of the target, from all attempts
    std::uint64_t progress_mark_ = 0; ///< messages settled so far: attempts in a row without any are counted
    progress progress_;
};

} // namespace postferry::transfer
