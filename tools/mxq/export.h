// tools/mxq/export.h - `mxq --export`: messages as files that any mail program reads.
#pragma once

#include <string>

#include "tools/mxq/rest.h"

namespace mx::mxq {

// DIR/QUEUEID.eml and DIR/QUEUEID.json (envelope) for each; the number of messages written, those
// that could not be read are told. DIR is made; a file that is there is an error.
struct Exported {
  uint64_t messages = 0, unreadable = 0;
};
Exported export_to_directory(QueueAtRest& queue, const Choice& choice,
                             const std::string& directory);
// One file in mboxrd form: "From " lines, ">" in front of lines that look like one.
Exported export_to_mbox(QueueAtRest& queue, const Choice& choice, const std::string& path);

// Wire form as text: without the dots that SMTP put in front of dots.
std::string unstuffed(std::string_view wire);

}  // namespace mx::mxq
