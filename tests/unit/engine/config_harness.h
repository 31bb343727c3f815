// What the tests of engine/config share: files in memory, a machine that is always the same, and
// short ways to load a main.cf.
#pragma once

#include <fstream>
#include <iterator>
#include <map>
#include <string>
#include <string_view>

#include "engine/config/addresses.h"
#include "engine/config/load.h"

namespace mx::config::test {

using Files = std::map<std::string, std::string, std::less<>>;

inline FileReader reader_of(Files files) {
  return
      [files = std::move(files)](std::string_view path) -> std::expected<std::string, std::string> {
        const auto found = files.find(path);
        if (found == files.end()) return std::unexpected(std::string("No such file or directory"));
        return found->second;
      };
}

// host.localdomain with 127.0.0.1/8, 192.0.2.2/24, ::1/128, fd00::2/64 and fe80::fc:ff:fe00:1/64.
inline HostFacts test_host() {
  const auto one = [](std::string_view text, uint8_t length, bool loopback) {
    return InterfaceAddress{*parse_address(text), length, loopback};
  };
  return {"host",
          {one("127.0.0.1", 8, true), one("192.0.2.2", 24, false), one("::1", 128, true),
           one("fd00::2", 64, false), one("fe80::fc:ff:fe00:1", 64, false)},
          4};
}

inline LoadResult load_text(std::string_view main_cf, Files files = {}) {
  files["/etc/ringmx/main.cf"] = main_cf;
  return load("/etc/ringmx", reader_of(std::move(files)), test_host());
}

// The least that a configuration needs.
inline const std::string minimal = "relayhost = [192.0.2.9]\nmydestination =\n";

inline std::string all_text(const Diagnostics& diagnostics) {
  std::string text;
  for (const Diagnostic& one : diagnostics) text += to_string(one) + "\n";
  return text;
}

// Errors and warnings of a load, however it ended.
inline std::string messages(const LoadResult& result) {
  return all_text(result.settings ? result.warnings : result.settings.error());
}

inline std::string words(const List& list) {
  std::string text;
  for (const Word& word : list.words) text += (text.empty() ? "" : " ") + word.text;
  return text;
}

inline std::string fixture(std::string_view name) {
  std::ifstream in(MX_FIXTURES "/" + std::string(name), std::ios::binary);
  return {std::istreambuf_iterator<char>(in), {}};
}

}  // namespace mx::config::test
