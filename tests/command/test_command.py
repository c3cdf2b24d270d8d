#!/usr/bin/env python3
"""Tests of the loam command, through the built program alone.

  LOAM_COMMAND=build/loam python3 tests/command/test_command.py [Class[.test]]

LOAM_SHARED is the folder of the reference data, LOAM_MODELS one with real models; tests that miss theirs are skipped.
"""
import base64
import gzip
import json
import os
import pathlib
import select
import signal
import struct
import subprocess
import tempfile
import time
import unittest

COMMAND = os.path.abspath(os.environ.get("LOAM_COMMAND", "build/loam"))
SHARED = pathlib.Path(os.environ.get("LOAM_SHARED", "/nonexistent"))
MODELS = pathlib.Path(os.environ.get("LOAM_MODELS", "/nonexistent"))
DATA = pathlib.Path(os.environ.get("LOAM_TEST_DATA", "/nonexistent"))
MODULES = pathlib.Path(os.environ.get("LOAM_TEST_MODULES", "/nonexistent"))
VERBS = ["run", "chat", "inspect", "plan", "bench", "tokenize", "render", "logits"]
DONE, FAILED, USAGE = 0, 1, 2
TIMEOUT_S = 300


def setUpModule():
    if not os.path.exists(COMMAND):
        raise FileNotFoundError(f"{COMMAND} is not there: build it, or set LOAM_COMMAND")


class Case(unittest.TestCase):
    """Helpers; every run must end with one of the three documented statuses."""

    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.folder = pathlib.Path(folder.name)

    def loam(self, *args, stdin=b"", status=DONE):
        if isinstance(stdin, str):
            stdin = stdin.encode()
        got = subprocess.run([COMMAND, *map(str, args)], input=stdin, capture_output=True, timeout=TIMEOUT_S)
        self.assertEqual(got.returncode, status, f"{args}\n{got.stdout[-2000:]}\n{got.stderr[-2000:]}")
        got.text, got.errors = got.stdout.decode(), got.stderr.decode()  # both are valid UTF-8, always
        return got

    def json(self, *args, **more):
        return json.loads(self.loam(*args, "--json", **more).stdout)

    def lines(self, *args, rows, status=DONE):
        """Rows in as JSON lines, rows out."""
        stdin = "".join(row if isinstance(row, str) else json.dumps(row) + "\n" for row in rows)
        got = self.loam(*args, stdin=stdin, status=status)
        return [json.loads(line) for line in got.stdout.split(b"\n") if line]

    def refused(self, *args, status=FAILED, says="", **more):
        """Nothing on standard output, one sentence on standard error."""
        got = self.loam(*args, status=status, **more)
        self.assertEqual(got.text, "")
        self.assertRegex(got.errors, r"\Aloam: [^\n]+\n\Z")
        self.assertIn(says, got.errors)

    def need(self, path):
        if not path.exists():
            self.skipTest(f"{path.name} is not there")
        return path

    def tiny(self, name):
        """A small model of the reference, and what is known of it; its sequences are lists of token ids."""
        folder = SHARED / "golden/models/tiny"
        path = self.need(folder / f"{name}.gguf")
        about = json.loads((folder / f"{name}.json").read_text())
        about["sequences"] = [sequence["tokens"] for sequence in about["sequences"]]
        return path, about

    def smollm(self):
        return self.need(MODELS / "SmolLM2-135M-Instruct.Q4_1.gguf")


def gguf(metadata, tensors=()):
    """A container as bytes: metadata of (key, type, packed value), F32 tensors of (name, dims)."""
    def string(s):
        s = s.encode() if isinstance(s, str) else s
        return struct.pack("<Q", len(s)) + s
    head, data = b"", b""
    for key, kind, packed in metadata:
        head += string(key) + struct.pack("<I", kind) + (string(packed) if kind == 8 else packed)
    for name, dims in tensors:
        head += string(name) + struct.pack("<I", len(dims)) + struct.pack(f"<{len(dims)}Q", *dims)
        head += struct.pack("<IQ", 0, len(data))
        n = 1
        for dim in dims:
            n *= dim
        data += bytes(4 * n) + bytes(-4 * n % 32)
    head = b"GGUF" + struct.pack("<IQQ", 3, len(tensors), len(metadata)) + head
    return head + bytes(-len(head) % 32) + data


