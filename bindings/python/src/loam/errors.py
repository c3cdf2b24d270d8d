"""What can go wrong: one class for each status of the library, all of them below loam.Error.

The text is the library's own sentence, which names the thing and says what to do. Where Python has a
class for the same thing, `except` of that class works too."""
from __future__ import annotations

from ._loam import ffi, lib

__all__ = [
    "Error",
    "ArgumentError",
    "NewerError",
    "OutOfMemoryError",
    "ReadError",
    "NotFoundError",
    "DirectoryError",
    "EmptyError",
    "MagicError",
    "VersionError",
    "EndianError",
    "TruncatedError",
    "CorruptError",
    "LimitError",
    "ArchitectureError",
    "MetadataError",
    "TensorMissingError",
    "TensorShapeError",
    "TensorTypeError",
    "TokenizerError",
    "TemplateError",
    "JSONError",
    "NoFitError",
    "FullError",
    "TokenError",
    "SequenceError",
    "BufferSizeError",
    "StateError",
    "CancelledError",
    "DeadlineError",
    "DeviceError",
    "BackendError",
    "UnsupportedError",
    "InternalError",
    "ForeignError",
]


class Error(Exception):
    """A call failed. `status` is its number, `name` the number's name, such as "LOAM_ERR_FULL"."""

    status = 0

    @property
    def name(self) -> str:
        return status_name(self.status)


class ArgumentError(Error, ValueError):
    """An argument is out of its range or unknown."""


class NewerError(Error):
    """An option is set that this library is too old to know."""


class OutOfMemoryError(Error, MemoryError):
    """The allocator had no memory."""


class ReadError(Error, OSError):
    """The system or a Source failed to read; what a Source raised is the __cause__."""


class NotFoundError(Error, FileNotFoundError):
    """No such file."""


class DirectoryError(Error, IsADirectoryError):
    """The path names a directory."""


class EmptyError(Error):
    """The file has no bytes."""


class MagicError(Error):
    """Not a GGUF file, or not a saved sequence."""


class VersionError(Error):
    """A version of the file or of the saved sequence that is not read."""


class EndianError(Error):
    """A big-endian GGUF file."""


class TruncatedError(Error, EOFError):
    """The file ends before its header says: a partial download."""


class CorruptError(Error):
    """The file contradicts itself."""


class LimitError(Error):
    """A stated limit of loam is exceeded."""


class ArchitectureError(Error):
    """An architecture that loam does not run."""


class MetadataError(Error):
    """A metadata key is missing or has a wrong type or value."""


class TensorMissingError(Error):
    """A tensor that the architecture needs is not in the file."""


class TensorShapeError(Error):
    """A tensor has another shape than the architecture needs."""


class TensorTypeError(Error):
    """A number format that loam or the backend does not know."""


class TokenizerError(Error):
    """No vocabulary, or a kind that is not supported."""


class TemplateError(Error):
    """The chat template is missing, wrong, or raised an error."""


class JSONError(Error, ValueError):
    """Text that should be JSON is not."""


class NoFitError(Error, MemoryError):
    """The plan exceeds the memory limit."""


class FullError(Error):
    """No room in the sequence's context, in the KV cache, or for one more sequence."""


class TokenError(Error, ValueError):
    """A token id outside the vocabulary."""


class SequenceError(Error):
    """The sequence is closed."""


class BufferSizeError(Error):
    """A buffer is too small; the binding sizes its own, so this is not expected."""


class StateError(Error, RuntimeError):
    """The call came out of order, such as sample before prefill, or after the model was closed."""


class CancelledError(Error):
    """Model.cancel() was called."""


class DeadlineError(Error, TimeoutError):
    """The model's budget is used up; the same call again goes on."""


class DeviceError(Error):
    """The device is gone; only close() is left."""


class BackendError(Error):
    """No backend of that name, or it lacks what is asked."""


class UnsupportedError(Error, NotImplementedError):
    """Valid, but not built into this version."""


class InternalError(Error):
    """A broken invariant inside loam: please report it."""


class ForeignError(Error):
    """A saved sequence of another model, or of other KV cell types."""


_CLASSES: dict[int, type[Error]] = {
    lib.LOAM_ERR_ARG: ArgumentError,
    lib.LOAM_ERR_NEWER: NewerError,
    lib.LOAM_ERR_NOMEM: OutOfMemoryError,
    lib.LOAM_ERR_IO: ReadError,
    lib.LOAM_ERR_NOT_FOUND: NotFoundError,
    lib.LOAM_ERR_DIRECTORY: DirectoryError,
    lib.LOAM_ERR_EMPTY: EmptyError,
    lib.LOAM_ERR_MAGIC: MagicError,
    lib.LOAM_ERR_VERSION: VersionError,
    lib.LOAM_ERR_ENDIAN: EndianError,
    lib.LOAM_ERR_TRUNCATED: TruncatedError,
    lib.LOAM_ERR_CORRUPT: CorruptError,
    lib.LOAM_ERR_LIMIT: LimitError,
    lib.LOAM_ERR_ARCH: ArchitectureError,
    lib.LOAM_ERR_METADATA: MetadataError,
    lib.LOAM_ERR_TENSOR_MISSING: TensorMissingError,
    lib.LOAM_ERR_TENSOR_SHAPE: TensorShapeError,
    lib.LOAM_ERR_TENSOR_TYPE: TensorTypeError,
    lib.LOAM_ERR_TOKENIZER: TokenizerError,
    lib.LOAM_ERR_TEMPLATE: TemplateError,
    lib.LOAM_ERR_JSON: JSONError,
    lib.LOAM_ERR_NOFIT: NoFitError,
    lib.LOAM_ERR_FULL: FullError,
    lib.LOAM_ERR_TOKEN: TokenError,
    lib.LOAM_ERR_SEQ: SequenceError,
    lib.LOAM_ERR_BUFFER: BufferSizeError,
    lib.LOAM_ERR_STATE: StateError,
    lib.LOAM_ERR_CANCELLED: CancelledError,
    lib.LOAM_ERR_DEADLINE: DeadlineError,
    lib.LOAM_ERR_DEVICE: DeviceError,
    lib.LOAM_ERR_BACKEND: BackendError,
    lib.LOAM_ERR_UNSUPPORTED: UnsupportedError,
    lib.LOAM_ERR_INTERNAL: InternalError,
    lib.LOAM_ERR_FOREIGN: ForeignError,
}
for _status, _class in _CLASSES.items():
    _class.status = _status


def status_name(status: int) -> str:
    """The name of a status, such as "LOAM_ERR_FULL"."""
    return str(ffi.string(lib.loam_status_name(status)).decode())


def error(status: int, sentence: str) -> Error:
    """The exception for a status; one that this binding does not know yet is a plain Error."""
    made = _CLASSES.get(status, Error)(sentence or status_name(status))
    made.status = status
    return made
