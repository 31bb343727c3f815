#include "maps/pattern.h"

#include <gtest/gtest.h>
#include <regex.h>

#include <array>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "proto/base/limits.h"
#include "proto/base/prng.h"

namespace mx::maps {
namespace {

struct Compiled {
  PatternTable table;
  std::string complaints;  // `3 ignored: text` lines
};

Compiled compile(PatternSyntax syntax, std::string_view source) {
  std::vector<SourceDiagnostic> diagnostics;
  Compiled out{PatternTable::compile(source, syntax, diagnostics), {}};
  for (const SourceDiagnostic& d : diagnostics) {
    const char* fault = d.fault == SourceFault::warning   ? " warning: "
                        : d.fault == SourceFault::ignored ? " ignored: "
                                                          : " limit: ";
    out.complaints += std::to_string(d.line) + fault + d.text + "\n";
  }
  return out;
}
Compiled regexp(std::string_view source) {
  return compile(PatternSyntax::regexp, source);
}
Compiled pcre(std::string_view source) {
  return compile(PatternSyntax::pcre, source);
}

std::string ask(const PatternTable& table, std::string_view key) {
  ValueText made;
  const Lookup lookup = table.find(key, made);
  if (lookup.outcome == Outcome::tempfail) return "tempfail";
  return lookup.is_hit() ? std::string(lookup.value) : "-";
}

TEST(PatternTable, first_pattern_that_matches_decides) {
  for (const auto syntax : {PatternSyntax::regexp, PatternSyntax::pcre}) {
    const Compiled c = compile(syntax,
                               "# comment\n"
                               "/^root@/ REJECT  not  here\n"
                               "/example\\.ORG$/\n"
                               "   OK\n"
                               "!/@/ 550 no domain\n"
                               "=a/b=i case\n"
                               "/^/ rest");
    EXPECT_EQ(c.complaints, "");
    EXPECT_EQ(c.table.rule_count(), 5U);
    EXPECT_EQ(ask(c.table, "ROOT@x"), "REJECT  not  here");
    EXPECT_EQ(ask(c.table, "a@Example.org"), "OK");
    EXPECT_EQ(ask(c.table, "nobody"), "550 no domain");
    EXPECT_EQ(ask(c.table, "@a/b"), "case");
    EXPECT_EQ(ask(c.table, "@A/b"), "rest");
    EXPECT_EQ(ask(c.table, ""), "550 no domain");
  }
}

TEST(PatternTable, text_takes_in_what_groups_matched) {
  for (const auto syntax : {PatternSyntax::regexp, PatternSyntax::pcre}) {
    const Compiled c = compile(syntax,
                               "/^(.*)@(a|b)(c)?\\.org$/ $1 ${2}$(3)! $$1 $2_\n"
                               "/^(.*)@(a|b)(c)?\\.net$/ <${1}>$(2)[${3}] $$1\n"
                               "/^dollar$/ $$$$ 5$$\n");
    EXPECT_EQ(c.complaints,
              "1 warning: non-numeric replacement index \"2_\"\n"
              "1 ignored: bad replacement syntax: skipping this rule\n");
    EXPECT_EQ(ask(c.table, "x@ac.net"), "<x>a[c] $1");
    EXPECT_EQ(ask(c.table, "@b.net"), "<>b[] $1");
    EXPECT_EQ(ask(c.table, "dollar"), "$$ 5$");
  }
}

TEST(PatternTable, if_encloses_patterns_and_other_ifs) {
  for (const auto syntax : {PatternSyntax::regexp, PatternSyntax::pcre}) {
    const Compiled c = compile(syntax,
                               "if /a/\n"
                               "if !/b/\n"
                               "/c/ 1\n"
                               "ENDIF\n"
                               "/d/ 2\n"
                               "endif\n"
                               "/c/ 3\n"
                               "if /z/\n"
                               "/zz/ 4\n");
    EXPECT_EQ(c.complaints, "8 warning: IF has no matching ENDIF\n");
    EXPECT_EQ(c.table.rule_count(), 4U);
    EXPECT_EQ(ask(c.table, "ac"), "1");
    EXPECT_EQ(ask(c.table, "abc"), "3");
    EXPECT_EQ(ask(c.table, "abd"), "2");
    EXPECT_EQ(ask(c.table, "c"), "3");
    EXPECT_EQ(ask(c.table, "d"), "-");
    EXPECT_EQ(ask(c.table, "zz"), "4");
    EXPECT_EQ(ask(c.table, "z"), "-");
  }
}

TEST(PatternTable, regexp_has_a_second_pattern) {
  const Compiled c = regexp("/^(a+)/i!/b$/ not <$1>\n/^c/!/d/!/x/ y\n");
  EXPECT_EQ(c.complaints, "");
  EXPECT_EQ(ask(c.table, "aac"), "not <aa>");
  EXPECT_EQ(ask(c.table, "aab"), "-");
  EXPECT_EQ(ask(c.table, "c"), "!/x/ y");
}

TEST(PatternTable, options_toggle) {
  EXPECT_EQ(ask(regexp("/a/i x\n").table, "A"), "-");
  EXPECT_EQ(ask(regexp("/a\\(b\\)/x <$1>\n").table, "AB"), "<B>");
  EXPECT_EQ(ask(regexp("/^b$/ x\n").table, "a\nb"), "-");
  EXPECT_EQ(ask(regexp("/^b$/m x\n").table, "a\nb"), "x");
  EXPECT_EQ(ask(regexp("/a.b/m x\n").table, "a\nb"), "-");
  EXPECT_EQ(ask(pcre("/a/i x\n").table, "A"), "-");
  EXPECT_EQ(ask(pcre("/^b$/m x\n").table, "a\nb"), "x");
  EXPECT_EQ(ask(pcre("/a.b/ x\n").table, "a\nb"), "x");
  EXPECT_EQ(ask(pcre("/a.b/s x\n").table, "a\nb"), "-");
  EXPECT_EQ(ask(pcre("/a b/x x\n").table, "ab"), "x");
  EXPECT_EQ(ask(pcre("/b/A x\n").table, "ab"), "-");
  EXPECT_EQ(ask(pcre("/b$/ x\n").table, "b\n"), "x");
  EXPECT_EQ(ask(pcre("/b$/E x\n").table, "b\n"), "-");
  EXPECT_EQ(ask(pcre("/(a+)/U $1\n").table, "aa"), "a");
  EXPECT_EQ(pcre("/a/X x\n").complaints, "1 warning: ignoring obsolete regexp option \"X\"\n");
}

constexpr std::string_view faulty =
    "/q/ok x\n/a\n!\n!/x/ $1\n/empty/\n/q(a)/ $0\n/q(a)/ $\n/q(a)/ ${1\n/q(a)/ $2\nfoo bar\nendif\n"
    "if /x/ extra\nendif foo\nIFX\n";

// The words are those of Debian's postmap for the same source.
TEST(PatternTable, complains_as_postfix_does) {
  const auto expected = [](const char* delimiter, const char* range) {
    return "1 ignored: unknown regexp option \"o\": skipping this rule\n"
           "2 ignored: no closing regexp delimiter \"/\": " +
           std::string(delimiter) +
           " this rule\n"
           "3 ignored: no regexp: skipping this rule\n"
           "4 ignored: $number found in negative match replacement text: skipping this rule\n"
           "5 warning: no replacement text: using empty string\n"
           "6 warning: " +
           range +
           " replacement index \"0\"\n"
           "6 ignored: bad replacement syntax: skipping this rule\n"
           "7 warning: empty macro name: \"$\"\n"
           "7 ignored: bad replacement syntax: skipping this rule\n"
           "8 warning: truncated macro reference: \"${1\"\n"
           "8 ignored: bad replacement syntax: skipping this rule\n"
           "9 ignored: out of range replacement index \"2\": skipping this rule\n"
           "10 ignored: ignoring unrecognized request\n"
           "11 ignored: ignoring ENDIF without matching IF\n"
           "12 warning: ignoring extra text after IF statement: \"extra\"\n"
           "12 warning: do not prepend whitespace to statements between IF and ENDIF\n"
           "13 warning: ignoring extra text after ENDIF\n"
           "14 ignored: ignoring unrecognized request\n";
  };
  EXPECT_EQ(regexp(faulty).complaints, expected("skipping", "out-of-range"));
  EXPECT_EQ(pcre(faulty).complaints, expected("ignoring", "out of range"));
  EXPECT_EQ(ask(regexp(faulty).table, "empty"), "");
  EXPECT_EQ(regexp(" /a/ b\n").complaints,
            "1 ignored: logical line must not start with whitespace: \" /a/ b\"\n");
  EXPECT_EQ(regexp("/(/ x\n/a{b/ x\n").complaints,
            "1 ignored: Unmatched ( or \\(\n2 ignored: Unmatched \\{\n");
  EXPECT_EQ(pcre("/a**/ x\n/(/ x\n").complaints,
            "1 ignored: error in regex at offset 2: quantifier does not follow a repeatable item\n"
            "2 ignored: error in regex at offset 1: missing closing parenthesis\n");
}

TEST(PatternTable, endless_patterns_end) {
  const std::string key = std::string(1000, 'a') + "!";
  for (const char* source : {"/^(a+)+$/ x\n", "/^(a|aa)+$/ x\n", "/^(a*)*\\1b*$/ x\n"}) {
    EXPECT_EQ(ask(pcre(source).table, key), "tempfail") << source;
    EXPECT_EQ(ask(regexp(source).table, key), "tempfail") << source;
  }
  // An ordinary one does not come near.
  const std::string long_key = std::string(1023, 'x') + "@";
  EXPECT_EQ(ask(pcre("/^(.*)(.*)@$/ y\n").table, long_key), "y");
  EXPECT_EQ(ask(pcre("/^(?:x|y)*@$/ y\n").table, long_key), "y");
  EXPECT_EQ(ask(pcre("/(*UTF)^./ y\n").table, "\xFF"), "tempfail");
}

TEST(PatternTable, values_that_do_not_fit_are_tempfail) {
  const std::string long_text(limits::table_made_value_bytes_max - 1, 'v');
  const Compiled c = pcre("/^(.*)$/ ${1}" + long_text + "\n");
  EXPECT_EQ(ask(c.table, "a"), "a" + long_text);
  EXPECT_EQ(ask(c.table, "ab"), "tempfail");
}

TEST(PatternTable, more_than_we_take_is_a_limit) {
  const std::string many(limits::pattern_bytes_max + 1, 'a');
  EXPECT_NE(regexp("/" + many + "/ x\n").complaints.find("1 limit: pattern of"), std::string::npos);
  const std::string deep(limits::pattern_nesting_max + 1, '(');
  EXPECT_NE(regexp("/" + deep + "/ x\n").complaints.find("1 limit: "), std::string::npos);
  std::string groups, ifs;
  for (uint32_t i = 0; i <= limits::pattern_groups_max; ++i) groups += "(a)";
  EXPECT_NE(pcre("/" + groups + "/ $100\n").complaints.find("1 limit: "), std::string::npos);
  EXPECT_EQ(pcre("/" + groups + "/ $99\n").complaints, "");
  for (uint32_t i = 0; i <= limits::table_if_depth_max; ++i) ifs += "if /a/\n";
  EXPECT_NE(pcre(ifs).complaints.find("101 limit: "), std::string::npos);
  EXPECT_NE(regexp("/((a{30000}){30000}){30000}/ x\n").complaints.find("1 limit: too much"),
            std::string::npos);
}

TEST(PatternTable, answers_in_every_thread) {
  const Compiled c = pcre("/^(.)x/ $1\n");
  std::vector<std::thread> threads;
  std::array<int, 4> wrong{};
  for (size_t t = 0; t < wrong.size(); ++t) {
    threads.emplace_back([&, t] {
      const std::string mine(1, static_cast<char>('a' + t));
      for (int i = 0; i < 2000; ++i) wrong[t] += ask(c.table, mine + "x") == mine ? 0 : 1;
    });
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(wrong, (std::array<int, 4>{}));
  (void)PatternTable::jit_available();
}

TEST(PatternTable, source_cut_at_every_byte_compiles) {
  const std::string source =
      "if !/x\\/y/i\n/^(a|b{1,2}[[:alpha:]-]*)\\<$/ $1 ${1} $$\nendif\n!/[^]\\]/ b\n";
  for (const auto syntax : {PatternSyntax::regexp, PatternSyntax::pcre}) {
    for (size_t size = 0; size <= source.size(); ++size)
      (void)ask(compile(syntax, source.substr(0, size)).table, "bbx");
  }
}

// --- POSIX expressions against the C library, which is what Postfix uses.

struct Posix {
  std::string error;  // regerror()'s words
  bool matches = false;
};

Posix posix(const std::string& pattern, const std::string& options, const std::string& text) {
  const auto has = [&](char c) { return options.find(c) != std::string::npos; };
  const int flags = (has('x') ? 0 : REG_EXTENDED) | (has('i') ? 0 : REG_ICASE) |
                    (has('m') ? REG_NEWLINE : 0) | REG_NOSUB;
  regex_t compiled;
  const int error = regcomp(&compiled, pattern.c_str(), flags);
  if (error != 0) {
    char words[200] = "";
    regerror(error, &compiled, words, sizeof words);
    return {words, false};
  }
  const bool matches = regexec(&compiled, text.c_str(), 0, nullptr, 0) == 0;
  regfree(&compiled);
  return {"", matches};
}

// Anchors stand only where the C library has no known faults with them: not in groups that are
// repeated, not beside one another.
constexpr const char* atoms[] = {
    "a",           "b",          "C",         "-",       "_",     ",",     "1",     " ",
    ".",           "*",          "+",         "?",       "{",     "}",     "(",     ")",
    "(",           ")",          "[",         "]",       "[^",    "|",     "\\",    "\\(",
    "\\)",         "\\{",        "\\}",       "\\|",     "\\w",   "\\W",   "\\s",   "\\S",
    "\\1",         "\\2",        "\\+",       "\\?",     "\\*",   "\\.",   "[ab]",  "[^a]",
    "[[:alpha:]]", "[[:upper:]", "[:lower:]", "[:foo:]", "[=a=]", "[.a.]", "[.-.]", "[a-c]",
    "[A-_]",       "[_-a]",      "[^-a]",     "[]a]",    "[a-]",  "[--a]", "a{2}",  "b{1,2}",
    "{,2}",        "{1,}",       "(a|ab)",    "()",      "\"",    "#",     "\xE9",  "\x01",
    "[\\]",        "[a\\b]",     "a*",        "(a*)*",   "\\<",   "\\>",   "\\b",   "\\B"};

TEST(PosixPatterns, match_and_fail_as_in_the_c_library) {
  Prng random(3);
  const auto pick = [&](std::string_view from) { return from[random.below(from.size())]; };
  size_t good = 0, bad = 0, matched = 0;
  for (int round = 0; round < 30'000; ++round) {
    std::string pattern = random.below(4) == 0 ? "^" : "";
    for (uint64_t n = 1 + random.below(6); n > 0; --n) {
      const std::string_view atom = atoms[random.below(std::size(atoms))];
      // After another anchor the C library reads on differently.
      if (atom.starts_with("\\") && std::string_view("<>bB").find(atom[1]) != atom.npos &&
          !pattern.empty()) {
        continue;
      }
      pattern += atom;
    }
    if (random.below(4) == 0) pattern += "$";
    std::string options;
    for (const char option : {'i', 'm', 'x'})
      if (random.below(3) == 0) options += option;
    if (pattern.find('/') != pattern.npos || pattern.ends_with('\\')) continue;

    const Compiled c = regexp("/" + pattern + "/" + options + " hit\n");
    const std::string error = posix(pattern, options, "").error;
    ASSERT_EQ(c.complaints, error.empty() ? "" : "1 ignored: " + error + "\n")
        << pattern << " " << options;
    ++(error.empty() ? good : bad);
    for (int i = 0; error.empty() && i < 6; ++i) {
      std::string text;
      for (uint64_t n = random.below(8); n > 0; --n)
        text += pick(random.below(2) == 0 ? "aabbcABC" : "-_,012 ]\\[\"x.*\xE9\x01^");
      const bool expected = posix(pattern, options, text).matches;
      ASSERT_EQ(ask(c.table, text), expected ? "hit" : "-")
          << pattern << " " << options << " " << text;
      if (expected) ++matched;
    }
  }
  EXPECT_GT(good, 10'000U);
  EXPECT_GT(bad, 5'000U);
  EXPECT_GT(matched, 10'000U);
}

TEST(PosixPatterns, groups_hold_what_the_leftmost_choice_matched) {
  // POSIX: foobar, the longest at that place.
  EXPECT_EQ(ask(regexp("/^(foo|foobar)(bar)?/ $1\n").table, "foobarbar"), "foo");
  EXPECT_EQ(ask(regexp("/^(foo|foobar)(bar)?$/ $1\n").table, "foobarbar"), "foobar");
}

}  // namespace
}  // namespace mx::maps
