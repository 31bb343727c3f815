// mapc - compiles postmap source files into the perfect-hash tables that ringmx reads: the compiled
// form of /path is /path.phm. See tools/man/mapc.1 and maps/README.md.
//
// A table is built in memory, written beside its final name, synced and renamed: readers see the
// old table or the new one. Bad lines are reported as postmap does and left out; --strict makes
// them errors.
#include <sys/random.h>
#include <sysexits.h>
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <cerrno>
#include <cstdio>
#include <cstring>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "engine/config/host_facts.h"
#include "engine/config/load.h"
#include "engine/io/file.h"
#include "maps/builder.h"
#include "maps/source.h"
#include "maps/spec.h"
#include "maps/table.h"
#include "proto/base/bytes.h"

namespace {

using namespace mx;

constexpr uint64_t source_bytes_max = 64ULL << 30;

struct Options {
  std::string directory = "/etc/ringmx";
  std::vector<std::string> tables;
  std::optional<std::string> query;
  std::optional<uint64_t> seed;
  bool all = false, from_stdin = false, strict = false;
};

int fail(int code, const std::string& text) {
  std::fprintf(stderr, "mapc: %s\n", text.c_str());
  return code;
}

void warn(const std::string& path, uint32_t line, const std::string& text) {
  std::fprintf(stderr, "mapc: warning: %s, line %u: %s\n", path.c_str(), line, text.c_str());
}

bool read_stdin(std::string& out) {
  char buffer[1 << 16];
  while (true) {
    const ssize_t size = ::read(STDIN_FILENO, buffer, sizeof buffer);
    if (size < 0 && errno == EINTR) continue;
    if (size <= 0) return size == 0;
    out.append(buffer, static_cast<size_t>(size));
  }
}

// Nobody who writes addresses into a source should know how they will hash.
uint64_t random_seed() {
  uint64_t seed = 0;
  return ::getrandom(&seed, sizeof seed, 0) == sizeof seed ? seed : 0;
}

int compile(const std::string& path, std::string_view text, const io::FileFacts& facts,
            const Options& options) {
  maps::TableBuilder builder;
  std::vector<uint32_t> lines;  // of each entry
  size_t complaints = 0;
  maps::SourceReader reader(text);
  for (auto item = reader.next(); item != maps::SourceReader::Item::end; item = reader.next()) {
    if (item == maps::SourceReader::Item::entry) {
      builder.add(reader.entry().key, reader.entry().value);
      lines.push_back(reader.entry().line);
      continue;
    }
    const maps::SourceDiagnostic& diagnostic = reader.diagnostic();
    if (diagnostic.fault == maps::SourceFault::limit)
      return fail(EX_DATAERR, path + ", line " + std::to_string(diagnostic.line) + ": " +
                                  diagnostic.text + " (nothing written)");
    warn(path, diagnostic.line, diagnostic.text);
    ++complaints;
  }
  const uint64_t seed = options.seed.value_or(random_seed());
  const auto built = std::move(builder).build(seed, {facts.mtime_ns, facts.size});
  if (!built) return fail(EX_SOFTWARE, path + ": too large, or no seed settles");
  for (const maps::Duplicate& duplicate : built->duplicates)
    warn(path, lines[duplicate.ordinal], maps::duplicate_entry_text(duplicate.key));
  complaints += built->duplicates.size();
  if (options.strict && complaints != 0)
    return fail(EX_DATAERR, path + ": " + std::to_string(complaints) +
                                " bad or duplicate lines (--strict; nothing written)");
  const std::string compiled = path + std::string(maps::compiled_suffix);
  const auto written = io::write_file_atomically(compiled, built->bytes, facts.mode & 0666);
  return written ? EX_OK : fail(EX_CANTCREAT, written.error().text);
}

int compile_file(const std::string& path, const Options& options) {
  if (options.from_stdin) {
    std::string text;
    if (!read_stdin(text)) return fail(EX_IOERR, std::string("stdin: ") + std::strerror(errno));
    return compile(path, text, {0, 0, 0644}, options);
  }
  const auto source = io::read_file(path, source_bytes_max);
  if (!source) return fail(EX_NOINPUT, source.error().text);
  return compile(path, as_text(source->buffer.bytes()), source->facts, options);
}

// One key, or with "-" those of stdin, printed as `key<tab>value`.
int query(const maps::Table& table, const std::string& key) {
  bool found = false;
  const auto print = [&](std::string_view name, const maps::Lookup& answer) {
    if (!answer.is_hit()) return;
    found = true;
    if (key == "-") std::printf("%.*s\t", static_cast<int>(name.size()), name.data());
    std::fwrite(answer.value.data(), 1, answer.value.size(), stdout);
    std::putchar('\n');
  };
  if (key != "-") {
    print(key, table.find(key));
    return found ? EX_OK : 1;
  }
  std::string text;
  if (!read_stdin(text)) return fail(EX_IOERR, std::string("stdin: ") + std::strerror(errno));
  std::string_view rest = text;
  while (!rest.empty()) {
    const std::string_view line = rest.substr(0, rest.find('\n'));
    print(line, table.find(line));
    rest.remove_prefix(std::min(line.size() + 1, rest.size()));
  }
  return found ? EX_OK : 1;
}

int query_file(const std::string& path, const Options& options) {
  const std::string compiled = path + std::string(maps::compiled_suffix);
  const auto file = io::read_file(compiled, source_bytes_max);
  if (!file) return fail(EX_NOINPUT, file.error().text);
  const auto table = maps::Table::open(file->buffer.bytes());
  if (!table) return fail(EX_DATAERR, compiled + " is " + std::string(describe(table.error())));
  return query(*table, *options.query);
}

// The tables that main.cf names take the place of those of the command line.
int name_all(Options& options) {
  const auto result =
      config::load(options.directory, config::disk_reader(), config::read_host_facts());
  if (!result.settings) {
    for (const config::Diagnostic& diagnostic : result.settings.error())
      std::fprintf(stderr, "mapc: %s\n", to_string(diagnostic).c_str());
    return EX_CONFIG;
  }
  for (const config::TableName& table : result.settings->tables)
    options.tables.push_back(table.type + ":" + table.path);
  return EX_OK;
}

int run(const Options& options) {
  int worst = EX_OK;
  for (const std::string& name : options.tables) {
    const auto spec = maps::parse_table_spec(name);
    if (!spec) return fail(EX_USAGE, spec.error());
    const std::string path(spec->name);
    const int code = options.query ? query_file(path, options) : compile_file(path, options);
    if (code != EX_OK) worst = code;
  }
  return worst;
}

}  // namespace

