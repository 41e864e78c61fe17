#pragma once
// What `check` says, as JSON (docs/schema/check.schema.json) and in words.
#include "app/json.hpp"
#include "transfer/folder_rules.hpp"

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <vector>

namespace postferry::app {

enum class step_state : std::uint8_t { ok, warning, failed, not_tried };

/// One thing that was tried: "resolve", "connect", "tls", "login", "capabilities", "namespace", "quota", "list" ...
struct check_step {
    std::string name;
    step_state state = step_state::not_tried;
    std::string text;   ///< what was found, or went wrong
    std::string advice; ///< what to do about it; may be empty
    double seconds = 0;
    std::optional<phase> where{}; ///< of a failure: for the exit code
};

struct quota_state {
    std::string root;
    std::uint64_t used_octets = 0, limit_octets = 0;
};

struct quirk_note {
    std::string name;  ///< its row in docs/quirks.md
    std::string why;   ///< how the server was recognised
    std::string about; ///< what it does, and what is done about it
};

struct endpoint_check {
    std::string name;                      ///< as endpoint::display()
    std::vector<check_step> steps;         ///< in the order tried
    std::vector<std::string> capabilities; ///< after login
    std::string tls;                       ///< "TLSv1.3 TLS_AES_256_GCM_SHA384"; empty: in the clear
    std::string login;                     ///< "SCRAM-SHA-256", "LOGIN"
    std::string delimiter;                 ///< "" unknown
    std::string prefix;                    ///< of the personal namespace
    std::vector<quota_state> quotas;
    std::optional<std::uint64_t> append_limit; ///< octets
    std::vector<quirk_note> quirks;            ///< that apply to the server
    std::string preset, preset_why;            ///< whose limits hold, "gmail", and how it was recognised
    std::vector<std::string> limits;           ///< "15 connections an account"
    std::vector<std::string> notes;            ///< "Dovecot moves new mail to cur/ when the folder is selected"
};

struct oversize_messages {
    std::uint64_t count = 0;
    std::uint64_t largest = 0; ///< octets; 0 unknown
    std::uint64_t limit = 0;   ///< octets: the target's append limit, or --max-size
};

struct mailbox_check {
    endpoint_check source, target;
    std::optional<std::uint64_t> folders, messages, octets; ///< of the source
    std::optional<oversize_messages> oversize;              ///< nothing: not looked for
    std::vector<transfer::collision> collisions;
    std::vector<std::string> notes;
};

enum class check_verdict : std::uint8_t { ready, warnings, not_ready };
[[nodiscard]] std::string_view name_of(step_state s) noexcept;
[[nodiscard]] std::string_view name_of(check_verdict v) noexcept; ///< "ready", "warnings", "not_ready"

/// not_ready: a step failed. warnings: the copy will run and something will not arrive or needs a look: a warning
/// step, oversize messages, a fatal collision, a quota smaller than what is to come.
[[nodiscard]] check_verdict verdict_of(const mailbox_check& check);
/// Whether the mailbox could not even be logged in to (exit code 3 when it is so for all).
[[nodiscard]] bool could_not_start(const mailbox_check& check) noexcept;

[[nodiscard]] boost::json::object json_of(const mailbox_check& check);
[[nodiscard]] boost::json::object check_document(std::span<const mailbox_check> checks, wall_time made);
[[nodiscard]] std::string text_of(const mailbox_check& check);

} // namespace postferry::app
