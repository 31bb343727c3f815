#include "engine/dns/name.h"

#include <idn2.h>

namespace mx::dns {

std::optional<std::string> ascii_name(std::string_view domain) {
  char* ascii = nullptr;
  const std::string text(domain);
  constexpr int flags = IDN2_NFC_INPUT | IDN2_NONTRANSITIONAL;
  if (text.find('\0') != std::string::npos) return std::nullopt;
  if (idn2_to_ascii_8z(text.c_str(), &ascii, flags) != IDN2_OK) return std::nullopt;
  std::string out(ascii);
  idn2_free(ascii);
  return out;
}

}  // namespace mx::dns
