"""Chat templates without a model."""
from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any, Optional

from ._loam import ffi, lib
from .errors import error
from .hooks import Clock, native_hooks


def render_template(source: str, variables: Mapping[str, Any], *, clock: Optional[Clock] = None) -> str:
    """Render the text of a template (a Jinja subset) with these variables.

    clock   what strftime_now() sees, in seconds since 1970
    Errors  TemplateError (with the template's line), LimitError"""
    keep: list[Any] = []
    text, values = source.encode(), json.dumps(variables, ensure_ascii=False).encode(errors="replace")
    hooks = native_hooks(None, clock, keep)
    n, sentence = ffi.new("size_t *"), ffi.new("char[]", 1024)
    capacity = len(text) + 2 * len(values)
    status = lib.LOAM_ERR_BUFFER
    while status == lib.LOAM_ERR_BUFFER:
        buffer = ffi.new("char[]", capacity)
        status = lib.loam_template_render(text, len(text), values, len(values), hooks, buffer, capacity, n,
                                          sentence, len(sentence))
        capacity = n[0]
    if status:
        raise error(status, ffi.string(sentence).decode(errors="replace"))
    return bytes(ffi.buffer(buffer, n[0])).decode(errors="replace")
