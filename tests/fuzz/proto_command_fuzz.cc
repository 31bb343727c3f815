// The SMTP server machine under arbitrary bytes in arbitrary cuts, with an owner that answers
// everything, often with a refusal. The same bytes go in once in large pieces and once byte by
// byte: with pipelining tolerated both dialogues must be the same. The first two bytes of the input
// choose settings and answers.
#include <algorithm>
#include <cstdint>
#include <string>
#include <string_view>

#include "proto/base/assert.h"
#include "proto/base/prng.h"
#include "proto/mail/address.h"
#include "proto/mail/header_scan.h"
#include "proto/smtp/data_scanner.h"
#include "proto/smtp/server.h"

namespace {

using namespace mx;
using smtp::Need;

class Owner {
 public:
  Owner(const smtp::ServerSettings& settings, uint64_t seed, bool refusing)
      : server_(settings), answers_(seed), refusing_(refusing) {
    server_.set_client("client.example", "192.0.2.1");
    server_.set_rights({.xclient = true, .xforward = true});
    server_.connected(false);
    run();
  }

  // False when the session is over.
  bool receive(std::string_view bytes) {
    in_ += bytes;
    return run();
  }
  const std::string& said() const { return said_; }
  const std::string& stored() const { return stored_; }
  uint32_t hops() const { return hops_; }

 private:
  bool run() {
    while (true) {
      check();
      switch (server_.need()) {
        case Need::input: {
          if (server_.transaction().chunks != smtp::Transaction::Chunks::received) facts_ = {};
          if (in_.empty()) return true;
          const size_t taken = server_.feed(in_);
          MX_ASSERT(taken > 0 && taken <= in_.size());
          in_.erase(0, taken);
          break;
        }
        case Need::verdict:
          check_question(server_.question());
          server_.answer(verdict());
          break;
        case Need::pause:
          server_.paused();
          break;
        case Need::body:
          if (!body()) return true;
          break;
        case Need::durable:
          MX_ASSERT(server_.transaction().recipient_count() > 0);
          if (refusing_ && answers_.chance(30))
            server_.not_committed(smtp::CommitFailure::no_space);
          else
            server_.committed("4Zx");
          MX_ASSERT(!server_.transaction().started());
          break;
        case Need::close:
          return false;
      }
    }
  }

  smtp::Verdict verdict() {
    smtp::Verdict verdict;
    if (!refusing_ || !answers_.chance(30)) return verdict;
    verdict.kind = smtp::Verdict::Kind::refuse;
    verdict.code = answers_.chance(5) ? 421 : static_cast<uint16_t>(400 + answers_.below(200));
    verdict.enhanced = {5, 7, 1};
    MX_ASSERT(verdict.text.assign("no"));
    return verdict;
  }

  static void check_question(const smtp::Question& question) {
    const bool address = question.stage == smtp::Stage::mail ||
                         question.stage == smtp::Stage::rcpt || question.stage == smtp::Stage::vrfy;
    if (!address) return;
    // What policy sees is canonical: on the wire it is the same address again.
    const auto path =
        mail::parse_path("<" + std::string(question.argument) + ">", mail::PathRules::strict, true);
    MX_ASSERT(path && path->address.text() == question.argument && path->rest.empty());
  }

  bool chunk() {
    const smtp::Chunk& chunk = *server_.chunk();
    const size_t taken = std::min<uint64_t>(chunk.bytes - chunk_taken_, in_.size());
    chunk_taken_ += taken;
    chunk_bytes_ += in_.substr(0, taken);
    in_.erase(0, taken);
    if (chunk_taken_ < chunk.bytes) return false;
    stored_ += chunk_bytes_;
    facts_.size += chunk_bytes_.size();
    chunk_bytes_.clear();
    chunk_taken_ = 0;
    const bool last = chunk.last;
    server_.body_ended(facts_);
    if (last || !server_.transaction().started()) facts_ = {};
    return true;
  }

