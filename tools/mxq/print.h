// tools/mxq/print.h - what mxq shows. A listing is fed one JSON line a message (the keys of
// postqueue -j), whether it comes from a running ringmx or from a queue at rest.
#pragma once

#include <array>
#include <cstdint>
#include <map>
#include <nlohmann/json.hpp>
#include <string>

namespace mx::mxq {

// As `postqueue -p` prints it.
class Listing {
 public:
  void add(const nlohmann::json& message);
  void end();

 private:
  uint64_t messages_ = 0, bytes_ = 0;
};

// As qshape(1): recipients by domain and by how long their messages have been in the queue.
class AgeTable {
 public:
  void add(const nlohmann::json& message, int64_t now);
  void print() const;

 private:
  static constexpr size_t columns = 10;  // 5, 10, 20 ... 1280 minutes, and more
  using Row = std::array<uint64_t, columns>;
  static void print_row(const std::string& name, const Row& row);
  std::map<std::string, Row> rows_;
  Row total_{};
};

void print_status(const nlohmann::json& status);

}  // namespace mx::mxq
