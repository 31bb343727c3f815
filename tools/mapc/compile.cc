#include "tools/mapc/compile.h"

#include <fmt/format.h>
#include <sys/random.h>
#include <sys/resource.h>
#include <sysexits.h>
#include <unistd.h>

#include <chrono>
#include <cstdio>
#include <set>
#include <string_view>
#include <utility>

#include "engine/io/file.h"
#include "maps/aliases.h"
#include "maps/builder.h"
#include "maps/cidr.h"
#include "maps/pattern.h"
#include "maps/source.h"
#include "maps/table.h"
#include "proto/base/limits.h"
#include "tools/mapc/input.h"
#include "tools/mapc/message.h"
#include "tools/mapc/progress.h"
#include "tools/mapc/table_run.h"
#include "tools/mapc/threads.h"

namespace mx::mapc {

namespace {

using maps::TableKind;
using Clock = std::chrono::steady_clock;

// What reading a source gives, to be built.
struct Collected {
  maps::TableBuilder builder;
  std::vector<uint32_t> lines;  // of each pair
  size_t complaints = 0;
  io::FileFacts facts;
};

std::string compiled_path(const maps::TableSpec& spec) {
  return spec.name + std::string(maps::compiled_suffix);
}

// Nobody who writes addresses into a source should know how they will hash.
Result<uint64_t> seed_of(const Options& options) {
  if (options.seed) return *options.seed;
  uint64_t seed = 0;
  if (::getrandom(&seed, sizeof seed, 0) != sizeof seed)
    return failure(EX_OSERR, "no random seed from the system");
  return seed;
}

auto build_table(maps::TableBuilder builder, uint64_t seed, const io::FileFacts& facts) {
  return std::move(builder).build(seed, {facts.mtime_ns, facts.size}, run_on_all_cores);
}

template <typename Reader>
Result<> collect_from(Reader reader, const std::string& path, Progress& progress, Collected& out) {
  for (auto item = reader.next(); item != Reader::Item::end; item = reader.next()) {
    if (item == Reader::Item::entry) {
      out.builder.add(reader.entry().key, reader.entry().value);
      out.lines.push_back(reader.entry().line);
      progress.reading(reader.entry().line);
      continue;
    }
    progress.clear();
    const maps::SourceDiagnostic& diagnostic = reader.diagnostic();
    if (diagnostic.fault == maps::SourceFault::limit)
      return failure(EX_DATAERR, fmt::format("{}, line {}: {} (nothing written)", path,
                                             diagnostic.line, diagnostic.text));
    warn(path, diagnostic.line, diagnostic.text);
    ++out.complaints;
  }
  return {};
}

Result<> check_strict(const Options& options, const std::string& path, size_t complaints) {
  if (!options.strict || complaints == 0) return {};
  return failure(
      EX_DATAERR,
      fmt::format("{}: {} bad or duplicate lines (--strict; nothing written)", path, complaints));
}

// A table that lost most of its keys is more often a broken export than a change that was meant.
Result<> check_shrink(const Options& options, const std::string& path, uint64_t keys) {
  if (!options.max_shrink_percent || ::access(path.c_str(), F_OK) != 0) return {};
  const auto refuse = [&](const std::string& why) {
    return failure(EX_DATAERR, fmt::format("{} (--max-shrink; nothing written)", why));
  };
  const auto file = io::read_file(path, limits::table_source_bytes_max);
  if (!file) return refuse(file.error().text);
  const auto old = maps::Table::open(file->buffer.bytes());
  if (!old) return refuse(fmt::format("{} is {}", path, describe(old.error())));
  const uint64_t percent = *options.max_shrink_percent;
  if (keys * 100 >= old->key_count() * (100 - percent)) return {};
  return refuse(fmt::format("{}: {} keys, of {} before: more than {} % fewer", path, keys,
                            old->key_count(), percent));
}

double seconds_since(Clock::time_point start) {
  return std::chrono::duration<double>(Clock::now() - start).count();
}

void print_stat(const Job& job, const maps::BuiltTable& built, Clock::time_point start) {
  const auto table = maps::Table::open(built.bytes);
  rusage usage{};
  ::getrusage(RUSAGE_SELF, &usage);
  const uint64_t blob = maps::format::at_blob_size;
  const uint64_t overhead =
      built.bytes.size() - maps::format::header_bytes - load_le<uint64_t>(&built.bytes[blob]);
  const uint64_t keys = built.key_count;
  fmt::print(
      "{}: keys {}, bits a key {:.1f}, bytes {}, build {:.3f} s, seed {}, peak memory {} KiB\n",
      job.spec.text(), keys,
      keys == 0 ? 0.0 : static_cast<double>(overhead) * 8 / static_cast<double>(keys),
      built.bytes.size(), seconds_since(start), table ? table->seed() : 0, usage.ru_maxrss);
  std::fflush(stdout);
}

class Compilation {
 public:
  Compilation(const Options& options, std::vector<std::string> paths)
      : options_(options), run_(options.directory, std::move(paths)) {}
  Result<> begin() { return run_.begin(); }
  Result<> commit() { return run_.commit(); }
  // `write`: false to read and report only.
  Result<> compile(const Job& job, bool write);

 private:
  Result<> collect(const Job& job, Progress& progress, Collected& out) const;
  Result<> parse_rules(const Job& job) const;
  io::FileFacts like(const std::string& compiled, const io::FileFacts& source) const;

