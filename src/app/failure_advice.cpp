#include "app/failure_advice.hpp"

#include "base/text.hpp"

#include <array>

namespace postferry::app {

namespace {

struct row {
    std::string_view words; ///< in the reason, lower case; the first row that fits counts
    std::string_view advice;
};

// By the words of servers and our own: the class alone does not say what to turn.
constexpr std::array<row, 13> rows{{
    {"larger than", "Raise the target's limit for the size of a message and run --pass repair; or keep the message "
                    "elsewhere and accept that with --waive"},
    {"too large", "Raise the target's limit for the size of a message and run --pass repair; or keep the message "
                  "elsewhere and accept that with --waive"},
    {"too big", "Raise the target's limit for the size of a message and run --pass repair; or keep the message "
                "elsewhere and accept that with --waive"},
    {"quota", "Make room on the target or raise its quota, then run --pass repair"},
    {"said ok, but", "Ask whoever runs the target why it did not keep the message, then run --pass repair"},
    {"sent no message",
     "Open it with a mail program; if that shows nothing either, it is lost on the source and may be "
     "accepted with --waive"},
    {"other content", "Look at both with a mail program: something has changed the message on the target"},
    {"run copy again", "Run a delta pass, then verify again"},
    {"connection was lost",
     "It seems to break the server. Save it with a mail program, or ask whoever runs the server; "
     "--pass repair tries again"},
    {"nul", "The target takes no NUL octets; let the message be repaired (--repair), then run --pass repair"},
    {"bare", "The target takes no bare line ends; let the message be repaired (--repair), then run --pass repair"},
    {"virus", "The target holds it for harmful. Look at it with care; accept its loss with --waive"},
    {"spam", "The target holds it for unwanted. Switch its filter off for the migration, then run --pass repair"},
}};

} // namespace

std::string_view advice_for(const transfer::failure& f) noexcept {
    const std::string reason = ascii_lower(f.reason);
    for (const row& r : rows)
        if (reason.find(r.words) != std::string::npos) return r.advice;
    switch (f.cls) {
    case retry_class::transient:
    case retry_class::throttled: return "Run the same command again later";
    case retry_class::auth: return "Check user name and password";
    case retry_class::config: return "Change the setting that is named, then run --pass repair";
    case retry_class::local: return "Put right what is named on this machine, then run the same command again";
    case retry_class::cancelled: return "Run the same command again";
    case retry_class::permanent:
    case retry_class::protocol: break;
    }
    return "Put right what the server names and run --pass repair; or save the message by hand and accept that with "
           "--waive";
}

} // namespace postferry::app
