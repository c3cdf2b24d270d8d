#!/usr/bin/env python3
"""Tests of the page of loam plan --html: as a file, and in headless Chromium.

  LOAM_COMMAND=build/loam LOAM_TEST_DATA=build/tests/data python3 tests/command/test_page.py [Class[.test]]

Without Chromium, what needs it is skipped. LOAM_MODELS is the folder of the real models.
"""
import html.parser
import json
import os
import pathlib
import re
import shutil
import struct
import subprocess
import unittest

from test_command import Case, DONE, TIMEOUT_S, setUpModule  # noqa: F401

DATA = pathlib.Path(os.environ.get("LOAM_TEST_DATA", "/nonexistent"))
BROWSER = next(filter(None, map(shutil.which, ["chromium", "chromium-browser", "google-chrome"])), None)
GEOMETRY = ["--params", "8e9", "--bpw", "4.5", "--layers", "32", "--kv-heads", "8", "--head-dim", "128",
            "--overhead", "300M"]
VOID = {"meta", "link", "input", "br", "img", "base"}


class Document(html.parser.HTMLParser):
    """The elements of a page that have an id: their attributes, their text, and how often each tag is inside."""

    def __init__(self, text):
        super().__init__()
        self.open, self.ids = [], {}
        self.feed(text)

    def handle_starttag(self, tag, attributes):
        element = {"tag": tag, "text": "", "tags": [], **dict(attributes)}
        for outer in self.open:
            outer["tags"].append(tag)
        if "id" in element:
            self.ids[element["id"]] = element
        if tag not in VOID:
            self.open.append(element)

    def handle_startendtag(self, tag, attributes):
        self.handle_starttag(tag, attributes)
        if tag not in VOID:
            self.open.pop()

    def handle_endtag(self, tag):
        while self.open and self.open.pop()["tag"] != tag:
            pass

    def handle_data(self, text):
        for element in self.open:
            element["text"] += text


class PageCase(Case):
    def page(self, *args):
        path = self.folder / "page.html"
        self.loam("plan", *args, "--html", path, "--bandwidth", "50")
        return path

    def tiny_llama(self, **changes):
        """A small model of our own; changes: bytes to put in place of others of the same length."""
        path = self.folder / "tiny.gguf"
        data = self.need(DATA / "tiny-llama.gguf").read_bytes()
        for old, new in changes.values():
            self.assertEqual((data.count(old), len(old)), (1, len(new)))
            data = data.replace(old, new)
        path.write_bytes(data)
        return path


class File(PageCase):
    def test_page__is_one_small_file_that_loads_nothing(self):
        text = self.page(*GEOMETRY).read_text()
        self.assertLess(len(text), 200_000)
        self.assertIn("default-src 'none'", text)
        for outside in [r"https?:", r"\bsrc\s*=", r"@import", r"url\((?!#)", r"<link(?! rel=\"icon\" href=\"data:)",
                        r"\bfetch\(", r"XMLHttpRequest"]:
            self.assertNotRegex(text, outside)

    def test_file__that_cannot_be_written_fails(self):
        got = self.loam("plan", *GEOMETRY, "--bandwidth", "1", "--html", self.folder / "no" / "page.html", status=1)
        self.assertIn("page.html: cannot be written", got.errors)

    def test_measured__must_be_a_sweep(self):
        sweep = self.folder / "sweep.json"
        page = self.folder / "page.html"
        for text in ["", "[]", "{}", '{"sweep": []}', '{"sweep": [1]}', '{"sweep": [{"parallel": 1}]}',
                     '{"sweep": [{"parallel": 0, "decode_tok_s": 1}]}', '{"sweep": [{"parallel": 1, "decode_tok_s": "1"}]}']:
            sweep.write_text(text)
            got = self.loam("plan", *GEOMETRY, "--bandwidth", "1", "--html", page, "--measured", sweep, status=1)
            self.assertIn("sweep.json", got.errors, text)
            self.assertFalse(page.exists())


