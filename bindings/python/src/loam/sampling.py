"""How the next token is chosen."""
from __future__ import annotations

from dataclasses import dataclass, fields
from typing import Any

from ._loam import ffi, lib


@dataclass(frozen=True)
class Sampling:
    """All zero: greedy. Order: penalties, top_k, top_p, min_p, temperature, draw."""

    temperature: float = 0.0  # 0: greedy, the largest logit, the lowest id on a tie
    seed: int = 0  # same seed, same text; independent of other sequences
    top_k: int = 0  # keep the k largest; 0: all
    top_p: float = 0.0  # keep the fewest whose probabilities reach this; 0: all
    min_p: float = 0.0  # keep those of at least this share of the largest probability; 0: all
    repeat_penalty: float = 0.0  # divide positive, multiply negative logits of recent tokens; 0, 1: off
    frequency_penalty: float = 0.0  # subtract this for each time a recent token occurred
    presence_penalty: float = 0.0  # subtract this once if it occurred
    penalty_tokens: int = 0  # how many of the last tokens are recent; 0: 64

    def native(self) -> Any:
        """A loam_sampling *."""
        made = ffi.new("loam_sampling *")
        lib.loam_sampling_init(made)
        for field in fields(self):
            setattr(made, field.name, getattr(self, field.name))
        return made


GREEDY = Sampling()
