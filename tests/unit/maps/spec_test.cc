#include "maps/spec.h"

#include <gtest/gtest.h>

#include "proto/base/limits.h"

namespace mx::maps {
namespace {

using Entries = std::vector<std::pair<std::string, std::string>>;

TableSpec read(std::string_view text) {
  auto spec = parse_table_spec(text);
  EXPECT_TRUE(spec) << text << ": " << (spec ? "" : spec.error());
  return std::move(spec).value_or(TableSpec{});
}

std::string error_of(std::string_view text) {
  const auto spec = parse_table_spec(text);
  EXPECT_FALSE(spec) << text;
  return spec ? "" : spec.error();
}

bool refuses(std::string_view text, std::string_view words) {
  return error_of(text).find(words) != std::string::npos;
}

TEST(TableSpec, takes_every_type_of_postmap_source) {
  for (const std::string type : {"hash", "btree", "lmdb", "cdb", "texthash"}) {
    const TableSpec spec = read(type + ":/etc/x");
    EXPECT_EQ(spec.kind, TableKind::compiled);
    EXPECT_EQ(spec.text(), type + ":/etc/x");
    EXPECT_TRUE(spec.has_path());
  }
}

TEST(TableSpec, reads_through_proxy) {
  const TableSpec spec = read("proxy:hash:/etc/a:b");
  EXPECT_EQ(spec.text(), "hash:/etc/a:b");
  EXPECT_EQ(spec.name, "/etc/a:b");
  EXPECT_TRUE(spec.proxied);
}

TEST(TableSpec, reads_pattern_tables_from_a_path_or_from_rules_in_braces) {
  EXPECT_EQ(read("cidr:/etc/x").kind, TableKind::cidr);
  EXPECT_TRUE(read("pcre:/etc/x").has_path());
  const TableSpec rules = read("cidr:{{192.0.2.0/24 OK} , { 0.0.0.0/0  no way },{}}");
  EXPECT_EQ(rules.source, "192.0.2.0/24 OK\n0.0.0.0/0  no way\n\n");
  EXPECT_FALSE(rules.has_path());
  EXPECT_EQ(read("regexp:{{/a{1}b/ OK}}").source, "/a{1}b/ OK\n");
  EXPECT_EQ(read("pcre:{}").source, "");
  EXPECT_TRUE(refuses("cidr:{192.0.2.0/24 OK}", "no '{' at start of \"192.0.2.0/24\""));
  EXPECT_TRUE(refuses("cidr:{{192.0.2.0/24 OK}", "missing '}'"));
  EXPECT_TRUE(refuses("regexp:{{/a}/ OK}}", "syntax error after '}'"));
}

// Every line with postmap(1) of Postfix 3.7.
TEST(TableSpec, reads_inline_entries_in_both_forms) {
  EXPECT_EQ(read("inline:{a=b}").entries, (Entries{{"a", "b"}}));
  EXPECT_EQ(read("inline:{,,a=b,, c=d,}").entries, (Entries{{"a", "b"}, {"c", "d"}}));
  EXPECT_EQ(read("inline:{ { a = b c, d } e=f}").entries, (Entries{{"a", "b c, d"}, {"e", "f"}}));
  EXPECT_EQ(read("inline:{{a={x} y}}").entries, (Entries{{"a", "{x} y"}}));
  EXPECT_EQ(read("inline:{a=b=c}").entries, (Entries{{"a", "b=c"}}));
  EXPECT_EQ(read("inline:{{a=$$x}}").entries, (Entries{{"a", "$$x"}}));
  EXPECT_EQ(read("inline:{{{a=b}}}").entries, (Entries{{"{a", "b}"}}));
  EXPECT_EQ(read("inline:{A=b, c=d, a=C}").entries, (Entries{{"a", "C"}, {"c", "d"}}))
      << "keys are folded, the last value of a key counts";
  EXPECT_EQ(read("inline:{{\"a b\" = c}}").entries, (Entries{{"\"a b\"", "c"}}));
  EXPECT_EQ(read("inline:{a=}").entries, (Entries{{"a", ""}}));
}

TEST(TableSpec, refuses_inline_entries_that_postmap_refuses) {
  EXPECT_TRUE(refuses("inline:{}", "empty table"));
  EXPECT_TRUE(refuses("inline:{ , }", "empty table"));
  EXPECT_TRUE(refuses("inline:{a}", "missing '=' after attribute name"));
  EXPECT_TRUE(refuses("inline:{ a = b, c=d }", "missing '=' after attribute name"));
  EXPECT_TRUE(refuses("inline:{{a b = c}}", "missing '=' after attribute name"));
  EXPECT_TRUE(refuses("inline:{{}, a=b}", "no key found; expected format: key = value"));
  EXPECT_TRUE(refuses("inline:{a=b", "missing '}'"));
  EXPECT_TRUE(refuses("inline:a=b}", "no '{'"));
  EXPECT_TRUE(refuses("inline:{a=b}x", "syntax error after '}'"));
  EXPECT_TRUE(refuses("inline:{{a=x}y=z}", "syntax error after '}' in \"{a=x}y=z\""));
  EXPECT_TRUE(refuses("inline:{{\"a=x}}", "unbalanced '\"'"));
  EXPECT_TRUE(refuses("inline:{=a}", "no key before '='"));
  EXPECT_TRUE(refuses("inline:{" + std::string(limits::table_key_bytes_max + 1, 'k') + "=v}",
                      "a key is too long"));
}

TEST(TableSpec, reads_static_values_with_and_without_braces) {
  EXPECT_EQ(read("static:v").value, "v");
  EXPECT_EQ(read("static:v w").value, "v w");
  EXPECT_EQ(read("static:{ v w }").value, "v w");
  EXPECT_EQ(read("static:{}").value, "");
  EXPECT_TRUE(refuses("static:{ v w ", "missing '}'"));
  EXPECT_TRUE(refuses("static:{v} x", "syntax error after '}'"));
  EXPECT_EQ(error_of("static:"), "table \"static:\" has no name");
  EXPECT_EQ(read("fail:why").kind, TableKind::failing);
  EXPECT_EQ(error_of("fail:"), "table \"fail:\" has no name");
}

TEST(TableSpec, reads_unions_and_normalises_the_names_in_them) {
  const TableSpec spec = read("unionmap:{ proxy:hash:/a  unionmap:{static:{x y} , inline:{k=v}} }");
  ASSERT_EQ(spec.parts.size(), 2U);
  EXPECT_TRUE(spec.parts[0].proxied);
  EXPECT_FALSE(spec.proxied);
  ASSERT_EQ(spec.parts[1].parts.size(), 2U);
  EXPECT_EQ(spec.parts[1].parts[0].value, "x y");
  EXPECT_EQ(spec.text(), "unionmap:{hash:/a,unionmap:{static:{x y},inline:{k=v}}}");
  EXPECT_EQ(read(spec.text()).text(), spec.text());
  EXPECT_TRUE(refuses("unionmap:{}", "no table in it"));
  EXPECT_TRUE(refuses("unionmap:{foo}", "table \"foo\" has no type"));
  EXPECT_TRUE(refuses("unionmap:{foo:bar}", "unknown table type \"foo\""));
  EXPECT_TRUE(refuses("unionmap:{static:a, {inline:{a=b}}}", "unknown table type \"{inline\""));
  EXPECT_TRUE(refuses("unionmap:static:a", "no '{'"));
  EXPECT_TRUE(refuses("unionmap:{static:a", "missing '}'"));
  EXPECT_TRUE(refuses("unionmap:{static:a}x", "syntax error after '}'"));
}

TEST(TableSpec, limits_depth_and_number_of_tables_in_a_union) {
  const auto nested = [](uint32_t depth) {
    std::string text = "static:x";
    for (uint32_t i = 0; i < depth; ++i) text = "unionmap:{" + text + "}";
    return text;
  };
  EXPECT_TRUE(parse_table_spec(nested(limits::table_spec_depth_max)));
  EXPECT_TRUE(refuses(nested(limits::table_spec_depth_max + 1), "nested too deep"));
  EXPECT_TRUE(refuses(nested(10'000), "nested too deep"));
  const auto wide = [](uint32_t count) {
    std::string text = "unionmap:{";
    for (uint32_t i = 0; i < count; ++i) text += "static:x ";
    return text + "}";
  };
  EXPECT_TRUE(parse_table_spec(wide(limits::table_spec_parts_max)));
  EXPECT_TRUE(refuses(wide(limits::table_spec_parts_max + 1), "too many tables"));
}

TEST(TableSpec, knows_the_system_tables) {
  EXPECT_EQ(read("proxy:unix:passwd.byname").kind, TableKind::system);
  EXPECT_EQ(read("unix:group.byname").text(), "unix:group.byname");
  EXPECT_TRUE(refuses("unix:x", "these work: unix:passwd.byname, unix:group.byname"));
}

TEST(TableSpec, names_what_does_not_work) {
  EXPECT_EQ(
      error_of("ldap:/x"),
      "table \"ldap:/x\": type \"ldap\" is not read here: export it and compile: ldapsearch ... "
      "| awk ... | mapc --stdin hash:/path");
  for (const std::string type : {"mysql", "pgsql", "sqlite", "nis"})
    EXPECT_TRUE(refuses(type + ":/x", "| mapc --stdin hash:/path")) << type;
  for (const std::string type : {"tcp", "socketmap", "pipemap", "randmap", "memcache", "environ"})
    EXPECT_TRUE(refuses(type + ":x", "is not supported (" + type + ":x); these work: hash, "))
        << type;
  EXPECT_EQ(
      error_of("hsah:/x"),
      "unknown table type \"hsah\"; these work: hash, btree, lmdb, cdb, texthash, cidr, regexp, "
      "pcre, inline, static, unionmap, fail, unix");
  EXPECT_TRUE(refuses("HASH:/x", "unknown table type \"HASH\"")) << "types have their case";
  EXPECT_EQ(error_of("/x"), "table \"/x\" has no type: write hash:/path");
  EXPECT_EQ(error_of("hash:"), "table \"hash:\" has no path");
  EXPECT_EQ(error_of("cidr:"), "table \"cidr:\" has no path");
  EXPECT_TRUE(refuses("", "has no type"));
  EXPECT_TRUE(refuses("proxy:", "has no type"));
  EXPECT_TRUE(refuses("proxy:proxy:hash:/x", "proxy: stands twice"));
  EXPECT_TRUE(refuses(std::string_view("hash:/x\0y", 9), "NUL"));
}

TEST(TableSpec, answers_every_prefix_of_a_name) {
  const std::string text =
      "proxy:unionmap:{cidr:{{10.0.0.0/8 a b}}, inline:{ {a = b} c=d}, static:{x}, proxy:hash:/p}";
  for (size_t size = 0; size < text.size(); ++size)
    EXPECT_FALSE(parse_table_spec(text.substr(0, size))) << size;
  EXPECT_TRUE(parse_table_spec(text));
}

TEST(looks_like_table, knows_addresses_from_tables) {
  EXPECT_TRUE(looks_like_table("hash:/x"));
  EXPECT_FALSE(looks_like_table("[::1]/128"));
  EXPECT_FALSE(looks_like_table("domain.tld"));
}

}  // namespace
}  // namespace mx::maps
