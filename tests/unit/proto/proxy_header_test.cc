#include "proto/proxy/proxy_header.h"

#include <gtest/gtest.h>

#include <string>

#include "proto/base/limits.h"

namespace mx::proxy {
namespace {

using State = Header::State;
using namespace std::string_literals;

const std::string signature = "\r\n\r\n\0\r\nQUIT\n"s;

std::string v2(uint8_t command, uint8_t family, const std::string& payload) {
  std::string out = signature;
  out += static_cast<char>(command);
  out += static_cast<char>(family);
  out += static_cast<char>(payload.size() / 256);
  out += static_cast<char>(payload.size() % 256);
  return out + payload;
}
const std::string v4_payload = "\x0A\x01\x02\x03\xC0\x00\x02\x01\x30\x39\x00\x19"s;

TEST(ProxyHeader, V1NamesTheClient) {
  const Header header = parse_header("PROXY TCP4 10.1.2.3 192.0.2.1 12345 25\r\nEHLO x\r\n");
  ASSERT_EQ(header.state, State::proxied);
  EXPECT_EQ(header.bytes, 40U);
  EXPECT_EQ(to_string(header.source), "10.1.2.3");
  EXPECT_EQ(to_string(header.destination), "192.0.2.1");
  EXPECT_EQ(header.source_port, 12345);
  EXPECT_EQ(header.destination_port, 25);
  const Header v6 = parse_header("PROXY TCP6 2001:db8::1 ::1 1 65535\r\n");
  ASSERT_EQ(v6.state, State::proxied);
  EXPECT_EQ(to_string(v6.source), "2001:db8::1");
  EXPECT_EQ(to_string(parse_header("PROXY TCP6 ::ffff:10.0.0.1 ::1 1 2\r\n").source), "10.0.0.1");
}

TEST(ProxyHeader, UnknownAndLocalAreThePeerItself) {
  for (const std::string& own :
       {"PROXY UNKNOWN\r\n"s, "PROXY UNKNOWN ffff::1 ffff::2 1 2\r\n"s, v2(0x20, 0x00, ""),
        v2(0x20, 0x11, v4_payload), v2(0x21, 0x00, "junk")}) {
    const Header header = parse_header(own + "EHLO");
    EXPECT_EQ(header.state, State::own) << own;
    EXPECT_EQ(header.bytes, own.size()) << own;
  }
}

TEST(ProxyHeader, V2NamesTheClient) {
  const std::string tlv = "\x04\x00\x03xyz"s;
  for (const std::string& payload : {v4_payload, v4_payload + tlv}) {
    const std::string bytes = v2(0x21, 0x11, payload);
    const Header header = parse_header(bytes + "EHLO x\r\n");
    ASSERT_EQ(header.state, State::proxied) << header.error;
    EXPECT_EQ(header.bytes, bytes.size());
    EXPECT_EQ(to_string(header.source), "10.1.2.3");
    EXPECT_EQ(to_string(header.destination), "192.0.2.1");
    EXPECT_EQ(header.source_port, 12345);
    EXPECT_EQ(header.destination_port, 25);
  }
}

TEST(ProxyHeader, ChecksumIsVerified) {
  std::string bytes = v2(0x21, 0x11, v4_payload + "\x03\x00\x04\x00\x00\x00\x00"s);
  EXPECT_EQ(parse_header(bytes).state, State::bad);
  // Over the header with zeros in place of the sum.
  const uint32_t sum = [&] {
    uint32_t crc = UINT32_MAX;
    for (const char c : bytes) {
      crc ^= static_cast<uint8_t>(c);
      for (int i = 0; i < 8; ++i) crc = (crc >> 1) ^ ((crc & 1) != 0 ? 0x82F63B78U : 0U);
    }
    return ~crc;
  }();
  for (size_t i = 0; i < 4; ++i)
    bytes[bytes.size() - 4 + i] = static_cast<char>(sum >> (24 - 8 * i));
  EXPECT_EQ(parse_header(bytes).state, State::proxied);
}

TEST(ProxyHeader, WhatIsNotAsSpecifiedIsRefused) {
  const std::string line = "PROXY TCP4 10.1.2.3 192.0.2.1 12345 25";
  for (const std::string& wrong : {line + "\n",
                                   "proxy TCP4 1.2.3.4 1.2.3.4 1 2\r\n"s,
                                   "PROXY tcp4 1.2.3.4 1.2.3.4 1 2\r\n"s,
                                   "PROXY TCP6 1.2.3.4 1.2.3.4 1 2\r\n"s,
                                   "PROXY TCP4 ::1 ::1 1 2\r\n"s,
                                   "PROXY TCP4 999.1.1.1 1.2.3.4 1 2\r\n"s,
                                   "PROXY TCP4 1.2.3.4 1.2.3.4 1 65536\r\n"s,
                                   "PROXY TCP4 1.2.3.4 1.2.3.4 -1 2\r\n"s,
                                   "PROXY TCP4 1.2.3.4 1.2.3.4 01 2\r\n"s,
                                   "PROXY TCP4 1.2.3.4 1.2.3.4 1\r\n"s,
                                   "PROXY TCP4 1.2.3.4 1.2.3.4 1 2 3\r\n"s,
                                   "PROXY TCP4  1.2.3.4 1.2.3.4 1 2\r\n"s,
                                   "PROXY TCP4 1.2.3.4 1.2.3.4 1 2 \r\n"s,
                                   "PROXY \r\n"s,
                                   "PROXY TCP4\0 1.2.3.4 1.2.3.4 1 2\r\n"s,
                                   "PROXY " + std::string(101, 'x'),
                                   "EHLO x\r\n"s,
                                   "\r\n\r\n\1"s,
                                   v2(0x11, 0x11, v4_payload),
                                   v2(0x31, 0x11, v4_payload),
                                   v2(0x22, 0x11, v4_payload),
                                   v2(0x21, 0x31, std::string(216, 'x')),
                                   v2(0x21, 0x12, v4_payload),
                                   v2(0x21, 0x11, ""),
                                   v2(0x21, 0x11, v4_payload.substr(1)),
                                   v2(0x21, 0x21, v4_payload),
                                   v2(0x21, 0x11, v4_payload + "\x04\x00"s),
                                   v2(0x21, 0x11, v4_payload + "\x04\x00\x09x"s),
                                   v2(0x21, 0x11, std::string(65535, 'x'))}) {
    const Header header = parse_header(wrong);
    EXPECT_EQ(header.state, State::bad) << wrong.substr(0, 60);
    EXPECT_FALSE(header.error.empty());
  }
}

TEST(ProxyHeader, MayComeByteByByte) {
  for (const std::string& whole : {"PROXY TCP4 10.1.2.3 192.0.2.1 12345 25\r\n"s,
                                   v2(0x21, 0x11, v4_payload + "\x04\x00\x03xyz"s)}) {
    for (size_t cut = 0; cut < whole.size(); ++cut)
      EXPECT_EQ(parse_header(whole.substr(0, cut)).state, State::incomplete) << cut;
    EXPECT_EQ(parse_header(whole).state, State::proxied);
  }
}

}  // namespace
}  // namespace mx::proxy
