#include "maps/keys.h"

#include "proto/base/assert.h"
#include "proto/base/ip_address.h"
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
  if (is_dot_string(local)) return out.append(local);
  if (!out.append("\"")) return false;
  for (const char c : local) {
    const bool escape = c == '"' || c == '\\' || c == '\r' || c == '\n';
    if (escape && !out.append("\\")) return false;
    if (!out.append({&c, 1})) return false;
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

void KeyList::push(std::string_view text, bool partial) {
  MX_ASSERT(count_ < keys_max);
  std::construct_at(&keys_[count_++], Key{text, partial});
}

void KeyList::append(std::initializer_list<std::string_view> parts, bool partial) {
  size_t size = 0;
  for (const std::string_view part : parts) size += part.size();
  if (size == 0 || size > limits::table_key_bytes_max) return;
  MX_ASSERT(text_size_ + size <= sizeof text_);
  const std::string_view key(text_ + text_size_, size);
  for (const std::string_view part : parts)
    for (const char c : part) text_[text_size_++] = to_lower(c);
  push(key, partial);
}

void KeyList::append_with_parents(std::string_view name, bool parent_style, bool partial) {
  const uint32_t before = count_;
  append({name}, partial);
  if (count_ == before) return;
  std::string_view rest = keys_[before].text;
  while (true) {
    const size_t dot = rest.find('.', 1);
    if (dot == std::string_view::npos) return;
    rest.remove_prefix(parent_style ? dot + 1 : dot);
    if (rest.empty()) return;
    if (rest.size() <= limits::domain_bytes_max) push(rest, true);
  }
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

namespace {

// `local` in its quoted form, then unquoted where that differs, with `@domain` where there is one.
void append_both_forms(KeyList& out, std::string_view local, std::string_view domain,
                       bool partial) {
  const std::string_view at = domain.empty() ? "" : "@";
  KeyText quoted;
  if (quote_local(quoted, local)) out.append({quoted.view(), at, domain}, partial);
  if (!is_dot_string(local)) out.append({local, at, domain}, partial);
}

void append_domain(KeyList& out, std::string_view name, SubdomainStyle style, bool partial) {
  if (style == SubdomainStyle::exact)
    out.append({name}, partial);
  else
    out.append_with_parents(name, style == SubdomainStyle::parent, partial);
}

void append_access_domain(KeyList& out, std::string_view name, SubdomainStyle style, bool partial) {
  append_domain(out, name, parse_ip_address(name) ? SubdomainStyle::exact : style, partial);
}

}  // namespace

void address_keys(KeyList& out, std::string_view local, std::string_view domain,
                  bool domain_is_local, const Delimiter& delimiter) {
  const auto user_size = delimiter.split(local);
  const std::string_view user = local.substr(0, user_size.value_or(0));
  append_both_forms(out, local, domain, false);
  if (user_size) append_both_forms(out, user, domain, true);
  if (domain_is_local && !domain.empty()) {
    append_both_forms(out, local, {}, true);
    if (user_size) append_both_forms(out, user, {}, true);
  }
  if (!domain.empty()) out.append({"@", domain}, true);
}

void access_address_keys(KeyList& out, std::string_view local, std::string_view domain,
                         SubdomainStyle style, const Delimiter& delimiter) {
  const auto user_size = delimiter.split(local);
  const std::string_view user = local.substr(0, user_size.value_or(0));
  out.append({local, "@", domain}, false);
  if (user_size) out.append({user, "@", domain}, true);
  append_access_domain(out, domain, style, true);
  out.append({local, "@"}, true);
  if (user_size) out.append({user, "@"}, true);
}

void null_sender_keys(KeyList& out, std::string_view null_access_lookup_key) {
  out.append({null_access_lookup_key}, false);
}

void domain_keys(KeyList& out, std::string_view name, SubdomainStyle style) {
  append_domain(out, name, style, false);
}

void access_name_keys(KeyList& out, std::string_view name, SubdomainStyle style) {
  append_access_domain(out, name, style, false);
}

void access_ip_keys(KeyList& out, std::string_view address) {
  if (!parse_ip_address(address)) return;
  const char delimiter = address.find(':') != std::string_view::npos ? ':' : '.';
  for (bool partial = false;; partial = true) {
    out.append({address}, partial);
    const size_t at = address.rfind(delimiter);
    if (at == std::string_view::npos) return;
    address = address.substr(0, at);
  }
}

void client_keys(KeyList& out, std::string_view name, std::string_view address,
                 SubdomainStyle style) {
  access_name_keys(out, name, style);
  access_ip_keys(out, address);
}

void transport_keys(KeyList& out, std::string_view local, std::string_view domain,
                    SubdomainStyle style, const Delimiter& delimiter) {
  append_both_forms(out, local, domain, false);
  if (const auto size = delimiter.split(local))
    append_both_forms(out, local.substr(0, *size), domain, true);
  append_domain(out, domain, style, true);
  out.append({"*"}, false);
}

void alias_keys(KeyList& out, std::string_view local, const Delimiter& delimiter) {
  out.append({local}, false);
  if (const auto size = delimiter.split(local)) out.append({local.substr(0, *size)}, false);
}

void fingerprint_keys(KeyList& out, std::string_view certificate, std::string_view public_key) {
  out.append({certificate}, false);
  out.append({public_key}, false);
}

}  // namespace mx::maps
