#include "proto/proxy/proxy_header.h"

#include <algorithm>
#include <optional>

#include "proto/base/limits.h"
#include "proto/base/text.h"

namespace mx::proxy {
namespace {

using State = Header::State;

constexpr std::string_view v1_start = "PROXY ";
constexpr std::string_view v2_signature{"\r\n\r\n\0\r\nQUIT\n", 12};
constexpr size_t v1_bytes_max = 107;  // with CR LF
constexpr size_t v2_fixed_bytes = 16;
constexpr uint8_t v2_local = 0x20, v2_proxy = 0x21;
constexpr uint8_t v2_unspecified = 0x00, v2_tcp4 = 0x11, v2_tcp6 = 0x21;
constexpr size_t v4_addresses_bytes = 12, v6_addresses_bytes = 36;
constexpr size_t tlv_start_bytes = 3;
constexpr uint8_t tlv_crc32c = 0x03;

Header bad(std::string_view why) {
  Header header;
  header.state = State::bad;
  header.error = why;
  return header;
}

uint8_t byte_at(std::string_view in, size_t at) {
  return static_cast<uint8_t>(in[at]);
}
uint16_t number_at(std::string_view in, size_t at) {
  return static_cast<uint16_t>(byte_at(in, at) * 256 + byte_at(in, at + 1));
}

// Digits without a sign or a leading zero, at most 65535.
std::optional<uint16_t> port_of(std::string_view text) {
  if (text.empty() || text.size() > 5 || (text.size() > 1 && text.front() == '0'))
    return std::nullopt;
  const auto number = parse_decimal(text);
  if (!number || *number > UINT16_MAX) return std::nullopt;
  return static_cast<uint16_t>(*number);
}

// Exactly one blank between two words.
std::string_view next_word(std::string_view& line) {
  const std::string_view word = line.substr(0, line.find(' '));
  line.remove_prefix(std::min(line.size(), word.size() + 1));
  return word;
}

Header parse_line(std::string_view line) {
  const std::string_view family = next_word(line);
  Header header;
  if (family == "UNKNOWN") {  // whatever else stands there
    header.state = State::own;
    return header;
  }
  if (family != "TCP4" && family != "TCP6") return bad("unknown protocol family");
  const auto source = parse_ip_address(next_word(line));
  const auto destination = parse_ip_address(next_word(line));
  const auto source_port = port_of(next_word(line));
  const auto destination_port = port_of(line);
  const bool v6 = family == "TCP6";
  if (!source || source->v6 != v6) return bad("bad source address");
  if (!destination || destination->v6 != v6) return bad("bad destination address");
  if (!source_port || !destination_port) return bad("bad port");
  header.state = State::proxied;
  header.source = unmapped(*source);
  header.destination = unmapped(*destination);
  header.source_port = *source_port;
  header.destination_port = *destination_port;
  return header;
}

Header parse_v1(std::string_view in) {
  const std::string_view window = in.substr(0, v1_bytes_max);
  const size_t newline = window.find('\n');
  if (newline == std::string_view::npos)
    return window.size() == v1_bytes_max ? bad("no end of line") : Header();
  if (window[newline - 1] != '\r') return bad("bare LF");
  const std::string_view line = window.substr(0, newline - 1);
  for (const char c : line)
    if (c < ' ' || c > '~') return bad("control or 8-bit byte");
  Header header = parse_line(line.substr(v1_start.size()));
  header.bytes = newline + 1;
  return header;
}

// CRC-32C (RFC 3720 B.4), a bit at a time: a header is short, and few have one.
uint32_t crc32c(std::string_view bytes, size_t zero_from, size_t zero_bytes) {
  uint32_t crc = UINT32_MAX;
  for (size_t i = 0; i < bytes.size(); ++i) {
    const bool zeroed = i >= zero_from && i < zero_from + zero_bytes;
    crc ^= zeroed ? 0U : byte_at(bytes, i);
    for (int bit = 0; bit < 8; ++bit) crc = (crc >> 1) ^ ((crc & 1) != 0 ? 0x82F63B78U : 0U);
  }
  return ~crc;
}

// The extensions behind the addresses: framed right, and the checksum right where there is one.
bool good_extensions(std::string_view header, size_t at) {
  while (at < header.size()) {
    if (header.size() - at < tlv_start_bytes) return false;
    const size_t length = number_at(header, at + 1);
    const size_t value = at + tlv_start_bytes;
    if (length > header.size() - value) return false;
    if (byte_at(header, at) == tlv_crc32c) {
      if (length != sizeof(uint32_t)) return false;
      const uint32_t stated =
          uint32_t{number_at(header, value)} << 16 | number_at(header, value + 2);
      if (stated != crc32c(header, value, length)) return false;
    }
    at = value + length;
  }
  return true;
}

IpAddress address_at(std::string_view in, size_t at, bool v6) {
  IpAddress address;
  address.v6 = v6;
  for (size_t i = 0; i < (v6 ? 16 : 4); ++i) address.bytes[i] = byte_at(in, at + i);
  return unmapped(address);
}

Header parse_v2(std::string_view in) {
  if (in.size() < v2_fixed_bytes) return {};
  const uint8_t command = byte_at(in, 12), family = byte_at(in, 13);
  const size_t length = number_at(in, 14);
  if (command != v2_local && command != v2_proxy) return bad("unknown version or command");
  const size_t bytes = v2_fixed_bytes + length;
  if (bytes > limits::proxy_header_bytes_max) return bad("too long");
  if (in.size() < bytes) return {};
  const std::string_view whole = in.substr(0, bytes);
  Header header;
  header.bytes = bytes;
  header.state = State::own;
  if (command == v2_local || family == v2_unspecified) return header;  // the rest is to be ignored
  if (family != v2_tcp4 && family != v2_tcp6) return bad("not TCP over IPv4 or IPv6");
  const bool v6 = family == v2_tcp6;
  const size_t addresses = v6 ? v6_addresses_bytes : v4_addresses_bytes;
  if (length < addresses) return bad("too short for its addresses");
  if (!good_extensions(whole, v2_fixed_bytes + addresses)) return bad("bad extension");
  const size_t one = v6 ? 16 : 4;
  header.state = State::proxied;
  header.source = address_at(whole, v2_fixed_bytes, v6);
  header.destination = address_at(whole, v2_fixed_bytes + one, v6);
  header.source_port = number_at(whole, v2_fixed_bytes + 2 * one);
  header.destination_port = number_at(whole, v2_fixed_bytes + 2 * one + 2);
  return header;
}

bool begins(std::string_view in, std::string_view start) {
  const size_t known = std::min(in.size(), start.size());
  return in.substr(0, known) == start.substr(0, known);
}

}  // namespace

Header parse_header(std::string_view in) {
  if (begins(in, v1_start)) return in.size() < v1_start.size() ? Header() : parse_v1(in);
  if (begins(in, v2_signature)) return parse_v2(in);
  return bad("no PROXY header");
}

}  // namespace mx::proxy
