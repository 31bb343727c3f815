// maps/pcre.h - one pattern in PCRE2, with the limits under which it runs: the only place that
// knows the library.
//
// Owner and threads: a compiled pattern is immutable, any thread may match. What a match needs
// (where the groups are, the stack of the machine code, the memory of the interpreter) belongs to
// the thread and is made once, in its first match; it grows to what the limits allow.
#pragma once

#include <cstdint>
#include <expected>
#include <memory>
#include <string>
#include <string_view>

struct pcre2_real_code_8;

namespace mx::maps {

enum class PcreMatch : uint8_t { yes, no, failed };

class Pcre {
 public:
  struct Error {
    std::string text;
    uint64_t offset = 0;
  };
  // PCRE2_… bits. `newline_is_lf`: whatever the library was built with.
  static std::expected<Pcre, Error> compile(std::string_view pattern, uint32_t options,
                                            bool newline_is_lf);

  PcreMatch match(std::string_view text) const;
  // Of the last match in this thread, which said yes with this pattern on this text; empty for a
  // group that took no part in it. group <= limits::pattern_groups_max.
  static std::string_view group(std::string_view text, uint32_t group);
  uint32_t group_count() const;

  static bool jit_available();

 private:
  struct Free {
    void operator()(pcre2_real_code_8* code) const;
  };
  std::unique_ptr<pcre2_real_code_8, Free> code_;
};

}  // namespace mx::maps
