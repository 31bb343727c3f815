// tools/load/sink_session.h - one session of mxsink, without I/O: bytes in by feed(), replies in
// `out`.
//
//   command lines → (DATA answered 354) → message until CR LF . CR LF → deliver → command lines
//
// It is lenient on purpose, as smtp-sink is: it measures and records clients, it does not judge
// them.
#pragma once

#include <cstdint>
#include <expected>
#include <string>
#include <string_view>
#include <vector>

#include "engine/io/fd.h"
#include "proto/base/prng.h"
#include "tools/load/end_of_data.h"

namespace mx::load {

enum class SinkStage : uint8_t { connect, ehlo, mail, rcpt, data, dot };

// At this stage, this part of all gets `code` instead of the usual reply; 0: the connection is
// dropped.
struct Fault {
  SinkStage stage = SinkStage::connect;
  int code = 0;
  uint32_t percent = 100;
};
// "rcpt:450", "dot:drop:5": stage, code or "drop", percentage (100 when not given).
std::expected<Fault, std::string> parse_fault(std::string_view text);

// Which of the faults strikes now; the same seed gives the same run.
struct FaultPlan {
  std::vector<Fault> faults;
  Prng random{1};
  uint64_t struck = 0;

  const Fault* strike(SinkStage stage);
};

class SinkSession {
 public:
  enum class Need : uint8_t { input, deliver, close };

  io::Fd socket;
  uint8_t in_flight = 0;  // operations that the kernel still holds
  bool sending = false, receiving = false;
  std::string sent;  // what is being sent; `out` is what comes after it
  std::string out;

  void greet(FaultPlan& faults);
  // Takes bytes up to the next need other than input; returns how many.
  size_t feed(std::string_view in, FaultPlan& faults);
  Need need() const { return need_; }
  void delivered();  // REQUIRES need() == deliver: the message is recorded
  void drop() { need_ = Need::close; }

  // The message that is to be delivered.
  std::string sender;
  std::vector<std::string> recipients;
  uint64_t message_bytes = 0;  // on the wire, without the final dot
  std::string message;         // its first bytes, or all of it: `keep` of them
  size_t keep = 0;             // constant after the session began

 private:
  void command(std::string_view line, FaultPlan& faults);
  size_t message_piece(std::string_view in, FaultPlan& faults);
  bool struck(SinkStage stage, FaultPlan& faults);
  void reset();

  Need need_ = Need::input;
  bool in_transaction_ = false, in_message_ = false;
  std::string line_;  // of a command that has not ended yet
  EndOfData end_of_data_;
};

}  // namespace mx::load
