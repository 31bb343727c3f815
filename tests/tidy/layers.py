"""Who may include whom. The one table of the project's layers; see `ARROWS`."""

import re

# A layer is a folder. It may include itself and what stands here; what is not listed is forbidden.
BELOW = ["proto/base", "proto/smtp", "proto/mail", "proto/proxy", "maps", "queue", "tls"]
# Inside the engine each room may use those before it.
ENGINE = ["io", "observe", "config", "dns", "policy", "spool", "relay", "session", "shard"]

ARROWS = {
    "proto/base": [],
    "proto/mail": ["proto/base"],
    "proto/proxy": ["proto/base"],
    "proto/smtp": ["proto/base", "proto/mail"],
    "maps": ["proto/base", "proto/mail"],
    "queue": ["proto/base"],
    "tls": ["proto/base"],
}
for position, room in enumerate(ENGINE):
    ARROWS[f"engine/{room}"] = BELOW + [f"engine/{before}" for before in ENGINE[:position]]
ARROWS["engine"] = BELOW + [f"engine/{room}" for room in ENGINE]
# The load tools must not lean on the program they measure: of the engine they see only its io room.
ARROWS["tools/load"] = ["proto/base", "proto/smtp", "engine/io"]
ARROWS["tools/mapc"] = [*ARROWS["engine"], "engine"]
ARROWS["tools/mxq"] = [*ARROWS["engine"], "engine"]
ARROWS["tools"] = [*ARROWS["engine"], "engine", "tools/load", "tools/mapc", "tools/mxq"]
ARROWS["tests/support"] = ARROWS["tools"]
ARROWS["tests"] = [*ARROWS["tools"], "tools", "tests/support"]
ARROWS["bench"] = ARROWS["tests"]

# Headers from outside the project: (pattern, layers that may include them).
OUTSIDE = [
    (r"liburing(/.*)?\.h|linux/io_uring\.h", ["engine/io"]),
    (r"wolfssl/.*", ["tls"]),
    (r"ares(_.*)?\.h", ["engine/dns"]),
    (r"xxhash\.h", ["maps", "queue", "tests", "bench"]),
    (r"pcre2\.h", ["maps"]),
    # inet_pton and inet_ntop only: pure functions, the kernel's and Postfix's notion of an address.
    (r"arpa/inet\.h", ["proto/base", "engine", "tools", "tests"]),
    (r"fmt/.*", ["engine", "tools", "tests", "bench"]),
    (r"nlohmann/.*", ["engine/observe", "tools", "tests", "bench"]),
    (r"CLI/.*", ["tools", "bench"]),
    (r"g(test|mock)/.*", ["tests"]),
    (r"benchmark/.*", ["bench"]),
    (r"immintrin\.h|x86intrin\.h|cpuid\.h", ["proto/smtp", "proto/base", "maps", "bench"]),
]
# Below the engine there are no files, sockets, clocks, threads or randomness; what the operating
# system has in C headers (anything with a slash or a .h) is the engine's as well.
NOT_BELOW_ENGINE = {
    "barrier", "chrono", "condition_variable", "csignal", "ctime", "filesystem", "fstream",
    "future", "iostream", "latch", "mutex", "random", "semaphore", "shared_mutex", "sstream",
    "stop_token", "thread",
}


def layer(name):
    """The layer that a file belongs to: the longest folder in ARROWS that holds it."""
    folders = [f for f in ARROWS if name.startswith(f + "/")]
    return max(folders, key=len, default="")


def may_include(name, target):
    source, wanted = layer(name), layer(target)
    return source != "" and (wanted == source or wanted in ARROWS[source])


def in_any(name, folders):
    return any(name.startswith(folder + "/") for folder in folders)


def refuses_outside(name, header):
    """Why this file may not include <header>, or None."""
    for pattern, folders in OUTSIDE:
        if re.fullmatch(pattern, header):
            return None if in_any(name, folders) else f"<{header}> belongs to {', '.join(folders)}"
    if in_any(name, BELOW) and (header in NOT_BELOW_ENGINE or re.search(r"[./]", header)):
        return f"<{header}> below the engine"
    return None
