#include "proto/mail/address.h"

#include <algorithm>

#include "proto/base/text.h"

namespace mx::mail {
namespace {

constexpr bool is_control(char c) {
  return (c >= 0 && c < ' ') || c == 0x7F;
}
constexpr bool is_blank(char c) {
  return c == ' ' || c == '\t';
}

// RFC 5322 specials: only inside quotes or behind a backslash.
constexpr bool is_special(char c) {
  return std::string_view("()<>[]:;@\\,\"").find(c) != std::string_view::npos;
}

// A local part that needs no quotes (RFC 5321 Dot-string, and bytes above 127 as they are).
bool is_dot_string(std::string_view local) {
  if (local.empty() || local.front() == '.' || local.back() == '.') return false;
  for (size_t i = 0; i < local.size(); ++i) {
    if (local[i] == '.' && local[i - 1] == '.') return false;
    if (local[i] == ' ' || is_control(local[i]) || is_special(local[i])) return false;
  }
  return true;
}

// Any character above ASCII may stand where a letter may.
bool is_valid_utf8_hostname(std::string_view name) {
  FixedText<limits::domain_bytes_max> letters;
  for (const char& c : name)
    if (!letters.append(static_cast<unsigned char>(c) < 0x80 ? std::string_view(&c, 1) : "u"))
      return false;
  return is_valid_hostname(letters.view()) && is_valid_utf8(name);
}

std::string_view trim_blanks(std::string_view text) {
  while (!text.empty() && is_blank(text.front())) text.remove_prefix(1);
  while (!text.empty() && is_blank(text.back())) text.remove_suffix(1);
  return text;
}

}  // namespace

AddressParts split(std::string_view address) {
  // A domain has neither '@' nor '"', so an '@' behind the last quote is the one that counts.
  const size_t at = address.rfind('@');
  if (at == std::string_view::npos || address.back() == '"') return {address, {}, false};
  return {address.substr(0, at), address.substr(at + 1), true};
}

class PathParser {
 public:
  PathParser(PathRules rules, bool utf8) : rules_(rules), utf8_(utf8) {}
  std::optional<Path> parse(std::string_view argument);

 private:
  std::optional<std::string_view> take_token(std::string_view& argument) const;
  static bool strip_route(std::string_view& path);
  bool parse_mailbox(std::string_view mailbox, Address& address);
  bool unquote_local(std::string_view local);
  bool append_local(Address& address) const;
  bool append_domain(std::string_view domain, Address& address) const;

