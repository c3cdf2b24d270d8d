"""What chat.completions.create() and completions.create() return: objects with the attributes that
those of the openai package have (https://platform.openai.com/docs/api-reference)."""
from __future__ import annotations

import json
from dataclasses import asdict, dataclass, field
from typing import Any, Optional


def without_none(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: without_none(item) for key, item in value.items() if item is not None}
    return [without_none(item) for item in value] if isinstance(value, list) else value


@dataclass
class Shape:
    """Attributes, and the same as a dict or as JSON."""

    def model_dump(self, *, exclude_none: bool = False) -> dict[str, Any]:
        whole = asdict(self)
        return dict(without_none(whole)) if exclude_none else whole

    def model_dump_json(self, *, indent: Optional[int] = None, exclude_none: bool = False) -> str:
        return json.dumps(self.model_dump(exclude_none=exclude_none), indent=indent, ensure_ascii=False)

    to_dict = model_dump
    to_json = model_dump_json


@dataclass
class PromptTokensDetails(Shape):
    cached_tokens: int = 0  # found in the KV cache instead of being computed


@dataclass
class CompletionUsage(Shape):
    prompt_tokens: int
    completion_tokens: int
    total_tokens: int
    prompt_tokens_details: PromptTokensDetails = field(default_factory=PromptTokensDetails)


@dataclass
class Function(Shape):
    name: str
    arguments: str  # JSON


@dataclass
class ToolCall(Shape):
    id: str
    function: Function
    type: str = "function"


@dataclass
class ChatCompletionMessage(Shape):
    content: Optional[str]
    role: str = "assistant"
    reasoning_content: Optional[str] = None  # not openai's, as that of a delta
    tool_calls: Optional[list[ToolCall]] = None
    refusal: Optional[str] = None


@dataclass
class ChatChoice(Shape):
    index: int
    message: ChatCompletionMessage
    finish_reason: str
    logprobs: None = None


@dataclass
class ChatCompletion(Shape):
    id: str
    created: int
    model: str
    choices: list[ChatChoice]
    usage: CompletionUsage
    object: str = "chat.completion"


@dataclass
class FunctionDelta(Shape):
    arguments: str  # more of them
    name: Optional[str] = None


@dataclass
class ToolCallDelta(Shape):
    index: int
    function: FunctionDelta
    id: Optional[str] = None  # this, the type and the name are in a call's first delta
    type: Optional[str] = None


@dataclass
class ChoiceDelta(Shape):
    content: Optional[str] = None
    role: Optional[str] = None
    reasoning_content: Optional[str] = None
    tool_calls: Optional[list[ToolCallDelta]] = None


@dataclass
class ChunkChoice(Shape):
    index: int
    delta: ChoiceDelta
    finish_reason: Optional[str] = None
    logprobs: None = None


@dataclass
class ChatCompletionChunk(Shape):
    id: str
    created: int
    model: str
    choices: list[ChunkChoice]
    usage: Optional[CompletionUsage] = None
    object: str = "chat.completion.chunk"


@dataclass
class CompletionChoice(Shape):
    index: int
    text: str
    finish_reason: Optional[str] = None
    logprobs: None = None


@dataclass
class Completion(Shape):
    id: str
    created: int
    model: str
    choices: list[CompletionChoice]
    usage: Optional[CompletionUsage] = None
    object: str = "text_completion"
