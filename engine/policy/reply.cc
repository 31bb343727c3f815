#include "engine/policy/reply.h"

namespace mx::policy {

smtp::Verdict refuse(uint16_t code, smtp::EnhancedCode enhanced,
                     std::initializer_list<std::string_view> pieces) {
  smtp::Verdict verdict;
  verdict.kind = smtp::Verdict::Kind::refuse;
  verdict.code = code;
  verdict.enhanced = enhanced;
  constexpr std::string_view fallback = "Service unavailable";
  std::initializer_list<std::string_view> unavailable = {fallback};
  if (code < 400 || code > 599) {
    verdict.code = 450;
    verdict.enhanced = {4, 7, 1};
    pieces = unavailable;
  }
  verdict.enhanced.status = static_cast<uint8_t>(verdict.code / 100);
  for (const std::string_view piece : pieces) {
    for (const char c : piece) {
      const char clean = c >= ' ' && c <= '~' ? c : ' ';
      if (!verdict.text.append({&clean, 1})) return verdict;
    }
  }
  return verdict;
}

}  // namespace mx::policy
