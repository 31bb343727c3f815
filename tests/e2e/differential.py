#!/usr/bin/env python3
"""The same configurations and the same dialogues to Postfix and to ringmx: the same replies, and
the same mail at the backend.

    differential.py [COUNT] [--seed N] [--only CONFIG[.DIALOGUE]] [--shards N] [--per-config N]

What is random comes from the seed, which is printed; a difference names how to play it again.
"""

import argparse
import concurrent.futures
import os
import random
import sys
import threading
import time

from differ import compare, configs, dialogues
from differ.client import SILENT, Connection, normalised, play, show
from differ.servers import Pair
from rig import Rig, need_program, skip

KEYWORDS = {"CHUNKING", "DSN", "ETRN", "SMTPUTF8"}
SHRINKS = 40


def offered_keywords(rig, shards):
    """The ESMTP keywords that ringmx offers when nothing is discarded."""
    pair = Pair(rig, shards)
    try:
        pair.start(configs.Config(0, configs.base()))
        with Connection(pair.ports["ringmx"]) as client:
            client.reply()
            client.send(b"EHLO client.test\r\n")
            return {row[4:].split()[0] for row in normalised(client.reply()).split("\n")[1:]}
    finally:
        pair.stop()


def both(pair, steps):
    def told(port):
        rows = play(port, steps)
        return play(port, steps) if rows[0][1] == SILENT else rows  # a busy machine: once more
    return {name: told(port) for name, port in pair.ports.items()}


def shrink(pair, steps, difference, settings):
    """Fewer steps with the same difference."""
    tries = 0
    index = len(steps) - 1
    while index >= 0 and tries < SHRINKS:
        fewer = steps[:index] + steps[index + 1:]
        tries += 1
        again = compare.first_difference(both(pair, fewer), settings)
        if fewer and again and again[2:] == difference[2:]:
            steps = fewer
        index -= 1
    return steps


