// maps/any_table.h - a table of whatever type the configuration names, asked in one way.
//
// Types differ in two things that callers see: the value may have to be made (then it is put into
// the caller's ValueText), and whether the table is asked for partial keys. A fixed-string table is
// asked for the whole key and for its parts (`@domain`, parent domains); a pattern table (cidr,
// regexp, pcre, a union whose first table is one) is asked for whole keys only, as in Postfix
// (DICT_FLAG_FIXED, DICT_FLAG_PATTERN). Owner and threads: immutable, any thread.
#pragma once

#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

#include "maps/cidr.h"
#include "maps/keys.h"
#include "maps/lookup.h"
#include "maps/pattern.h"
#include "maps/table.h"

namespace mx::maps {

class AnyTable;

// static:TEXT: every key is present.
struct StaticTable {
  std::string value;
};

// fail:TEXT: no look-up succeeds.
struct FailTable {};

// unionmap:{…}: the values of all tables that have the key, with commas between them.
struct UnionTable {
  std::vector<std::shared_ptr<const AnyTable>> tables;
};

class AnyTable {
 public:
  using Kind = std::variant<Table, CidrTable, PatternTable, StaticTable, FailTable, UnionTable>;
  explicit AnyTable(Kind kind) : kind_(std::move(kind)) {}

  // One key. `made` is overwritten where the value has to be made.
  Lookup find(Key key, ValueText& made) const;
  // The first of `keys` that does not miss, with its index, or a miss. Their order is that of
  // precedence; the memory accesses of a compiled table's keys overlap.
  struct First {
    Lookup lookup;
    size_t index = 0;
  };
  First find_first(std::span<const Key> keys, ValueText& made) const;

  bool has_fixed_keys() const;
  // Of a compiled table; nullptr for others.
  const Table* compiled() const { return std::get_if<Table>(&kind_); }

 private:
  Lookup find_in_union(const UnionTable& table, std::string_view key, ValueText& made) const;

  static First find_first_compiled(const Table& table, std::span<const Key> keys);

  Kind kind_;
};

}  // namespace mx::maps