class Usage(Case):
    def test_help__lists_every_verb(self):
        text = self.loam("--help").text
        for verb in VERBS:
            self.assertRegex(text, rf"(?m)^  {verb} ")

    def test_help__of_a_verb_names_its_options(self):
        own = {"run": ["raw", "system", "tokens", "predict", "temp", "top-k", "top-p", "min-p", "repeat-penalty", "seed"],
               "plan": ["html", "measured", "gflops", "params", "bpw", "format", "layers", "kv-heads", "head-dim", "device",
                        "pin", "fill", "at"], "logits": ["out", "chunk"],
               "bench": ["prompt", "generate", "parallel", "depth", "reps", "sweep-batch", "bandwidth", "ops"], "tokenize": ["detokenize"],
               "render": ["template", "now"], "inspect": ["full"], "chat": ["system"]}
        common = ["threads", "isa", "backend", "kv", "kv-v", "ctx", "memory-limit", "json", "help"]
        for verb in VERBS:
            text = self.loam(verb, "--help").text
            self.assertTrue(text.startswith(f"usage: loam {verb}"))
            for option in own[verb] + common:
                self.assertRegex(text, rf"(?m)^  --{option}\b", verb)

    def test_version__is_printed(self):
        self.assertRegex(self.loam("--version").text, r"\Aloam \d+\.\d+\.\d+\n\Z")

    def test_verb__missing_or_unknown_is_wrong_usage(self):
        self.assertIn("usage: loam", self.loam(status=USAGE).errors)
        for verb in ["nonsense", "grammar", "quantize", "convert", "perplexity", "serve", "--nonsense"]:
            self.refused(verb, status=USAGE, says="there is no verb")

    def test_options__wrong_ones_are_wrong_usage(self):
        wrong = [["run"], ["run", "m", "a", "b"], ["run", "m", "p", "--nonsense"], ["run", "m", "p", "-x"],
                 ["run", "m", "p", "--predict"], ["run", "m", "p", "--predict", "ten"], ["run", "m", "p", "--predict=1x"],
                 ["run", "m", "p", "--predict", "-1"], ["run", "m", "p", "--predict", "4294967296"],
                 ["run", "m", "p", "--predict", " 1"], ["run", "m", "p", "--predict", ""], ["run", "m", "p", "--json=1"],
                 ["run", "m", "p", "--temp", "nan"], ["run", "m", "p", "--temp", "-0.5"], ["run", "m", "p", "--temp", "1,5"],
                 ["run", "m", "p", "--temp", "1e999"], ["run", "m", "p", "--temp", "."], ["run", "m", "p", "--seed", "1e3"],
                 ["run", "m", "--tokens", "1,,2"], ["run", "m", "--tokens", "1,"], ["run", "m", "--tokens", "-1"],
                 ["run", "m", "--tokens", "2147483648"], ["run", "m", "p", "--tokens", "1"],
                 ["run", "m", "p", "--raw", "--system", "s"], ["run", "m", "p", "--memory-limit", "4X"],
                 ["run", "m", "p", "--memory-limit", "99999999999T"], ["run", "m", "p", "--kv", "f64"],
                 ["run", "m", "p", "--kv-v", "q5_0"], ["run", "m", "p", "--kv", ""],
                 ["logits", "m"], ["logits", "m", "--tokens", "1"], ["plan"], ["plan", "--params", "8e9"], ["plan", "--bpw", "4"],
                 ["plan", "--params", "8e9", "--bpw", "4", "--format", "Q8_0"], ["plan", "--params", "8e9", "--format", "Q9"],
                 ["plan", "--params", "8e9", "--bpw", "4", "--kv-heads", "8"], ["plan", "m", "--device", "gpu:24G"],
                 ["plan", "m", "--device", "gpu:x:1"], ["plan", "m", "--device", "gpu:1:1", "--pin", "0=cpu"],
                 ["plan", "m", "--device", "gpu:1:1", "--pin", "a=gpu"], ["plan", "m", "--device", "gpu:1:1", "--pin", "gpu"],
                 ["plan", "m", *["--device", "g:1:1"] * 10],
                 ["plan", "m", "--params", "8e9"], ["bench", "m", "--reps", "0"], ["bench", "m", "--parallel", "0"],
                 ["bench", "m", "--sweep-batch=1,x"], ["plan", "m", "--gflops", "1"], ["plan", "m", "--measured", "f"],
                 ["plan", "m", "--html", "f", "--device", "gpu:1:1"],
                 ["render", "--now", "2025-02-29T00:00:00"], ["render", "--now", "2025-03-14 09:26:53"],
                 ["render", "m", "--template", "t"], ["inspect"], ["tokenize"], ["chat"]]
        for args in wrong:
            with self.subTest(args=args):
                self.refused(*args, status=USAGE)

    def test_model__that_is_missing_fails_in_every_verb(self):
        missing = self.folder / "missing.gguf"
        for args in [["run", missing, "p"], ["chat", missing], ["inspect", missing], ["plan", missing],
                     ["bench", missing], ["tokenize", missing], ["render", missing],
                     ["logits", missing, "--tokens", "1", "--out", self.folder / "out"]]:
            self.refused(*args, says="missing.gguf")
        self.assertFalse((self.folder / "out").exists())

    def test_output__that_cannot_be_written_fails(self):
        if not pathlib.Path("/dev/full").is_char_device():
            self.skipTest("/dev/full is not there")
        with open("/dev/full", "wb") as full:
            got = subprocess.run([COMMAND, "--help"], stdout=full, stderr=subprocess.PIPE, timeout=TIMEOUT_S)
        self.assertEqual(got.returncode, FAILED)


