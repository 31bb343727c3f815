#include "proto/mail/address_list.h"

#include "proto/base/text.h"

namespace mx::mail {

// From behind `(` to its `)`; comments nest.
void AddressList::skip_comment() {
  size_t depth = 1, size = 0;
  while (size < rest_.size() && depth > 0) {
    const char c = rest_[size++];
    if (c == '(') ++depth;
    if (c == ')') --depth;
    if (c == '\\' && size < rest_.size()) ++size;
  }
  rest_.remove_prefix(size);
}

// Up to `closing`, which is taken; a backslash protects the byte after it.
void AddressList::take_until(std::string& out, char closing) {
  while (!rest_.empty()) {
    const char c = rest_.front();
    rest_.remove_prefix(1);
    if (c == closing) return;
    if (c == '"' && closing == '>') {
      take_until(out, '"');
    } else if (c == '\\' && !rest_.empty()) {
      out += rest_.front();
      rest_.remove_prefix(1);
    } else if (closing == '"' || !is_space(c)) {
      out += c;
    }
  }
}

// `some name <address>`: what stands before the bracket is a name.
void AddressList::skip_name() {
  bool quoted = false;
  for (size_t i = 0; i < rest_.size(); ++i) {
    const char c = rest_[i];
    if (c == '\\') {
      ++i;
    } else if (c == '"') {
      quoted = !quoted;
    } else if (!quoted && c == '<') {
      return rest_.remove_prefix(i);
    } else if (!quoted && (c == ',' || c == ';' || c == '(')) {
      return;
    }
  }
}

bool AddressList::next(std::string& address) {
  address.clear();
  while (!rest_.empty()) {
    const char c = rest_.front();
    if (c == ',' || c == ';') named_ = false;
    if (!named_ && !is_space(c) && c != ',' && c != ';' && c != '(') {
      named_ = true;  // once for what stands between two commas: each byte is looked at twice
      skip_name();
      if (rest_.starts_with('<') && c != '<') continue;
    }
    if (c == '<') {
      rest_.remove_prefix(1);
      address.clear();
      take_until(address, '>');
      if (!address.empty()) return true;
    } else if (c == ',' || c == ';' || is_space(c)) {
      rest_.remove_prefix(1);
      if (!address.empty()) return true;
    } else if (c == '(') {
      rest_.remove_prefix(1);
      skip_comment();
    } else if (c == '"') {
      rest_.remove_prefix(1);
      take_until(address, '"');
    } else {
      if (c == '\\' && rest_.size() > 1) rest_.remove_prefix(1);
      address += rest_.front();
      rest_.remove_prefix(1);
    }
  }
  return !address.empty();
}

}  // namespace mx::mail