int main(int argc, char** argv) {
  Options options;
  CLI::App app("Compile postmap source files for ringmx: /path becomes /path.phm.", "mapc");
  app.add_option("-c", options.directory, "directory of main.cf, for --all [/etc/ringmx]")
      ->type_name("DIR");
  app.add_option("-q", options.query, "print KEY's value, exit 1 when absent; - reads keys")
      ->type_name("KEY");
  app.add_option("--seed", options.seed, "hash with seed N instead of a random one")
      ->type_name("N");
  app.add_flag("--all", options.all, "compile every table that main.cf names");
  app.add_flag("--stdin", options.from_stdin, "read the source from standard input");
  app.add_flag("--strict", options.strict, "bad and duplicate lines are errors");
  app.add_option("table", options.tables, "type:path (hash, btree, lmdb, cdb, texthash)");
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    return app.exit(error) == 0 ? EX_OK : EX_USAGE;
  }
  if (options.all == !options.tables.empty())
    return fail(EX_USAGE, "name tables (hash:/path), or give --all");
  if ((options.from_stdin || options.query) && options.tables.size() != 1)
    return fail(EX_USAGE, "--stdin and -q take one table");
  const int named = options.all ? name_all(options) : EX_OK;
  return named == EX_OK ? run(options) : named;
}
