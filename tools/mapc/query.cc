#include "tools/mapc/query.h"

#include <fmt/format.h>
#include <sysexits.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <cstring>
#include <string_view>

#include "engine/policy/tables.h"
#include "maps/any_table.h"
#include "tools/mapc/input.h"
#include "tools/mapc/message.h"

namespace mx::mapc {

namespace {

constexpr int not_found = 1;

void put(std::string_view text) {
  std::fwrite(text.data(), 1, text.size(), stdout);
}

void put_entry(std::string_view key, std::string_view value) {
  put(key);
  put("\t");
  put(value);
  put("\n");
}

// What could not be written (a full disk, a closed pipe) was not answered.
int finish(int status) {
  if (std::fflush(stdout) == 0 && std::ferror(stdout) == 0) return status;
  return report({EX_IOERR, fmt::format("stdout: {}", std::strerror(errno))});
}

class Asker {
 public:
  explicit Asker(const std::vector<policy::TablePointer>& tables) : tables_(tables) {}

  // The answer of the first table that does not miss; a tempfail is said.
  maps::Lookup ask(std::string_view key) {
    for (const policy::TablePointer& one : tables_) {
      const maps::Lookup answer = one->any().find({key, false}, made_);
      if (answer.outcome == maps::Outcome::tempfail)
        say(fmt::format("table {}: query error for \"{}\"", one->name(), key));
      if (answer.outcome != maps::Outcome::miss) return answer;
    }
    return maps::Lookup::miss();
  }

 private:
  const std::vector<policy::TablePointer>& tables_;
  maps::ValueText made_;
};

int query_one(Asker& asker, const std::string& key) {
  const maps::Lookup answer = asker.ask(key);
  if (answer.outcome == maps::Outcome::tempfail) return EX_TEMPFAIL;
  if (!answer.is_hit()) return not_found;
  put(answer.value);
  put("\n");
  return finish(EX_OK);
}

int query_lines(Asker& asker) {
  const auto text = read_stdin();
  if (!text) return report(text.error());
  int status = not_found;
  for (std::string_view rest = *text; !rest.empty();) {
    const std::string_view key = rest.substr(0, rest.find('\n'));
    rest.remove_prefix(std::min(key.size() + 1, rest.size()));
    const maps::Lookup answer = asker.ask(key);
    if (answer.outcome == maps::Outcome::tempfail) return finish(EX_TEMPFAIL);
    if (!answer.is_hit()) continue;
    put_entry(key, answer.value);
    status = EX_OK;
  }
  return finish(status);
}

policy::TableOrigin origin_of(const std::string& directory) {
  policy::TableOrigin origin;
  origin.directory = directory;
  return origin;
}

// What the store says of a table that it can't open, with the exit status that fits.
Result<policy::TablePointer> open_table(policy::TableStore& store, const maps::TableSpec& spec) {
  auto table = store.open(spec.text());
  if (table) return std::move(*table);
  if (spec.kind == maps::TableKind::system) return failure(EX_UNAVAILABLE, table.error());
  const auto& files = store.files();
  const bool readable = files.empty() || ::access(files.back().path.c_str(), R_OK) == 0;
  return failure(readable ? EX_DATAERR : EX_NOINPUT, table.error());
}

}  // namespace

int query_tables(const std::vector<maps::TableSpec>& specs, const std::string& key,
                 const std::string& directory) {
  policy::TableStore store(origin_of(directory));
  std::vector<policy::TablePointer> tables;
  for (const maps::TableSpec& spec : specs) {
    auto table = open_table(store, spec);
    if (!table) return report(table.error());
    tables.push_back(std::move(*table));
  }
  Asker asker(tables);
  for (const std::string& warning : store.warnings()) warn(warning);
  return key == "-" ? query_lines(asker) : query_one(asker, key);
}

int dump_table(const maps::TableSpec& spec, const std::string& directory) {
  policy::TableStore store(origin_of(directory));
  const auto table = open_table(store, spec);
  if (!table) return report(table.error());
  const maps::Table* const compiled = (*table)->any().compiled();
  if (compiled == nullptr)
    return report({EX_USAGE, spec.text() + ": a table of this type has no list of keys"});
  if (!compiled->for_each(put_entry)) return report({EX_DATAERR, spec.text() + " is damaged"});
  return finish(EX_OK);
}

}  // namespace mx::mapc
