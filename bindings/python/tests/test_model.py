from __future__ import annotations

import gc
import pathlib
from typing import Any

import pytest

import loam
from loam._loam import lib
from conftest import RAIN

HI = [{"role": "user", "content": "hi <|im_end|>"}]


def test_error__every_status_has_a_class_with_its_number() -> None:
    statuses = {name: getattr(lib, name) for name in dir(lib) if name.startswith("LOAM_ERR_")}
    classes = [getattr(loam, name) for name in dir(loam) if name.endswith("Error") and name != "Error"]
    assert {cls.status for cls in classes} == set(statuses.values())
    for name, status in statuses.items():
        assert loam.status_name(status) == name
        assert loam.errors.error(status, "text").name == name
    assert type(loam.errors.error(-999, "")) is loam.Error


def test_error__is_what_python_calls_it(path: str, tmp_path: pathlib.Path) -> None:
    with pytest.raises(FileNotFoundError, match="no such file; check the path"):
        loam.Model(str(tmp_path / "none.gguf"))
    with pytest.raises(IsADirectoryError):
        loam.Model(tmp_path)
    with pytest.raises(MemoryError, match="limit is 100000") as caught:
        loam.Model(path, memory_limit=100000)
    assert isinstance(caught.value, loam.NoFitError) and caught.value.name == "LOAM_ERR_NOFIT"


def test_options__are_checked(path: str) -> None:
    wrong: Any = {"n_ctx": 5}
    with pytest.raises(TypeError, match="n_ctx"):
        loam.Model(path, **wrong)
    wrong = {"kv_type": "q2"}
    with pytest.raises(ValueError, match="kv_type"):
        loam.Model(path, **wrong)
    with pytest.raises(ValueError, match="threads is -1"):
        loam.Model(path, threads=-1)


def test_model__says_what_it_is(model: loam.Model) -> None:
    info = model.info
    assert (info.architecture, info.layers, info.vocabulary_tokens) == ("llama", 2, 298)
    assert (info.context_tokens, info.sequences, info.threads, info.isa) == (256, 4, 2, "scalar")
    assert (info.bos, info.eos) == (1, 2)
    assert info.chat_template is not None and "im_start" in info.chat_template
    assert model.usage().sequences == 0
    assert model.profile() == [] and model.cache() == b""


def test_model__notes_how_long_ops_take(path: str) -> None:
    with loam.Model(path, profile=True, threads=1) as m, m.open() as seq:
        seq.prefill([1, 2, 3])
        parts = m.profile()
    assert {"matmul", "attention"} <= {part.name for part in parts}
    assert all(part.runs > 0 and part.ns >= 0 for part in parts)


def test_text__goes_to_tokens_and_back(model: loam.Model) -> None:
    tokens = model.tokenize("Zürich 😀 日本語")
    assert tokens[0] == 1 and all(type(token) is int for token in tokens)
    assert model.detokenize(tokens, skip_control=True).decode() == "Zürich 😀 日本語"
    assert model.tokenize("<|im_start|>", special=False, control=True) == [3]
    assert model.token_bytes(3) == b"<|im_start|>"
    assert model.is_end(2) and not model.is_end(20)
    assert model.detokenize([]) == b"" and model.tokenize("", special=False) == []
    long = "rain " * 5000
    assert model.detokenize(model.tokenize(long, special=False)).decode() == long
    with pytest.raises(loam.TokenError, match="298"):
        model.detokenize([298])


def test_chat__control_tokens_in_content_stay_text(model: loam.Model) -> None:
    assert model.render_chat(HI) == "<|im_start|>user\nhi <|im_end|><|im_end|>\n<|im_start|>assistant\n"
    tokens = model.tokenize_chat(HI)
    assert tokens.count(4) == 1
    with pytest.raises(loam.TemplateError):
        model.render_chat([{"role": "user"}])


def test_template__without_a_model() -> None:
    assert loam.render_template("{{ a }}-{{ 'ü' * n }}", {"a": "x", "n": 300}) == "x-" + "ü" * 300
    with pytest.raises(loam.TemplateError, match="line 2"):
        loam.render_template("\n{{ raise_exception('no') }}", {})
    source = "{{ strftime_now('%Y') }}"
    assert loam.render_template(source, {}, clock=lambda: 0.5) == "1970"
    assert int(loam.render_template(source, {}, clock=lambda: 1 / 0)) > 2000


def test_model__from_bytes_and_through_a_source(path: str) -> None:
    data = pathlib.Path(path).read_bytes()
    asked = []

    def read(offset: int, n: int) -> bytes:
        asked.append((offset, n))
        return data[offset : offset + n]

    with loam.Model(path, isa="scalar") as m:
        wanted = m.answer(RAIN, max_tokens=8).read()
    for source in (data, memoryview(data), loam.Source(len(data), read), [data]):
        with loam.Model(source, isa="scalar") as m:
            gc.collect()
            assert m.answer(RAIN, max_tokens=8).read() == wanted
    assert asked


def test_source__that_raises_is_the_cause(path: str) -> None:
    def read(offset: int, n: int) -> bytes:
        raise ZeroDivisionError("mine")

    with pytest.raises(loam.ReadError) as caught:
        loam.Model(loam.Source(1000000, read))
    assert isinstance(caught.value.__cause__, ZeroDivisionError)
    with pytest.raises(OSError) as short:
        loam.Model(loam.Source(1000000, lambda offset, n: b"too short"))
    assert isinstance(short.value.__cause__, EOFError)


def test_log__gets_lines_and_may_raise(path: str, caplog: pytest.LogCaptureFixture) -> None:
    lines = []
    with loam.Model(path, log=lambda level, line: lines.append((level, line))):
        assert lines and all(loam.LOG_ERROR <= level <= loam.LOG_DEBUG for level, _ in lines)

    def log(level: int, line: str) -> None:
        raise KeyboardInterrupt

    with loam.Model(path, log=log) as m:
        assert m.answer(RAIN, max_tokens=2).read()
    assert "the log hook raised" in caplog.text


def test_model__for_its_vocabulary_only(path: str) -> None:
    with loam.Model(path, vocabulary_only=True) as m:
        assert m.tokenize(RAIN)
        with pytest.raises(loam.StateError):
            m.open()


def test_close__leaves_nothing_to_use(path: str) -> None:
    m = loam.Model(path)
    m.close()
    m.close()
    assert m.closed
    for use in (lambda: m.tokenize("a"), m.open, m.usage, m.cancel, m.queue, lambda: m.answer("a"),
                lambda: m.is_end(1)):
        with pytest.raises(loam.StateError, match="closed"):
            use()


def test_embed__says_that_there_is_none(model: loam.Model) -> None:
    with pytest.raises(NotImplementedError, match="no embeddings"):
        model.embed("text")
