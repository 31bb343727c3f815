#!/usr/bin/env python3
"""Tidy must find what it is for: a small tree with one violation of each rule, and one without
any."""

import pathlib
import sys
import tempfile

import cxx
import tidy

LONG_BODY = "".join(f"  call({i});\n" for i in range(70))

CLEAN = {
    "README.md": "# x\n[proto](proto/README.md)\n",
    "proto/README.md": "what\n",
    "proto/base/README.md": "what\n",
    "proto/base/a.h": "#pragma once\n#include <cstddef>\n",
    "proto/base/a.cc": '#include "proto/base/a.h"\n',
    "tools/README.md": "what\n",
    "tools/man/README.md": "what\n",
    "tools/mxq.cc": 'app.add_option("-p,--print", x);\n',
    "tools/man/mxq.1": ".B \\-p ,\n.B \\-\\-print\n",
    "tests/README.md": "what\n",
    "tests/fuzz/README.md": "what\n",
    "tests/fuzz/base_a_fuzz.cc": "int x;\n",
    "tests/fuzz/corpus/base_a/one": "\t TO" "DO",
}

# (what is added to the clean tree, what must be said of it)
DIRTY = [
    ({"proto/base/b.cc": "int a;\t\n"}, "tab"),
    ({"proto/base/b.cc": "int a; \n"}, "blank at the end"),
    ({"proto/base/b.cc": "// TO" "DO: more\n"}, "unfinished work"),
    ({"proto/base/b.cc": "// see ../share" "d/notes.md\n"}, "outside the project"),
    ({"proto/base/b.cc": "// see /wor" "k/main\n"}, "outside the project"),
    ({"proto/base/b.cc": "int a;"}, "no newline"),
    ({"proto/base/b.cc": ""}, "empty"),
    ({"proto/base/b.cc": "//" + "x" * 99 + "\n"}, "101 columns"),
    ({"proto/base/b.cc": "//\n" * 601}, "601 lines"),
    ({"tools/mxq.cc": "//\n" * 201}, "201 lines"),
    ({"proto/base/b.cc": "int f() {\n" + LONG_BODY + "}\n"}, "f has 72 lines"),
    ({"proto/base/b.py": "def f():\n" + LONG_BODY}, "f has 71 lines"),
    ({"proto/base/b.h": "int a;\n"}, "no #pragma once"),
    ({"proto/base/b.h": "#pragma once\n"}, "nobody includes"),
    ({"proto/base/b.cc": "#include <thread>\n"}, "below the engine"),
    ({"proto/base/b.cc": "#include <sys/socket.h>\n"}, "below the engine"),
    ({"proto/base/b.cc": "#include <wolfssl/ssl.h>\n"}, "belongs to tls"),
    ({"proto/base/b.cc": '#include "a.h"\n'}, "not a path from the root"),
    ({"maps/README.md": "what\n", "maps/m.h": "#pragma once\n",
      "proto/base/b.cc": '#include "maps/m.h"\n'}, "proto/base may not include maps"),
    ({"engine/README.md": "what\n", "engine/shard/README.md": "what\n",
      "engine/io/README.md": "what\n", "engine/shard/s.h": "#pragma once\n",
      "engine/io/b.cc": '#include "engine/shard/s.h"\n'}, "engine/io may not include engine/shard"),
    ({"maps/m.cc": "int a;\n"}, "no README.md"),
    ({"tests/fuzz/base_b_fuzz.cc": "int a;\n"}, "no inputs"),
    ({"tests/fuzz/corpus/base_b/one": "x"}, "no target"),
    ({"tests/unit/README.md": "what\n", "tests/unit/base/a.cc": "int a;\n"}, "not a unit test"),
    ({"tools/mxz.cc": "int a;\n"}, "no tools/man/mxz.1"),
    ({"tools/mxq.cc": 'app.add_flag("--new", x);\n'}, "does not speak of mxq --new"),
    ({"README.md": "[x](nowhere.md)\n"}, "which is not there"),
]

FUNCTIONS = '''
namespace a {
constexpr int kTable[] = {1, 2};  // { a comment
template <typename T = int>
struct S : B {
  explicit S(int a) : a_{a}, b_("}") {
    if (a) { b(); }
  }
  bool operator==(const S&) const = default;
  S& operator=(const S& o) { return *this; }
 private:
  int a_ = 1'000;
  int b_{0};
};
enum class E : char { x, y };
auto g(char c = '{') -> int {
  auto l = [&](int x) { return x; };
  return l(c);
}
}
'''


def write(root, files):
    for name, text in files.items():
        path = pathlib.Path(root, name)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)


def found_in(files):
    with tempfile.TemporaryDirectory(prefix="tidy") as root:
        write(root, files)
        return tidy.check(root)


def main():
    failures = []
    if found := found_in(CLEAN):
        failures.append(f"the clean tree: {found}")
    for added, wanted in DIRTY:
        found = found_in(CLEAN | added)
        if not any(wanted in violation for violation in found):
            failures.append(f"{wanted!r} not found, but {found}")
    functions = [name for name, _, _ in cxx.functions(FUNCTIONS)]
    if functions != ["S", "operator=", "g"]:
        failures.append(f"functions: {functions}")
    print("\n".join(failures) or f"{len(DIRTY)} violations found, as they should be")
    return 1 if failures else 0


if __name__ == "__main__":
    sys.exit(main())