  PathRules rules_;
  bool utf8_;
  FixedText<limits::local_part_bytes_max> bytes_;  // of the local part, without quotes
};

// The path with its angle brackets: up to the '>' that closes, or up to a blank; quotes and
// backslashes protect both.
std::optional<std::string_view> PathParser::take_token(std::string_view& argument) const {
  const bool brackets = !argument.empty() && argument.front() == '<';
  bool quoted = false;
  size_t depth = 0, i = 0;
  for (; i < argument.size(); ++i) {
    const char c = argument[i];
    if (c == '\\') {
      if (++i == argument.size()) return std::nullopt;
    } else if (c == '"') {
      quoted = !quoted;
    } else if (quoted) {
      continue;
    } else if (c == '<') {
      ++depth;
    } else if (c == '>') {
      if (depth > 0 && --depth == 0) {
        ++i;
        break;
      }
    } else if (!brackets && is_blank(c)) {
      break;
    }
  }
  if (quoted || depth > 0) return std::nullopt;
  if (i < argument.size() && !is_blank(argument[i])) return std::nullopt;
  const std::string_view token = argument.substr(0, i);
  argument.remove_prefix(i);
  return token;
}

// "@a,@b:" in front of a mailbox is ignored, as RFC 5321 appendix C wants it.
bool PathParser::strip_route(std::string_view& path) {
  if (path.empty() || path.front() != '@') return true;
  bool literal = false;
  for (size_t i = 0; i < path.size(); ++i) {
    if (path[i] == '[') literal = true;
    if (path[i] == ']') literal = false;
    if (path[i] == ':' && !literal) {
      path = trim_blanks(path.substr(i + 1));
      return !path.empty();
    }
  }
  return false;  // "<@b>": no mailbox
}

// Resolves quotes and backslashes into bytes_. A quoted string begins where a word begins and is a
// whole word.
bool PathParser::unquote_local(std::string_view local) {
  bool quoted = false, word_start = true, word_end = false;
  for (size_t i = 0; i < local.size(); ++i) {
    char c = local[i];
    if (c == '"') {
      if (!quoted && !word_start) return false;
      if (quoted) word_end = true;
      quoted = !quoted;
      word_start = false;
      continue;
    }
    if (!quoted) {
      // Postfix takes an '@' for another separator of words: u@us@evil is the user "u@us" at evil.
      const bool separator = c == '.' || c == '@';
      if (word_end && !separator) return false;
      word_end = false;
      word_start = separator;
      if (is_blank(c) || (!separator && c != '\\' && is_special(c))) return false;
    }
    if (c == '\\') {
      if (++i == local.size()) return false;
      c = local[i];
    }
    if (is_control(c) || !bytes_.append({&c, 1})) return false;
  }
  return !quoted;
}

bool PathParser::append_local(Address& address) const {
  const std::string_view bytes = bytes_.view();
  if (is_dot_string(bytes)) return address.text_.append(bytes);
  FixedText<limits::local_part_bytes_max> quoted;
  bool fits = quoted.append("\"");
  for (const char& c : bytes) {
    if (c == '"' || c == '\\') fits = fits && quoted.append("\\");
    fits = fits && quoted.append({&c, 1});
  }
  fits = fits && quoted.append("\"");
  return fits && address.text_.append(quoted.view());
}

bool PathParser::append_domain(std::string_view domain, Address& address) const {
  if (domain.size() > 1 && domain.back() == '.') domain.remove_suffix(1);
  const bool valid = is_valid_hostname(domain) || is_address_literal(domain) ||
                     (utf8_ && is_valid_utf8_hostname(domain));
  if (!valid) return false;
  return address.text_.append("@") && address.text_.append(domain);
}

bool PathParser::parse_mailbox(std::string_view mailbox, Address& address) {
  size_t at = std::string_view::npos;
  bool quoted = false;
  for (size_t i = 0; i < mailbox.size(); ++i) {
    if (mailbox[i] == '\\')
      ++i;
    else if (mailbox[i] == '"')
      quoted = !quoted;
    else if (mailbox[i] == '@' && !quoted)
      at = i;
  }
  const bool has_domain = at != std::string_view::npos;
  const std::string_view local = mailbox.substr(0, at);
  if (local.empty() || !unquote_local(local)) return false;
  if (!bytes_.empty() && bytes_.view().front() == '-') return false;
  if (bytes_.empty() && !has_domain) return false;  // <""> is not the null address
  if (!append_local(address)) return false;
  if (has_domain && !append_domain(mailbox.substr(at + 1), address)) return false;
  return address.text().size() + 2 <= limits::path_bytes_max;
}

std::optional<Path> PathParser::parse(std::string_view argument) {
  const std::string_view trimmed = trim_blanks(argument);
  const bool strict = rules_ == PathRules::strict;
  if (strict && (argument.empty() || argument.front() != '<')) return std::nullopt;
  Path path;
  path.rest = trimmed;
  const std::optional<std::string_view> token = take_token(path.rest);
  if (!token || token->empty()) return std::nullopt;
  path.rest = trim_blanks(path.rest);

  std::string_view mailbox = *token;
  while (mailbox.size() >= 2 && mailbox.front() == '<' && mailbox.back() == '>') {
    mailbox = mailbox.substr(1, mailbox.size() - 2);
    if (strict) break;
    const bool blank = !mailbox.empty() && is_blank(mailbox.front());
    mailbox = trim_blanks(mailbox);
    if (blank && mailbox.starts_with('@')) return std::nullopt;  // a route behind a blank
  }
  if (mailbox.empty()) return path;
  if (!strip_route(mailbox) || !parse_mailbox(mailbox, path.address)) return std::nullopt;
  return path;
}

std::optional<Path> parse_path(std::string_view argument, PathRules rules, bool utf8) {
  return PathParser(rules, utf8).parse(argument);
}

std::optional<FixedText<limits::local_part_bytes_max>> unquoted(std::string_view local) {
  FixedText<limits::local_part_bytes_max> bytes;
  const bool quoted = local.size() >= 2 && local.front() == '"';
  if (quoted) local = local.substr(1, local.size() - 2);
  for (size_t i = 0; i < local.size(); ++i) {
    if (quoted && local[i] == '\\' && i + 1 < local.size()) ++i;
    if (!bytes.append(local.substr(i, 1))) return std::nullopt;
  }
  return bytes;
}

bool is_valid_hostname(std::string_view name) {
  if (name.empty() || name.size() > limits::domain_bytes_max) return false;
  bool numeric = true;
  size_t label = 0;
  for (size_t i = 0; i < name.size(); ++i) {
    const char c = name[i];
    const bool last = i + 1 == name.size() || name[i + 1] == '.';
    if (c == '.') {
      if (label == 0 || i + 1 == name.size()) return false;
      label = 0;
      continue;
    }
    if (c == '-' ? label == 0 || last : !is_alnum(c) && c != '_') return false;
    if (++label > limits::domain_label_bytes_max) return false;
    if (!is_digit(c)) numeric = false;
  }
  return !numeric;
}

bool is_ipv4(std::string_view text) {
  for (int part = 0; part < 4; ++part) {
    const size_t dot = part < 3 ? text.find('.') : text.size();
    if (dot == std::string_view::npos || dot == 0 || dot > 3) return false;
    const std::optional<uint64_t> octet = parse_decimal(text.substr(0, dot));
    if (!octet || *octet > 255 || (dot > 1 && text.front() == '0')) return false;
    text.remove_prefix(std::min(dot + 1, text.size()));
  }
  return true;
}

bool is_ipv6(std::string_view text) {
  int groups = 0;
  bool gap = false;
  if (text.starts_with("::")) {
    gap = true;
    text.remove_prefix(2);
  }
  while (!text.empty()) {
    const size_t colon = text.find(':');
    const std::string_view group = text.substr(0, colon);
    if (colon == std::string_view::npos && group.find('.') != std::string_view::npos) {
      if (!is_ipv4(group)) return false;
      groups += 2;
      break;
    }
    if (group.empty() || group.size() > 4) return false;
    for (const char c : group)
      if (!is_digit(c) && !(to_lower(c) >= 'a' && to_lower(c) <= 'f')) return false;
    ++groups;
    if (colon == std::string_view::npos) break;
    text.remove_prefix(colon + 1);
    if (text.starts_with(':')) {
      if (gap) return false;
      gap = true;
      text.remove_prefix(1);
    } else if (text.empty()) {
      return false;  // a single colon at the end
    }
  }
  return gap ? groups < 8 : groups == 8;
}

bool is_address_literal(std::string_view text) {
  if (text.size() < 2 || text.front() != '[' || text.back() != ']') return false;
  text = text.substr(1, text.size() - 2);
  constexpr std::string_view ipv6_tag = "IPv6:";
  if (starts_with_ignoring_case(text, ipv6_tag)) return is_ipv6(text.substr(ipv6_tag.size()));
  return is_ipv4(text);
}

bool is_fully_qualified_domain(std::string_view domain) {
  if (is_address_literal(domain)) return true;
  if (domain.size() > 1 && domain.back() == '.') domain.remove_suffix(1);
  return domain.find('.') != std::string_view::npos && is_valid_hostname(domain);
}

bool is_fully_qualified(std::string_view address) {
  const AddressParts parts = split(address);
  return parts.has_domain && is_fully_qualified_domain(parts.domain);
}

bool has_sender_routing(std::string_view address) {
  return split(address).local.find_first_of("%!@") != std::string_view::npos;
}

}  // namespace mx::mail
