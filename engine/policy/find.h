// engine/policy/find.h - one question to the tables of a parameter: all tables are asked for a key
// before the next key, as Postfix does. Pure; no allocation.
#pragma once

#include <span>

#include "engine/policy/policy.h"

namespace mx::policy {

struct Found {
  maps::Lookup lookup;
  size_t index = 0;  // of the key that hit
};

// A value that had to be made lives in `made`.
inline Found find_in(const Tables& tables, std::span<const maps::Key> keys, maps::ValueText& made) {
  Found found;
  for (const TablePointer& table : tables) {
    const maps::AnyTable::First first = table->find_first(keys, made);
    if (first.lookup.outcome == maps::Outcome::miss) continue;
    found = {first.lookup, first.index};
    keys = keys.first(first.index);  // only an earlier key can change that
  }
  return found;
}

}  // namespace mx::policy