class Inspect(Case):
    def setUp(self):
        super().setUp()
        numbers = struct.pack("<IQ", 5, 100) + struct.pack("<100i", *range(-50, 50))
        words = struct.pack("<IQ", 8, 2) + b"".join(struct.pack("<Q", len(w)) + w for w in [b"a\x00b", b"\xff"])
        metadata = [("general.name", 8, "naïve \x1b[31m model\n" + "é" * 200), ("test.u8", 0, b"\xff"),
                    ("test.i8", 1, b"\xff"), ("test.u64", 10, struct.pack("<Q", 2**63)),
                    ("test.i64", 11, struct.pack("<q", -2**63)), ("test.f32", 6, struct.pack("<f", 1e-5)),
                    ("test.nan", 6, struct.pack("<f", float("nan"))), ("test.f64", 12, struct.pack("<d", 0.1)),
                    ("test.bool", 7, b"\x01"), ("test.numbers", 9, numbers), ("test.words", 9, words)]
        self.path = self.folder / "t.gguf"
        self.path.write_bytes(gguf(metadata, [("a.weight", [8, 4]), ("b.weight", [3])]))

    def test_json__holds_the_whole_structure(self):
        got = self.json("inspect", self.path)
        meta = got["metadata"]
        self.assertEqual((got["version"], got["parts"]), (3, 1))
        values = {k[5:]: v["value"] for k, v in meta.items() if k.startswith("test.") and "value" in v}
        self.assertEqual(values, {"u8": 255, "i8": -1, "u64": str(2**63), "i64": -2**63, "f32": 1e-5, "nan": None,
                                  "f64": 0.1, "bool": True, "words": ["a\0b", "\ufffd"]})
        self.assertEqual(meta["test.numbers"], {"type": "array", "element_type": "i32", "count": 100,
                                                "first": list(range(-50, -42))})
        self.assertEqual([(t["name"], t["type"], t["dims"], t["bytes"]) for t in got["tensors"]],
                         [("a.weight", "F32", [8, 4], 128), ("b.weight", "F32", [3], 12)])
        self.assertEqual(got["total"], {"tensors": 2, "values": 35, "bytes": 140, "bits_per_weight": 32.0})
        self.assertEqual(got["formats"], {"F32": got["total"]})

    def test_json__full_arrays_are_whole(self):
        got = self.json("inspect", self.path, "--full")
        self.assertEqual(got["metadata"]["test.numbers"]["value"], list(range(-50, 50)))

    def test_text__sends_nothing_from_the_file_to_the_terminal_raw(self):
        text = self.loam("inspect", self.path).text
        self.assertNotIn("\x1b", text)
        self.assertIn("naïve \\x1B[31m model\\n", text)
        self.assertIn("a.weight", text)

    def test_file__that_is_cut_off_fails(self):
        self.path.write_bytes(self.path.read_bytes()[:-40])
        self.refused("inspect", self.path)


