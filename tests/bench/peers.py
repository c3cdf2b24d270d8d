#!/usr/bin/env python3
"""loam against the engines a user would pick instead, and against itself: one table, and the same as JSON.

  tests/bench/peers.py [--threads 1 2] [--models NAME ...] [--rounds N] [--out peers.json]
  tests/bench/peers.py --avx2        loam forced to AVX2 against ik_llama.cpp's published wheel
  tests/bench/peers.py --short TINY.gguf     loam alone on a small model, in seconds: that the script still runs

LOAM_SHARED is the folder of the reference data, whose bench/peers.py runs the peers: its `setup` must have been run once
(for --avx2 `setup --quick`, with LOAM_PEERS_VENV naming another folder than that of the first, and so for this script).
LOAM_MODELS is the folder of the real models. The synthetic ones are made where they are missing, in --cache.

Columns: prefill and decode of one sequence as ratios to the peer that is better at it; decode's share of the machine's
read bandwidth; decode of 8 and of 32 sequences together relative to one; deep, the time of a token behind 4096 others
relative to one behind none. Below each stands what is wanted. Only ratios of one run mean anything on a shared machine."""
import argparse
import json
import os
import pathlib
import re
import shlex
import statistics
import subprocess
import sys
import venv

ROOT = pathlib.Path(__file__).resolve().parents[2]
SHARED = pathlib.Path(os.environ.get("LOAM_SHARED", ROOT.parent / "shared"))
MODELS = pathlib.Path(os.environ.get("LOAM_MODELS", pathlib.Path.home() / ".cache/loam"))
PEERS = SHARED / "bench/peers.py"

REAL = {"SmolLM2 Q4_1": "SmolLM2-135M-Instruct.Q4_1.gguf", "gemma-3-270m Q4_K_M": "gemma-3-270m-q4_k_m.gguf"}
# Llama 3.2 1B: layers, embedding, feed-forward, heads, KV heads, vocabulary; its tokens are gemma's first.
GEOMETRY, VOCABULARY = ["16", "2048", "8192", "32", "8", "128256"], REAL["gemma-3-270m Q4_K_M"]
FORMATS = ["Q4_0", "Q4_K_M", "Q6_K", "Q8_0", "IQ4_XS", "F16", "BF16"]
DEEP = "1B Q4_0"  # of the formats the one that reads least beside its KV cells
DEPTH = 4096

COLUMNS = {"prefill_ratio": "prefill", "decode_ratio": "decode", "read_share": "of roof", "batch_8": "8 seqs",
           "batch_32": "32 seqs", "deep_cost": "deep"}
WANTED = {"prefill_ratio": 1.5, "decode_ratio": 1.15, "read_share": 0.85, "batch_8": 4.0, "batch_32": 8.0, "deep_cost": 1.5}
WANTED_AVX2 = {"prefill_ratio": 1.2, "decode_ratio": 1.2}
AT_MOST = {"deep_cost"}  # of the others that much is the least


def say(text):
    print(text, file=sys.stderr, flush=True)


def run(command, **more):
    """Standard output, or None after saying what went wrong."""
    done = subprocess.run([str(part) for part in command], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, **more)
    if done.returncode == 0:
        return done.stdout
    say(f"  failed: {shlex.join(map(str, command))}\n  {(done.stderr or done.stdout).strip()[-800:]}")
    return None


# ---- models ----

def python_with_gguf(cache):
    """A Python that has NumPy and gguf, which synth_model.py needs: this one, or one of our own."""
    own = cache / "venv/bin/python"
    for python in [sys.executable, own]:
        if pathlib.Path(python).exists() and not subprocess.run([python, "-c", "import numpy, gguf"],
                                                                stderr=subprocess.DEVNULL).returncode:
            return python
    venv.create(cache / "venv", with_pip=True)
    run([own, "-m", "pip", "install", "-q", "numpy", "gguf"])
    return own


