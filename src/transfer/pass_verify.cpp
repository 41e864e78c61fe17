#include "transfer/detail/pass_state.hpp"
namespace postferry::transfer {
task<mailbox_report> mailbox_pass::state::verify() { co_return report_; }
}