class Plan(Case):
    GEOMETRY = ["--params", "8e9", "--bpw", "4.5", "--layers", "32", "--kv-heads", "8", "--head-dim", "128"]

    def test_geometry__follows_the_equations(self):
        got = self.json("plan", *self.GEOMETRY, "--ctx", "8192", "--bandwidth", "90", "--overhead", "1M")
        self.assertEqual(got["weights_bytes"], 4_500_000_000)
        self.assertEqual(got["kv_bytes"], 2 * 32 * 8 * 128 * 8192 * 2)
        self.assertEqual(got["total_bytes"], got["weights_bytes"] + got["kv_bytes"] + got["overhead_bytes"])
        self.assertAlmostEqual(got["decode_bound_tok_s"], 90e9 / got["token_read_bytes"], places=6)
        self.assertGreater(got["peak_resident_bytes"], 0)
        for device in got["devices"]:
            self.assertLessEqual({"name", "bytes", "limit_bytes", "layers"}, set(device))

    def test_kv__follows_the_types_of_keys_and_values(self):
        bits = {"f32": 32, "f16": 16, "bf16": 16, "q8_0": 8.5, "q4_0": 4.5}
        for k in bits:
            self.assertEqual(self.json("plan", *self.GEOMETRY, "--kv", k)["kv_token_bytes"],
                             32 * 8 * 128 * 2 * bits[k] / 8)
            for v in bits:
                got = self.json("plan", *self.GEOMETRY, "--kv", k, "--kv-v", v)
                self.assertEqual(got["kv_token_bytes"], 32 * 8 * 128 * (bits[k] + bits[v]) / 8)

    def test_limit__that_is_too_low_is_an_answer(self):
        got = self.json("plan", *self.GEOMETRY, "--bandwidth", "90", "--memory-limit", "1G")
        self.assertIs(got["fits"], False)
        self.assertEqual(got["limit_bytes"], 1 << 30)
        self.assertIn("does not fit", self.loam("plan", *self.GEOMETRY, "--bandwidth", "1", "--memory-limit", "1G").text)

    def test_bandwidth__is_measured_when_it_is_not_given(self):
        self.assertGreater(self.json("plan", *self.GEOMETRY)["bandwidth_gb_s"], 0)

    def test_parameters_and_bits__are_enough(self):
        got = self.json("plan", "--params", "7e9", "--bpw", "4", "--bandwidth", "700")
        self.assertEqual((got["weights_bytes"], got["kv_bytes"]), (3_500_000_000, 0))
        self.assertAlmostEqual(got["decode_bound_tok_s"], 200)
        self.assertIsNone(got["sequences_fit"])
        got = self.json("plan", "--params", "7e9", "--bpw", "4", "--bandwidth", "700", "--kv-bytes", "1000000000",
                        "--overhead", "1500000000")
        self.assertEqual(got["total_bytes"], 6_000_000_000)

    def test_format__stands_for_its_bits(self):
        sizes = {"bf16": 14, "Q8_0": 7.4375, "Q5_K_M": 4.98, "Q4_K_M": 4.24, "Q4_0": 3.9375, "IQ4_XS": 3.71875}
        for name, gb in sizes.items():
            got = self.json("plan", "--params", "7e9", "--format", name, "--bandwidth", "1")
            self.assertAlmostEqual(got["weights_bytes"] / 1e9, gb, delta=0.006)
            self.assertEqual(got["quality"]["format"].lower(), name.lower())
            self.assertGreaterEqual(got["quality"]["perplexity_increase_percent"], 0)

    def test_bound__is_at_the_context_asked_for(self):
        got = self.json("plan", *self.GEOMETRY, "--ctx", "8192", "--at", "1024", "--bandwidth", "90")
        self.assertEqual(got["kv_token_bytes"], 128 << 10)
        self.assertEqual(got["token_read_bytes"], 4_500_000_000 + (128 << 20))
        self.assertEqual((got["block_tokens"], got["blocks_per_sequence"]), (16, 512))
        self.assertAlmostEqual(got["decode_bound_tok_s"], 90e9 / got["token_read_bytes"], places=6)

    def test_devices__share_the_layers(self):
        args = ["plan", *self.GEOMETRY, "--device", "gpu0:4G:900", "--device", "gpu1:4G:450", "--device", "host:64G:60"]
        got = self.json(*args)
        self.assertIs(got["fits"], True)
        self.assertEqual(sum(d["layers"] for d in got["devices"]), 32)
        for device in got["devices"]:
            self.assertLessEqual(device["bytes"], device["limit_bytes"])
        self.assertEqual(sum(a["bytes"] for a in got["areas"]), got["total_bytes"])
        self.assertGreater(got["decode_bound_tok_s"], 100)
        self.assertLess(self.json(*args, "--fill", "0.3")["decode_bound_tok_s"], got["decode_bound_tok_s"])
        pinned = self.json(*args, "--pin", "0-9=host")
        self.assertEqual(pinned["devices"][2]["layer_runs"][0][0], 0)
        self.assertGreaterEqual(pinned["devices"][2]["layer_runs"][0][1], 9)
        self.assertRegex(self.loam(*args).text, r"on gpu0 .*, layers \d+-\d+")
        self.refused(*args, "--pin", "32=host", says="layer 32")
        self.refused(*args, "--fill", "1.5", says="fill")

    def test_changes__say_what_would_fit(self):
        args = ["plan", *self.GEOMETRY, "--ctx", "8192", "--sequences", "8", "--bandwidth", "50"]
        got = self.json(*args, "--memory-limit", "8G")
        self.assertIs(got["fits"], False)
        kinds = {change["kind"]: change for change in got["changes"]}
        self.assertEqual(kinds["sequences"]["value"], 3)
        self.assertIn("sequences 3", got["error"])
        again = ["plan", *self.GEOMETRY, "--sequences", "8", "--bandwidth", "50", "--memory-limit", "8G", "--ctx"]
        context = kinds["context_tokens"]["value"]
        self.assertIs(self.json(*again, context)["fits"], True)
        self.assertIs(self.json(*again, context + 1)["fits"], False)

    def test_model__is_planned_from_its_header(self):
        path, about = self.tiny("llama-gqa")
        got = self.json("plan", path, "--bandwidth", "10")
        self.assertIs(got["fits"], True)
        self.assertEqual(sum(d["layers"] for d in got["devices"]), about["hparams"]["block_count"])
        self.assertLessEqual(sum(a["bytes"] for a in got["areas"]), got["total_bytes"])


class Devices(Case):
    """Models over devices that are there: those of the module of tests/module/tally.c."""

    def setUp(self):
        super().setUp()
        self.need(MODULES / "tally.so")
        self.model = self.need(DATA / "tiny-llama.gguf")
        self.args = ["--modules", MODULES, "--ctx", "256"]

    def test_placement__is_the_same_in_plan_and_run(self):
        def table(text):
            return [line for line in text.splitlines() if line.startswith("  on ")]
        for more in [["--on", "tally:0=1@8M", "--on", "cpu@64M"], ["--on", "cpu@64M", "--on", "tally:1=1@8M"],
                     ["--on", "tally:0=1@8M", "--on", "cpu=0@64M", "--on", "tally:1@8M"],
                     ["--backend", "auto", "--memory-limit", "64M"], ["--backend", "cpu", "--memory-limit", "64M"]]:
            planned = table(self.loam("plan", self.model, "--bandwidth", "10", *self.args, *more).text)
            ran = table(self.loam("run", self.model, "--tokens", "5,6,7", "--predict", "2", *self.args, *more).errors)
            self.assertEqual(len(planned), max(1, more.count("--on")))
            self.assertEqual(planned, ran)

    def test_bytes__add_up_to_the_total(self):
        got = self.json("plan", self.model, "--bandwidth", "10", *self.args, "--on", "tally:0=1@8M", "--on", "cpu@64M")
        self.assertIs(got["fits"], True)
        self.assertEqual([(d["name"], d["limit_bytes"], d["layers"]) for d in got["devices"]],
                         [("tally 0", 8 << 20, 1), ("cpu", 64 << 20, 1)])
        for i, device in enumerate(got["devices"]):
            self.assertEqual(sum(a["bytes"] for a in got["areas"] if a["device"] == i), device["bytes"])
        self.assertEqual(sum(d["bytes"] for d in got["devices"]), got["total_bytes"])
        for name, total in [("kv", got["kv_bytes"]), ("weights", got["weights_bytes"] - got["weights_mapped_bytes"])]:
            self.assertEqual(sum(a["bytes"] for a in got["areas"] if a["name"] == name), total)
        self.assertGreater(sum(a["bytes"] for a in got["areas"] if a["name"] == "staging"), 0)
        self.assertGreater(got["sequences_fit"], 1)

    def test_changes__name_the_device(self):
        args = ["plan", self.model, "--bandwidth", "10", *self.args, "--sequences", "64", "--on"]
        got = self.json(*args, "tally:0=2@3M", "--on", "cpu@4M")
        self.assertIs(got["fits"], False)
        changes = {change["kind"]: change for change in got["changes"]}
        self.assertEqual((changes["layers"]["value"], changes["layers"]["name"], changes["layers"]["device"]), (1, "tally 0", 0))
        self.assertIn("layers 1 on tally 0", got["error"])
        self.assertIs(self.json(*args, "tally:0=1@3M", "--on", "cpu@4M")["fits"], True)
        limit = changes["limit_bytes"]["value"]
        self.assertIs(self.json(*args, f"tally:0=2@{limit}", "--on", "cpu@4M")["fits"], True)


