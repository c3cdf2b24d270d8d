#!/usr/bin/env python3
"""What a decoded token costs in Python beyond C, as JSON: overhead.py LOAM_PREFIX TINY.gguf

Both choose, decode and turn into text with one thread and the same library; the model is so small that
the binding shows. Times are microseconds a token, the least of all rounds, in turns:

c           the loop of overhead.c, built here against LOAM_PREFIX
sequence    the same calls on a Sequence
answer      Model.answer(), which has a thread of its own
overhead    sequence - c; wanted: below 20
ratio       sequence / c"""
from __future__ import annotations

import json
import pathlib
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterable
from typing import Callable

import loam

TOKENS, ROUNDS, TURNS = 200, 20, 5


def build(prefix: str, folder: str) -> str:
    program = f"{folder}/overhead"
    libraries = next(pathlib.Path(prefix).rglob("libloam.so")).parent
    source = pathlib.Path(__file__).with_name("overhead.c")
    subprocess.run(["cc", "-O2", "-I", f"{prefix}/include", source, "-o", program, "-L", libraries, "-lloam",
                    f"-Wl,-rpath,{libraries}"], check=True)
    return program


def least(pieces: Callable[[], Iterable[str]]) -> float:
    times = []
    for _ in range(ROUNDS):
        start = time.perf_counter()
        for _ in pieces():
            pass
        times.append((time.perf_counter() - start) / TOKENS)
    return min(times) * 1e6


def main(prefix: str, path: str) -> None:
    took: dict[str, list[float]] = {"c": [], "sequence": [], "answer": []}
    with tempfile.TemporaryDirectory() as folder, loam.Model(path, threads=1, sequences=2) as m, m.open() as seq:
        program = build(prefix, folder)

        def direct() -> Iterable[str]:
            seq.truncate(0)
            seq.prefill([1])
            return m.stream(skip_control=False).feed(without_end())

        def without_end() -> Iterable[int]:
            for _ in range(TOKENS):
                token = seq.sample()
                m.is_end(token)
                seq.decode(token)
                yield token

        for _ in range(TURNS):
            c = subprocess.run([program, path, str(TOKENS), str(ROUNDS)], stdout=subprocess.PIPE, check=True)
            took["c"].append(float(c.stdout) / 1000)
            took["sequence"].append(least(direct))
            took["answer"].append(least(lambda: m.answer([1], max_tokens=TOKENS, ignore_end=True)))
    best = {name: min(times) for name, times in took.items()}
    best["overhead"] = best["sequence"] - best["c"]
    best["ratio"] = best["sequence"] / best["c"]
    print(json.dumps({name: round(value, 3) for name, value in best.items()}))


if __name__ == "__main__":
    if len(sys.argv) != 3:
        sys.exit(__doc__)
    main(sys.argv[1], sys.argv[2])
