// engine/config/checks.h - what is wrong with main.cf before any value is used: parameters that
// ringmx would have to ignore at the price of being weaker than the file, and names that nobody
// knows.
#pragma once

#include <set>
#include <string>
#include <string_view>

#include "engine/config/diagnostic.h"
#include "engine/config/evaluator.h"
#include "engine/config/host_facts.h"
#include "engine/config/main_cf.h"
#include "engine/config/master_cf.h"
#include "engine/config/parameters.h"

namespace mx::config {

enum class Standing : uint8_t {
  acts,
  harmless,           // not read, for the reason given
  refused,            // not built, and the value asks for it
  refused_but_unset,  // not built; the value is one that does not ask for it
  custom,             // the file's own name, used as $name
  misspelt,           // unknown, but near a known name
  unused,             // unknown
};

// "acts", "REFUSED": for people.
std::string_view to_string(Standing standing);

struct Judgement {
  Standing standing = Standing::acts;
  std::string text;  // for people; empty for acts and custom
};

class Checker {
 public:
  // The arguments outlive the checker. `values` is used for expansion only; what `master_cf` refers
  // to counts as used.
  Checker(const MainCf& main_cf, const MasterCf& master_cf, const HostFacts& host,
          Evaluator& values);

  Judgement judge(const Entry& entry);
  // Judges every entry, and every refused parameter that is not set but gets its value by $name.
  void report(Diagnostics& diagnostics);

 private:
  void find_used_names(const MasterCf& master_cf);
  void use_names_in(std::string_view text);
  std::string baseline(const Parameter& row);
  bool asks_for_something(const Parameter& row);
  Judgement judge_refused(const Parameter& row);
  void report_by_reference(const Parameter& row, Diagnostics& diagnostics);

  const MainCf& main_cf_;
  Evaluator& values_;
  MainCf no_file_;
  Diagnostics ignored_;
  Evaluator defaults_;  // of a machine like this one with an empty main.cf
  std::set<std::string, std::less<>> used_;
};

}  // namespace mx::config
