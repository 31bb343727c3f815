#include "maps/any_table.h"

#include <algorithm>
#include <array>

#include "proto/base/assert.h"

namespace mx::maps {

namespace {

template <typename... Cases>
struct Overloaded : Cases... {
  using Cases::operator()...;
};

}  // namespace

// As with Postfix the first table of a union stands for all of it.
bool AnyTable::has_fixed_keys() const {
  if (const auto* members = std::get_if<UnionTable>(&kind_))
    return !members->tables.empty() && members->tables.front()->has_fixed_keys();
  return std::holds_alternative<Table>(kind_) || std::holds_alternative<StaticTable>(kind_);
}

Lookup AnyTable::find_in_union(const UnionTable& table, std::string_view key,
                               ValueText& made) const {
  ValueText values, member;
  bool found = false;
  for (const auto& part : table.tables) {
    const Lookup lookup = part->find({key, false}, member);
    if (lookup.outcome == Outcome::tempfail) return lookup;
    if (!lookup.is_hit()) continue;
    if (found && !values.append(",")) return Lookup::tempfail();
    if (!values.append(lookup.value)) return Lookup::tempfail();
    found = true;
  }
  if (!found) return Lookup::miss();
  made = values;
  return Lookup::hit(made.view());
}

Lookup AnyTable::find(Key key, ValueText& made) const {
  if (key.partial && !has_fixed_keys()) return Lookup::miss();
  return std::visit(
      Overloaded{
          [&](const Table& table) { return table.find(key.text); },
          [&](const CidrTable& table) { return table.find(key.text); },
          [&](const PatternTable& table) { return table.find(key.text, made); },
          [&](const StaticTable& table) { return Lookup::hit(table.value); },
          [&](const FailTable&) { return Lookup::tempfail(); },
          [&](const UnionTable& table) { return find_in_union(table, key.text, made); },
      },
      kind_);
}

AnyTable::First AnyTable::find_first(std::span<const Key> keys, ValueText& made) const {
  if (const Table* table = compiled(); table != nullptr && keys.size() > 1)
    return find_first_compiled(*table, keys);
  for (size_t i = 0; i < keys.size(); ++i) {
    const Lookup lookup = find(keys[i], made);
    if (lookup.outcome != Outcome::miss) return {lookup, i};
  }
  return {Lookup::miss(), keys.size()};
}

AnyTable::First AnyTable::find_first_compiled(const Table& table, std::span<const Key> keys) {
  constexpr size_t group = 8;
  std::array<std::string_view, group> texts;
  std::array<Lookup, group> answers;
  for (size_t done = 0; done < keys.size(); done += group) {
    const size_t count = std::min(group, keys.size() - done);
    for (size_t i = 0; i < count; ++i) texts[i] = keys[done + i].text;
    table.find_batch(std::span(texts).first(count), std::span(answers).first(count));
    for (size_t i = 0; i < count; ++i)
      if (answers[i].outcome != Outcome::miss) return {answers[i], done + i};
  }
  return {Lookup::miss(), keys.size()};
}

}  // namespace mx::maps
