"""How a model is loaded: the keyword arguments of loam.Model and loam.plan."""
from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal, TypedDict, Union

from ._loam import ffi, lib
from .hooks import Clock, Log, native_hooks

if TYPE_CHECKING:
    from typing_extensions import Unpack  # noqa: F401 (for those who import Options)

KVType = Literal["default", "f32", "f16", "bf16", "q8_0", "q4_0"]


@dataclass(frozen=True)
class Device:
    """A device to put layers on."""

    backend: str = "cpu"
    index: int = 0  # of the backend's devices
    memory_limit: int = 0  # bytes of its memory that may be used; 0: 0.9 of what is free
    layers: int = -1  # how many it takes, in the order of the devices; -1: any number


class Options(TypedDict, total=False):
    """What may be said about loading; the library's defaults stand for what is not."""

    context: int  # most tokens of one sequence; 0: the model's own, at most 4096
    sequences: int  # most open at once, those that answer() uses included; default 1
    threads: int  # 0: one per processor that this process may use
    memory_limit: int  # bytes: hard cap over all memory; 0: none
    kv_tokens: int  # most tokens in the KV cache, of all sequences; 0: all contexts at once
    kv_type: KVType  # cells of the keys, and of the values too
    v_type: KVType  # cells of the values
    kv_block_tokens: int  # 8, 16, .. 256; 0: 16
    step_tokens: int  # most tokens computed at once; 0: 512
    isa: str  # "scalar", "avx2", ...; "": the best
    backend: str  # "cpu", or the name of a module
    devices: Sequence[Device]  # where the model may lie, instead of backend
    modules: Union[str, os.PathLike[str]]  # the folder where modules are
    cache: bytes  # what Model.cache() gave in an earlier run
    weights: Literal["auto", "map", "pack"]  # map: used in the file's map; pack: always copied
    vocabulary_only: bool  # tokens and chat templates only: no computing
    sharing: bool  # False: compute every prompt whole
    profile: bool  # note how long each kind of op takes, for Model.profile()
    log: Log  # takes (level, line); LOG_ERROR .. LOG_DEBUG
    clock: Clock  # civil time for chat templates, in seconds since 1970


_NUMBERS = {
    "context": "context_tokens",
    "sequences": "sequences",
    "threads": "threads",
    "memory_limit": "memory_limit_bytes",
    "kv_tokens": "kv_tokens",
    "kv_block_tokens": "kv_block_tokens",
    "step_tokens": "step_tokens",
}
_FLAGS = {
    ("vocabulary_only", True): lib.LOAM_LOAD_VOCAB,
    ("sharing", False): lib.LOAM_LOAD_NO_SHARING,
    ("profile", True): lib.LOAM_LOAD_PROFILE,
    ("weights", "map"): lib.LOAM_LOAD_MAP,
    ("weights", "pack"): lib.LOAM_LOAD_PACK,
}


def _number(name: str, given: int) -> int:
    if given < 0:
        raise ValueError(f"{name} is {given}; it must not be negative")
    return given


def _kv_type(name: str, given: str) -> int:
    number = getattr(lib, f"LOAM_KV_{given.upper()}", None)
    if number is None:
        raise ValueError(f'{name} is "{given}"; it must be f32, f16, bf16, q8_0 or q4_0')
    return int(number)


def _devices(devices: Sequence[Device], keep: list[Any]) -> Any:
    made = []
    for device in devices:
        native = ffi.new("loam_device *")
        lib.loam_device_init(native)
        native.backend = name = ffi.new("char[]", device.backend.encode())
        native.index = device.index
        native.memory_limit_bytes = device.memory_limit
        native.layers = device.layers
        made.append(native)
        keep += [name, native]
    return ffi.new("loam_device *[]", made)


def native_options(given: Options, keep: list[Any]) -> Any:
    """A loam_options *; `keep` gets what must live as long as what is loaded with it."""
    unknown = set(given) - set(Options.__annotations__)
    if unknown:
        raise TypeError(f"unknown options: {', '.join(sorted(unknown))}")
    options = ffi.new("loam_options *")
    lib.loam_options_init(options)
    for name, value in given.items():
        if name in _NUMBERS:
            setattr(options, _NUMBERS[name], _number(name, value))  # type: ignore[arg-type]
        options.flags |= _FLAGS.get((name, value), 0) if isinstance(value, (bool, str)) else 0
    options.kv_type = _kv_type("kv_type", given.get("kv_type", "default"))
    options.v_type = _kv_type("v_type", given.get("v_type", "default"))
    for name in ("isa", "backend", "modules"):
        text = ffi.new("char[]", os.fsencode(given.get(name, "")))  # type: ignore[arg-type]
        setattr(options, name, text)
        keep.append(text)
    devices, cache = _devices(given.get("devices", ()), keep), ffi.from_buffer(given.get("cache", b""))
    options.devices, options.n_devices = devices, len(devices)
    options.cache, options.cache_bytes = cache, len(cache)
    keep += [devices, cache, options]
    options.hooks = native_hooks(given.get("log"), given.get("clock"), keep)
    return options
