#include "proto/mail/header_scan.h"

#include <cstring>

#include "proto/base/limits.h"
#include "proto/base/text.h"

namespace mx::mail {
namespace {

constexpr std::string_view received_name = "received";
constexpr std::string_view from_line = "From ";

}  // namespace

HeaderScan::State HeaderScan::not_a_header() {
  if (first_line_ == FirstLine::none) first_line_ = FirstLine::text;
  return State::over;
}

// The name so far, one byte more. The counters stop at the length of what they compare with.
void HeaderScan::name_byte(char c) {
  if (may_be_received_) {
    may_be_received_ = matched_ < received_name.size() && to_lower(c) == received_name[matched_];
    ++matched_;
  }
  if (may_be_from_ && !(from_matched_ == 0 && c == '>')) {
    may_be_from_ = from_matched_ < from_line.size() && c == from_line[from_matched_];
    ++from_matched_;
  }
}

HeaderScan::State HeaderScan::name_ended() {
  if (first_line_ == FirstLine::none) first_line_ = FirstLine::header;
  if (may_be_received_ && matched_ == received_name.size()) ++received_;
  return State::skip;
}

HeaderScan::State HeaderScan::step(char c) {
  switch (state_) {
    case State::line_start:
      if (c == '\r') return State::line_start_cr;
      if (c == '\n') break;  // blank: below
      if (c == ' ' || c == '\t') return any_line_ ? State::skip : not_a_header();
      may_be_received_ = true;
      may_be_from_ = !any_line_;
      matched_ = from_matched_ = 0;
      name_bytes_ = 0;
      if (c == ':' || c < '!' || c > '~') return not_a_header();
      any_line_ = true;
      name_byte(c);
      return State::name;
    case State::line_start_cr:
      if (c == '\n') break;
      return not_a_header();
    case State::name:
      if (c == ':') return name_ended();
      if (c == ' ' && may_be_from_ && from_matched_ + 1U == from_line.size()) {
        first_line_ = FirstLine::mailbox_from;
        return State::skip;
      }
      if (c == ' ' || c == '\t') return State::blanks;
      if (c < '!' || c > '~' || ++name_bytes_ == limits::header_name_bytes_max)
        return not_a_header();
      name_byte(c);
      return State::name;
    case State::blanks:
      if (c == ':') return name_ended();
      if ((c == ' ' || c == '\t') && ++name_bytes_ < limits::header_name_bytes_max)
        return State::blanks;
      return not_a_header();
    case State::skip:
      return c == '\n' ? State::line_start : State::skip;
    case State::over:
      return State::over;
  }
  if (first_line_ == FirstLine::none) first_line_ = FirstLine::blank;
  return State::over;
}

// Behind a name only: a line with such a byte in the name is none of the header.
void HeaderScan::look_for_eight_bit(std::string_view bytes) {
  constexpr uint64_t high_bits = 0x8080808080808080ULL;
  uint64_t all = 0;
  for (; bytes.size() >= sizeof all; bytes.remove_prefix(sizeof all)) {
    uint64_t eight = 0;
    std::memcpy(&eight, bytes.data(), sizeof eight);
    all |= eight;
  }
  for (const char c : bytes) all |= static_cast<unsigned char>(c);
  eight_bit_ = eight_bit_ || (all & high_bits) != 0;
}

void HeaderScan::feed(std::string_view bytes) {
  while (!bytes.empty() && state_ != State::over) {
    if (state_ == State::skip) {
      const size_t newline = bytes.find('\n');
      look_for_eight_bit(bytes.substr(0, newline));
      if (newline == std::string_view::npos) return;
      bytes.remove_prefix(newline);
    }
    state_ = step(bytes.front());
    bytes.remove_prefix(1);
  }
}

}  // namespace mx::mail
