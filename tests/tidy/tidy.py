#!/usr/bin/env python3
"""Keeps the rules that a compiler does not: tidy.py ROOT prints each violation as file:line: text.

Who may include whom (layers.py), how big a file or function may be, what may not stand in the
tree, and that what belongs together is there together: a folder and its README.md, a fuzz target
and its corpus, a program and its manual page, a link and its target. There are no exemptions; a
rule that does not fit is changed here.
"""

import pathlib
import re
import sys

import cxx
import layers

SOURCE = {".cc", ".h"}
TEXT = SOURCE | {".py", ".sh", ".md", ".txt", ".cmake", ".json", ".1", ".5", ".8", ""}
LINES_MAX = {".cc": 600, ".h": 300, ".py": 600, ".sh": 300}
FUNCTION_LINES_MAX = 70
COLUMNS_MAX = 100
MAIN_LINES_MAX = 200  # a program in tools/ is a main that puts library parts together

# Written in two halves, so that this file does not find itself.
UNFINISHED = re.compile(r"\b(" + "|".join(["TO" "DO", "FIX" "ME", "XX" "X", "HA" "CK"]) + r")\b")
ELSEWHERE = re.compile("share" r"d/|(?<![\w.])/(wor" r"k|home|root)/")

# How CLI11 is told of an option.
OPTION = re.compile(r'add_(?:option|flag)(?:_function)?\s*\(\s*"([^"]+)"')

# What is kept byte for byte as it came from elsewhere, or is input rather than text of ours.
VERBATIM = ("tests/fixtures/", "tests/fuzz/corpus/", "LICENSE")
# The README.md of these speaks for their subfolders as well.
SPEAKS_FOR_SUBFOLDERS = ("tests/unit", "tests/fuzz", "tests/scenario", "tests/fixtures")


class Tree:
    """The files of the project with their text, and the violations found so far."""

    def __init__(self, root):
        self.root = pathlib.Path(root).resolve()
        self.found = []
        self.files = {}
        for path in sorted(self.root.rglob("*")):
            name = path.relative_to(self.root).as_posix()
            if re.match(r"(build|\.git|\.cache)(/|$)|.*__pycache__", name) or not path.is_file():
                continue
            verbatim = name.startswith(VERBATIM)
            self.files[name] = None if verbatim else path.read_bytes().decode("utf-8", "replace")

    def text(self, suffixes):
        """(name, text) of our own files with one of these suffixes."""
        for name, text in self.files.items():
            if text is not None and pathlib.PurePath(name).suffix in suffixes:
                yield name, text

    def names(self, pattern):
        return [name for name in self.files if re.fullmatch(pattern, name)]

    def say(self, name, line, text):
        self.found.append(f"{name}:{line}: {text}")


def check_text(tree):
    for name, text in tree.text(TEXT):
        if text == "":
            tree.say(name, 1, "the file is empty")
        if text and not text.endswith("\n"):
            tree.say(name, text.count("\n") + 1, "no newline at the end")
        for number, line in enumerate(text.split("\n"), 1):
            if "\t" in line:
                tree.say(name, number, "tab")
            if line != line.rstrip():
                tree.say(name, number, "blank at the end of the line")
            if found := UNFINISHED.search(line):
                tree.say(name, number, f"unfinished work: {found.group()}")
            if found := ELSEWHERE.search(line):
                tree.say(name, number, f"a place outside the project: {found.group()}")


def is_shell(name, text):
    return name.endswith(".sh") or text.startswith(("#!/usr/bin/env bash", "#!/bin/sh"))


def check_sizes(tree):
    for name, text in tree.text(TEXT):
        suffix = ".sh" if is_shell(name, text) else pathlib.PurePath(name).suffix
        if suffix not in LINES_MAX:
            continue
        lines = text.count("\n")
        limit = LINES_MAX[suffix]
        if re.fullmatch(r"tools/\w+\.cc", name):
            limit = MAIN_LINES_MAX
        if lines > limit:
            tree.say(name, lines, f"{lines} lines; at most {limit}")
        for number, line in enumerate(text.split("\n"), 1):
            if len(line) > COLUMNS_MAX:
                tree.say(name, number, f"{len(line)} columns; at most {COLUMNS_MAX}")
        if suffix in SOURCE:
            functions = cxx.functions(text)
        elif suffix == ".py":
            functions = cxx.python_functions(text)
        else:
            functions = []
        for function, first, last in functions:
            if last - first + 1 > FUNCTION_LINES_MAX:
                tree.say(name, first, f"{function} has {last - first + 1} lines; "
                         f"at most {FUNCTION_LINES_MAX}")


