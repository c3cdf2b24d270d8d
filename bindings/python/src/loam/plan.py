"""Will it fit, what goes where, how fast can it be at best: before anything is loaded."""
from __future__ import annotations

import os
from collections.abc import Sequence as List
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Optional, Union

from ._loam import ffi, lib
from .errors import OutOfMemoryError, error
from .options import Options, native_options

if TYPE_CHECKING:
    from typing_extensions import Unpack


@dataclass(frozen=True)
class Geometry:
    """A model that is only described."""

    parameters: float
    bits_per_weight: float
    layers: int
    kv_heads: int
    head_values: int  # width of one head
    overhead_bytes: int = 0  # beyond weights and KV, on each device that is used
    kv_bytes: int = 0  # all KV, where it is known
    expert_parameters: float = 0.0  # of the parameters, those of experts
    experts: int = 0  # of a layer
    experts_used: int = 0  # of these, for one token
    vocabulary_tokens: int = 0
    embedding_values: int = 0


@dataclass(frozen=True)
class Target:
    """One device of a machine that is described."""

    name: str
    memory_bytes: int  # free; 0, the host only: what the system leaves
    bandwidth_bytes_s: float  # of reading that memory
    is_host: bool = False
    link_bytes_s: float = 0.0  # between it and the host; 0: 25e9
    link_seconds: float = 0.0  # what each transfer takes beyond its bytes; 0: 10e-6


@dataclass(frozen=True)
class Totals:
    """All in bytes where nothing else is said."""

    weights_bytes: int  # mapped and private
    weights_mapped_bytes: int  # shared with the file cache
    kv_bytes: int
    overhead_bytes: int
    total_bytes: int
    shared_bytes: int
    private_bytes: int
    peak_resident_bytes: int  # of the process, what loam adds
    limit_bytes: int
    token_read_bytes: int  # read for one decoded token with an empty context
    kv_token_bytes: int  # KV of one token over all layers
    parameters: float
    bits_per_weight: float
    fill: float  # how much of the memory may be used
    context_tokens: int
    sequences: int
    block_tokens: int
    blocks_per_sequence: int
    token_products: int  # with weights, for one token of a prompt


@dataclass(frozen=True)
class PlanDevice:
    name: str
    bytes: int
    limit_bytes: int
    layers: int
    first_layer: int
    token_seconds: float  # that a token takes there at best; 0: not known
    is_host: bool
    has_embedding: bool
    has_output: bool
    has_experts: bool


@dataclass(frozen=True)
class Area:
    """A part of the memory: "weights", "kv", "activations", ..."""

    name: str
    device: int
    bytes: int


@dataclass(frozen=True)
class Change:
    """The smallest change of its kind that helps. Those of one choice go together."""

    kind: str  # "sequences", "kv_tokens", "kv_type", "context" or "format"
    value: float
    name: Optional[str]  # of a format or a KV type
    total_bytes: int
    choice: int


@dataclass(frozen=True)
class Bound:
    """How fast decoding can be at best (EQ OM2.1)."""

    context_tokens: int
    weights_bytes: int  # read for a token
    kv_bytes: int  # read for a token
    token_seconds: float  # at least
    tok_s: float  # at most


@dataclass(frozen=True)
class Quality:
    """What a format typically costs."""

    name: str
    bits_per_weight: float
    perplexity_percent: float  # by which perplexity rises over that of the unquantized weights
    beaten: bool  # a smaller format of the table loses less


_KINDS = {
    lib.LOAM_CHANGE_SEQUENCES: "sequences",
    lib.LOAM_CHANGE_KV_TOKENS: "kv_tokens",
    lib.LOAM_CHANGE_KV_TYPE: "kv_type",
    lib.LOAM_CHANGE_CONTEXT: "context",
    lib.LOAM_CHANGE_FORMAT: "format",
}


