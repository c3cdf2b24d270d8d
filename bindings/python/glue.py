"""Write the extension module's C source from loam's public headers: glue.py CC HEADERS OUT.

The C preprocessor turns the headers into plain declarations, so what Python sees is what the headers
say. Constants that are macros, and the callbacks that Python answers, are named below."""
import re
import subprocess
import sys
import tempfile
from pathlib import Path

import cffi

HEADERS = ["loam.h", "queue.h", "plan.h", "gguf.h", "quant.h"]
MACROS = ["LOAM_VERSION_MAJOR", "LOAM_VERSION_MINOR", "LOAM_VERSION_PATCH", "LOAM_QUEUE_STOPS",
          "LOAM_PLAN_TARGETS_MAX"]
CALLBACKS = """
extern "Python" {
    void loam_python_log(void *ctx, int32_t level, const char *text);
    int64_t loam_python_clock(void *ctx);
    int32_t loam_python_read(void *ctx, uint64_t offset, void *buffer, size_t n);
}
"""


def declarations(compiler, headers):
    """What the headers declare, without the C library's own (cffi knows its integer types)."""
    with tempfile.TemporaryDirectory() as empty:
        for name in ("stddef.h", "stdint.h"):
            (Path(empty) / name).touch()
        source = "".join(f"#include <loam/{name}>\n" for name in HEADERS)
        # -undef: without the compiler's own macros LOAM_API is empty
        text = subprocess.run([compiler, "-E", "-P", "-undef", "-nostdinc", "-I", empty, "-I", headers, "-"],
                              input=source, capture_output=True, text=True, check=True).stdout
    return re.sub(r"(\d)u\b", r"\1", text)


def main(compiler, headers, out):
    ffi = cffi.FFI()
    ffi.cdef(declarations(compiler, headers))
    ffi.cdef("".join(f"#define {name} ...\n" for name in MACROS))
    ffi.cdef(CALLBACKS)
    ffi.set_source("loam._loam", "".join(f"#include <loam/{name}>\n" for name in HEADERS))
    ffi.emit_c_code(out)


if __name__ == "__main__":
    main(*sys.argv[1:])
