"""What the library calls: the log, the clock, and the bytes of a model that is no file.

A hook that raises harms nothing: what a log or a clock raised goes to the logger "loam", what a Source
raised is the __cause__ of the error of the call."""
from __future__ import annotations

import logging
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Callable, Optional, Union

from ._loam import ffi, lib

Log = Callable[[int, str], object]
Clock = Callable[[], float]
Buffer = Union[bytes, bytearray, memoryview]

LOG_ERROR, LOG_WARN, LOG_INFO, LOG_DEBUG = 1, 2, 3, 4  # the levels that a log hook gets

_logger = logging.getLogger("loam")


@dataclass
class Source:
    """A model's bytes, read through `read(offset, n)`, which returns n bytes or raises."""

    size: int
    read: Callable[[int, int], Buffer]
    raised: Optional[BaseException] = field(default=None, repr=False)


@dataclass(frozen=True)
class Hooks:
    log: Optional[Log]
    clock: Optional[Clock]


@ffi.def_extern()  # type: ignore[untyped-decorator]
def loam_python_log(ctx: Any, level: int, text: Any) -> None:
    try:
        ffi.from_handle(ctx).log(level, ffi.string(text).decode(errors="replace"))
    except BaseException:
        _logger.exception("the log hook raised")


@ffi.def_extern()  # type: ignore[untyped-decorator]
def loam_python_clock(ctx: Any) -> int:
    try:
        return int(ffi.from_handle(ctx).clock())
    except BaseException:
        _logger.exception("the clock hook raised")
        return int(time.time())


@ffi.def_extern()  # type: ignore[untyped-decorator]
def loam_python_read(ctx: Any, offset: int, buffer: Any, n: int) -> int:
    source: Source = ffi.from_handle(ctx)
    try:
        data = memoryview(source.read(offset, n)).cast("B")
        if len(data) != n:
            raise EOFError(f"read({offset}, {n}) returned {len(data)} bytes")
        ffi.memmove(buffer, data, n)
        return 0
    except BaseException as raised:
        source.raised = raised
        return -1


def native_hooks(log: Optional[Log], clock: Optional[Clock], keep: list[Any]) -> Any:
    """A loam_hooks *, or NULL without hooks; `keep` gets what must outlive the handle."""
    if log is None and clock is None:
        return ffi.NULL
    hooks = ffi.new("loam_hooks *")
    lib.loam_hooks_init(hooks)
    ctx = ffi.new_handle(Hooks(log, clock))
    keep += [hooks, ctx]
    if log is not None:
        hooks.log, hooks.log_ctx = lib.loam_python_log, ctx
    if clock is not None:
        hooks.clock, hooks.clock_ctx = lib.loam_python_clock, ctx
    return hooks


def native_sources(parts: Sequence[Union[Source, Buffer]], keep: list[Any]) -> Any:
    """A loam_source *[] of bytes and of Sources; `keep` as above."""
    made = []
    for part in parts:
        source = ffi.new("loam_source *")
        lib.loam_source_init(source)
        if isinstance(part, Source):
            source.size_bytes = part.size
            source.ctx = ctx = ffi.new_handle(part)
            source.read = lib.loam_python_read
            keep.append(ctx)
        else:
            source.data = data = ffi.from_buffer(part)
            source.size_bytes = len(data)
            keep.append(data)
        made.append(source)
    keep += made
    return ffi.new("loam_source *[]", made)
