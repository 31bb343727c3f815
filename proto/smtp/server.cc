#include "proto/smtp/server.h"

#include <algorithm>

#include "proto/base/text.h"
#include "proto/smtp/command.h"

namespace mx::smtp {

void Server::connected(bool client_spoke_first) {
  // RFC 5321 4.3.1: a client waits for the greeting.
  if (client_spoke_first) {
    pipelined_ = true;
    if (settings_->forbid_unauth_pipelining) {
      respond("554 5.5.0 Error: SMTP protocol synchronization", Result::none, Need::close);
      return;
    }
  }
  ask(Stage::connect);
}

size_t Server::feed(std::string_view in) {
  MX_ASSERT(need_ == Need::input && !in.empty());
  if (discarded_ > 0) return discard_to_line_end(in);
  const size_t limit = std::min(settings_->line_length_limit, limits::command_line_bytes_max);
  const size_t newline = in.find('\n');
  const bool ends = newline != std::string_view::npos;
  const size_t length = partial_.size() + (ends ? newline : in.size());
  // One byte over the limit has to wait: it may be the CR of the line's end.
  if (length > limit + 1) {
    discarded_ = partial_.size();
    partial_ = {};
    return ends ? overlong(newline + 1) : discard_to_line_end(in);
  }
  if (!ends) {
    partial_.append(in);
    return in.size();
  }
  std::string_view line = in.substr(0, newline);
  SmallVector<char, 16> joined;
  if (!partial_.empty()) {
    partial_.append(line);
    joined = std::move(partial_);
    line = joined.text();
  }
  if (line.ends_with('\r')) line.remove_suffix(1);
  if (line.size() > limit) return overlong(newline + 1);
  handle_line(line, newline + 1 < in.size());
  return newline + 1;
}

size_t Server::discard_to_line_end(std::string_view in) {
  const size_t newline = in.find('\n');
  if (newline != std::string_view::npos) return overlong(newline + 1);
  if (in.size() > limits::command_discard_bytes_max - discarded_) return give_up_line(in.size());
  discarded_ += static_cast<uint32_t>(in.size());
  return in.size();
}

size_t Server::overlong(size_t taken) {
  discarded_ = 0;
  respond({"500 5.5.2 ", settings_->hostname, " Error: command too long"}, Result::error);
  return taken;
}

size_t Server::give_up_line(size_t taken) {
  respond({"421 4.7.0 ", settings_->hostname, " Error: command too long"}, Result::none,
          Need::close);
  return taken;
}

void Server::handle_line(std::string_view line, bool more_behind) {
  line = trim(line);
  if (line.empty()) {
    respond("500 5.5.2 Error: bad syntax", Result::error);
    return;
  }
  const std::string_view verb = take_verb(line);
  command_ = &find_command(verb);
  end_of_data_ = false;
  ++(counts_.*command_->count)[1];
  const bool unknown = command_->count == &CommandCounts::unknown;
  if (unknown && is_not_smtp(verb)) {
    respond("221 2.7.0 Error: I can break rules, too. Goodbye.", Result::none, Need::close);
    return;
  }
  // A client may send on without waiting only in an ESMTP session, and not behind a command whose
  // reply it has to see first (RFC 2920 3.1).
  if (more_behind && (!esmtp_ || command_->last_in_group)) {
    pipelined_ = true;
    if (settings_->forbid_unauth_pipelining) {
      respond("554 5.5.0 Error: SMTP protocol synchronization", Result::none, Need::close);
      return;
    }
  }
  const bool quit = command_->count == &CommandCounts::quit;
  if (access_denied_ && !quit) {
    respond({"503 5.7.0 Error: access denied for ", client_name_, "[", client_address_, "]"},
            Result::error);
    return;
  }
  (this->*command_->handle)(line);
}

void Server::respond(std::initializer_list<std::string_view> parts, Result result, Need then) {
  const uint32_t start = out_.size();
  append_reply_line(out_, parts);
  soften(start);
  replied(result, then);
}

// soft_bounce: the reply line from `start` on tells the client to come again.
void Server::soften(uint32_t start) {
  if (!settings_->soft_bounce || out_[start] != '5') return;
  out_[start] = '4';
  if (out_.text().substr(start + 4).starts_with("5.")) out_[start + 4] = '4';
}

void Server::refuse(const Verdict& verdict, Result result) {
  const uint32_t start = out_.size();
  append_refusal(out_, verdict);
  soften(start);
  const bool closes = verdict.code == 421 || verdict.code == 521;
  replied(result, closes ? Need::close : Need::input);
}

// A reply is delayed by the errors before it, not by the one that it tells of.
void Server::replied(Result result, Need then) {
  const bool slow = errors_ >= settings_->soft_error_limit;
  const bool command_ended = result == Result::accepted || result == Result::failed;
  if (result == Result::error || result == Result::failed) ++errors_;
  if (result == Result::accepted) ++(counts_.*command_->count)[0];
  if (command_ended && command_->junk && junk_commands_++ > settings_->junk_command_limit)
    ++errors_;
  if (slow) {
    need_ = Need::pause;
    after_pause_ = then;
  } else {
    enter(then);
  }
}

void Server::enter(Need need) {
  need_ = need;
  if (need != Need::input || errors_ < settings_->hard_error_limit) return;
  respond({"421 4.7.0 ", settings_->hostname, " Error: too many errors"}, Result::none,
          Need::close);
}

void Server::paused() {
  MX_ASSERT(need_ == Need::pause);
  enter(after_pause_);
}

void Server::ask(Stage stage, std::string_view argument) {
  argument_.clear();
  argument_.append(argument);
  question_ = {stage, argument_.text(), 0};
  need_ = Need::verdict;
}

void Server::answer(const Verdict& verdict) {
  MX_ASSERT(need_ == Need::verdict);
  const bool permitted = verdict.permitted();
  switch (question_.stage) {
    case Stage::connect:
      access_denied_ = !permitted;
      if (permitted) return respond({"220 ", settings_->banner}, Result::none);
      return refuse(verdict, Result::error);
    case Stage::rcpt:
      if (permitted) return accept_recipient(question_.argument);
      ++tx_.recipients_refused;
      break;
    case Stage::end_of_data:
      if (permitted) {
        need_ = Need::durable;
        return;
      }
      tx_ = {};
      break;
    case Stage::helo:
      if (permitted) return greet();
      break;
    case Stage::mail:
      if (permitted) {
        tx_.start(question_.argument, question_.declared_size, mail_eight_bit_);
        return respond("250 2.1.0 Ok", Result::accepted);
      }
      break;
    case Stage::data:
      if (permitted)
        return respond("354 End data with <CR><LF>.<CR><LF>", Result::none, Need::body);
      break;
    case Stage::vrfy:
      if (permitted) return respond({"252 2.0.0 ", question_.argument}, Result::accepted);
      break;
  }
  refuse(verdict);
}

void Server::end_transaction(std::initializer_list<std::string_view> refusal, Need then) {
  tx_ = {};
  respond(refusal, Result::failed, then);
}

void Server::body_ended(const BodyFacts& facts) {
  MX_ASSERT(need_ == Need::body);
  end_of_data_ = true;
  if (facts.bare_newline)
    return end_transaction({"550 5.5.2 ", settings_->hostname, " Error: bare <LF> received"},
                           Need::close);
  if (facts.failed) return end_transaction({"451 4.3.0 Error: queue file write error"});
  if (facts.no_space) return end_transaction({"452 4.3.1 Insufficient system storage"});
  if (facts.too_big) return end_transaction({"552 5.3.4 Error: message file too big"});
  if (facts.too_many_hops) return end_transaction({"554 5.4.0 Error: too many hops"});
  ask(Stage::end_of_data);
}

void Server::committed(std::string_view queue_id) {
  MX_ASSERT(need_ == Need::durable);
  tx_ = {};
  errors_ = 0;
  junk_commands_ = 0;
  respond({"250 2.0.0 Ok: queued as ", queue_id}, Result::accepted);
}

void Server::not_committed(CommitFailure why) {
  MX_ASSERT(need_ == Need::durable);
  switch (why) {
    case CommitFailure::no_space:
      return end_transaction({"452 4.3.1 Insufficient system storage"});
    case CommitFailure::write_error:
      return end_transaction({"451 4.3.0 Error: queue file write error"});
    case CommitFailure::expansion:
      return end_transaction({"451 4.6.0 Alias expansion error"});
  }
}

void Server::abort(EnhancedCode enhanced, std::string_view text) {
  if (need_ == Need::close) return;
  append_reply_line(out_, 421, enhanced, {settings_->hostname, " ", text});
  tx_ = {};
  need_ = Need::close;
}

std::string_view Server::current_verb() const {
  if (end_of_data_) return "END-OF-MESSAGE";
  return command_ == nullptr ? "CONNECT" : command_->verb;
}

}  // namespace mx::smtp