def made(path, command):
    """The path, once the command has written it; an unfinished file keeps another name."""
    if not path.exists():
        say(f"making {path}")
        path.parent.mkdir(parents=True, exist_ok=True)
        part = path.with_suffix(".part")
        if run([part if word is path else word for word in command]) is None:
            return None
        part.rename(path)
    return path


def synthetic(kind, cache):
    whole = cache / "1b-f16.gguf"
    if not whole.exists():
        python = python_with_gguf(cache)
        if not made(whole, [python, SHARED / "bench/synth_model.py", MODELS / VOCABULARY, whole, *GEOMETRY]):
            return None
    if kind == "F16":
        return whole
    path = cache / f"1b-{kind.lower()}.gguf"
    return made(path, [sys.executable, PEERS, "quantize", whole, path, kind])


def model_names():
    return [*REAL, *(f"1B {kind}" for kind in FORMATS)]


def model_path(name, cache):
    path = MODELS / REAL[name] if name in REAL else synthetic(name.split()[1], cache)
    if path and path.exists():
        return path
    say(f"{name} is left out: it is not there")
    return None


# ---- measuring ----

def bench(a, model, threads, *more):
    """What loam says of itself, or None."""
    out = run([a.loam, "bench", model, "--threads", threads, *a.isa, "--json", *more])
    return json.loads(out.splitlines()[-1]) if out else None


def compare(a, model, threads):
    """A row's share of `peers.py compare`, read from what it prints."""
    loam = shlex.join([str(a.loam), "bench"]) + " {model} --threads {threads} --prompt {prompt} --generate {generate} " \
        "--parallel {parallel} --reps 2 --json " + shlex.join(a.isa)
    out = run([sys.executable, PEERS, "compare", "--model", model, "--threads", threads, "--rounds", a.rounds,
               "--loam", loam, "--peers", *a.peers])
    return read_comparison(out) if out else {}


def read_comparison(out):
    speeds = r": prefill +([\d.]+) tok/s +decode +([\d.]+) tok/s"
    row, peers = {}, {}
    for line in out.splitlines():
        if own := re.match(rf" *loam{speeds}.*: ([\d.]+)$", line):
            row["prefill_tok_s"], row["decode_tok_s"], row["read_share"] = map(float, own.groups())
        elif peer := re.match(rf" *(\S+){speeds} +loam/peer prefill x([\d.]+) +decode x([\d.]+)", line):
            name, *numbers = peer.groups()
            peers[name] = dict(zip(["prefill_tok_s", "decode_tok_s", "prefill_ratio", "decode_ratio"], map(float, numbers)))
        elif peer := re.match(r" *(\S+): failed on this model", line):
            peers[peer.group(1)] = None
    row["peers"] = peers
    for phase in ["prefill", "decode"]:
        best = min((name for name in peers if peers[name]), key=lambda name: peers[name][f"{phase}_ratio"], default=None)
        row[f"{phase}_peer"] = best
        row[f"{phase}_ratio"] = peers[best][f"{phase}_ratio"] if best else None
    return row


def batches(a, model, threads):
    """Decode of several sequences relative to one, each ratio within one run of loam."""
    ratios = {8: [], 32: []}
    for _ in range(a.rounds):
        got = bench(a, model, threads, "--prompt", 0, "--generate", a.generate, "--sweep-batch", "1,8,32")
        if not got:
            return {}
        speed = {row["parallel"]: row["decode_tok_s"] for row in got["sweep"]}
        for n, found in ratios.items():
            found.append(speed[n] / speed[1])
    return {f"batch_{n}": statistics.median(found) for n, found in ratios.items()}


def depth(a, model, threads):
    """The time of a token in a full KV cache relative to an empty one; the runs alternate."""
    costs = []
    for _ in range(a.rounds):
        empty, full = (bench(a, model, threads, "--prompt", 0, "--generate", a.generate, "--depth", n) for n in [1, a.depth])
        if not empty or not full:
            return {}
        costs.append(empty["decode_tok_s"] / full["decode_tok_s"])
    return {"deep_cost": statistics.median(costs)}