  bool body() {
    if (server_.chunk() != nullptr) return chunk();
    while (!in_.empty()) {
      const smtp::DataScanner::Step step = scanner_.scan(in_);
      const std::string_view clean = std::string_view(in_).substr(0, step.clean);
      headers_.feed(clean);
      stored_ += clean;
      facts_.size += clean.size();
      in_.erase(0, step.taken);
      if (step.event == smtp::DataScanner::Event::more) return false;
      if (step.event != smtp::DataScanner::Event::end) continue;
      hops_ += headers_.received_count();
      facts_.too_many_hops = headers_.received_count() > 3;
      headers_ = {};
      scanner_.reset();
      server_.body_ended(facts_);
      facts_ = {};
      return true;
    }
    return false;
  }

  // Takes what was said and checks its form.
  void check() {
    std::string_view text = server_.out().text();
    while (!text.empty()) {
      const size_t end = text.find("\r\n");
      MX_ASSERT(end != std::string_view::npos);
      MX_ASSERT(end >= 4 && end + 2 <= limits::reply_line_bytes_max);
      const std::string_view line = text.substr(0, end);
      MX_ASSERT(line[0] >= '2' && line[0] <= '5' && (line[3] == ' ' || line[3] == '-'));
      for (const char c : line) MX_ASSERT(c >= ' ' && c <= '~');
      text.remove_prefix(end + 2);
    }
    said_ += server_.out().text();
    server_.out().clear();
    const smtp::Transaction& tx = server_.transaction();
    MX_ASSERT(tx.started() || tx.recipient_count() == 0);
    for (uint32_t i = 0; i < tx.recipient_count(); ++i)
      MX_ASSERT(tx.recipient_dsn(i).original.find_first_of("\r\n ") == std::string_view::npos);
    MX_ASSERT(tx.options().envelope_id.find_first_of("\r\n ") == std::string_view::npos);
  }

  smtp::Server server_;
  Prng answers_;
  bool refusing_;
  smtp::DataScanner scanner_;
  mail::HeaderScan headers_;
  smtp::BodyFacts facts_;
  std::string in_, said_, stored_;
  std::string chunk_bytes_;
  uint64_t chunk_taken_ = 0;
  uint32_t hops_ = 0;
};

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  if (size < 2) return 0;
  const uint8_t choice = data[0];
  const uint64_t seed = data[1];
  const std::string_view input(reinterpret_cast<const char*>(data) + 2, size - 2);

  smtp::ServerSettings settings;
  settings.forbid_unauth_pipelining = false;
  settings.helo_required = (choice & 1) != 0;
  settings.disable_vrfy = (choice & 2) != 0;
  settings.strict_envelopes = (choice & 4) != 0;
  settings.recipient_limit = (choice & 8) != 0 ? 2 : 1000;
  settings.line_length_limit = (choice & 16) != 0 ? 64 : 2048;
  const bool refusing = (choice & 32) != 0;
  settings.smtputf8 = (choice & 64) != 0;
  settings.message_size_limit = (choice & 128) != 0 ? 100 : 10'240'000;

  Owner whole(settings, seed, refusing);
  Prng cuts(seed);
  for (std::string_view rest = input; !rest.empty();) {
    const size_t piece = 1 + cuts.below(rest.size());
    if (!whole.receive(rest.substr(0, piece))) break;
    rest.remove_prefix(piece);
  }
  Owner bytewise(settings, seed, refusing);
  for (const char& c : input)
    if (!bytewise.receive({&c, 1})) break;
  MX_ASSERT(whole.said() == bytewise.said());
  MX_ASSERT(whole.stored() == bytewise.stored());
  MX_ASSERT(whole.hops() == bytewise.hops());

  // And with pipelining forbidden: only that nothing breaks.
  settings.forbid_unauth_pipelining = true;
  Owner strict(settings, seed, refusing);
  strict.receive(input);
  return 0;
}
