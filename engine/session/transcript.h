// engine/session/transcript.h - what was said in a session, for the postmaster (notify_classes):
// the last lines of it, in bounded memory. Message bodies are not in it.
//
// One is made for a session only when main.cf asks for a class of errors that a client can cause
// (then from the first line on, as Postfix does), or when an error of ours happens (resource,
// software: from there on); at most transcripts_max at once. Owner and threads: one shard.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

namespace mx::session {

class Transcript {
 public:
  // '<': the client, '>': we. Whole lines or parts of one; what belongs to one line comes in a row.
  void add(char direction, std::string_view bytes);
  // The replies of the machine's output from where the last call ended.
  void add_replies(std::string_view out) {
    add('>', out.substr(replies_seen_));
    replies_seen_ = out.size();
  }
  void replies_sent() { replies_seen_ = 0; }
  // Wrapped lines for the letter.
  std::string text() const;

 private:
  void end_line();
  void shorten();

  std::string text_;  // lines, each with LF
  std::string line_;  // not ended yet
  char direction_ = 0;
  uint32_t lines_dropped_ = 0;
  size_t replies_seen_ = 0;
};

}  // namespace mx::session