class Tokenize(Case):
    def vocabulary(self, name):
        folder = SHARED / "golden/tokenizer/vocab"
        if (folder / f"{name}.gguf").exists():
            return folder / f"{name}.gguf"
        path = self.folder / f"{name}.gguf"
        path.write_bytes(gzip.decompress(self.need(folder / f"{name}.gguf.gz").read_bytes()))
        return path

    def golden(self, name):
        with open(self.need(SHARED / f"golden/tokenizer/{name}.jsonl"), encoding="utf-8", newline="\n") as f:
            return [json.loads(line) for line in f]

    def test_ids__are_those_of_the_reference(self):
        for name in ["smollm2-135m", "llama-spm"]:
            rows = self.golden(name)
            asked = [{k: row[k] for k in ("text", "add_special", "parse_special")} for row in rows]
            got = self.lines("tokenize", self.vocabulary(name), rows=asked)
            self.assertEqual([g["ids"] for g in got], [row["ids"] for row in rows])

    def test_detokenize__gives_the_reference_bytes(self):
        for name in ["smollm2-135m", "llama-spm"]:
            rows = self.golden(name)
            asked = [{"ids": row["ids"], "pieces": True} for row in rows]
            got = self.lines("tokenize", self.vocabulary(name), "--detokenize", rows=asked)
            self.assertEqual([g["base64"] for g in got], [row["detok"] for row in rows])
            self.assertEqual([g["pieces_base64"] for g in got], [row["pieces"] for row in rows])
            for g in got:
                self.assertEqual(g["text"], base64.b64decode(g["base64"]).decode(errors="replace"))

    def test_line__that_is_wrong_says_so_and_the_rest_goes_on(self):
        path = self.vocabulary("smollm2-135m")
        rows = [{"text": "a"}, "nonsense\n", "[1]\n", "\n", {"text": 1}, {}, {"text": "a", "add_special": 1}, {"text": "a"}]
        got = self.lines("tokenize", path, rows=rows, status=FAILED)
        self.assertEqual(["error" in g for g in got], [False, True, True, True, True, True, False])
        self.assertEqual(got[0], got[-1])
        rows = [{"ids": [1]}, {"ids": [10**6]}, {"ids": [-1]}, {"ids": [2**40]}, {"ids": [1.0]}, {"ids": 1}, {"ids": []}]
        got = self.lines("tokenize", path, "--detokenize", rows=rows, status=FAILED)
        self.assertEqual(["error" in g for g in got], [False, True, True, True, True, True, False])

    def test_text__may_be_long_and_hold_nul(self):
        path = self.vocabulary("smollm2-135m")
        text = "naïve\0 text\n" * 100_000
        ids = self.lines("tokenize", path, rows=[{"text": text}])[0]["ids"]
        self.assertEqual(self.lines("tokenize", path, "--detokenize", rows=[{"ids": ids}])[0]["text"], text)


