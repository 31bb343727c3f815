// engine/dns/resolver.h - asks DNS servers, many questions at once, and waits for the answers.
//
// A stub resolver over c-ares: it asks the servers of resolv.conf (or those that it is given),
// which do the recursion, the caching and the validation. It keeps nothing: TTLs are the caller's
// matter. Blocking, with a deadline over everything; a hostile or silent server costs that much
// time and no more. A new one is made for each round, so that a changed resolv.conf is met. Owner
// and threads: one thread, never a shard's.
#pragma once

#include <atomic>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "engine/dns/answer.h"

namespace mx::dns {

class Resolver {
 public:
  // `servers`: "addr:port" each, or empty: resolv.conf. `stop`, set by any thread, ends waiting.
  explicit Resolver(const std::vector<std::string>& servers, const std::atomic<bool>& stop);
  ~Resolver();

  // One answer a question, in their order. No search list, no hosts file.
  std::vector<Answer> ask(std::span<const Question> questions);

 private:
  struct Channel;
  void ask_once(std::span<const Question> questions, std::span<Reading> readings, Instant until);

  std::unique_ptr<Channel> channel_;
  const std::atomic<bool>& stop_;
};

}  // namespace mx::dns
