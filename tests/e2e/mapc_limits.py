"""What mapc refuses and says: exit statuses, --strict, --max-shrink, --all, aliases, dumps and
progress on a terminal.
"""

import os
import pathlib
import pty
import pwd
import re
import shutil
import subprocess
import sys
import tempfile

from rig import BIN

MAPC = BIN / "mapc"


def mapc(folder, *args, status=0, **options):
    done = subprocess.run([str(a) for a in (MAPC, "-c", folder, *args)], capture_output=True,
                          text=True, **options)
    assert done.returncode == status, (args, done.returncode, done.stderr)
    return done


def write(folder, name, keys):
    (folder / name).write_text("".join(f"key{i} value{i}\n" for i in range(keys)))
    return f"hash:{folder / name}"


def usage(folder):
    table = write(folder, "usage", 1)
    for args in [(), ("--all", table), ("-q", "k", "-s", table), ("-q", "k", "--stdin", table),
                 ("--stdin", table, table), ("--stdin", "cidr:/x"), ("--max-shrink", "101", table),
                 ("--no-such", table), ("nosuchtype:/x",), ("/no/type",), ("ldap:/x",),
                 ("-s", "static:x"), ("--aliases", "--all")]:
        mapc(folder, *args, status=64)
    assert "mapc --stdin hash:" in mapc(folder, "ldap:/x", status=64).stderr
    assert "inline" in mapc(folder, "nosuchtype:/x", status=64).stderr
    assert "--max-shrink" in mapc(folder, "--help").stdout
    mapc(folder, "-q", "k", f"hash:{folder}/absent", status=66)
    mapc(folder, "-q", "k", "fail:broken", status=75)
    mapc(folder, "-q", "-", "fail:broken", status=75, input="k\n")
    mapc(folder, "-q", "k", "inline:{a=b}", status=1)
    (folder / "broken.phm").write_bytes(b"x" * 5000)
    for ask in (("-q", "k"), ("-s",)):
        assert "broken.phm is " in mapc(folder, *ask, f"hash:{folder}/broken", status=65).stderr


def strict(folder):
    path = folder / "strict"
    path.write_text("a b\nlonely\na again\n")
    done = mapc(folder, f"hash:{path}")
    assert done.stderr == (f"mapc: warning: {path}, line 2: expected format: key whitespace value\n"
                           f'mapc: warning: {path}, line 3: duplicate entry: "a"\n'), done.stderr
    before = path.with_suffix(".phm").read_bytes()
    path.write_text("a changed\nlonely\na again\n")
    done = mapc(folder, "--strict", f"hash:{path}", write(folder, "good", 3), status=65)
    assert "2 bad or duplicate lines" in done.stderr, done.stderr
    assert path.with_suffix(".phm").read_bytes() == before
    assert not (folder / "good.phm").exists(), "a run is all or nothing"
    path.write_text("k" * 1025 + " v\n")
    mapc(folder, f"hash:{path}", status=65)
    assert path.with_suffix(".phm").read_bytes() == before


def max_shrink(folder):
    write(folder, "list", 10)
    args = ("--max-shrink", "20", f"hash:{folder}/list")
    mapc(folder, *args)  # there is nothing to compare with
    for keys, status in [(8, 0), (10, 0), (7, 65), (0, 65), (1000, 0), (800, 0), (639, 65)]:
        write(folder, "list", keys)
        done = mapc(folder, *args, write(folder, "beside", keys), status=status)
        assert status == 0 or "--max-shrink" in done.stderr
        count = len(mapc(folder, "-s", f"hash:{folder}/beside").stdout.splitlines())
        assert (count == keys) == (status == 0), (keys, count)
    write(folder, "list", 1000)
    (folder / "list.phm").write_bytes(b"no table")
    mapc(folder, *args, status=65)
    mapc(folder, f"hash:{folder}/list")