def measure(a, name, model, threads):
    say(f"{name}, {threads} threads")
    row = {"model": name, "threads": threads, "isa": a.isa[1] if a.isa else None}
    if a.peers:
        row.update(compare(a, model, threads))
    elif own := bench(a, model, threads, "--prompt", 32, "--generate", a.generate, "--reps", 1):
        row.update(prefill_tok_s=own["prefill_tok_s"], decode_tok_s=own["decode_tok_s"],
                   read_share=own["decode_bound_share"])
    if not a.avx2:
        row.update(batches(a, model, threads))
        if a.short or name == DEEP:
            row.update(depth(a, model, threads))
    return row


# ---- the table ----

def missed(a, row):
    """The columns of a row that are not what is wanted; one that could not be measured is none of them."""
    bad = []
    for column, wanted in a.wanted.items():
        value = row.get(column)
        if value is None or (column == "read_share" and not row["model"].startswith("1B")):
            continue
        if value > wanted if column in AT_MOST else value < wanted:
            bad.append(column)
    return bad


def print_line(name, threads, cells, peers):
    print(f"{name:20} {threads:>7}" + "".join(f" {cell:>8}" for cell in cells) + f"  {peers}")


def print_table(a, rows):
    print_line("", "threads", COLUMNS.values(), "better peer in prefill, in decode")
    for row in rows:
        bad = missed(a, row)
        cells = ["-" if row.get(c) is None else f"{row[c]:.2f}{'!' if c in bad else ' '}" for c in COLUMNS]
        print_line(row["model"], row["threads"], cells, f"{row.get('prefill_peer') or '-'}, {row.get('decode_peer') or '-'}")
    if a.wanted:
        limits = [f"{'<=' if c in AT_MOST else '>='} {a.wanted[c]} " if c in a.wanted else "" for c in COLUMNS]
        print_line("wanted", "", limits, "! where it is missed; of the roof it is wanted of the 1B models")


def main():
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("--loam", type=pathlib.Path, default=ROOT / "build/loam", help="the command (build/loam)")
    p.add_argument("--threads", type=int, nargs="+", default=[1, 2])
    p.add_argument("--models", nargs="+", choices=model_names(), default=model_names(), metavar="NAME",
                   help="of: " + ", ".join(model_names()))
    p.add_argument("--rounds", type=int, default=5, help="of each comparison; their median counts (5)")
    p.add_argument("--cache", type=pathlib.Path, default=pathlib.Path.home() / ".cache/loam/bench")
    p.add_argument("--out", type=pathlib.Path, help="where the JSON goes")
    p.add_argument("--avx2", action="store_true")
    p.add_argument("--short", type=pathlib.Path, metavar="TINY.gguf")
    a = p.parse_args()
    a.isa = ["--isa", "avx2"] if a.avx2 else []
    a.peers = [] if a.short else ["ik_llama.cpp"] if a.avx2 else ["llama.cpp", "ik_llama.cpp"]
    a.generate, a.depth = (4, 64) if a.short else (64, DEPTH)
    a.wanted = {} if a.short else WANTED_AVX2 if a.avx2 else WANTED
    if a.short:
        a.rounds = 1
    elif not PEERS.exists():
        sys.exit(f"{PEERS} is not there: LOAM_SHARED is the folder of the reference data")
    rows = []
    for name in [a.short.stem] if a.short else a.models:
        path = a.short or model_path(name, a.cache)
        rows += [measure(a, name, path, threads) for threads in a.threads if path]
        if a.out:  # after each model: a run takes hours
            found = {"wanted": a.wanted, "rows": [{**row, "missed": missed(a, row)} for row in rows]}
            a.out.write_text(json.dumps(found, indent=1) + "\n")
    print_table(a, rows)
    if not any("decode_tok_s" in row for row in rows):
        sys.exit("nothing could be measured")


main()
