#include "maps/keys.h"

#include <algorithm>

#include "proto/base/text.h"

namespace mx::maps {

namespace {

// RFC 822 specials: with one of them, white space or a control byte, a local part must be quoted.
constexpr std::string_view specials = "()<>@,;:\\\".[]";

// atom *("." atom); bytes above 127 count as letters, as in Postfix.
bool is_dot_string(std::string_view text) {
  if (text.empty() || text.front() == '.' || text.back() == '.') return false;
  for (size_t i = 0; i < text.size(); ++i) {
    const unsigned char c = static_cast<unsigned char>(text[i]);
    if (c <= ' ' || c == 0x7F) return false;
    if (text[i] == '.') {
      if (text[i + 1] == '.') return false;  // not the last: checked above
    } else if (specials.find(text[i]) != std::string_view::npos) {
      return false;
    }
  }
  return true;
}

[[nodiscard]] bool append_folded(KeyText& out, std::string_view text) {
  for (const char c : text) {
    const char folded = to_lower(c);
    if (!out.append({&folded, 1})) return false;
  }
  return true;
}

[[nodiscard]] bool append_quoted(KeyText& out, std::string_view local) {
  if (is_dot_string(local)) return append_folded(out, local);
  if (!out.append("\"")) return false;
  for (const char c : local) {
    const bool escape = c == '"' || c == '\\' || c == '\r' || c == '\n';
    if (escape && !out.append("\\")) return false;
    const char folded = to_lower(c);
    if (!out.append({&folded, 1})) return false;
  }
  return out.append("\"");
}

}  // namespace

bool fold(KeyText& out, std::string_view text) {
  out.clear();
  return append_folded(out, text);
}

AddressParts split_address(std::string_view address) {
  bool quoted = false;
  size_t at = std::string_view::npos;
  for (size_t i = 0; i < address.size(); ++i) {
    if (address[i] == '\\') {
      ++i;
    } else if (address[i] == '"') {
      quoted = !quoted;
    } else if (address[i] == '@' && !quoted) {
      at = i;
    }
  }
  if (at == std::string_view::npos) return {address, {}, false};
  return {address.substr(0, at), address.substr(at + 1), true};
}

bool unquote_local(KeyText& out, std::string_view local) {
  out.clear();
  for (size_t i = 0; i < local.size(); ++i) {
    if (local[i] == '"') continue;
    if (local[i] == '\\' && i + 1 < local.size()) ++i;
    if (!out.append(local.substr(i, 1))) return false;
  }
  return true;
}

bool unquote_address(KeyText& out, std::string_view address) {
  const AddressParts parts = split_address(address);
  if (!unquote_local(out, parts.local)) return false;
  return !parts.has_domain || (out.append("@") && out.append(parts.domain));
}

bool quote_local(KeyText& out, std::string_view local) {
  out.clear();
  return append_quoted(out, local);
}

std::optional<size_t> Delimiter::split(std::string_view local) const {
  if (set.empty()) return std::nullopt;
  if (equals_ignoring_case(local, "postmaster") || equals_ignoring_case(local, "mailer-daemon") ||
      equals_ignoring_case(local, double_bounce_sender))
    return std::nullopt;
  if (owner_request_special && set.find('-') != std::string::npos) {
    constexpr std::string_view request = "-request";
    if (starts_with_ignoring_case(local, "owner-")) return std::nullopt;
    if (local.size() > request.size() &&
        equals_ignoring_case(local.substr(local.size() - request.size()), request))
      return std::nullopt;
  }
  const size_t at = local.find_first_of(set);
  if (at == 0 || at == std::string_view::npos) return std::nullopt;
  return at;
}

AddressKeys::AddressKeys(std::string_view local, std::string_view domain, bool domain_is_local,
                         const Delimiter& delimiter)
    : local_(local),
      domain_(domain),
      domain_is_local_(domain_is_local),
      user_size_(delimiter.split(local)) {}

// Steps 0-7: full address, without extension, local part, local part without extension; the even
// one quoted, the odd one as it is, where that differs. Step 8: @domain.
bool AddressKeys::make(KeyText& key, uint32_t step) const {
  key.clear();
  if (step == 8) return key.append("@") && append_folded(key, domain_);
  const bool with_domain = step < 4;
  const bool without_extension = (step & 2) != 0;
  const bool plain = (step & 1) != 0;
  if (!with_domain && !domain_is_local_) return false;
  if (without_extension && !user_size_) return false;
  const std::string_view local = without_extension ? local_.substr(0, *user_size_) : local_;
  if (plain && is_dot_string(local)) return false;  // the quoted form was the same
  if (!(plain ? append_folded(key, local) : append_quoted(key, local))) return false;
  if (!with_domain) return true;
  return key.append("@") && append_folded(key, domain_);
}

bool AddressKeys::next(KeyText& key) {
  while (step_ <= 8)
    if (make(key, step_++)) return true;
  return false;
}

bool domain_matches(std::string_view pattern, std::string_view name, SubdomainStyle style) {
  if (pattern == name) return true;
  if (pattern.empty() || name.size() <= pattern.size() || !name.ends_with(pattern)) return false;
  switch (style) {
    case SubdomainStyle::exact:
      return false;
    case SubdomainStyle::parent:
      return name[name.size() - pattern.size() - 1] == '.';
    case SubdomainStyle::dot:
      return pattern.front() == '.';
  }
  return false;
}

bool DomainKeys::next(std::string_view& key) {
  if (started_) {
    if (style_ == SubdomainStyle::exact) return false;
    const size_t dot = rest_.find('.', 1);
    if (dot == std::string_view::npos) return false;
    rest_.remove_prefix(style_ == SubdomainStyle::parent ? dot + 1 : dot);
  }
  started_ = true;
  if (rest_.empty()) return false;
  key = rest_;
  return true;
}

}  // namespace mx::maps
