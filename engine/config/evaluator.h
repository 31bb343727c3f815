// engine/config/evaluator.h - values of parameters: what main.cf sets, else the default, expanded
// and typed.
//
// A value that cannot be read is reported once, at the line that sets it, and stands as empty,
// false or the least allowed; load() then fails on the report, so such a value is never used. The
// few defaults that the machine decides (myhostname, mydomain, mynetworks) are made here.
#pragma once

#include <map>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "engine/config/diagnostic.h"
#include "engine/config/expand.h"
#include "engine/config/host_facts.h"
#include "engine/config/main_cf.h"
#include "engine/config/parameters.h"
#include "engine/config/settings.h"

namespace mx::config {

// The families that inet_protocols leaves.
struct Protocols {
  bool ipv4 = true, ipv6 = true;
  bool has(const IpAddress& address) const { return address.v6 ? ipv6 : ipv4; }
};

class Evaluator {
 public:
  // The arguments outlive the evaluator; `diagnostics` is appended to.
  Evaluator(const MainCf& main_cf, const HostFacts& host, Diagnostics& diagnostics);

  // `value` stands where main.cf sets nothing. Before anything is asked for.
  void set_default(std::string_view name, std::string_view value);

  // What stands for `name` before expansion; nothing when it is neither set nor known.
  std::optional<std::string_view> raw(std::string_view name) const;
  // Whether the row of `name` says that its value is not expanded.
  static bool is_raw(std::string_view name);

  const std::string& text(std::string_view name);  // expanded, trimmed
  bool boolean(std::string_view name);
  uint64_t integer(std::string_view name, uint64_t min, uint64_t max);
  uint32_t small_integer(std::string_view name, uint32_t min, uint32_t max);
  // The unit of a bare number is the one of the parameter's default.
  Duration time(std::string_view name, Duration min, Duration max);
  List list(std::string_view name);  // words; {…} groups stay as they are

  Protocols protocols();
  // Addresses that inet_interfaces names, in its order; `all` is set instead of listing for "all".
  struct Interfaces {
    bool all = false;
    std::vector<IpAddress> addresses;
  };
  Interfaces interfaces();

  const MainCf& main_cf() const { return main_cf_; }
  const HostFacts& host() const { return host_; }
  uint32_t line_of(std::string_view name) const;  // 0: not set
  // Whether error() was told of `name`: its value then is not what is written.
  bool has_error(std::string_view name) const;
  void error(std::string_view name, std::string text);
  void warning(std::string_view name, std::string text);
  void report(const Word& word, Severity severity, std::string text);

 private:
  void set_machine_defaults();
  std::string default_networks();
  template <typename T>
  T checked(std::string_view name, const std::expected<T, std::string>& parsed, T instead);

  const MainCf& main_cf_;
  const HostFacts& host_;
  Diagnostics& diagnostics_;
  std::map<std::string, std::string, std::less<>> machine_defaults_;
  std::map<std::string, std::string, std::less<>> expanded_;
  std::set<std::string, std::less<>> reported_;
};

}  // namespace mx::config
