// Plays text dialogues (*.smtp, see README.md) against the SMTP server machine and the DATA
// scanner: a whole session without a socket, with a virtual clock. Each file is played twice, with
// segments as written and cut at every byte: the replies must be the same.
#include <cstdint>
#include <cstdio>
#include <fstream>
#include <functional>
#include <map>
#include <optional>
#include <sstream>
#include <string>
#include <string_view>
#include <vector>

#include "proto/base/text.h"
#include "proto/mail/header_scan.h"
#include "proto/smtp/chunk_scanner.h"
#include "proto/smtp/data_scanner.h"
#include "proto/smtp/server.h"

namespace mx {
namespace {

using smtp::BodyFacts;
using smtp::DataScanner;
using smtp::Need;
using smtp::Stage;

// '*' is any text; everything else is itself.
bool matches(std::string_view pattern, std::string_view text) {
  const size_t star = pattern.find('*');
  if (star == std::string_view::npos) return pattern == text;
  if (!text.starts_with(pattern.substr(0, star))) return false;
  const std::string_view rest = pattern.substr(star + 1);
  for (size_t i = star; i <= text.size(); ++i)
    if (matches(rest, text.substr(i))) return true;
  return false;
}

// \r \n \t \0 \\ and \xHH.
std::string unescape(std::string_view text) {
  std::string out;
  for (size_t i = 0; i < text.size(); ++i) {
    if (text[i] != '\\' || i + 1 == text.size()) {
      out.push_back(text[i]);
      continue;
    }
    switch (text[++i]) {
      case 'r':
        out.push_back('\r');
        break;
      case 'n':
        out.push_back('\n');
        break;
      case 't':
        out.push_back('\t');
        break;
      case '0':
        out.push_back('\0');
        break;
      case 'x':
        out.push_back(
            static_cast<char>(std::stoi(std::string(text.substr(i + 1, 2)), nullptr, 16)));
        i += 2;
        break;
      default:
        out.push_back(text[i]);
    }
  }
  return out;
}

std::string escape(std::string_view text) {
  std::string out;
  for (const char c : text) {
    if (c == '\r')
      out += "\\r";
    else if (c == '\n')
      out += "\\n";
    else if (c < ' ' || c > '~') {
      char hex[8];
      std::snprintf(hex, sizeof hex, "\\x%02X", static_cast<unsigned>(c) & 0xFFU);
      out += hex;
    } else
      out.push_back(c);
  }
  return out;
}

std::string take(std::string_view& text) {
  return std::string(take_word(text, " \t"));
}

Duration parse_duration(std::string_view text) {
  if (text.starts_with('+')) text.remove_prefix(1);
  if (text.ends_with('s')) text.remove_suffix(1);
  return seconds(static_cast<int64_t>(parse_decimal(text).value()));
}

smtp::EnhancedCode parse_enhanced(std::string_view text) {
  smtp::EnhancedCode code;
  code.status = static_cast<uint8_t>(*parse_decimal(take_word(text, ".")));
  code.subject = static_cast<uint16_t>(*parse_decimal(take_word(text, ".")));
  code.detail = static_cast<uint16_t>(*parse_decimal(take_word(text, ".")));
  return code;
}

// "permit" or "reject 550 5.1.1 text".
smtp::Verdict parse_verdict(std::string_view text) {
  smtp::Verdict verdict;
  if (take(text) == "permit") return verdict;
  verdict.kind = smtp::Verdict::Kind::refuse;
  verdict.code = static_cast<uint16_t>(*parse_decimal(take(text)));
  verdict.enhanced = parse_enhanced(take(text));
  if (!verdict.text.assign(trim(text))) std::abort();
  return verdict;
}

struct Message {
  std::string sender, body;
  std::vector<std::string> recipients;
};

// The owner of the machine: what the engine does, with strings for sockets and a number for a
// clock.
class Session {
 public:
  smtp::ServerSettings settings;
  Duration timeout = seconds(300);
  uint32_t hop_limit = 50;
  std::string store = "ok";
  bool talks_first = false;
  smtp::ClientRights rights;
  std::map<std::string, smtp::Verdict> policy;  // by stage, or stage=argument

  void connect() {
    server_.emplace(settings);
    server_->set_client(name_, address_);
    server_->set_rights(rights);
    server_->connected(talks_first);
    run();
  }
  bool connected() const { return server_.has_value(); }
  void receive(std::string_view bytes) {
    in_ += bytes;
    idle_since_ = clock_;
    run();
  }
  void advance(Duration duration) {
    clock_ = clock_ + duration;
    if (!closed_ && clock_ - idle_since_ >= timeout) {
      server_->abort({4, 4, 2}, "Error: timeout exceeded");
      run();
    }
  }
  std::string take_output() { return std::exchange(sent_, {}); }
  Duration take_paused() { return std::exchange(paused_, {}); }
  bool closed() const { return closed_; }
  const std::vector<Message>& messages() const { return messages_; }
  bool pipelining_abuse() const { return server_->pipelining_abuse(); }

