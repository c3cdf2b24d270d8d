"""One conversation inside a model."""
from __future__ import annotations

from collections.abc import Iterator, Sequence as Tokens
from dataclasses import dataclass, field
from typing import Any, NoReturn, Optional, Union

import numpy as np
import numpy.typing as npt

from ._loam import ffi, lib
from .errors import StateError
from .handle import Handle
from .sampling import GREEDY, Sampling
from .text import TextStream
from .view import view

TokenIds = Union[Tokens[int], npt.NDArray[np.int32]]


def token_array(tokens: TokenIds) -> Any:
    """The same numbers as int32[len(tokens)], without a copy of a NumPy array that is so already."""
    if isinstance(tokens, np.ndarray):
        return ffi.from_buffer("loam_token[]", np.ascontiguousarray(tokens, dtype=np.int32))
    return ffi.new("loam_token[]", tokens)


@dataclass(frozen=True)
class SavedSequence:
    """A whole generation as bytes: tokens, KV cells, logits, sampling and its random state.

    It can be pickled, and restored by any model of the same file and KV cell types:
    `model.restore(saved)`. A checksum finds damage, not malice."""

    data: bytes = field(repr=False)

    def __len__(self) -> int:
        return len(self.data)


class Sequence:
    """Tokens, and the state that the model has of them. Made by Model.open(), fork() or restore().

    A context manager that closes it. After the model is closed every call raises StateError; close()
    is always fine. Threads: calls on one model take turns."""

    def __init__(self, handle: Handle, number: int, vocabulary: int, sampling: Sampling = GREEDY) -> None:
        self._handle = handle
        self._number: Optional[int] = number
        self._vocabulary = vocabulary
        self._sampling = sampling

    # ---- life ----

    def __enter__(self) -> Sequence:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Give the sequence's KV blocks back."""
        number, self._number = self._number, None
        if number is not None and not self._handle.closed:
            self._handle.call(lib.loam_seq_close, number)

    def __del__(self) -> None:
        number = getattr(self, "_number", None)
        if number is not None:
            self._handle.drop_sequence(number)

    def __reduce__(self) -> NoReturn:
        raise TypeError("a Sequence lives in its model; pickle what its save() returns")

    @property
    def number(self) -> int:
        """The library's number of the sequence. Errors: StateError after close()."""
        if self._number is None:
            raise StateError("the sequence is closed; open another")
        return self._number

    def fork(self) -> Sequence:
        """A sequence that begins with all of this one's tokens, and shares their KV blocks. Sampling
        starts from the defaults. Errors: FullError."""
        fork = ffi.new("loam_seq *")
        self._handle.call(lib.loam_seq_fork, self.number, fork)
        return Sequence(self._handle, fork[0], self._vocabulary)

    def truncate(self, n_tokens: int) -> None:
        """Forget all but the first n_tokens; the logits are gone. Errors: ArgumentError."""
        self._handle.call(lib.loam_seq_truncate, self.number, n_tokens)

    def save(self) -> SavedSequence:
        """The whole generation as bytes, for Model.restore()."""
        return SavedSequence(self._handle.fill("char[]", 0, lib.loam_seq_save, self.number))

    def __len__(self) -> int:
        """How many tokens it holds."""
        n = ffi.new("size_t *")
        self._handle.call(lib.loam_seq_length, self.number, n)
        return int(n[0])

    def __bool__(self) -> bool:
        return True  # also when it is empty

    # ---- compute ----

    def prefill(self, tokens: TokenIds) -> None:
        """Append tokens, and compute the logits that follow the last.

        Errors: TokenError, FullError (nothing has changed); CancelledError (as before the call);
        DeadlineError (the same call again goes on). Ctrl-C raises KeyboardInterrupt within about
        SLICE seconds; the sequence is then as before the call."""
        self._handle.compute(lib.loam_prefill, self.number, token_array(tokens), len(tokens))

    def prefill_logits(self, tokens: TokenIds) -> npt.NDArray[np.float32]:
        """prefill(), and the logits of every position: float32[len(tokens), vocabulary]."""
        logits = np.empty((len(tokens), self._vocabulary), np.float32)
        self._handle.compute(lib.loam_prefill_logits, self.number, token_array(tokens), len(tokens),
                             ffi.from_buffer("float[]", logits))
        return logits

    def decode(self, token: int) -> None:
        """Append one token, and compute the logits that follow it. Errors: as prefill()."""
        numbers, tokens = ffi.new("loam_seq *", self.number), ffi.new("loam_token *", token)
        self._handle.compute(lib.loam_decode, numbers, tokens, 1)

    @property
    def logits(self) -> npt.NDArray[np.float32]:
        """What follows the last token: float32[vocabulary], the library's own memory, read-only. The
        next call that changes the sequence changes the numbers; `logits.copy()` keeps them. The
        memory stays while the array does. Errors: StateError (prefill or decode first)."""
        return self._handle.turn(self._logits)

    def _logits(self, m: Any) -> npt.NDArray[np.float32]:
        found = lib.loam_logits(m, self.number)
        if found == ffi.NULL:
            raise StateError("the sequence has no logits; prefill or decode first")
        return view(m, found, (self._vocabulary,), np.float32)

    # ---- choose ----

    @property
    def sampling(self) -> Sampling:
        """How sample() chooses. Setting it restarts the random numbers from the seed."""
        return self._sampling

    @sampling.setter
    def sampling(self, sampling: Sampling) -> None:
        self._handle.call(lib.loam_seq_sampling, self.number, sampling.native())
        self._sampling = sampling

    def sample(self) -> int:
        """Choose the next token. It is not appended: give it to decode(). Errors: StateError."""
        token = ffi.new("loam_token *")
        self._handle.call(lib.loam_sample, self.number, token)
        return int(token[0])

    def generate(self, max_tokens: Optional[int] = None) -> Iterator[int]:
        """Choose and append tokens until one ends the generation (which is not given) or max_tokens.
        Each token is appended before the next is asked for, so the sequence may be left at any time.
        Errors: FullError when the context is full."""
        given = 0
        while max_tokens is None or given < max_tokens:
            token = self.sample()
            if lib.loam_token_is_end(self._handle.pointer, token):
                return
            self.decode(token)
            given += 1
            yield token

    def text(self, max_tokens: Optional[int] = None, *, skip_control: bool = True) -> Iterator[str]:
        """generate() as pieces of text, whole characters only."""
        return TextStream(self._handle, skip_control).feed(self.generate(max_tokens))