class Render(Case):
    def test_source__is_rendered_without_a_model(self):
        rows = [{"template_source": "{{ a }} {{ b }} {{ s }}", "context": {"a": 1, "b": 1.0, "s": "é\0/"}},
                {"template_source": "{{ d|tojson }}", "context": {"d": {"z": 0.1, "a": [None, True, 1e300]}}},
                {"template_source": "none"}]
        self.assertEqual(self.lines("render", rows=rows),
                         [{"text": "1 1.0 é\0/"}, {"text": '{"z": 0.1, "a": [null, true, 1e+300]}'}, {"text": "none"}])

    def test_template__of_a_file_sees_the_variables(self):
        template = self.folder / "t.jinja"
        template.write_text("{{ messages[0].content }}|{{ tools is none }}|{{ documents is none }}|{{ add_generation_prompt }}"
                            "|{{ bos_token }}")
        rows = [{"messages": [{"role": "user", "content": "hi"}], "tools": None, "add_generation_prompt": True,
                 "extra": {"bos_token": "<s>", "documents": [1]}}, {"messages": [{"content": "yo"}]}]
        self.assertEqual(self.lines("render", "--template", template, rows=rows),
                         [{"text": "hi|True|False|True|<s>"}, {"text": "yo|True|True|False|"}])

    def test_now__is_what_the_template_sees(self):
        rows = [{"template_source": "{{ strftime_now('%Y-%m-%d %H:%M:%S %j %A') }}"}]
        for now, seen in [("2025-03-14T09:26:53", "2025-03-14 09:26:53 073 Friday"),
                          ("2024-02-29T23:59:59", "2024-02-29 23:59:59 060 Thursday"),
                          ("1969-12-31T00:00:01", "1969-12-31 00:00:01 365 Wednesday")]:
            self.assertEqual(self.lines("render", "--now", now, rows=rows), [{"text": seen}])

    def test_line__that_fails_says_why(self):
        rows = [{"template_source": "{{ raise_exception('this will not do') }}"}, {"template_source": "{% if %}"},
                {"messages": []}, {"template_source": 1}, {"template_source": "x", "context": []}, {"template_source": "ok"}]
        got = self.lines("render", rows=rows, status=FAILED)
        self.assertIn("this will not do", got[0]["error"])
        self.assertEqual(["error" in g for g in got], [True] * 5 + [False])

    def test_golden__of_one_template_is_met(self):
        folder = SHARED / "golden/chat"
        template = self.need(folder / "templates/gguf-smollm2-135m.jinja")
        with open(folder / "cases.jsonl", encoding="utf-8", newline="\n") as f:
            cases = [case for case in map(json.loads, f) if case["template"] == template.name and "expect" in case]
        got = self.lines("render", "--template", template, "--now", "2025-03-14T09:26:53", rows=cases)
        self.assertEqual([g["text"] for g in got], [case["expect"] for case in cases])

    def test_model__renders_with_its_own_template(self):
        got = self.lines("render", self.smollm(), rows=[{"messages": [{"role": "user", "content": "Hi"}],
                                                        "add_generation_prompt": True}])
        self.assertTrue(got[0]["text"].endswith("<|im_start|>user\nHi<|im_end|>\n<|im_start|>assistant\n"))

    def test_parse__reads_text_back(self):
        template = self.folder / "calls.jinja"
        template.write_text("{% for m in messages %}{% if m.tool_calls %}<call>{{ m.tool_calls[0].function|tojson }}</call>"
                            "{% else %}<{{ m.role }}>{{ m.content }}{% endif %}{% endfor %}"
                            "{% if add_generation_prompt %}<assistant><think>{% endif %}")
        call = '<call>{"name": "add", "arguments": {"a": 1}}</call>'
        rows = [{"text": "Hm</think>Ok " + call}, {"text": "Ok", "add_generation_prompt": False}, {"text": 1}]
        got = self.lines("render", "--parse", "--template", template, rows=rows, status=FAILED)
        self.assertEqual(got[0]["message"], {
            "role": "assistant", "content": "Ok", "reasoning_content": "Hm", "tool_calls": [
                {"id": "call00000", "type": "function", "function": {"name": "add", "arguments": '{"a": 1}'}}]})
        self.assertEqual(got[1], {"message": {"role": "assistant", "content": "Ok"}})
        self.assertIn("text", got[2]["error"])
        row = dict(rows[0], template_source=template.read_text())
        self.assertEqual(self.lines("render", "--parse", rows=[row]), got[:1])

    def test_parse__takes_the_models_own_template(self):
        got = self.lines("render", self.smollm(), "--parse", rows=[{"text": "Hi <b>you</b><|im_end|>\n"}])
        self.assertEqual(got, [{"message": {"role": "assistant", "content": "Hi <b>you</b>"}}])


class Logits(Case):
    def logits(self, path, tokens, *more):
        out = self.folder / "out.bin"
        about = self.json("logits", path, "--tokens", ",".join(map(str, tokens)), "--out", out, *more)
        self.assertEqual(out.stat().st_size, 4 * about["n_tokens"] * about["n_vocab"])
        self.assertEqual(about["n_tokens"], len(tokens))
        return out.read_bytes()

    def test_values__are_those_of_the_reference(self):
        path, about = self.tiny("llama-gqa")
        want = (path.parent / "llama-gqa.exact.logits.bin").read_bytes()
        for tokens in about["sequences"]:
            got = self.logits(path, tokens, "--kv", "f32")
            expected, want = want[:len(got)], want[len(got):]
            n = len(got) // 4
            pairs = zip(struct.unpack(f"<{n}f", got), struct.unpack(f"<{n}f", expected))
            self.assertLess(max(abs(a - b) for a, b in pairs), 2e-2)

    def test_bits__do_not_depend_on_chunks_or_threads(self):
        path, about = self.tiny("gemma3")
        tokens = about["sequences"][-1]
        whole = self.logits(path, tokens, "--threads", "1")
        for more in [["--chunk", "1"], ["--chunk", "7"], ["--threads", "2", "--chunk", "1000"]]:
            self.assertEqual(self.logits(path, tokens, *more), whole, more)

    def test_tokens__outside_the_model_fail_and_leave_no_file(self):
        path, _ = self.tiny("llama-gqa")
        out = self.folder / "out.bin"
        self.refused("logits", path, "--tokens", "1,999999", "--out", out)
        self.refused("logits", path, "--tokens", "1,2,3", "--ctx", "2", "--out", out)
        self.assertFalse(out.exists())
        self.refused("logits", path, "--tokens", "1", "--out", self.folder / "no/such/folder")


