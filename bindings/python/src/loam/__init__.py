"""loam runs open-weight language models inside your program.

    import loam

    with loam.Model("model.gguf", context=4096) as m:
        for piece in m.answer("Once upon a time", max_tokens=64):
            print(piece, end="", flush=True)

Model          load, tokenize, answer; sequences to prefill, decode, sample, fork and save
Model.chat     chat.completions.create(...) with the shapes of the openai package; Model.aio for asyncio
loam.llama     a Llama class with llama-cpp-python's everyday calls
loam.openai    clients as the openai package has them
Reader         a model's text, taken apart into content, reasoning and tool calls
plan           will it fit, before anything is loaded
GGUF           what a file holds
Error          all that is raised; a class for each status of the library"""
from __future__ import annotations

from . import errors
from ._loam import ffi, lib
from .answer import Answer
from .errors import *
from .errors import status_name
from .gguf import GGUF, Format, Tensor, decode_blocks, format_of
from .hooks import LOG_DEBUG, LOG_ERROR, LOG_INFO, LOG_WARN, Source
from .llama import Llama
from .model import CacheUsage, Info, Model, ProfilePart
from .openai import AsyncOpenAI, OpenAI
from .options import Device, Options
from .plan import Geometry, Plan, Target, plan, qualities, quality
from .queue import Event, Queue, QueueStats, Usage
from .reader import ReadEvent, Reader
from .sampling import Sampling
from .sequence import SavedSequence, Sequence
from .template import render_template
from .text import TextStream

__version__: str = ffi.string(lib.loam_version()).decode()

__all__ = [
    *errors.__all__,
    "Answer", "AsyncOpenAI", "CacheUsage", "Device", "Event", "Format", "GGUF", "Geometry", "Info",
    "LOG_DEBUG", "LOG_ERROR", "LOG_INFO", "LOG_WARN", "Llama", "Model", "OpenAI", "Options", "Plan",
    "ProfilePart", "Queue", "QueueStats", "ReadEvent", "Reader", "Sampling", "SavedSequence", "Sequence",
    "Source", "Target", "Tensor", "TextStream", "Usage", "decode_blocks", "errors", "format_of", "plan",
    "qualities", "quality", "render_template", "status_name",
]
