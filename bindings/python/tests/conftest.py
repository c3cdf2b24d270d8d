"""LOAM_TEST_DATA is the folder of the tiny models that tests/data makes."""
from __future__ import annotations

import os
import pathlib
from collections.abc import Iterator

import pytest

import loam

DATA = pathlib.Path(os.environ.get("LOAM_TEST_DATA", "build/tests/data")).resolve()
RAIN = "the rain in the air"


def resident_bytes() -> int:
    pages = pathlib.Path("/proc/self/statm").read_text().split()[1]
    return int(pages) * os.sysconf("SC_PAGE_SIZE")


@pytest.fixture(scope="session")
def path() -> str:
    """A llama with two layers and 298 tokens, which writes gibberish."""
    return str(DATA / "tiny-llama.gguf")


@pytest.fixture
def model(path: str) -> Iterator[loam.Model]:
    with loam.Model(path, context=256, sequences=4, threads=2, isa="scalar") as m:
        yield m


@pytest.fixture
def slow(path: str) -> Iterator[loam.Model]:
    """One whose prompts may be so long that computing them takes many seconds."""
    with loam.Model(path, context=60000, sequences=2, threads=1, isa="scalar") as m:
        yield m