class Run(Case):
    def test_tokens__greedy_follows_the_reference(self):
        path, about = self.tiny("llama-gqa")
        greedy = about["runs"][0]["greedy_exact"]
        for tokens, want in zip(about["sequences"], greedy):
            got = self.json("run", path, "--tokens", ",".join(map(str, tokens)), "--temp", "0", "--predict", len(want),
                            "--kv", "f32")
            self.assertEqual(got["tokens"], want)
            self.assertEqual((got["finish"], got["prompt_tokens"]), ("length", len(tokens)))

    def test_seed__decides_the_text(self):
        path, _ = self.tiny("llama-gqa")
        ask = ["run", path, "--tokens", "5,6,7", "--predict", "20", "--ignore-end", "--temp", "1"]
        first = self.json(*ask, "--seed", "7")
        self.assertEqual(first["seed"], 7)
        self.assertEqual(self.json(*ask, "--seed", "7", "--threads", "1")["tokens"], first["tokens"])
        self.assertNotEqual(self.json(*ask, "--seed", "8")["tokens"], first["tokens"])
        drawn = self.json(*ask)
        self.assertEqual(self.json(*ask, "--seed", drawn["seed"])["tokens"], drawn["tokens"])

    def test_context__ends_the_answer(self):
        path, _ = self.tiny("llama-gqa")
        got = self.json("run", path, "--tokens", "5,6,7", "--ctx", "8", "--predict", "50", "--ignore-end")
        self.assertEqual((got["finish"], len(got["tokens"])), ("context", 6))
        self.refused("run", path, "--tokens", "5,6,7", "--ctx", "2")

    def test_prompt__comes_from_the_input_too(self):
        model = self.smollm()
        ask = ["run", model, "--temp", "0", "--predict", "8"]
        said = self.json(*ask, "Name a colour.")
        self.assertEqual(self.json(*ask, stdin="Name a colour.\n")["tokens"], said["tokens"])
        self.assertEqual(self.json(*ask, "-", stdin="Name a colour.")["tokens"], said["tokens"])
        self.assertEqual({"text", "tokens", "prompt_tokens", "prefill_tok_s", "decode_tok_s", "finish"} - set(said), set())
        self.assertGreater(said["prefill_tok_s"], 0)
        self.assertGreater(self.json(*ask, "Name a colour.", "--system", "Be a pirate.")["prompt_tokens"], 10)
        self.assertLess(self.json(*ask, "Name a colour.", "--raw")["prompt_tokens"], 10)

    def test_text__streams_what_json_holds(self):
        ask = ["run", self.smollm(), "Write three words in Japanese and an emoji.", "--temp", "0", "--predict", "60"]
        got = self.loam(*ask)
        self.assertEqual(got.text, self.json(*ask)["text"] + "\n")
        self.assertRegex(got.errors, r"prefill \d+ tokens at [\d.]+ tok/s, decode \d+ tokens at [\d.]+ tok/s\n\Z")

    def test_template__missing_goes_on_raw_with_a_note(self):
        path, _ = self.tiny("llama-gqa")
        got = self.loam("run", path, "abc", "--predict", "3")
        self.assertIn("no chat template", got.errors)


class Chat(Case):
    def chat(self, *args):
        p = subprocess.Popen([COMMAND, "chat", *map(str, args)], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                             stderr=subprocess.PIPE)
        self.addCleanup(lambda: (p.kill(), p.wait(), p.stdin.close(), p.stdout.close(), p.stderr.close()))
        return p

    def test_turns__prefill_only_what_is_new(self):
        ask = ["chat", self.smollm(), "--temp", "0", "--predict", "12", "--json"]
        got = self.loam(*ask, stdin="My name is Ada.\n\nWhat is my name?\n/reset\nMy name is Ada.\n/quit\nnever asked\n")
        turns = [json.loads(line) for line in got.stdout.splitlines()]
        self.assertEqual(len(turns), 3)
        self.assertEqual(turns[0]["prefill_tokens"], turns[0]["prompt_tokens"])
        self.assertGreater(turns[1]["prompt_tokens"], turns[0]["prompt_tokens"])
        self.assertLess(turns[1]["prefill_tokens"], turns[1]["prompt_tokens"] - turns[0]["prompt_tokens"] + 12)
        self.assertEqual(turns[2]["tokens"], turns[0]["tokens"])

    def test_interrupt__stops_the_answer_and_not_the_chat(self):
        p = self.chat(self.smollm(), "--temp", "0", "--predict", "4000", "--ignore-end")
        p.stdin.write(b"Tell me a very long story.\n")
        p.stdin.flush()
        self.assertTrue(select.select([p.stdout], [], [], TIMEOUT_S)[0])
        p.send_signal(signal.SIGINT)
        time.sleep(0.2)
        p.stdin.write(b"/quit\n")
        p.stdin.flush()
        out, _ = p.communicate(timeout=TIMEOUT_S)
        self.assertEqual(p.returncode, DONE)
        self.assertTrue(out.decode().endswith("\n"))

    def test_template__is_needed(self):
        path, _ = self.tiny("llama-gqa")
        self.refused("chat", path, says="no chat template")


