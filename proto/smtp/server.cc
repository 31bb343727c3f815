#include "proto/smtp/server.h"

#include <algorithm>

#include "proto/base/text.h"
#include "proto/smtp/command.h"

namespace mx::smtp {
namespace {

bool is_listed(std::string_view verb, const std::vector<std::string>& list) {
  return std::ranges::any_of(
      list, [&](const std::string& listed) { return equals_ignoring_case(verb, listed); });
}

bool closes(const Verdict& verdict) {
  return verdict.code == 421 || verdict.code == 521;
}

}  // namespace

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
  if (skip_ > 0) return skip_chunk(in);
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

bool Server::is_forbidden(std::string_view verb) const {
  if (is_header_name(verb)) return true;
  if (settings_->forbid_non_letters && !is_alpha(verb.front())) return true;
  return is_listed(verb, settings_->forbidden_commands);
}

void Server::handle_line(std::string_view line, bool more_behind) {
  line = trim(line);
  more_behind_ = more_behind;
  if (settings_->smtputf8 && !is_valid_utf8(line)) {
    respond("500 5.5.2 Error: bad UTF-8 syntax", Result::error);
    return;
  }
  if (line.empty()) {
    respond("500 5.5.2 Error: bad syntax", Result::error);
    return;
  }
  const std::string_view verb = take_verb(line);
  if (is_listed(verb, settings_->noop_commands)) return respond("250 2.0.0 Ok", Result::idle);
  command_ = &find_command(verb);
  end_of_data_ = false;
  ++(counts_.*command_->count)[1];
  const bool unknown = command_->count == &CommandCounts::unknown;
  if (unknown && is_forbidden(verb)) {
    respond("221 2.7.0 Error: I can break rules, too. Goodbye.", Result::none, Need::close);
    return;
  }
  const bool quit = command_->count == &CommandCounts::quit;
  if (access_denied_ && !quit) {
    error_class_ = 0;  // as Postfix: what it was denied for counts
    respond({"503 5.7.0 Error: access denied for ", client_name_, "[", client_address_, "]"},
            Result::error);
    return;
  }
  // A client may send on without waiting only in an ESMTP session, and not behind a command whose
  // reply it has to see first (RFC 2920 3.1).
  if (!unknown && more_behind && (!esmtp_ || command_->last_in_group)) {
    pipelined_ = true;
    if (settings_->forbid_unauth_pipelining) {
      respond("554 5.5.0 Error: SMTP protocol synchronization", Result::none, Need::close);
      return;
    }
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
  error_class_ = verdict.error_class;
  replied(result, closes(verdict) ? Need::close : Need::input);
}

// A reply is delayed by the errors before it, not by the one that it tells of.
void Server::replied(Result result, Need then) {
  const bool slow = errors_ >= settings_->soft_error_limit;
  const bool junk = result == Result::idle ||
                    ((result == Result::accepted || result == Result::failed) && command_->junk);
  if (result == Result::error || result == Result::failed) {
    ++errors_;
    error_classes_ |= error_class_;
  }
  error_class_ = error_protocol;
  if (result == Result::accepted) ++(counts_.*command_->count)[0];
  if (junk && junk_commands_++ > settings_->junk_command_limit) ++errors_;
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
  error_classes_ |= error_protocol;
  too_many_errors_ = true;
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
  question_ = {stage, argument_.text(), 0, nullptr};
  need_ = Need::verdict;
}

void Server::answer(const Verdict& verdict) {
  MX_ASSERT(need_ == Need::verdict);
  const bool permitted = verdict.permitted();
  switch (question_.stage) {
    case Stage::connect:
      access_denied_ = !permitted;
      attributes_.reset();
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
      end_message();
      break;
    case Stage::helo:
      if (permitted) return greet();
      break;
    case Stage::mail:
      if (permitted) {
        tx_.start(question_.argument, mail_options_);
        return respond("250 2.1.0 Ok", Result::accepted);
      }
      break;
    case Stage::data:
      if (command_->count == &CommandCounts::bdat) return answer_chunk(verdict);
      if (permitted)
        return respond("354 End data with <CR><LF>.<CR><LF>", Result::none, Need::body);
      break;
    case Stage::vrfy:
      if (permitted) return respond({"252 2.0.0 ", parameter_.text()}, Result::accepted);
      break;
    case Stage::etrn:
      if (permitted) return respond("250 Queuing started", Result::accepted);
      break;
  }
  refuse(verdict);
}

// Nothing of this message may stick to the next.
void Server::end_message() {
  tx_ = {};
  forwarded_.reset();
}

void Server::end_transaction(std::initializer_list<std::string_view> refusal, Need then) {
  end_message();
  respond(refusal, Result::failed, then);
}

void Server::body_ended(const BodyFacts& facts) {
  MX_ASSERT(need_ == Need::body);
  end_of_data_ = !by_chunks() || chunk_.last;
  if (facts.bare_newline)
    return end_transaction({"550 5.5.2 ", settings_->hostname, " Error: bare <LF> received"},
                           Need::close);
  error_class_ = facts.failed || facts.no_space ? error_resource : error_bounce;
  if (facts.failed) return refuse_body({"451 4.3.0 Error: queue file write error"});
  if (facts.no_space) return refuse_body({"452 4.3.1 Insufficient system storage"});
  if (facts.too_big) return refuse_body({"552 5.3.4 Error: message file too big"});
  if (!end_of_data_)
    return respond({"250 2.0.0 Ok: ", Decimal(chunk_.bytes).view(), " bytes"}, Result::accepted);
  if (facts.too_many_hops) return end_transaction({"554 5.4.0 Error: too many hops"});
  error_class_ = error_protocol;
  stored_bytes_ = facts.size;
  ask(Stage::end_of_data);
}

// The client may have sent more chunks without waiting: they are swallowed up to the last.
void Server::refuse_body(std::initializer_list<std::string_view> refusal) {
  end_message();
  if (!end_of_data_) tx_.chunks = Transaction::Chunks::refused;
  respond(refusal, Result::failed);
}

// BDAT is answered when its chunk has gone by, so that nothing in it is taken for a command (V25,
// V26). A client that has been told the limit and sends far more than it is cut off (V24).
void Server::refuse_chunk(std::initializer_list<std::string_view> refusal) {
  const uint64_t limit = size_limit();
  const bool too_much = limit > 0 && (tx_.chunk_bytes > limit + limit / 2 ||
                                      chunk_.bytes > limit + limit / 2 - tx_.chunk_bytes);
  tx_.chunk_bytes += chunk_.bytes;
  tx_.chunks = Transaction::Chunks::refused;
  if (too_much) return respond(refusal, Result::failed, Need::close);
  ReplyBuffer line;
  append_reply_line(line, refusal);
  refusal_.append(line.text());
  skip_ = chunk_.bytes;
  need_ = Need::input;
  if (skip_ == 0) chunk_skipped();
}

size_t Server::skip_chunk(std::string_view in) {
  const size_t taken = std::min<uint64_t>(in.size(), skip_);
  skip_ -= taken;
  if (skip_ == 0) chunk_skipped();
  return taken;
}

void Server::chunk_skipped() {
  if (chunk_.last) end_message();
  const uint32_t start = out_.size();
  out_.append(refusal_.text());
  refusal_ = {};
  soften(start);
  error_class_ = 0;  // said when it was refused
  replied(Result::failed, Need::input);
}

void Server::answer_chunk(const Verdict& verdict) {
  if (verdict.permitted()) return take_chunk();
  if (closes(verdict)) return refuse(verdict);
  error_classes_ |= verdict.error_class;
  ReplyBuffer line;
  append_refusal(line, verdict);
  refuse_chunk({line.text().substr(0, line.size() - 2)});
}

void Server::committed(std::string_view queue_id) {
  MX_ASSERT(need_ == Need::durable);
  const bool chunks = by_chunks();
  end_message();
  errors_ = 0;
  error_classes_ = 0;
  junk_commands_ = 0;
  if (chunks)
    respond({"250 2.0.0 Ok: ", Decimal(stored_bytes_).view(), " bytes queued as ", queue_id},
            Result::accepted);
  else
    respond({"250 2.0.0 Ok: queued as ", queue_id}, Result::accepted);
}

void Server::not_committed(CommitFailure why) {
  MX_ASSERT(need_ == Need::durable);
  error_class_ = why == CommitFailure::expansion ? error_policy : error_resource;
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
  if (enhanced == EnhancedCode{4, 7, 0}) error_classes_ |= error_policy;  // over a client's limit
  if (enhanced == EnhancedCode{4, 3, 0}) error_classes_ |= error_data;    // a table can't be asked
  append_reply_line(out_, 421, enhanced, {settings_->hostname, " ", text});
  end_message();
  need_ = Need::close;
}

std::string_view Server::current_verb() const {
  if (end_of_data_) return "END-OF-MESSAGE";
  return command_ == nullptr ? "CONNECT" : command_->verb;
}

}  // namespace mx::smtp