 private:
  // XCLIENT.
  void become(const smtp::ClientAttributes& attributes) {
    if (attributes.name_status != smtp::ClientAttributes::Name::not_given)
      name_ = attributes.name.view();
    if (attributes.has_address) address_ = attributes.address_text.view();
    server_->set_client(name_, address_);
  }

  smtp::Verdict decide() {
    static const std::map<Stage, std::string> names = {
        {Stage::connect, "connect"}, {Stage::helo, "helo"}, {Stage::mail, "mail"},
        {Stage::rcpt, "rcpt"},       {Stage::data, "data"}, {Stage::end_of_data, "end_of_data"},
        {Stage::vrfy, "vrfy"},       {Stage::etrn, "etrn"}};
    const smtp::Question& question = server_->question();
    if (question.client) become(*question.client);
    const std::string& stage = names.at(question.stage);
    for (const std::string& key : {stage + "=" + std::string(question.argument), stage})
      if (const auto found = policy.find(key); found != policy.end()) return found->second;
    return smtp::Verdict::permit();
  }

  void run() {
    while (!closed_) {
      switch (server_->need()) {
        case Need::input:
          forget_body();
          if (in_.empty()) return flush();
          in_.erase(0, server_->feed(in_));
          break;
        case Need::verdict:
          server_->answer(decide());
          break;
        case Need::pause:
          paused_ = paused_ + server_->pause_length();
          clock_ = clock_ + server_->pause_length();
          idle_since_ = clock_;
          server_->paused();
          break;
        case Need::body:
          if (!body()) return flush();
          break;
        case Need::durable:
          commit();
          break;
        case Need::close:
          flush();
          closed_ = true;
          break;
      }
    }
  }

  void flush() {
    sent_ += server_->out().text();
    server_->out().clear();
  }

  // False when more bytes are needed.
  bool body() {
    if (server_->chunk()) return chunk();
    if (!server_->transaction().started()) std::abort();
    while (!in_.empty()) {
      const DataScanner::Step step = scanner_.scan(in_);
      keep(std::string_view(in_).substr(0, step.clean));
      in_.erase(0, step.taken);
      if (step.event == DataScanner::Event::more) return false;
      if (step.event == DataScanner::Event::end) {
        end_body(true);
        return true;
      }
      on_event(step.event);
    }
    return false;
  }

  void on_event(DataScanner::Event event) {
    switch (event) {
      case DataScanner::Event::bare_lf:
        facts_.bare_newline |= settings.bare_newline == smtp::BareNewline::reject;
        keep("\r\n");
        break;
      case DataScanner::Event::bare_cr:
        keep(" ");
        break;
      case DataScanner::Event::leading_dot:
        keep("..");
        break;
      case DataScanner::Event::lone_dot:
      case DataScanner::Event::more:
      case DataScanner::Event::end:
        break;
    }
  }

  // A message given up between two chunks has left bytes here.
  void forget_body() {
    if (server_->transaction().chunks == smtp::Transaction::Chunks::received) return;
    body_.clear();
    chunk_bytes_.clear();
    scanner_ = {};
    chunk_scanner_ = {};
    headers_ = {};
    facts_ = {};
    chunk_taken_ = 0;
  }

  bool chunk() {
    const smtp::Chunk& chunk = *server_->chunk();
    const size_t taken = std::min<size_t>(chunk.bytes - chunk_taken_, in_.size());
    chunk_bytes_ += in_.substr(0, taken);
    in_.erase(0, taken);
    chunk_taken_ += taken;
    while (true) {
      const DataScanner::Step step = chunk_scanner_.scan(chunk_bytes_);
      keep(std::string_view(chunk_bytes_).substr(0, step.clean));
      chunk_bytes_.erase(0, step.taken);
      if (step.event == DataScanner::Event::more) break;
      on_event(step.event);
    }
    if (chunk_taken_ < chunk.bytes) return false;
    chunk_taken_ = 0;
    if (chunk.last && !chunk_bytes_.empty()) keep(" \r\n");
    if (chunk.last && chunk_bytes_.empty() && !chunk_scanner_.line_start()) keep("\r\n");
    end_body(chunk.last);
    return true;
  }

  void keep(std::string_view bytes) {
    headers_.feed(bytes);
    body_ += bytes;
  }