class Bench(Case):
    def test_json__has_both_speeds(self):
        path, _ = self.tiny("llama-gqa")
        for more in [[], ["--parallel", "3"], ["--bandwidth", "10", "--threads", "1"]]:
            got = self.json("bench", path, "--prompt", "20", "--generate", "5", "--reps", "1", *more)
            self.assertGreater(got["prefill_tok_s"], 0)
            self.assertGreater(got["decode_tok_s"], 0)
        self.assertEqual(got["read_gb_s"], 10)
        self.assertAlmostEqual(got["decode_bound_share"], got["decode_tok_s"] / got["decode_bound_tok_s"])

    def test_roofs__are_measured_for_each_instruction_set(self):
        path, _ = self.tiny("llama-gqa")
        errors = self.loam("bench", path, "--isa", "none", status=FAILED).errors
        for isa in errors.strip().split("that this CPU has: ")[1].split(", "):
            got = self.json("bench", path, "--prompt", "20", "--generate", "2", "--reps", "1", "--isa", isa)
            self.assertGreater(got["read_gb_s"], 0)
            self.assertGreater(got["multiply_gmac_s"], 0)
            self.assertAlmostEqual(got["prefill_bound_share"], got["prefill_tok_s"] / got["prefill_bound_tok_s"])
        text = self.loam("bench", path, "--prompt", "20", "--generate", "2", "--reps", "1").text
        self.assertRegex(text, r"(?m)^  memory +[\d.]+ GB/s +\(decode reaches [\d.]+ of it\)$")
        self.assertRegex(text, r"(?m)^  products +[\d.]+ GMAC/s +\(prefill reaches [\d.]+ of it\)$")

    def test_depth__adds_kv_cells_to_what_decode_reads(self):
        path, _ = self.tiny("llama-gqa")
        quick = ["bench", path, "--prompt", "4", "--generate", "3", "--reps", "2", "--bandwidth", "10"]
        shallow, deep = self.json(*quick), self.json(*quick, "--depth", "40", "--parallel", "2")
        self.assertEqual([shallow["depth"], deep["depth"]], [1, 40])
        self.assertGreater(deep["decode_tok_s"], 0)
        self.assertLess(deep["decode_bound_tok_s"], 2 * shallow["decode_bound_tok_s"])
        self.assertIn("context", self.loam(*quick, "--depth", "40", "--ctx", "20", status=FAILED).errors)

    def test_ops__add_up_to_the_whole(self):
        path, _ = self.tiny("llama-gqa")
        quick = ["bench", path, "--prompt", "20", "--generate", "5", "--reps", "2", "--ops"]
        rows = self.json(*quick)["ops"]
        self.assertEqual(rows[-1]["op"], "the rest")
        for phase in ["prefill", "decode"]:
            self.assertAlmostEqual(sum(row[f"{phase}_share"] for row in rows), 1)
            took = {row["op"] for row in rows if row[f"{phase}_us"] > 0}
            self.assertLessEqual({"matmul", "prepare", "attention", "norm", "rope", "glu", "add", "kv write"}, took)
        self.assertTrue(any(row["op"] == "matmul" and row["head"] for row in rows))
        self.assertRegex(self.loam(*quick).text, r"(?m)^  head: matmul \S+ +[\d.]+ us +[\d.]+ % +[\d.]+ us +[\d.]+ %$")
        self.assertNotIn("ops", self.json(*quick[:-1]))
        self.refused(*quick, "--sweep-batch", "1,2", status=USAGE, says="--ops")

    def test_sweep__measures_each_batch_size(self):
        path, _ = self.tiny("llama-gqa")
        quick = ["bench", path, "--prompt", "20", "--generate", "3", "--reps", "1"]
        got = self.json(*quick, "--sweep-batch", "1,3,8", "--bandwidth", "10")
        self.assertEqual([row["parallel"] for row in got["sweep"]], [1, 3, 8])
        self.assertEqual([row["prompt"] for row in got["sweep"]], [20, 7, 3])
        for row in got["sweep"]:
            self.assertGreater(row["prefill_tok_s"], 0)
            self.assertAlmostEqual(row["step_ms"], 1e3 * row["parallel"] / row["decode_tok_s"], places=6)
            self.assertAlmostEqual(row["decode_bound_tok_s"], got["sweep"][0]["decode_bound_tok_s"] * row["parallel"])
        self.assertIn(got["knee"], [None, 1, 3])
        self.assertEqual([row["parallel"] for row in self.json(*quick, "--sweep-batch")["sweep"]], [1, 2, 4, 8, 16, 32])
        self.assertRegex(self.loam(*quick, "--sweep-batch=1,2").text, r"(?m)^ +2 +\d")

    def test_sweep__wants_rising_batch_sizes(self):
        for args in [["1,1"], ["4,2"], ["0,1"], ["1,2", "--parallel", "2"]]:
            self.refused("bench", "m", "--sweep-batch", *args, status=USAGE)


if __name__ == "__main__":
    unittest.main(verbosity=2)
