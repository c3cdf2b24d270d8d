"""Read and check a GGUF container, and decode its number formats."""
from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence as List
from dataclasses import dataclass
from typing import Any, Optional, Union

import numpy as np
import numpy.typing as npt

from ._loam import ffi, lib
from .errors import OutOfMemoryError, StateError, error
from .hooks import Buffer, Source, native_sources
from .view import view

Value = Union[int, float, bool, str, list[Any]]


@dataclass(frozen=True)
class Format:
    """A number format packs block_values numbers into block_bytes bytes."""

    type: int
    name: str
    block_values: int
    block_bytes: int


def format_of(type: int) -> Format:
    """Describe a format by its GGUF number. Errors: TensorTypeError."""
    info = ffi.new("loam_format_info *")
    lib.loam_format_info_init(info)
    status = lib.loam_format_describe(type, info)
    if status:
        raise error(status, f"loam does not know the number format {type}")
    return Format(info.type, ffi.string(info.name).decode(), info.block_values, info.block_bytes)


def decode_blocks(type: int, blocks: Union[Buffer, npt.NDArray[np.uint8]]) -> npt.NDArray[np.float32]:
    """The numbers of whole blocks: float32[len(blocks) / block_bytes * block_values]. Errors:
    TensorTypeError, ArgumentError."""
    form = format_of(type)
    data = ffi.from_buffer(blocks)
    values = np.empty(len(data) // form.block_bytes * form.block_values, np.float32)
    status = lib.loam_quant_decode(type, data, ffi.from_buffer("float[]", values), len(values))
    if status:
        raise error(status, f"{len(data)} bytes of {form.name} could not be decoded")
    return values


@dataclass(frozen=True)
class Tensor:
    name: str
    format: Format
    shape: tuple[int, ...]  # NumPy's order: the row's length comes last
    size_bytes: int
    offset_bytes: int  # from the start of its part
    part: int  # which part of a split model holds it
    data: Optional[npt.NDArray[np.uint8]]  # its bytes, read-only; None where a Source is read

    def decode(self) -> npt.NDArray[np.float32]:
        """Its numbers: float32[shape]."""
        if self.data is None:
            raise StateError(f"{self.name} is read through a Source; read its bytes there")
        return decode_blocks(self.format.type, self.data).reshape(self.shape)


class GGUF:
    """A container; only its header is read. `metadata` and `tensors` by name, in the file's order.

    A context manager that closes it; what is mapped stays while an array of a tensor does.
    Errors: NotFoundError, MagicError, TruncatedError, CorruptError, ..."""

    def __init__(self, source: Union[str, os.PathLike[str], Source, Buffer, List[Union[Source, Buffer]]]) -> None:
        keep: list[Any] = []
        made = ffi.new("loam_gguf **")
        if isinstance(source, (str, os.PathLike)):
            status = lib.loam_gguf_open(os.fsencode(source), ffi.NULL, made)
        else:
            parts = [source] if isinstance(source, (Source, bytes, bytearray, memoryview)) else source
            status = lib.loam_gguf_open_sources(native_sources(parts, keep), len(parts), ffi.NULL, made)
        if made[0] == ffi.NULL:
            raise OutOfMemoryError("there is no memory for the container's handle")
        self._gguf: Optional[Any] = ffi.gc(made[0], lambda g, _keep=keep: lib.loam_gguf_close(g))
        self._check(status)
        self.version = int(lib.loam_gguf_version(self._pointer))
        self.parts = int(lib.loam_gguf_parts(self._pointer))
        self.metadata: Mapping[str, Value] = dict(self._read_metadata())
        self.tensors: Mapping[str, Tensor] = {tensor.name: tensor for tensor in self._read_tensors()}

    def __enter__(self) -> GGUF:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        self._gguf, self.tensors = None, {}

    @property
    def _pointer(self) -> Any:
        if self._gguf is None:
            raise StateError("the container is closed; open it again")
        return self._gguf

    def _check(self, status: int) -> None:
        if status:
            raise error(status, ffi.string(lib.loam_gguf_error(self._pointer)).decode(errors="replace"))

    def _read_metadata(self) -> Iterator[tuple[str, Value]]:
        for i in range(lib.loam_gguf_meta_count(self._pointer)):
            meta = ffi.new("loam_gguf_meta *")
            lib.loam_gguf_meta_init(meta)
            self._check(lib.loam_gguf_get_meta(self._pointer, i, meta))
            values: list[Any] = [self._element(i, e, meta.element_type) for e in range(meta.count)]
            yield ffi.string(meta.key).decode(errors="replace"), (
                values if meta.type == lib.LOAM_META_ARRAY else values[0])

    def _element(self, i: int, e: int, type: int) -> Any:
        g = self._pointer
        if type == lib.LOAM_META_STRING:
            text, n = ffi.new("char **"), ffi.new("size_t *")
            self._check(lib.loam_gguf_get_string(g, i, e, text, n))
            return bytes(ffi.buffer(text[0], n[0])).decode(errors="replace")
        if type in (lib.LOAM_META_F32, lib.LOAM_META_F64):
            kind, get = "double *", lib.loam_gguf_get_f64
        elif type == lib.LOAM_META_U64:
            kind, get = "uint64_t *", lib.loam_gguf_get_u64
        else:
            kind, get = "int64_t *", lib.loam_gguf_get_i64
        value = ffi.new(kind)
        self._check(get(g, i, e, value))
        return bool(value[0]) if type == lib.LOAM_META_BOOL else value[0]

    def _read_tensors(self) -> Iterator[Tensor]:
        for i in range(lib.loam_gguf_tensor_count(self._pointer)):
            tensor = ffi.new("loam_gguf_tensor *")
            lib.loam_gguf_tensor_init(tensor)
            self._check(lib.loam_gguf_get_tensor(self._pointer, i, tensor))
            data = None
            if tensor.data != ffi.NULL:
                data = view(self._pointer, tensor.data, (tensor.size_bytes,), np.uint8)
            yield Tensor(
                ffi.string(tensor.name).decode(errors="replace"), format_of(tensor.type),
                tuple(tensor.dims[d] for d in reversed(range(tensor.n_dims))), tensor.size_bytes,
                tensor.offset_bytes, tensor.part, data)