class Run:
    def __init__(self, options, seed):
        self.options, self.seed = options, seed
        self.known, self.unknown = {}, 0
        self.kinds = {}
        self.played = 0
        self.stuck = 0  # configurations whose mail was not compared

    def found(self, known, kind, text):
        """Counts it; what is not known is told, of each kind the first only."""
        if known:
            self.known[known] = self.known.get(known, 0) + 1
            return
        self.unknown += 1
        self.kinds[kind] = self.kinds.get(kind, 0) + 1
        if self.kinds[kind] == 1:
            print(f"DIFFERENCE {kind}\n   {text()}", flush=True)

    def one_config(self, pair, config, wanted):
        """Plays the dialogues of a configuration; `wanted` is one number or None."""
        per = self.options.per_config
        numbers = [wanted] if wanted is not None else range(per)
        offered = self.options.offered
        written = {n: dialogues.Writer(random.Random(f"{self.seed}/{config.number}/{n}"),
                                       f"tag-{config.number}-{n}-end", offered).dialogue()
                   for n in numbers}
        pair.start(config)
        try:
            with concurrent.futures.ThreadPoolExecutor(8) as pool:
                told = dict(zip(written, pool.map(lambda s: both(pair, s), written.values()),
                                strict=True))
            messages = pair.wait_for_mail()
            if messages is None:
                self.stuck += 1
                print(f"NOT COMPARED: the mail of configuration {config.number}: Postfix still has "
                      "some in its queue", flush=True)
            for number, replies in told.items():
                self.judge(pair, config, number, (written[number], replies, messages))
            mx = pair.processes["ringmx"]
            assert mx.running(), f"ringmx ended with {mx.process.returncode}: {pair.log('ringmx')}"
        finally:
            pair.stop()

    def all_configs(self, features):
        """Several pairs of servers side by side, each with every n-th configuration."""
        only = [int(n) for n in self.options.only.split(".")] if self.options.only else None
        numbers = only[:1] if only else range(-(-self.options.count // self.options.per_config))
        wanted = only[1] if only and len(only) > 1 else None
        lock = threading.Lock()

        def work(some):
            with Rig() as rig:
                pair = Pair(rig, 1)
                for number in some:
                    pair.shards = self.options.shards[number % len(self.options.shards)]
                    with lock:
                        config = features.config(random.Random(f"{self.seed}/{number}"), number)
                    self.one_config(pair, config, wanted)

        jobs = self.options.jobs
        with concurrent.futures.ThreadPoolExecutor(jobs) as pool:
            list(pool.map(work, [numbers[first::jobs] for first in range(jobs)]))

    def judge(self, pair, config, number, outcome):
        steps, told, messages = outcome
        self.played += 1
        again = f"--seed {self.seed} --only {config.number}.{number}"
        if self.options.verbose:
            print("\n".join(f"{name}: {row}" for name in told for row in told[name]))
        if difference := compare.first_difference(told, config.chosen):
            self.found(difference[4], compare.signature(*difference[1:4]),
                       lambda: self.report(pair, again, config, steps, difference))
            return
        if messages is None:
            return
        tag = f"tag-{config.number}-{number}-end".encode()
        if mail := compare.mail_difference(messages, tag, config.chosen):
            self.found(mail[1], mail[2], lambda: f"{again}\n{mail[0]}\n{self.settings(config)}")

    def settings(self, config):
        usual = configs.base(self.options.hidden)
        return "   " + "; ".join(f"{k}={v}" for k, v in config.chosen.items() if usual.get(k) != v)

    def report(self, pair, again, config, steps, difference):
        steps = shrink(pair, steps, difference, config.chosen)
        _, sent, theirs, ours, _ = difference
        rows = "\n".join(f"      {step.data[:200]!r}" for step in steps)
        return (f"{again}\n   sent    {show(sent)}\n   postfix {theirs}\n   ringmx  {ours}\n"
                f"{self.settings(config)}\n{rows}")


def arguments():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("count", nargs="?", type=int, default=300)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--only", help="CONFIG or CONFIG.DIALOGUE")
    parser.add_argument("--shards", type=int, nargs="*", default=[1, 4])
    parser.add_argument("--per-config", type=int, default=30)
    parser.add_argument("--jobs", type=int, default=3, help="pairs of servers at a time")
    parser.add_argument("--verbose", action="store_true")
    return parser.parse_args()


def main():
    options = arguments()
    need_program("postmap")
    if os.getuid() != 0:
        skip("NOT TESTED against Postfix: its master has to be started by root")
    begun = time.monotonic()
    run = Run(options, options.seed)
    with Rig() as rig:
        options.offered = offered_keywords(rig, 1)
    options.hidden = ", ".join(sorted(KEYWORDS - options.offered)).lower()
    with Rig() as rig:
        pair = Pair(rig, 1)
        (rig.dir / "probe").mkdir()
        features = configs.Features(rig.dir / "probe", prepared(pair), options.hidden)
        if features.values["smtpd_authorized_xclient_hosts"] != [""]:
            options.offered.add("XCLIENT")
        print(f"seed {options.seed}; ringmx offers {', '.join(sorted(options.offered))}")
        print(f"LEFT OUT, not offered: {options.hidden or 'nothing'}")
        for what, why in features.left_out.items():
            print(f"LEFT OUT {what}: {why}")
        run.all_configs(features)
        for name, times in sorted(run.known.items()):
            print(f"known: {name}: {times}")
        for kind, times in sorted(run.kinds.items(), key=lambda pair: -pair[1]):
            print(f"unexplained: {times}: {kind}")
        print(f"{run.played} dialogues, {run.unknown} unexplained differences, "
              f"mail of {run.stuck} configurations not compared, "
              f"{time.monotonic() - begun:.0f} s")
    too_many_stuck = run.stuck * options.per_config * 20 > run.played
    sys.exit(1 if run.unknown or too_many_stuck else 0)


def prepared(pair):
    """The folder of tables, compiled for both, so that features can be asked for."""
    pair.ports = {"postfix": 1, "ringmx": 1}
    names = [f"check_client_access hash:TABLES/{name}" for name in configs.TABLES
             if name != "aliases"]
    every = configs.Config(0, configs.base() | {"alias_maps": "hash:TABLES/aliases",
                                                "smtpd_client_restrictions": ", ".join(names)})
    pair.write(every)
    pair.compile(every)
    return pair.dir / "tables"


if __name__ == "__main__":
    main()
