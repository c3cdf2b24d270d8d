"""The extension module: cffi's view of include/loam/*.h."""
from typing import Any

ffi: Any
lib: Any
