"""Runs a test module on many numbers, some at a time in processes of their own.

A process that dies or hangs costs one number, memory is given back, and what is written down
already is not run again.
"""

from __future__ import annotations

import argparse
import collections
import json
import os
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

_SEEDS_OF_A_PROCESS = 20
_HANGS_AFTER = 900
"""Seconds without a word."""


class Batches:
    """The command line of a module: `python -m MODULE --count N --seed S --jobs J --json OUT`.

    Args:
        module: Its name.
        record: A function of a number that returns what is written down of it, a dict of JSON with
            the key "outcome"; what it raises is an outcome that begins with WRONG.
    """

    def __init__(self, module, record):
        self.module, self.record = module, record
        self.lock = threading.Lock()

    def main(self, description):
        options = argparse.ArgumentParser(description=description)
        options.add_argument("--count", type=int, default=100)
        options.add_argument("--seed", type=int, default=0)
        options.add_argument("--jobs", type=int, default=1)
        options.add_argument("--json", type=Path, help="a line of JSON for each; it is continued")
        options.add_argument("--child", help=argparse.SUPPRESS)
        parsed = options.parse_args()
        if parsed.child:
            return self.run_here(map(int, parsed.child.split(",")))
        records = {} if parsed.json is None else read_records(parsed.json)
        wanted = range(parsed.seed, parsed.seed + parsed.count)
        left = [seed for seed in wanted if seed not in records]
        chunks = [
            left[i : i + _SEEDS_OF_A_PROCESS] for i in range(0, len(left), _SEEDS_OF_A_PROCESS)
        ]
        start = time.monotonic()

        def keep(record):
            with self.lock:
                records[record["seed"]] = record
                if record["outcome"] != "equal":
                    print(record["seed"], record["outcome"][:400], flush=True)
                if parsed.json is not None:
                    with parsed.json.open("a") as out:
                        out.write(json.dumps(record) + "\n")

        with ThreadPoolExecutor(parsed.jobs) as pool:
            list(pool.map(lambda chunk: self.run_apart(chunk, keep), chunks))
        counts = collections.Counter(records[seed]["outcome"].partition(":")[0] for seed in wanted)
        print(dict(counts), f"{time.monotonic() - start:.0f} s")
        self.summary([records[seed] for seed in wanted])
        return int(counts["WRONG"] > 0)

    def summary(self, records):
        """Prints more about all records."""

    def run_here(self, seeds):
        """Writes a record for each to standard output."""
        for seed in seeds:
            start = time.monotonic()
            try:
                record = self.record(seed)
            except Exception as error:  # the others are tried as well
                record = {"outcome": f"WRONG: {type(error).__name__}: {error}"}
            seconds = round(time.monotonic() - start, 1)
            print(json.dumps({"seed": seed, **record, "seconds": seconds}), flush=True)
        return 0

    def run_apart(self, seeds, keep):
        """The same in other processes, until there is a record for each."""
        seeds = list(seeds)
        while seeds:
            words = [sys.executable, "-m", self.module, "--child", ",".join(map(str, seeds))]
            environment = {**os.environ, "TF_CPP_MIN_LOG_LEVEL": "3"}
            with subprocess.Popen(
                words,
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL,
                text=True,
                env=environment,
                cwd=Path(__file__).parents[1],
            ) as child:
                for line in _lines(child):
                    if line.startswith('{"seed"'):
                        keep(json.loads(line))
                        seeds.pop(0)
            if child.returncode and seeds:
                reason = f"WRONG: the process died, {child.returncode}"
                keep({"seed": seeds.pop(0), "outcome": reason})


def _lines(child):
    """The lines of a process, which is ended when it says nothing for too long."""
    while True:
        timer = threading.Timer(_HANGS_AFTER, child.kill)
        timer.start()
        line = child.stdout.readline()
        timer.cancel()
        if not line:
            return
        yield line


def read_records(path):
    """Records by number; of what was written in part, nothing."""
    records = {}
    for line in path.read_text().splitlines() if path.exists() else []:
        try:
            record = json.loads(line)
        except ValueError:
            continue
        records[record["seed"]] = record
    return records
