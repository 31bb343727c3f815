#include "maps/pcre.h"

#define PCRE2_CODE_UNIT_WIDTH 8
#include <pcre2.h>

#include <type_traits>

#include "proto/base/assert.h"
#include "proto/base/limits.h"

namespace mx::maps {

namespace {

static_assert(std::is_same_v<pcre2_code_8, pcre2_real_code_8>);

struct Freer {
  void operator()(pcre2_match_data* data) const { pcre2_match_data_free(data); }
  void operator()(pcre2_match_context* context) const { pcre2_match_context_free(context); }
  void operator()(pcre2_compile_context* context) const { pcre2_compile_context_free(context); }
  void operator()(pcre2_jit_stack* stack) const { pcre2_jit_stack_free(stack); }
};
template <typename T>
using Owned = std::unique_ptr<T, Freer>;

constexpr size_t jit_stack_bytes_min = 32U << 10;

// Everything that a match writes to.
struct Workspace {
  Owned<pcre2_match_data> data{pcre2_match_data_create(limits::pattern_groups_max + 1, nullptr)};
  Owned<pcre2_match_context> context{pcre2_match_context_create(nullptr)};
  Owned<pcre2_jit_stack> stack{
      pcre2_jit_stack_create(jit_stack_bytes_min, limits::pattern_jit_stack_bytes_max, nullptr)};

  Workspace() {
    if (!usable()) return;
    pcre2_set_match_limit(context.get(), limits::pattern_match_steps_max);
    pcre2_set_depth_limit(context.get(), limits::pattern_match_depth_max);
    pcre2_set_heap_limit(context.get(), limits::pattern_match_heap_kib_max);
    // No stack (no machine code here): nothing is assigned and nothing needs it.
    if (stack) pcre2_jit_stack_assign(context.get(), nullptr, stack.get());
  }
  bool usable() const { return data != nullptr && context != nullptr; }
};

Workspace& workspace() {
  static thread_local Workspace mine;
  return mine;
}

}  // namespace

void Pcre::Free::operator()(pcre2_real_code_8* code) const {
  pcre2_code_free(code);
}

std::expected<Pcre, Pcre::Error> Pcre::compile(std::string_view pattern, uint32_t options,
                                               bool newline_is_lf) {
  if (pattern.size() > limits::pattern_bytes_max * 4) return std::unexpected(Error{"too long", 0});
  const Owned<pcre2_compile_context> context(pcre2_compile_context_create(nullptr));
  if (!context) return std::unexpected(Error{"no memory", 0});
  pcre2_set_parens_nest_limit(context.get(), limits::pattern_nesting_max);
  if (newline_is_lf) pcre2_set_newline(context.get(), PCRE2_NEWLINE_LF);
  int error = 0;
  PCRE2_SIZE offset = 0;
  Pcre out;
  out.code_.reset(pcre2_compile(reinterpret_cast<PCRE2_SPTR>(pattern.data()), pattern.size(),
                                options, &error, &offset, context.get()));
  if (!out.code_) {
    PCRE2_UCHAR text[256] = {};
    pcre2_get_error_message(error, text, sizeof text);
    return std::unexpected(Error{reinterpret_cast<const char*>(text), offset});
  }
  // Where this fails, pcre2_match() interprets.
  pcre2_jit_compile(out.code_.get(), PCRE2_JIT_COMPLETE);
  return out;
}

PcreMatch Pcre::match(std::string_view text) const {
  Workspace& mine = workspace();
  if (!mine.usable()) return PcreMatch::failed;
  const char* const start = text.empty() ? "" : text.data();
  const int result = pcre2_match(code_.get(), reinterpret_cast<PCRE2_SPTR>(start), text.size(), 0,
                                 0, mine.data.get(), mine.context.get());
  if (result >= 0) return PcreMatch::yes;  // 0: it has more groups than anybody can name
  return result == PCRE2_ERROR_NOMATCH ? PcreMatch::no : PcreMatch::failed;
}

std::string_view Pcre::group(std::string_view text, uint32_t group) {
  MX_ASSERT(group <= limits::pattern_groups_max);
  const PCRE2_SIZE* const offsets = pcre2_get_ovector_pointer(workspace().data.get());
  const size_t start = offsets[2 * group], end = offsets[2 * group + 1];
  // \K in a look-ahead can put the end of the whole match before its start; not that of a group.
  if (start == PCRE2_UNSET || end > text.size() || start > end) return {};
  return text.substr(start, end - start);
}

uint32_t Pcre::group_count() const {
  uint32_t count = 0;
  const int result = pcre2_pattern_info(code_.get(), PCRE2_INFO_CAPTURECOUNT, &count);
  MX_ASSERT(result == 0);
  return count;
}

bool Pcre::jit_available() {
  const auto probe = compile("a", 0, false);
  PCRE2_SIZE size = 0;
  return probe && pcre2_pattern_info(probe->code_.get(), PCRE2_INFO_JITSIZE, &size) == 0 &&
         size > 0;
}

}  // namespace mx::maps
