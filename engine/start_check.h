// engine/start_check.h - what a start asks of the machine, beside main.cf: mail_owner's account,
// the queue's directory, the log's. It only looks: nothing is made or changed, so --check asks the
// same.
//
// Threads: from the only one there is, at the start.
#pragma once

#include "engine/config/diagnostic.h"
#include "engine/config/settings.h"

namespace mx {

// Answers for a start by the user who asks. What only stands in the way of another user than the
// one who would do the work is a warning. Values that main.cf is refused for already are passed
// over.
config::Diagnostics check_machine(const config::Settings& settings);

}  // namespace mx