  const Options& options_;
  TableRun run_;
};

// The source's text is let go of before the table is built.
Result<> Compilation::collect(const Job& job, Progress& progress, Collected& out) const {
  const auto source = options_.from_stdin ? read_source_from_stdin() : read_source(job.spec.name);
  if (!source) return failure(source.error().exit_status, job.place + source.error().text);
  out.facts = source->facts;
  out.builder.reserve(source->text().size());
  if (job.is_aliases)
    return collect_from(maps::AliasReader(source->text()), job.spec.name, progress, out);
  return collect_from(maps::SourceReader(source->text()), job.spec.name, progress, out);
}

Result<> Compilation::parse_rules(const Job& job) const {
  std::string_view text = job.spec.source;
  SourceText file;
  if (job.spec.has_path()) {
    auto source = read_source(job.spec.name);
    if (!source) return failure(source.error().exit_status, job.place + source.error().text);
    file = std::move(*source);
    text = file.text();
  }
  std::vector<maps::SourceDiagnostic> diagnostics;
  if (job.spec.kind == TableKind::cidr) {
    maps::CidrTable::compile(text, diagnostics);
  } else {
    maps::PatternTable::compile(
        text,
        job.spec.kind == TableKind::pcre ? maps::PatternSyntax::pcre : maps::PatternSyntax::regexp,
        diagnostics);
  }
  for (const maps::SourceDiagnostic& one : diagnostics) warn(job.spec.name, one.line, one.text);
  for (const maps::SourceDiagnostic& one : diagnostics)
    if (one.fault == maps::SourceFault::limit)
      return failure(EX_DATAERR, fmt::format("{}, line {}: {}", job.spec.name, one.line, one.text));
  return check_strict(options_, job.spec.name, diagnostics.size());
}

// A table is owned and readable as its source is: compiled by root it is still the daemon's to
// read. Standard input has no owner: the table keeps the one that it has.
io::FileFacts Compilation::like(const std::string& compiled, const io::FileFacts& source) const {
  if (!options_.from_stdin) return source;
  if (const auto old = io::file_facts(compiled)) return *old;
  io::FileFacts facts;
  facts.mode = 0644;
  facts.owner = ::geteuid();
  facts.group = ::getegid();
  return facts;
}

Result<> Compilation::compile(const Job& job, bool write) {
  if (job.spec.kind != TableKind::compiled) return parse_rules(job);
  const Clock::time_point start = Clock::now();
  Progress progress(job.spec.name);
  Collected source;
  if (auto collected = collect(job, progress, source); !collected) return collected;
  if (!write) return check_strict(options_, job.spec.name, source.complaints);
  const auto seed = seed_of(options_);
  if (!seed) return std::unexpected(seed.error());
  progress.building(source.lines.size());
  const auto built = build_table(std::move(source.builder), *seed, source.facts);
  progress.clear();
  if (!built) return failure(EX_SOFTWARE, job.spec.name + ": too large, or no seed settles");
  for (const maps::Duplicate& duplicate : built->duplicates)
    warn(job.spec.name, source.lines[duplicate.ordinal], maps::duplicate_entry_text(duplicate.key));
  const size_t complaints = source.complaints + built->duplicates.size();
  if (auto strict = check_strict(options_, job.spec.name, complaints); !strict) return strict;
  const std::string path = compiled_path(job.spec);
  if (auto enough = check_shrink(options_, path, built->key_count); !enough) return enough;
  if (auto added = run_.add(path, built->bytes, like(path, source.facts)); !added) return added;
  if (options_.stat) print_stat(job, *built, start);
  return {};
}

bool needs_work(const Job& job) {
  return job.spec.kind == TableKind::compiled || job.spec.kind == TableKind::cidr ||
         job.spec.kind == TableKind::regexp || job.spec.kind == TableKind::pcre;
}

// hash:/path and btree:/path are one compiled table; members of a union stand for themselves.
void add_jobs(const Job& job, std::set<std::string>& seen, std::vector<Job>& out) {
  for (const maps::TableSpec& part : job.spec.parts)
    add_jobs({part, job.is_aliases, job.place}, seen, out);
  if (!needs_work(job)) return;
  const bool compiled = job.spec.kind == TableKind::compiled;
  if (seen.insert(compiled ? compiled_path(job.spec) : job.spec.text()).second) out.push_back(job);
}

// All missing sources are named at once, before a long build rather than after it.
int report_missing(const std::vector<Job>& jobs, const Options& options) {
  int status = EX_OK;
  for (const Job& job : jobs) {
    if (!job.spec.has_path() || options.from_stdin) continue;
    if (const auto facts = io::file_facts(job.spec.name); !facts)
      status = report({EX_NOINPUT, job.place + facts.error().text});
  }
  return status;
}

}  // namespace

int compile_tables(const std::vector<Job>& named, const Options& options) {
  std::vector<Job> jobs;
  std::set<std::string> seen;
  for (const Job& job : named) add_jobs(job, seen, jobs);
  if (const int missing = report_missing(jobs, options); missing != EX_OK) {
    say("nothing written");
    return missing;
  }
  std::vector<std::string> paths;
  for (const Job& job : jobs)
    if (job.spec.kind == TableKind::compiled) paths.push_back(compiled_path(job.spec));

  Compilation compilation(options, paths);
  if (!paths.empty())
    if (const auto begun = compilation.begin(); !begun) return report(begun.error());
  int status = EX_OK;
  for (const Job& job : jobs) {
    const auto done = compilation.compile(job, status == EX_OK);
    if (!done) {
      const int failed = report(done.error());
      if (status == EX_OK) status = failed;
    }
  }
  if (status != EX_OK) {
    if (paths.size() > 1) say("nothing written: a run is all or nothing");
    return status;
  }
  if (paths.empty()) return EX_OK;
  const auto committed = compilation.commit();
  return committed ? EX_OK : report(committed.error());
}

}  // namespace mx::mapc
