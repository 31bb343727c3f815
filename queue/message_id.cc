#include "queue/message_id.h"

namespace mx::queue {

MessageIdText to_text(MessageId id) {
  char digits[16];
  size_t begin = sizeof digits;
  for (uint64_t rest = id.value; rest != 0; rest >>= 4)
    digits[--begin] = "0123456789ABCDEF"[rest & 15];
  MessageIdText text;
  const bool fits = text.assign({digits + begin, sizeof digits - begin});
  MX_ASSERT(fits);
  return text;
}

std::optional<MessageId> parse_message_id(std::string_view text) {
  if (text.empty() || text.size() > 16) return std::nullopt;
  uint64_t value = 0;
  for (const char c : text) {
    uint32_t digit = 0;
    if (c >= '0' && c <= '9') {
      digit = static_cast<uint32_t>(c - '0');
    } else if (c >= 'A' && c <= 'F') {
      digit = static_cast<uint32_t>(c - 'A') + 10;
    } else if (c >= 'a' && c <= 'f') {
      digit = static_cast<uint32_t>(c - 'a') + 10;
    } else {
      return std::nullopt;
    }
    value = value << 4 | digit;
  }
  if (value == 0) return std::nullopt;
  return MessageId{value};
}

}  // namespace mx::queue