class Plan:
    """What loading would allocate, and where.

    fits, totals, devices, areas; where it does not fit: advice, a sentence, and changes, the same as
    data."""

    def __init__(self, pointer: Any, keep: list[Any]) -> None:
        self._plan: Any = ffi.gc(pointer, lambda p, _keep=keep: lib.loam_plan_free(p))
        totals = self._read("loam_plan_totals", lib.loam_plan_get_totals)
        self.fits = bool(totals.fits)
        self.totals = Totals(**{name: getattr(totals, name) for name in Totals.__annotations__})
        self.advice = ffi.string(lib.loam_plan_error(self._plan)).decode(errors="replace")
        self.devices = [self._device(i) for i in range(lib.loam_plan_device_count(self._plan))]
        self.areas = [self._area(i) for i in range(lib.loam_plan_area_count(self._plan))]
        self.changes = [self._change(i) for i in range(lib.loam_plan_change_count(self._plan))]

    def layer_device(self, layer: int) -> Optional[int]:
        """The index of a layer's device; None: the plan has no such layer."""
        found = lib.loam_plan_layer_device(self._plan, layer)
        return None if found < 0 else int(found)

    def bound(self, context_tokens: int = 0, bandwidth_bytes_s: float = 0.0) -> Bound:
        """With that many tokens in a sequence (0: the plan's own) and that bandwidth (0: that of the
        plan's targets). Errors: ArgumentError (no bandwidth is known)."""
        found = ffi.new("loam_plan_bound *")
        lib.loam_plan_bound_init(found)
        self._check(lib.loam_plan_get_bound(self._plan, context_tokens, bandwidth_bytes_s, found))
        return Bound(**{name: getattr(found, name) for name in Bound.__annotations__})

    def sequences_fit(self, mean_tokens: int = 0) -> int:
        """How many sequences could be open, each with mean_tokens on average (0: a whole context)."""
        found = ffi.new("uint32_t *")
        self._check(lib.loam_plan_sequences_fit(self._plan, mean_tokens, found))
        return int(found[0])

    def _check(self, status: int) -> None:
        if status:
            raise error(status, ffi.string(lib.loam_plan_error(self._plan)).decode(errors="replace"))

    def _read(self, kind: str, get: Any, *index: int) -> Any:
        found = ffi.new(f"{kind} *")
        getattr(lib, f"{kind}_init")(found)
        self._check(get(self._plan, *index, found))
        return found

    def _device(self, i: int) -> PlanDevice:
        device = self._read("loam_plan_device", lib.loam_plan_get_device, i)
        flags = device.flags
        return PlanDevice(
            ffi.string(device.name).decode(), device.bytes, device.limit_bytes, device.layers,
            device.first_layer, device.token_seconds, bool(flags & lib.LOAM_PLAN_HOST),
            bool(flags & lib.LOAM_PLAN_EMBEDDING), bool(flags & lib.LOAM_PLAN_OUTPUT),
            bool(flags & lib.LOAM_PLAN_EXPERTS))

    def _area(self, i: int) -> Area:
        area = self._read("loam_plan_area", lib.loam_plan_get_area, i)
        return Area(ffi.string(area.name).decode(), area.device, area.bytes)

    def _change(self, i: int) -> Change:
        change = self._read("loam_plan_change", lib.loam_plan_get_change, i)
        name = None if change.name == ffi.NULL else ffi.string(change.name).decode()
        return Change(_KINDS.get(change.kind, "other"), change.value, name, change.total_bytes, change.choice)


def plan(source: Union[str, os.PathLike[str], Geometry], *, targets: List[Target] = (), fill: float = 0.0,
         **options: Unpack[Options]) -> Plan:
    """Plan a model file, of which only the header is read, or a described one.

    options  as for loading: see loam.Options
    targets  devices of another machine; none: this host's memory
    fill     how much of a device's memory may be used, up to 1; 0: 0.9
    Errors   those of loam.Model(), but NoFitError: such a plan has fits == False"""
    keep: list[Any] = []
    native, machine = native_options(options, keep), _machine(targets, fill, keep)
    made = ffi.new("loam_plan **")
    if isinstance(source, Geometry):
        status = lib.loam_plan_place_describe(_geometry(source), native, machine, made)
    else:
        status = lib.loam_plan_place_file(os.fsencode(source), native, machine, made)
    if made[0] == ffi.NULL:
        raise OutOfMemoryError("there is no memory for the plan")
    if status not in (lib.LOAM_OK, lib.LOAM_ERR_NOFIT):
        sentence = ffi.string(lib.loam_plan_error(made[0])).decode(errors="replace")
        lib.loam_plan_free(made[0])
        raise error(status, sentence)
    return Plan(made[0], keep)


def quality(name: str) -> Quality:
    """What a format such as "Q4_K_M" typically costs. Errors: ArgumentError (no such name)."""
    found = ffi.new("loam_quality *")
    lib.loam_quality_init(found)
    status = lib.loam_quality_find(name.encode(), found)
    if status:
        raise error(status, f"{name} is no format that loam knows")
    return _quality(found)


def qualities() -> list[Quality]:
    """The table of formats, most bits first."""
    table = []
    for i in range(lib.loam_quality_count()):
        found = ffi.new("loam_quality *")
        lib.loam_quality_init(found)
        lib.loam_quality_get(i, found)
        table.append(_quality(found))
    return table


def _quality(found: Any) -> Quality:
    return Quality(ffi.string(found.name).decode(), found.bits_per_weight, found.perplexity_percent,
                   bool(found.beaten))


def _geometry(geometry: Geometry) -> Any:
    native = ffi.new("loam_plan_geometry *")
    lib.loam_plan_geometry_init(native)
    for name in Geometry.__annotations__:
        setattr(native, name, getattr(geometry, name))
    return native


def _machine(targets: List[Target], fill: float, keep: list[Any]) -> Any:
    made = []
    for target in targets:
        native = ffi.new("loam_plan_target *")
        lib.loam_plan_target_init(native)
        for name in Target.__annotations__:
            setattr(native, name, getattr(target, name) if name != "name" else ffi.NULL)
        native.name = text = ffi.new("char[]", target.name.encode())
        keep.append(text)
        made.append(native)
    targets_array = ffi.new("loam_plan_target *[]", made)
    machine = ffi.new("loam_plan_machine *")
    lib.loam_plan_machine_init(machine)
    machine.targets, machine.n_targets, machine.fill = targets_array, len(made), fill
    keep += [*made, targets_array]
    return machine
