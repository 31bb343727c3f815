// proto/smtp/client_text.h - how the client machine puts outcomes into words. Inside proto/smtp
// only.
#pragma once

#include <cstddef>
#include <string_view>

#include "proto/smtp/client.h"

namespace mx::smtp {

using OutcomeText = decltype(Outcome::text);

// Appends what is printable of `raw`. What would fill `to` above `limit` is cut and ends in "...".
void append_bounded(OutcomeText& to, std::string_view raw, size_t limit = OutcomeText::capacity());

// An outcome that no reply of the server is the reason of; its text is `text` and `more_text`.
Outcome local_outcome(Result result, EnhancedCode enhanced, std::string_view text,
                      std::string_view more_text = {});

}  // namespace mx::smtp
