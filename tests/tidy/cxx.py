"""Finds functions in C++ as clang-format leaves it, and in Python: (name, first line, last
line)."""

import ast
import re

TOKEN = re.compile(
    r'//[^\n]*|/\*.*?\*/'                                   # comments
    r'|R"(?P<mark>[^(\s]*)\(.*?\)(?P=mark)"'                # raw strings
    r'|"(?:\\.|[^"\\\n])*"'                                 # strings
    r"|(?<![0-9a-fA-F])'(?:\\.|[^'\\\n])+'"                 # characters, but not 1'000
    r"|^[ \t]*#(?:\\\n|[^\n])*",                            # preprocessor
    re.S | re.M)

SCOPE = re.compile(r"\b(namespace|class|struct|union|extern)\b")
ASSIGNMENT = re.compile(r"(?<![=!<>])=(?!=)")


def blank(text):
    """The text with comments, literals and preprocessor lines blanked; every newline stays."""
    return TOKEN.sub(lambda m: re.sub(r"[^\n]", " ", m.group()), text)


def without_template_heads(head):
    """Drops leading `template <...>`, whose `=` are not initialisers."""
    while start := re.match(r"\s*template\s*<", head):
        depth, at = 1, start.end()
        while at < len(head) and depth:
            depth += {"<": 1, ">": -1}.get(head[at], 0)
            at += 1
        head = head[at:]
    return head


def is_function(head):
    """Does a `{` after this text, at namespace or class level, open the body of a function?"""
    head = without_template_heads(head)
    if "(" not in head or re.match(r"\s*(inline\s+)?namespace\b", head):
        return False
    flat, depth = [], 0
    for c in re.sub(r"operator\s*(\(\)|[^\s(]+)", "operator", head):
        depth -= c == ")"
        if depth == 0:
            flat.append(c)
        depth += c == "("
    flat = "".join(flat)
    if re.match(r"\s*(class|struct|union|enum)\b[^()]*$", flat):
        return False
    return not ASSIGNMENT.search(flat)


def function_name(head):
    head = without_template_heads(head)
    found = re.search(r"([\w:~]+|operator\s*\S+?)\s*\(", head)
    return found.group(1).strip() if found else "function"


def functions(text):
    """Every function of a C++ file, from the first line of its declaration to its closing brace."""
    code = blank(text)
    found, start, at = [], 0, 0
    while at < len(code):
        c = code[at]
        if c == "{":
            head = code[start:at]
            if is_function(head):
                end = matching_brace(code, at)
                first = start + len(head) - len(head.lstrip())
                after = re.compile(r"\s*(.?)", re.S).match(code, end + 1).group(1)
                if after not in (",", "{"):  # `a_{1}, b_{2} {`: a constructor's initialisers
                    found.append((function_name(head), line_of(code, first), line_of(code, end)))
                    start = end + 1
                at = end
            else:
                head = without_template_heads(head)
                if SCOPE.search(head) and not ASSIGNMENT.search(head):
                    start = at + 1
                else:
                    at = matching_brace(code, at)
        elif c in ";}":
            start = at + 1
        elif c == ":" and re.search(r"\b(public|private|protected)\s*$", code[start:at]):
            start = at + 1
        at += 1
    return found


def matching_brace(code, at):
    depth = 0
    for i in range(at, len(code)):
        depth += (code[i] == "{") - (code[i] == "}")
        if depth == 0:
            return i
    return len(code) - 1


def line_of(code, at):
    return code.count("\n", 0, at) + 1


def python_functions(text):
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)):
            yield node.name, node.lineno, node.end_lineno