  void end_body(bool last) {
    facts_.size = body_.size() - scanner_.stuffed_dots() - chunk_scanner_.stuffed_dots();
    facts_.received_headers = headers_.received_count();
    facts_.too_many_hops = facts_.received_headers + 1 >= hop_limit;
    facts_.too_big = settings.message_size_limit > 0 && facts_.size > settings.message_size_limit;
    facts_.no_space = store == "full";
    facts_.failed = store == "failed";
    if (!last) return server_->body_ended(facts_);
    const smtp::Transaction& tx = server_->transaction();
    pending_ = {std::string(tx.sender()), std::exchange(body_, {}), {}};
    for (uint32_t i = 0; i < server_->transaction().recipient_count(); ++i)
      pending_.recipients.emplace_back(server_->transaction().recipient(i));
    scanner_.reset();
    chunk_scanner_ = {};
    chunk_bytes_.clear();
    headers_ = {};
    server_->body_ended(std::exchange(facts_, {}));
  }

  void commit() {
    if (store == "no_space") return server_->not_committed(smtp::CommitFailure::no_space);
    if (store == "write_error") return server_->not_committed(smtp::CommitFailure::write_error);
    messages_.push_back(pending_);
    server_->committed("ID" + std::to_string(messages_.size()));
  }

  std::optional<smtp::Server> server_;
  DataScanner scanner_;
  smtp::ChunkScanner chunk_scanner_;
  std::string chunk_bytes_;  // not scanned yet
  size_t chunk_taken_ = 0;
  mail::HeaderScan headers_;
  BodyFacts facts_;
  Message pending_;
  std::vector<Message> messages_;
  std::string in_, sent_, body_, name_ = "client.example", address_ = "192.0.2.1";
  Instant clock_, idle_since_;
  Duration paused_;
  bool closed_ = false;
};

// One file, played once.
class Player {
 public:
  Player(const char* file, bool split) : file_(file), split_(split) { add_settings(); }

  bool play(std::istream& in) {
    for (std::string line; std::getline(in, line);) {
      ++line_;
      if (line.empty() || line.front() == '#') continue;
      if (!step(line)) return false;
    }
    flush();
    return expect(replies_.empty(), "unexpected: " + escape(replies_));
  }
  // "SPLIT never" was met: the file is about segments.
  bool only_whole() const { return only_whole_; }

 private:
  using Setter = std::function<void(std::string_view)>;

  void add_settings() {
    smtp::ServerSettings& s = session_.settings;
    s.hostname = "mx.example.net";
    s.banner = "mx.example.net ESMTP ringmx";
    const auto number = [this](auto& field) -> Setter {
      return [&field, this](std::string_view value) {
        const auto parsed = parse_decimal(value);
        expect(parsed.has_value(), "not a number");
        field = static_cast<std::remove_reference_t<decltype(field)>>(parsed.value_or(0));
      };
    };
    const auto flag = [](bool& field) -> Setter {
      return [&field](std::string_view value) { field = value == "yes"; };
    };
    setters_ = {
        {"message_size_limit", number(s.message_size_limit)},
        {"line_length_limit", number(s.line_length_limit)},
        {"recipient_limit", number(s.recipient_limit)},
        {"recipient_overshoot_limit", number(s.recipient_overshoot_limit)},
        {"soft_error_limit", number(s.soft_error_limit)},
        {"hard_error_limit", number(s.hard_error_limit)},
        {"junk_command_limit", number(s.junk_command_limit)},
        {"hop_limit", number(session_.hop_limit)},
        {"helo_required", flag(s.helo_required)},
        {"disable_vrfy", flag(s.disable_vrfy)},
        {"forbid_unauth_pipelining", flag(s.forbid_unauth_pipelining)},
        {"strict_envelopes", flag(s.strict_envelopes)},
        {"soft_bounce", flag(s.soft_bounce)},
        {"smtputf8", flag(s.smtputf8)},
        {"strict_smtputf8", flag(s.strict_smtputf8)},
        {"xclient", flag(session_.rights.xclient)},
        {"xforward", flag(session_.rights.xforward)},
        {"discard",
         [this](std::string_view v) {
           std::string_view unknown;
           session_.rights.discard = smtp::parse_ehlo_keywords(v, unknown);
           expect(unknown.empty(), "no keyword");
         }},
        {"noop_command", [&s](std::string_view v) { s.noop_commands.emplace_back(v); }},
        {"forbidden_command", [&s](std::string_view v) { s.forbidden_commands.emplace_back(v); }},
        {"client_talks_first", flag(session_.talks_first)},
        {"error_sleep", [&s](std::string_view v) { s.error_sleep = parse_duration(v); }},
        {"timeout", [this](std::string_view v) { session_.timeout = parse_duration(v); }},
        {"store", [this](std::string_view v) { session_.store = v; }},
        {"bare_newline",
         [&s](std::string_view v) {
           s.bare_newline =
               v == "reject" ? smtp::BareNewline::reject : smtp::BareNewline::normalize;
         }},
    };
  }