def check_includes(tree):
    included = set()
    for name, text in tree.text(SOURCE):
        for number, line in enumerate(text.split("\n"), 1):
            if quoted := re.match(r'\s*#\s*include\s*"([^"]+)"', line):
                included.add(quoted.group(1))
                if quoted.group(1) not in tree.files:
                    tree.say(name, number, f"{quoted.group(1)} is not a path from the root")
                elif not layers.may_include(name, quoted.group(1)):
                    tree.say(name, number, f"{layers.layer(name)} may not include "
                             f"{layers.layer(quoted.group(1))}")
            elif angled := re.match(r"\s*#\s*include\s*<([^>]+)>", line):
                if problem := layers.refuses_outside(name, angled.group(1)):
                    tree.say(name, number, problem)
        if name.endswith(".h") and "#pragma once" not in text:
            tree.say(name, 1, "no #pragma once")
    for name, _ in tree.text({".h"}):
        if name not in included:
            tree.say(name, 1, "nobody includes this header")


def check_folders(tree):
    folders = {p.as_posix() for name in tree.files for p in pathlib.PurePath(name).parents}
    for folder in sorted(folders - {"."}):
        if folder.startswith(".") or f"{folder}/README.md" in tree.files:
            continue
        if not folder.startswith(tuple(f"{parent}/" for parent in SPEAKS_FOR_SUBFOLDERS)):
            tree.say(folder, 1, "no README.md")
    if "README.md" not in tree.files:
        tree.say("README.md", 1, "no README.md")


def check_fuzz(tree):
    sources = tree.names(r"tests/fuzz/\w+_fuzz\.cc")
    targets = {re.sub(r".*/(\w+)_fuzz\.cc", r"\1", name) for name in sources}
    corpora = {n.split("/")[3] for n in tree.names(r"tests/fuzz/corpus/.+")}
    for target in sorted(targets - corpora):
        tree.say(f"tests/fuzz/{target}_fuzz.cc", 1, f"no inputs in tests/fuzz/corpus/{target}")
    for corpus in sorted(corpora - targets):
        tree.say(f"tests/fuzz/corpus/{corpus}", 1, f"no target tests/fuzz/{corpus}_fuzz.cc")


def check_tests_are_run(tree):
    """A file that no glob of the build matches is dead."""
    for name in tree.names(r"tests/unit/.+\.cc"):
        if not re.fullmatch(r"tests/unit/\w+/\w+_test\.cc", name):
            tree.say(name, 1, "not a unit test: tests/unit/LAYER/NAME_test.cc")
    for name in tree.names(r"tests/scenario/.+"):
        if not re.fullmatch(r".*/(README\.md|CMakeLists\.txt|run\.cc|\w+\.smtp)", name):
            tree.say(name, 1, "not a scenario: tests/scenario/NAME.smtp")


def check_manuals(tree):
    """Each program of tools/ has a manual page that names each of its options."""
    for name in tree.names(r"tools/\w+\.cc"):
        tool = pathlib.PurePath(name).stem
        pages = tree.names(rf"tools/man/{tool}\.[18]")
        if not pages:
            tree.say(name, 1, f"no tools/man/{tool}.1")
            continue
        page = re.sub(r"\\f.", " ", tree.files[pages[0]].replace("\\-", "-"))
        for names in re.findall(OPTION, tree.files[name]):
            for option in names.split(","):
                if option.startswith("-") and not re.search(rf"(?<![\w-]){option}(?![\w-])", page):
                    tree.say(pages[0], 1, f"does not speak of {tool} {option}")


def check_links(tree):
    for name, text in tree.text({".md"}):
        for number, line in enumerate(text.split("\n"), 1):
            for target in re.findall(r"\]\(([^)#\s]+)[^)]*\)", line):
                if re.match(r"\w+:", target):
                    continue
                path = (tree.root / name).parent / target
                if not path.exists():
                    tree.say(name, number, f"link to {target}, which is not there")


def check(root):
    tree = Tree(root)
    for rule in (check_text, check_sizes, check_includes, check_folders, check_fuzz,
                 check_tests_are_run, check_manuals, check_links):
        rule(tree)
    return tree.found


def main():
    found = check(sys.argv[1])
    for violation in found:
        print(violation)
    print(f"{len(found)} violations")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
