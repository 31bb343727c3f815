#include "engine/policy/hostname.h"

#include "proto/base/limits.h"
#include "proto/base/text.h"

namespace mx::policy {

bool valid_hostname(std::string_view name) {
  if (name.empty() || name.size() > limits::domain_bytes_max) return false;
  size_t label = 0;
  bool numeric = true;
  for (size_t i = 0; i < name.size(); ++i) {
    const char c = name[i];
    const bool ends_label = i + 1 == name.size() || name[i + 1] == '.';
    if (c == '.') {
      if (label == 0 || i + 1 == name.size()) return false;
      label = 0;
      continue;
    }
    if (c == '-') {
      if (label == 0 || ends_label) return false;
    } else if (!is_alnum(c) && c != '_') {
      return false;
    }
    if (!is_digit(c)) numeric = false;
    if (++label > limits::domain_label_bytes_max) return false;
  }
  return !numeric;
}

}  // namespace mx::policy
