"""The list that every binding is held to: tests/bindings/conformance.json at the repository's root."""
from __future__ import annotations

import json
import pathlib
import threading
from typing import Any

import pytest

import loam
from conftest import DATA, resident_bytes

LIST = json.loads((pathlib.Path(__file__).resolve().parents[3] / "tests/bindings/conformance.json").read_text("utf-8"))
CASES = {case["name"]: case for case in LIST["cases"]}
MODEL = DATA / LIST["model"]
NAMES = {"context_tokens": "context", "memory_limit_bytes": "memory_limit"}  # of options, where ours differ


def load(options: dict[str, Any] = {}, source: Any = MODEL, **more: Any) -> loam.Model:
    given: Any = {NAMES.get(name, name): value for name, value in {**LIST["options"], **options}.items()}
    return loam.Model(source, **given, **more)


def generate(m: loam.Model, case: dict[str, Any]) -> None:
    with m.open() as seq:
        seq.sampling = loam.Sampling(**case["sampling"])
        prompt = m.tokenize(case["prompt"])
        seq.prefill(prompt)
        tokens = list(seq.generate(case["predict"]))
    assert prompt == case["prompt_tokens"]
    assert tokens == case["tokens"]
    assert "".join(m.stream(skip_control=False).feed(tokens)) == case["text"]


def check_failure(caught: loam.Error, case: dict[str, Any], path: str = "") -> None:
    assert caught.name == case["status"]
    if "sentence" in case:
        assert str(caught) == case["sentence"].replace("{path}", path)
    assert case.get("contains", "") in str(caught)


# ---- one function for each `does` ----

def does_generate(case: dict[str, Any]) -> None:
    with load() as m:
        generate(m, case)
        generate(m, case)
        answer = m.answer(case["prompt"], max_tokens=case["predict"], skip_control=False,
                          sampling=loam.Sampling(**case["sampling"]))
        assert answer.read() == case["text"] and answer.tokens == case["tokens"]


def does_stream(case: dict[str, Any]) -> None:
    with load() as m:
        stream = m.stream(skip_control=case["skip_control"])
        assert [stream.push(token) for token in case["tokens"]] + [stream.end()] == case["pieces"]


def does_tokenize(case: dict[str, Any]) -> None:
    with load() as m:
        assert m.tokenize(case["text"], special=case["special"], control=case["control"]) == case["tokens"]
        text = m.detokenize(case["tokens"], skip_control=case["skip_control"])
        assert text.decode() == case["detokenized"]


def does_chat(case: dict[str, Any]) -> None:
    with load() as m:
        assert m.render_chat(**case["request"]) == case["text"]
        assert m.tokenize_chat(**case["request"]) == case["tokens"]


def does_cancel(case: dict[str, Any]) -> None:
    with load() as m:
        with m.open() as seq:
            if case["when"] == "before":
                m.cancel()
            else:
                threading.Timer(case["after_ms"] / 1000, m.cancel).start()
            with pytest.raises(loam.Error) as caught:
                while True:
                    seq.truncate(0)
                    seq.prefill(case["tokens"])
            check_failure(caught.value, case)
            assert len(seq) == 0
        generate(m, CASES[case["then"]])


def made_file(how: dict[str, Any], folder: pathlib.Path) -> str:
    if how["make"] == "model":
        return str(MODEL)
    path = folder / "made.gguf"
    if how["make"] == "directory":
        path.mkdir()
    elif how["make"] == "text":
        path.write_text(how["text"])
    elif how["make"] == "cut":
        path.write_bytes(MODEL.read_bytes()[: how["bytes"]])
    else:
        assert how["make"] == "none"
    return str(path)


def does_load_error(case: dict[str, Any], folder: pathlib.Path) -> None:
    path = made_file(case["file"], folder)
    with pytest.raises(loam.Error) as caught:
        load(case["options"], path)
    check_failure(caught.value, case, path)


def does_prefill_error(case: dict[str, Any]) -> None:
    with load(case["options"]) as m, m.open() as seq:
        with pytest.raises(loam.Error) as caught:
            seq.prefill(case["tokens"])
        check_failure(caught.value, case)
        assert len(seq) == 0


def does_threads(case: dict[str, Any]) -> None:
    failures: list[BaseException] = []

    def work() -> None:
        try:
            with load(case["options"]) as m:
                for _ in range(case["times"]):
                    generate(m, CASES[case["then"]])
        except BaseException as failure:
            failures.append(failure)

    threads = [threading.Thread(target=work) for _ in range(case["threads"])]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failures == []


def does_free_first(case: dict[str, Any]) -> None:
    m = load()
    then = CASES[case["then"]]
    if case["alive"] == "sequence":
        seq = m.open()
        seq.prefill([1, 2, 3])
        m.close()
        for use in (seq.sample, lambda: seq.decode(1), seq.fork):
            with pytest.raises(loam.StateError):
                use()
        seq.close()
    else:
        assert case["alive"] == "queue"
        queue = m.queue()
        queue.submit(then["prompt_tokens"], max_tokens=8)
        queue.step()
        m.close()
        with pytest.raises(loam.Error) as caught:
            queue.step()
        check_failure(caught.value, case)
        with pytest.raises(loam.Error) as caught:
            queue.submit([1])
        check_failure(caught.value, case)
        queue.close()
    with load() as other:
        generate(other, then)


def raises(*_: Any) -> Any:
    raise RuntimeError("mine")


def does_callback_throws(case: dict[str, Any]) -> None:
    if case["callback"] == "alloc":
        pytest.skip("not offered")
    if case["callback"] == "log":
        with load(log=raises) as m:
            generate(m, CASES[case["then"]])
    else:
        with pytest.raises(loam.Error) as caught:
            load(source=loam.Source(MODEL.stat().st_size, raises))
        check_failure(caught.value, case)
        assert str(caught.value.__cause__) == "mine"
    with load() as m:
        generate(m, CASES[case["then"]])


def does_cycles(case: dict[str, Any]) -> None:
    def cycle() -> None:
        with load() as m, m.open() as seq:
            seq.prefill(m.tokenize(case["prompt"]))
            assert len(list(seq.generate(case["predict"]))) == case["predict"]

    for _ in range(case["warm_up"]):
        cycle()
    before = resident_bytes()
    for _ in range(case["times"]):
        cycle()
    assert resident_bytes() - before <= case["most_growth_bytes"]


@pytest.mark.parametrize("name", CASES)
def test_conformance(name: str, tmp_path: pathlib.Path) -> None:
    case = CASES[name]
    does = globals()[f"does_{case['does']}"]
    does(case, tmp_path) if case["does"] == "load_error" else does(case)
