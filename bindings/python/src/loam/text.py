"""Text that streams, token by token."""
from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

from ._loam import ffi, lib
from .handle import Handle


class TextStream:
    """Turns tokens into text as they come: whole characters only, a broken one becomes U+FFFD."""

    def __init__(self, handle: Handle, skip_control: bool) -> None:
        self._handle = handle
        self._stream: Any = ffi.new("loam_stream *")
        lib.loam_stream_init(self._stream)
        self._stream.flags = lib.LOAM_DETOKENIZE_SKIP_CONTROL if skip_control else 0

    def push(self, token: int) -> str:
        """Add a token; returns the text that is now complete, often "". Errors: TokenError."""
        return self._handle.fill("char[]", 256, lib.loam_stream_push, self._stream, token).decode()

    def end(self) -> str:
        """End the text; returns U+FFFD for an unfinished character, else ""."""
        return self.push(-1)

    def feed(self, tokens: Iterable[int]) -> Iterator[str]:
        """The text of all these tokens in pieces, none empty."""
        for token in tokens:
            piece = self.push(token)
            if piece:
                yield piece
        rest = self.end()
        if rest:
            yield rest
