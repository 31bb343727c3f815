"""mapc answers as Debian's postmap does: the same source, the same keys, the same values, and for
the same lines of the source the same complaints. The corpus is generated (fixed seeds) and nasty on
purpose.
"""

import itertools
import pathlib
import random
import re
import shutil
import subprocess
import sys
import tempfile

from rig import BIN, need_program

POSTMAP = need_program("postmap")
LOCALS = ["user", "User", "a.b", "x+y", '"a b"', "a\\ b", "postmaster", "o'neil", "#hash", "k:"]
DOMAINS = ["@example.org", "@EXAMPLE.org", "@[192.0.2.1]", "", "@sub.example.net", ".example.org"]
VALUES = ["OK", "OK  two  words", "550 no # such", "value with trailing \t ", '"quoted"', "x:y", ""]


def source(rng, lines):
    out = []
    for _ in range(lines):
        kind = rng.random()
        key = rng.choice(LOCALS) + str(rng.randrange(lines // 4)) + rng.choice(DOMAINS)
        if kind < 0.05:
            out.append(rng.choice(["", "   ", "# comment", "  # indented", "\t"]))
        elif kind < 0.10:
            out.append(rng.choice([" continued", "\tmore text", "  # not text"]))
        elif kind < 0.13:
            out.append(f'"unbalanced{key} value')
        else:
            out.append(key + rng.choice([" ", "\t", "   "]) + rng.choice(VALUES))
        if rng.random() < 0.05 and kind >= 0.13:
            out[-1] += "\r"
    continued = False
    # Blanks before a continuation: postmap keeps them inside the value, ringmx does not.
    for i, line in reversed(list(enumerate(out))):
        text = line.strip()
        if continued and text and not text.startswith("#"):
            out[i] = line.rstrip()
        if text and not text.startswith("#"):
            continued = line[0].isspace()
    return "\n".join(out) + "\n"


def run(*args, **options):
    return subprocess.run([str(a) for a in args], capture_output=True, text=True, **options)


def complaints(text):
    """Line numbers and words, and duplicates by themselves: postmap names no line for them."""
    numbered = re.findall(r"line (\d+): (?!duplicate)(.*)", text)
    return numbered, sorted(re.findall(r'duplicate entry: "(.*)"', text))


def same(ours, theirs):
    """The first difference says more than both lists."""
    for pair in itertools.zip_longest(ours, theirs):
        assert pair[0] == pair[1], pair


def check(folder, seed):
    rng = random.Random(seed)
    path = folder / f"source{seed}"
    path.write_text(source(rng, 400))
    theirs = run(POSTMAP, "-c", folder, f"hash:{path}", check=True)
    ours = run(BIN / "mapc", f"hash:{path}", check=True)
    same(complaints(ours.stderr), complaints(theirs.stderr))

    dump = run(POSTMAP, "-c", folder, "-s", f"hash:{path}", check=True).stdout
    keys = [line.split("\t")[0] for line in dump.split("\n") if line]
    assert len(keys) > 100
    assert sorted(dump.splitlines()) == sorted(
        run(BIN / "mapc", "-s", f"hash:{path}", check=True).stdout.splitlines())
    keys += [key.upper() for key in keys] + ["absent", "@example.org", "user1@example.orgx"]
    asked = "\n".join(keys) + "\n"
    theirs = run(POSTMAP, "-c", folder, "-q", "-", f"hash:{path}", input=asked)
    ours = run(BIN / "mapc", "-q", "-", f"hash:{path}", input=asked)
    same(ours.stdout.split("\n"), theirs.stdout.split("\n"))
    assert ours.returncode == theirs.returncode == 0

    for key in [keys[0], keys[1], "absent"]:
        theirs = run(POSTMAP, "-c", folder, "-q", key, f"hash:{path}")
        ours = run(BIN / "mapc", "-q", key, f"hash:{path}")
        assert (ours.returncode, ours.stdout) == (theirs.returncode, theirs.stdout), key
    return len(keys)


def asked_alike(folder, table, keys):
    """Values and exit status, for each key by itself and for all of them on standard input."""
    asked = "".join(key + "\n" for key in keys)
    theirs = run(POSTMAP, "-c", folder, "-q", "-", table, input=asked)
    ours = run(BIN / "mapc", "-q", "-", table, input=asked)
    assert ours.returncode == theirs.returncode, (table, ours, theirs)
    assert ours.stdout == theirs.stdout, (table, ours, theirs)
    for key in keys:
        theirs = run(POSTMAP, "-c", folder, "-q", key, table)
        ours = run(BIN / "mapc", "-q", key, table)
        assert (ours.returncode, ours.stdout) == (theirs.returncode, theirs.stdout), (table, key)
    return len(keys)


def without_source(folder):
    """Tables that the configuration writes out or that the system has."""
    keys = ["a", "A", "b", "c d", "absent", "root", "ROOT", "nobody", "daemon", "x@y"]
    (folder / "small").write_text("a from hash\nroot too\n")
    run(POSTMAP, "-c", folder, f"hash:{folder}/small", check=True)
    run(BIN / "mapc", f"hash:{folder}/small", check=True)
    tables = ["inline:{a=b}", "inline:{a=b, b=c}", "inline:{ a=b, {b = two words} }",
              "inline:{A=upper,a=lower}", "static:value", "static:{two words}", "static:OK",
              "unix:passwd.byname", "unix:group.byname",
              "unionmap:{inline:{a=1},static:2}", "unionmap:{static:1,inline:{b=2},static:3}",
              "unionmap:{inline:{a=1},inline:{b=2}}",
              f"unionmap:{{hash:{folder}/small, unix:passwd.byname}}",
              f"unionmap:{{unionmap:{{inline:{{a=1}},static:x}}, hash:{folder}/small}}"]
    count = sum(asked_alike(folder, table, keys) for table in tables)
    for table in ["fail:x", "unionmap:{static:1,fail:x}"]:
        theirs = run(POSTMAP, "-c", folder, "-q", "a", table)
        ours = run(BIN / "mapc", "-q", "a", table)
        assert theirs.returncode == 1 and "query error" in theirs.stderr
        assert ours.returncode == 75 and "query error" in ours.stderr
        assert ours.stdout == theirs.stdout == ""
    for table in ["inline:{a}", "inline:{{c d = e}}", "inline:{a=b", "unionmap:{}",
                  "unionmap:static:x", "static:", "unix:shadow.byname"]:
        theirs = run(POSTMAP, "-c", folder, "-q", "a", table)
        ours = run(BIN / "mapc", "-q", "a", table)
        assert theirs.returncode != 0 and ours.returncode != 0, (table, theirs, ours)
        assert ours.stdout == theirs.stdout == "", table
    return count


def main():
    folder = pathlib.Path(tempfile.mkdtemp(prefix="mapc-"))
    (folder / "main.cf").write_text("compatibility_level = 3.6\nsmtputf8_enable = no\n")
    (folder / "master.cf").touch()
    count = sum(check(folder, seed) for seed in range(16))
    count += without_source(folder)
    print(f"{count} keys: mapc and postmap agree")
    shutil.rmtree(folder)


if __name__ == "__main__":
    sys.exit(main())
