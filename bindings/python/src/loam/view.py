"""NumPy arrays over memory of the library, without copies."""
from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from ._loam import ffi


class _Window:
    """What NumPy asks for the place of an array's numbers, and keeps as long as the array."""

    __slots__ = ("owner", "__array_interface__")

    def __init__(self, owner: Any, interface: dict[str, Any]) -> None:
        self.owner = owner
        self.__array_interface__ = interface


def view(owner: Any, pointer: Any, shape: tuple[int, ...], kind: npt.DTypeLike) -> npt.NDArray[Any]:
    """A read-only array over what `pointer` points to; `owner` is what frees that once it is dropped."""
    address, read_only = int(ffi.cast("uintptr_t", pointer)), True
    interface = {"version": 3, "typestr": np.dtype(kind).str, "data": (address, read_only), "shape": shape}
    return np.asarray(_Window(owner, interface))
