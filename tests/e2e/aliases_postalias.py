"""mapc --aliases reads an aliases(5) source as Debian's postalias does: the same names, the same
values byte for byte, and for the same lines the same complaints. The corpus is generated (fixed
seeds) out of pieces that mean something to an RFC 822 reader.
"""

import pathlib
import random
import re
import shutil
import subprocess
import sys
import tempfile

from rig import BIN, need_program

POSTALIAS = need_program("postalias")
WORDS = ["root", "B", "a.b", "x\\ y", '"q r"', '"q\\"s"', "[1.2]", "[a\\]b", "(c)", "(c(d)e)"]
WORDS += ["/f", ":include:/l"]
WORDS += ['"|cmd \\"a\\" b"', "é", "\x01", "#h", '"a:b"', '"a@b"', '""', "u@d.tld"]
PIECES = WORDS + list("|!%@,;:<>.()[]\"\\") + ["\\" * 2]
NAMES = ["name", "Name", "two words", '"quoted"', "k\\ ", "x(y)", "dot.", "<", "[", "at@", "c,"]
# Entries that postalias adds by itself, and the empty name: it stores that and never finds it.
OWN = ["@", "YP_LAST_MODIFIED", "YP_MASTER_NAME", ""]


def line(rng):
    name = rng.choice(NAMES) + str(rng.randrange(1000))
    words = (rng.choice(PIECES) + rng.choice(["", " ", "\t"]) for _ in range(rng.randrange(7)))
    text = name + rng.choice([":", ": ", " : ", ":\t", ""]) + "".join(words)
    # White space at the end of a line is dropped by mapc; postalias keeps it in an open quote.
    return (rng.choice([" ", "\t"]) if rng.random() < 0.1 else "") + text.rstrip()


def run(*args, **options):
    return subprocess.run([str(a) for a in args], capture_output=True, **options)


def entries(output, separator):
    """As a dictionary; no byte of a name or value gets lost."""
    lines = output.decode("utf-8", "surrogateescape").split("\n")
    return dict(line.split(separator, 1) for line in lines if separator in line)


def complaints(text):
    found = re.findall(r"line (\d+): (.*)", text.decode("utf-8", "surrogateescape"))
    # postalias names no line for duplicates and for a continuation without a start.
    ours_only = ("duplicate", "logical line", "empty name")
    return [(number, words) for number, words in found if not words.startswith(ours_only)]


def check(folder, seed):
    rng = random.Random(seed)
    path = folder / f"aliases{seed}"
    path.write_text("\n".join(["first: x", *(line(rng) for _ in range(300)), "last: x"]) + "\n")
    theirs = run(POSTALIAS, "-c", folder, f"hash:{path}", check=True)
    ours = run(BIN / "mapc", "--aliases", f"hash:{path}", check=True)
    assert complaints(ours.stderr) == complaints(theirs.stderr), (ours.stderr, theirs.stderr)
    duplicates = [len(re.findall(b"duplicate entry", run.stderr)) for run in (ours, theirs)]
    assert duplicates[0] == duplicates[1], duplicates

    dump = run(POSTALIAS, "-c", folder, "-s", f"hash:{path}", check=True).stdout
    expected = {key: value for key, value in entries(dump, ":\t").items() if key not in OWN}
    assert len(expected) > 50, len(expected)
    dumped = entries(run(BIN / "mapc", "-s", f"hash:{path}", check=True).stdout, "\t")
    assert dumped == expected, sorted(set(dumped.items()) ^ set(expected.items()))[:4]

    keys = [*expected, *(key.upper() for key in expected), "absent", "first", "LAST"]
    asked = "".join(key + "\n" for key in keys).encode("utf-8", "surrogateescape")
    theirs = run(POSTALIAS, "-c", folder, "-q", "-", f"hash:{path}", input=asked)
    ours = run(BIN / "mapc", "-q", "-", f"hash:{path}", input=asked)
    assert ours.returncode == theirs.returncode == 0, ours.stderr
    assert entries(ours.stdout, "\t") == entries(theirs.stdout, ":\t")
    return len(expected)


def main():
    folder = pathlib.Path(tempfile.mkdtemp(prefix="aliases-"))
    (folder / "main.cf").write_text("compatibility_level = 3.6\nsmtputf8_enable = no\n")
    (folder / "master.cf").touch()
    count = sum(check(folder, seed) for seed in range(20))
    print(f"{count} aliases: mapc and postalias agree")
    shutil.rmtree(folder)


if __name__ == "__main__":
    sys.exit(main())
