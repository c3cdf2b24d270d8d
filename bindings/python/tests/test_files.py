"""Plans, containers, number formats."""
from __future__ import annotations

import pathlib

import numpy as np
import pytest

import loam


def test_plan__says_what_loading_takes(path: str) -> None:
    plan = loam.plan(path, context=128, sequences=2)
    assert plan.fits and plan.totals.context_tokens == 128 and plan.changes == []
    assert plan.totals.total_bytes == sum(area.bytes for area in plan.areas)
    assert {"weights", "kv", "activations"} <= {area.name for area in plan.areas}
    assert plan.devices[0].is_host and plan.devices[0].layers == 2 and plan.layer_device(1) == 0
    assert plan.layer_device(2) is None
    bound = plan.bound(bandwidth_bytes_s=1e9)
    assert bound.tok_s == pytest.approx(1 / bound.token_seconds)
    assert plan.sequences_fit(16) > 1
    with pytest.raises(loam.ArgumentError):
        plan.bound(bandwidth_bytes_s=-1)


def test_plan__that_does_not_fit_says_what_would(path: str) -> None:
    plan = loam.plan(path, context=256, sequences=64, memory_limit=4_000_000)
    assert not plan.fits and plan.advice
    assert any(change.kind == "sequences" and change.value < 64 for change in plan.changes)


def test_plan__for_a_model_and_a_machine_that_are_described() -> None:
    geometry = loam.Geometry(parameters=8e9, bits_per_weight=4.5, layers=32, kv_heads=8, head_values=128)
    gpu = loam.Target("gpu", memory_bytes=3 << 30, bandwidth_bytes_s=900e9)
    host = loam.Target("host", memory_bytes=32 << 30, bandwidth_bytes_s=50e9, is_host=True)
    plan = loam.plan(geometry, targets=[gpu, host], context=4096)
    assert plan.fits and [device.name for device in plan.devices] == ["gpu", "host"]
    assert all(device.layers > 0 for device in plan.devices)
    assert sum(device.layers for device in plan.devices) == 32


def test_plan__raises_what_is_wrong_with_the_file(tmp_path: pathlib.Path) -> None:
    with pytest.raises(FileNotFoundError):
        loam.plan(tmp_path / "none.gguf")


def test_quality__has_a_table() -> None:
    table = loam.qualities()
    assert len(table) > 5 and table == sorted(table, key=lambda row: -row.bits_per_weight)
    assert loam.quality("q4_k_m").name == "Q4_K_M"
    with pytest.raises(loam.ArgumentError):
        loam.quality("Q99")


def test_gguf__shows_what_a_file_holds(path: str) -> None:
    with loam.GGUF(path) as file:
        assert file.version == 3 and file.parts == 1
        assert file.metadata["general.architecture"] == "llama"
        assert file.metadata["llama.block_count"] == 2
        words = file.metadata["tokenizer.ggml.tokens"]
        assert isinstance(words, list) and words[1] == "<s>"
        tensor = file.tensors["token_embd.weight"]
        assert tensor.shape == (298, 64) and tensor.data is not None
        assert tensor.data.nbytes == tensor.size_bytes and not tensor.data.flags.writeable
        numbers = tensor.decode()
        assert numbers.shape == (298, 64) and np.isfinite(numbers).all() and numbers.any()
    with pytest.raises(loam.MagicError):
        loam.GGUF(b"this is no container")


def test_decode_blocks__q8_0() -> None:
    block = np.float16(0.5).tobytes() + np.arange(-16, 16, dtype=np.int8).tobytes()
    assert (loam.decode_blocks(8, block) == np.arange(-16, 16) * 0.5).all()
    form = loam.format_of(8)
    assert (form.name, form.block_values, form.block_bytes) == ("Q8_0", 32, 34)
    with pytest.raises(loam.TensorTypeError):
        loam.format_of(999)