def all_tables(folder):
    (folder / "net").write_text("10.0.0.0/8 inside\n")
    (folder / "names").write_text("Root: Me\n")
    (folder / "main.cf").write_text(f"""
relay_domains = {write(folder, "domains", 2)}
relay_recipient_maps = proxy:{write(folder, "recipients", 5)}
mynetworks = cidr:{folder}/net
alias_database = hash:{folder}/names
smtpd_helo_restrictions = check_helo_access unionmap:{{{write(folder, "helo", 1)},static:x}}
address_verify_map = btree:{folder}/written_by_postfix
proxy_read_maps = proxy:hash:{folder}/not_used
this_makes_ringmx_refuse = yes
""")
    done = mapc(folder, "--all", "--stat")
    listed = re.findall(r"^hash:\S+/(\w+): keys (\d+), bits a key", done.stdout, re.M)
    assert listed == [("domains", "2"), ("recipients", "5"), ("names", "1"), ("helo", "1")], listed
    assert mapc(folder, "-q", "root", f"hash:{folder}/names").stdout == "Me\n"
    assert not (folder / "net.phm").exists()
    assert len((folder / "tables.set").read_text().splitlines()) == 2 + 4 + 1

    before = (folder / "domains.phm").read_bytes()
    (folder / "helo").unlink()
    done = mapc(folder, "--all", status=66)
    assert f"{folder}/main.cf:6: smtpd_helo_restrictions: " in done.stderr, done.stderr
    assert (folder / "domains.phm").read_bytes() == before
    (folder / "main.cf").write_text("relay_domains hash:/x\n")
    assert "main.cf:1: " in mapc(folder, "--all", status=78).stderr
    (folder / "main.cf").unlink()
    mapc(folder, "--all", status=78)


def same_bytes(folder):
    table = write(folder, "same", 1000)
    results = set()
    for _ in range(2):
        mapc(folder, "--seed", "5", table)
        results.add((folder / "same.phm").read_bytes())
    assert len(results) == 1
    text = (folder / "same").read_text()
    for _ in range(2):
        mapc(folder, "--seed", "5", "--stdin", f"hash:{folder}/piped", input=text)
        results.add((folder / "piped.phm").read_bytes())
    assert len(results) == 2, "a pipe has no time of its own"
    os.chmod(folder / "piped.phm", 0o600)
    mapc(folder, "--stdin", f"hash:{folder}/piped", input=text)
    assert (folder / "piped.phm").stat().st_mode & 0o777 == 0o600


def dumps(folder):
    path = folder / "dump"
    path.write_text("b 2\nA 1\nb again\nc  3 and more \n")
    mapc(folder, f"hash:{path}")
    assert mapc(folder, "-s", f"hash:{path}").stdout == "b\t2\na\t1\nc\t3 and more\n"
    assert mapc(folder, "-s", "inline:{x=1,y=2}").stdout == "x\t1\ny\t2\n"
    path.write_text("")
    mapc(folder, f"hash:{path}")
    assert mapc(folder, "-s", f"hash:{path}").stdout == ""
    first = mapc(folder, "-q", "x", "inline:{y=0}", "inline:{x=1}", "inline:{x=2}")
    assert first.stdout == "1\n", "the first table that has the key"


def owner(folder):
    """Compiled by root, a table is still its owner's: the daemon's, as its source is."""
    if os.geteuid() != 0:
        print("owner of the table: NOT TESTED, not root")
        return
    name = write(folder, "owned", 3)
    source = folder / "owned"
    nobody = pwd.getpwnam("nobody")
    os.chown(source, nobody.pw_uid, nobody.pw_gid)
    source.chmod(0o640)
    for args in ((name,), ("--stdin", name)):  # the second keeps what there is
        mapc(folder, *args, input="a@b c\n")
        facts = (folder / "owned.phm").stat()
        assert (facts.st_uid, facts.st_gid) == (nobody.pw_uid, nobody.pw_gid), facts
        assert facts.st_mode & 0o777 == 0o640, facts


def on_terminal(folder, *args):
    """What mapc writes to a terminal as its stderr."""
    ours, theirs = pty.openpty()
    process = subprocess.Popen([MAPC, "-c", folder, *args], stderr=theirs)
    os.close(theirs)
    output = b""
    while True:
        try:
            if not (piece := os.read(ours, 4096)):
                break
        except OSError:  # the other side is closed
            break
        output += piece
    os.close(ours)
    assert process.wait(60) == 0
    return output.decode()


def progress(folder):
    keys = 1_200_000
    large = write(folder, "large", keys)
    shown = on_terminal(folder, large)
    assert "building, 1,200,000 keys" in shown, shown
    assert shown.endswith("\r\x1b[K"), "the line is gone in the end"
    assert mapc(folder, large).stderr == "", "nothing where there is no terminal"
    assert on_terminal(folder, write(folder, "little", 3)) == ""
    for name in ("large", "large.phm"):
        (folder / name).unlink()


def main():
    folder = pathlib.Path(tempfile.mkdtemp(prefix="mapc-limits-"))
    for check in (usage, strict, max_shrink, all_tables, same_bytes, dumps, owner, progress):
        check(folder)
    shutil.rmtree(folder)


if __name__ == "__main__":
    sys.exit(main())