  bool expect(bool condition, const std::string& what) {
    if (!condition)
      std::fprintf(stderr, "%s:%d: (%s) %s\n", file_, line_, split_ ? "cut at every byte" : "whole",
                   what.c_str());
    return condition;
  }

  bool step(std::string_view line) {
    const std::string word = take(line);
    if (line.starts_with(' ')) line.remove_prefix(1);
    if (word == "SET") return set(line);
    if (word == "POLICY") return set_policy(line);
    if (word == "SPLIT") {
      only_whole_ = line == "never";
      return expect(only_whole_, "SPLIT never is the only one");
    }
    if (word == "C:") return send(std::string(line) + "\r\n", 1);
    if (word == "RAW:") return send(unescape(line), 1);
    if (word == "C*" || word == "S*" || word == "RAW*") {
      const auto times = parse_decimal(take(line));
      if (!expect(times.has_value(), "a number is missing")) return false;
      if (line.starts_with(' ')) line.remove_prefix(1);
      if (word == "S*") return hear(line, *times);
      return send(word == "C*" ? std::string(line) + "\r\n" : unescape(line), *times);
    }
    if (word == "S:") return hear(line, 1);
    return step_after(word, line);
  }

  // Steps that first send what is waiting.
  bool step_after(const std::string& word, std::string_view line) {
    flush();
    if (word == "SEND") return true;
    if (word == "TIME") {
      session_.advance(parse_duration(line));
      replies_ += session_.take_output();
      return true;
    }
    if (word == "SILENCE") return expect(replies_.empty(), "not silent: " + escape(replies_));
    if (word == "CLOSED") return expect(session_.closed(), "the session is still open");
    if (word == "OPEN") return expect(!session_.closed(), "the session is closed");
    if (word == "PAUSED") {
      const Duration paused = session_.take_paused();
      return expect(paused == parse_duration(line),
                    "paused " + std::to_string(paused.us / 1'000'000) + " s");
    }
    if (word == "MESSAGES")
      return expect(session_.messages().size() == parse_decimal(line),
                    std::to_string(session_.messages().size()) + " messages");
    if (word == "FROM:" || word == "TO:" || word == "BODY:") return check_message(word, line);
    return expect(false, "unknown step " + word);
  }

  bool check_message(const std::string& word, std::string_view line) {
    if (!expect(!session_.messages().empty(), "no message")) return false;
    const Message& message = session_.messages().back();
    std::string value = word == "FROM:" ? message.sender : message.body;
    if (word == "TO:") {
      value.clear();
      for (const std::string& recipient : message.recipients)
        value += (value.empty() ? "" : " ") + recipient;
    }
    return expect(value == unescape(line), word + " " + escape(value));
  }

  bool set(std::string_view line) {
    const auto setter = setters_.find(take(line));
    if (!expect(setter != setters_.end(), "unknown setting")) return false;
    setter->second(trim(line));
    return true;
  }

  bool set_policy(std::string_view line) {
    if (session_.connected()) flush();
    const std::string key = take(line);
    session_.policy[key] = parse_verdict(line);
    return true;
  }

  bool send(const std::string& bytes, uint64_t times) {
    for (uint64_t i = 0; i < times; ++i) outgoing_ += bytes;
    return true;
  }

  void flush() {
    if (!session_.connected()) session_.connect();
    if (split_)
      for (const char& c : outgoing_) session_.receive({&c, 1});
    else if (!outgoing_.empty())
      session_.receive(outgoing_);
    outgoing_.clear();
    replies_ += session_.take_output();
  }

  bool hear(std::string_view pattern, uint64_t times) {
    flush();
    for (uint64_t i = 0; i < times; ++i) {
      const size_t end = replies_.find("\r\n");
      if (!expect(end != std::string::npos, "no reply, expected: " + std::string(pattern)))
        return false;
      const std::string reply = replies_.substr(0, end);
      replies_.erase(0, end + 2);
      if (!expect(matches(pattern, reply), "reply: " + escape(reply))) return false;
    }
    return true;
  }

  const char* file_;
  bool split_;
  bool only_whole_ = false;
  int line_ = 0;
  Session session_;
  std::map<std::string, Setter> setters_;
  std::string outgoing_, replies_;
};

bool play_file(const char* file) {
  for (const bool split : {false, true}) {
    std::ifstream in(file);
    Player player(file, split);
    if (!in || !player.play(in)) return false;
    if (player.only_whole()) break;
  }
  return true;
}

}  // namespace
}  // namespace mx

int main(int argc, char** argv) {
  int failed = 0;
  for (int i = 1; i < argc; ++i) failed += mx::play_file(argv[i]) ? 0 : 1;
  std::printf("%d scenarios, %d failed\n", argc - 1, failed);
  return argc > 1 && failed == 0 ? 0 : 1;
}
