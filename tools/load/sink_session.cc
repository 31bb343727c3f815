#include "tools/load/sink_session.h"

#include <algorithm>

#include "proto/base/assert.h"
#include "proto/base/text.h"

namespace mx::load {
namespace {

constexpr size_t command_bytes_max = 64U << 10;  // far above what any client sends

// "FROM:<a@b> SIZE=5" → "a@b". Quoted local parts may hold '>'.
std::string path_of(std::string_view argument) {
  const size_t start = argument.find('<');
  if (start == argument.npos) return std::string(trim(argument));
  bool quoted = false;
  for (size_t i = start + 1; i < argument.size(); ++i) {
    if (quoted && argument[i] == '\\')
      ++i;
    else if (argument[i] == '"')
      quoted = !quoted;
    else if (argument[i] == '>' && !quoted)
      return std::string(argument.substr(start + 1, i - start - 1));
  }
  return std::string(argument.substr(start + 1));
}

}  // namespace

std::expected<Fault, std::string> parse_fault(std::string_view text) {
  static constexpr std::pair<std::string_view, SinkStage> stages[] = {
      {"connect", SinkStage::connect}, {"ehlo", SinkStage::ehlo}, {"mail", SinkStage::mail},
      {"rcpt", SinkStage::rcpt},       {"data", SinkStage::data}, {"dot", SinkStage::dot}};
  std::string_view rest = text;
  const std::string_view stage = take_word(rest, ":"), action = take_word(rest, ":"),
                         part = take_word(rest, ":");
  const auto* found = std::find_if(std::begin(stages), std::end(stages),
                                   [&](const auto& row) { return row.first == stage; });
  const auto code = action == "drop" ? std::optional<uint64_t>(0) : parse_decimal(action);
  const auto percent = part.empty() ? std::optional<uint64_t>(100) : parse_decimal(part);
  const bool code_fits = code && (*code == 0 || (*code >= 200 && *code <= 599));
  if (found == std::end(stages) || !code_fits || !percent || *percent > 100 || !rest.empty())
    return std::unexpected("not a fault: " + std::string(text) +
                           " (wanted: STAGE:CODE|drop[:PERCENT])");
  return Fault{found->second, static_cast<int>(*code), static_cast<uint32_t>(*percent)};
}

const Fault* FaultPlan::strike(SinkStage stage) {
  for (const Fault& fault : faults) {
    if (fault.stage != stage || !random.chance(fault.percent)) continue;
    ++struck;
    return &fault;
  }
  return nullptr;
}

void SinkSession::greet(FaultPlan& faults) {
  if (!struck(SinkStage::connect, faults)) out += "220 mxsink ESMTP\r\n";
}

// True when a fault took the place of the usual reply.
bool SinkSession::struck(SinkStage stage, FaultPlan& faults) {
  const Fault* fault = faults.strike(stage);
  if (!fault) return false;
  if (fault->code != 0) {
    const std::string code = std::to_string(fault->code);
    out += code + " " + code[0] + ".3.0 as asked by --fail\r\n";
  }
  if (fault->code == 0 || fault->code == 421) need_ = Need::close;
  return true;
}

void SinkSession::reset() {
  sender.clear();
  recipients.clear();
  message.clear();
  message_bytes = 0;
  in_transaction_ = false;
}

size_t SinkSession::feed(std::string_view in, FaultPlan& faults) {
  const size_t whole = in.size();
  while (!in.empty() && need_ == Need::input) {
    if (in_message_) {
      in.remove_prefix(message_piece(in, faults));
      continue;
    }
    const size_t end = in.find('\n');
    if (end == in.npos) {
      line_ += in;
      in = {};
      if (line_.size() > command_bytes_max) need_ = Need::close;
    } else if (line_.empty()) {
      command(trim(in.substr(0, end)), faults);
      in.remove_prefix(end + 1);
    } else {
      line_ += in.substr(0, end);
      in.remove_prefix(end + 1);
      const std::string line = std::exchange(line_, {});
      command(trim(line), faults);
    }
  }
  return whole - in.size();
}

void SinkSession::command(std::string_view line, FaultPlan& faults) {
  std::string_view argument = line;
  const std::string_view verb = take_word(argument, " ");
  if (equals_ignoring_case(verb, "MAIL")) {
    reset();
    if (struck(SinkStage::mail, faults)) return;
    sender = path_of(argument);
    in_transaction_ = true;
    out += "250 2.1.0 Ok\r\n";
  } else if (equals_ignoring_case(verb, "RCPT")) {
    if (struck(SinkStage::rcpt, faults)) return;
    if (!in_transaction_) {
      out += "503 5.5.1 Error: need MAIL command\r\n";
      return;
    }
    recipients.push_back(path_of(argument));
    out += "250 2.1.5 Ok\r\n";
  } else if (equals_ignoring_case(verb, "DATA")) {
    if (struck(SinkStage::data, faults)) return;
    if (recipients.empty()) {
      out += "503 5.5.1 Error: need RCPT command\r\n";
      return;
    }
    in_message_ = true;
    end_of_data_.begin();
    out += "354 End data with <CR><LF>.<CR><LF>\r\n";
  } else if (equals_ignoring_case(verb, "EHLO")) {
    reset();
    if (!struck(SinkStage::ehlo, faults))
      out +=
          "250-mxsink\r\n250-PIPELINING\r\n250-8BITMIME\r\n250-SMTPUTF8\r\n"
          "250 ENHANCEDSTATUSCODES\r\n";
  } else if (equals_ignoring_case(verb, "HELO")) {
    reset();
    if (!struck(SinkStage::ehlo, faults)) out += "250 mxsink\r\n";
  } else if (equals_ignoring_case(verb, "RSET") || equals_ignoring_case(verb, "NOOP")) {
    if (to_lower(verb.front()) == 'r') reset();
    out += "250 2.0.0 Ok\r\n";
  } else if (equals_ignoring_case(verb, "QUIT")) {
    out += "221 2.0.0 Bye\r\n";
    need_ = Need::close;
  } else {
    out += "500 5.5.2 Error: command not recognized\r\n";
  }
}

size_t SinkSession::message_piece(std::string_view in, FaultPlan& faults) {
  const size_t end = end_of_data_.find(in);
  const std::string_view piece = in.substr(0, end);  // all of it when there is no end
  if (message.size() < keep) message += piece.substr(0, keep - message.size());
  message_bytes += piece.size();
  if (end == EndOfData::none) return piece.size();
  message_bytes -= 3;
  if (message.size() > message_bytes) message.resize(message_bytes);
  in_message_ = false;
  if (!struck(SinkStage::dot, faults)) need_ = Need::deliver;
  return end;
}

void SinkSession::delivered() {
  MX_ASSERT(need_ == Need::deliver);
  out += "250 2.0.0 Ok\r\n";
  reset();
  need_ = Need::input;
}

}  // namespace mx::load