@unittest.skipUnless(BROWSER, "chromium is not there")
class Browser(PageCase):
    def browse(self, path, address="", script="", fine=True):
        """The page as it is after its scripts and then `script` have run."""
        driven = self.folder / "driven.html"
        driven.write_text(path.read_text() + (f"<script>{script}</script>" if script else ""))
        got = subprocess.run(
            [BROWSER, "--headless", "--no-sandbox", "--disable-gpu", f"--user-data-dir={self.folder / 'profile'}",
             "--hide-scrollbars", "--allow-file-access-from-files", "--enable-logging=stderr",
             "--virtual-time-budget=5000", "--window-size=1200,900", "--dump-dom", f"file://{driven}{address}"],
            capture_output=True, timeout=TIMEOUT_S, text=True)
        self.assertEqual(got.returncode, DONE, got.stderr[-2000:])
        complaints = re.findall(r"(?m)^.*\bCONSOLE\b.*$", got.stderr)
        self.assertEqual(not complaints, fine, complaints)
        return Document(got.stdout).ids

    def sweep(self):
        path = self.folder / "sweep.json"
        rows = [{"parallel": n, "decode_tok_s": s, "step_ms": 1e3 * n / s} for n, s in [(1, 5), (2, 9), (4, 15), (8, 16)]]
        path.write_text(json.dumps({"sweep": rows, "knee": 4}))
        return path

    def bytes_of(self, ids):
        return {key: int(ids[f"{key}-bytes"]["data-bytes"]) for key in ["weights", "kv", "other", "total"]}

    def plan(self, *args):
        got = self.json("plan", *args, "--bandwidth", "50")
        return {"weights": got["weights_bytes"], "kv": got["kv_bytes"], "other": got["overhead_bytes"],
                "total": got["total_bytes"]}

    def test_console__is_watched(self):
        self.browse(self.page(*GEOMETRY), script="nonsense()", fine=False)

    def test_instruments__are_there(self):
        context = b"llama.context_length" + struct.pack("<I", 4)
        path = self.tiny_llama(longer=(context + struct.pack("<I", 256), context + struct.pack("<I", 65536)))
        for args in [[path], GEOMETRY]:
            ids = self.browse(self.page(*args))
            for section, controls in {"fit": ["context", "users", "kv", "ceiling"], "quant": ["format"],
                                      "throughput": ["batch", "fill"]}.items():
                self.assertEqual(ids[section]["tags"].count("input"), len(controls))
                for control in controls:
                    self.assertEqual((ids[control]["type"], ids[control]["min"]), ("range", "0"))
                    self.assertTrue(ids[control]["aria-valuetext"])
            self.assertGreaterEqual(ids["gauge"]["tags"].count("rect"), 7)
            self.assertGreaterEqual(ids["quant-chart"]["tags"].count("circle"), 8)
            self.assertIn("path", ids["quant-chart"]["tags"])
            self.assertIn("path", ids["speed-chart"]["tags"])
            self.assertIn("this file" if args == [path] else "this model", ids["quant-chart"]["text"])
            self.assertIn("tok/s", ids["batch-say"]["text"])

    def test_address__shows_what_plan_says(self):
        page = self.page(*GEOMETRY)
        for context, users, kv in [(8192, 4, "f16"), (512, 32, "f16"), (131072, 1, "f32")]:
            ids = self.browse(page, f"#context={context}&users={users}&kv={kv}")
            self.assertEqual(self.bytes_of(ids), self.plan(*GEOMETRY, "--ctx", context, "--sequences", users, "--kv", kv))

    def test_address__shows_what_plan_says_of_a_file(self):
        smollm = self.smollm()
        ids = self.browse(self.page(smollm), "#context=8192&users=4")
        self.assertEqual(self.bytes_of(ids), self.plan(smollm, "--ctx", 8192, "--sequences", 4))

    def test_start__is_what_was_asked_for(self):
        for args in [[], ["--ctx", "3000", "--sequences", "5"], ["--kv", "f32"]]:
            self.assertEqual(self.bytes_of(self.browse(self.page(*GEOMETRY, *args))), self.plan(*GEOMETRY, *args))

    def test_slider__moved_by_hand_shows_what_plan_says(self):
        move = """
            const range = document.getElementById("users");
            range.value = 3;
            range.dispatchEvent(new Event("input", { bubbles: true }));
            range.dispatchEvent(new Event("change", { bubbles: true }));"""
        tiny = self.tiny_llama()
        ids = self.browse(self.page(tiny), script=move)
        self.assertEqual(ids["users"]["aria-valuetext"], "8 sequences")
        self.assertEqual(self.bytes_of(ids), self.plan(tiny, "--sequences", 8))

    def test_ceiling__decides_what_fits_and_each_change_makes_it_fit(self):
        page = self.page(*GEOMETRY)
        address = "#context=32768&users=8&memory=24"
        ids = self.browse(page, address)
        self.assertIn("Does not fit", ids["verdict"]["text"])
        self.assertEqual(int(ids["limit-bytes"]["data-bytes"]), 24 * 2**30 * 90 // 100)
        said = self.json("plan", *GEOMETRY, "--bandwidth", 50, "--ctx", 32768, "--sequences", 8, "--memory-limit",
                         24 * 2**30 * 90 // 100)
        self.assertIs(said["fits"], False)
        n = ids["advice"]["tags"].count("button")
        self.assertGreaterEqual(n, 3)
        for i in range(n):
            ids = self.browse(page, address, f"document.querySelectorAll('#advice button')[{i}].click();")
            with self.subTest(change=i):
                self.assertRegex(ids["verdict"]["text"], r"\AFits")

    def test_measured__is_drawn_beside_the_model(self):
        sweep = self.sweep()
        ids = self.browse(self.page(*GEOMETRY, "--measured", sweep), "#batch=4")
        self.assertIn("measured knee: 4", ids["speed-chart"]["text"])
        self.assertIn("Measured: 15.0 tok/s", ids["batch-say"]["text"])
        self.assertIn("multiply roof: 256 GFLOP/s, the best measured", ids["legend"]["text"])
        ids = self.browse(self.page(*GEOMETRY, "--measured", sweep, "--gflops", "800"))
        self.assertIn("multiply roof: 800 GFLOP/s, given", ids["legend"]["text"])

    def test_knee__is_where_multiplying_takes_as_long_as_reading(self):
        ids = self.browse(self.page(*GEOMETRY, "--gflops", "800"), "#batch=128&fill=0")
        weights, token_gflop = 8e9 * 4.5 / 8, 2 * 8
        knee = (weights / 50e9) / (token_gflop / 800)
        self.assertIn(f"knee: {knee:.1f}", ids["speed-chart"]["text"])
        self.assertIn("At best 50.0 tok/s together", ids["batch-say"]["text"])
        self.assertIn("limited by multiplying", ids["batch-say"]["text"])

    def test_name__from_the_file_stays_text(self):
        name = b"</script>!"
        ids = self.browse(self.page(self.tiny_llama(name=(b"tiny llama", name))))
        self.assertEqual(ids["name"]["text"], name.decode())

    def test_page__is_as_narrow_as_a_phone(self):
        page = self.page(self.tiny_llama(), "--gflops", "100", "--measured", self.sweep())
        outer = self.folder / "outer.html"
        outer.write_text("<body></body>")
        measure = f"""
            const frame = document.createElement("iframe");
            frame.style.width = "360px";
            frame.src = "{page.name}";
            frame.onload = () => {{
                const inside = frame.contentDocument.documentElement;
                inside.querySelectorAll("details").forEach(details => {{ details.open = true; }});
                document.body.id = inside.scrollWidth > inside.clientWidth ? "too-wide" : "fits";
            }};
            document.body.append(frame);"""
        self.assertIn("fits", self.browse(outer, script=measure))


if __name__ == "__main__":
    unittest.main(verbosity=2)
