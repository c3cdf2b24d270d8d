#!/usr/bin/env python3
"""Write the seeds of the GGUF fuzzer: make_gguf.py FOLDER. Tiny containers, some of them broken."""
import struct
import sys
from pathlib import Path

U8, I8, U16, I16, U32, I32, F32, BOOL, STRING, ARRAY, U64, I64, F64 = range(13)
PACK = {U8: "<B", I8: "<b", U16: "<H", I16: "<h", U32: "<I", I32: "<i", F32: "<f", BOOL: "<B",
        U64: "<Q", I64: "<q", F64: "<d"}


def text(s):
    data = s if isinstance(s, bytes) else s.encode()
    return struct.pack("<Q", len(data)) + data


def value(kind, v):
    """An array is (element kind, list)."""
    if kind == STRING:
        return text(v)
    if kind == ARRAY:
        element, items = v
        return struct.pack("<IQ", element, len(items)) + b"".join(value(element, i) for i in items)
    return struct.pack(PACK[kind], v)


def entry(key, kind, v):
    return text(key) + struct.pack("<I", kind) + value(kind, v)


def tensor(name, kind, offset, *dims):
    head = text(name) + struct.pack("<I", len(dims)) + struct.pack(f"<{len(dims)}Q", *dims)
    return head + struct.pack("<IQ", kind, offset)


def container(entries, tensors, data_bytes, version=3, align=32):
    head = b"GGUF" + struct.pack("<IQQ", version, len(tensors), len(entries))
    head += b"".join(entries) + b"".join(tensors)
    return head + bytes(-len(head) % align) + bytes(i % 256 for i in range(data_bytes))


SCALARS = [entry("u8", U8, 200), entry("i8", I8, -100), entry("u16", U16, 60000),
           entry("i16", I16, -30000), entry("u32", U32, 4000000000), entry("i32", I32, -5),
           entry("f32", F32, 1.5), entry("bool", BOOL, 1), entry("u64", U64, 2**64 - 1),
           entry("i64", I64, -2**63), entry("f64", F64, float("nan"))]
LISTS = [entry("words", ARRAY, (STRING, ["one", "", "three"])),
         entry("numbers", ARRAY, (I32, [1, -2, 3])), entry("bools", ARRAY, (BOOL, [0, 1])),
         entry("nested", ARRAY, (ARRAY, [(STRING, ["a"]), (ARRAY, [(U8, [1, 2])])]))]
VOCABULARY = [entry("general.architecture", STRING, "llama"),
              entry("tokenizer.ggml.tokens", ARRAY, (STRING, ["<s>", "</s>", b"\xff", "a"])),
              entry("tokenizer.ggml.scores", ARRAY, (F32, [0.0, 0.0, -1.0, -2.0]))]
TENSORS = [tensor("a.weight", 0, 0, 4, 2), tensor("b.weight", 8, 32, 32),
           tensor("c.weight", 24, 96, 1, 2, 3, 4)]
SPLIT = [entry("split.no", U16, 0), entry("split.count", U16, 2),
         entry("split.tensors.count", I32, 2)]

SEEDS = {
    "empty-v2": container([], [], 0, version=2),
    "scalars": container(SCALARS, [], 0),
    "lists": container(LISTS, [], 0),
    "vocabulary": container(VOCABULARY, [], 0),
    "tensors": container([entry("general.architecture", STRING, "x")], TENSORS, 120),
    "aligned": container([entry("general.alignment", U32, 8)], [tensor("t", 0, 8, 4)], 24, align=8),
    "split": container(SPLIT, [tensor("t", 0, 0, 4)], 16),
    "merged": container([entry("split.count", U16, 0)], [tensor("t", 0, 0, 4)], 16),
    "twice": container([entry("k", U8, 1), entry("k", U8, 2)], [], 0),
    "overlap": container([], [tensor("a", 0, 0, 16), tensor("b", 0, 32, 4)], 64),
    "short-data": container([], TENSORS, 100),
    "huge-count": b"GGUF" + struct.pack("<IQQ", 3, 2**60, 2**60) + bytes(64),
    "empty-alignment": container([entry("general.alignment", ARRAY, (U64, []))], [], 0, align=1),
    "big-endian": b"GGUF" + struct.pack(">IQQ", 3, 0, 0),
    "safetensors": struct.pack("<Q", 2) + b'{"a":1}',
}

if __name__ == "__main__":
    folder = Path(sys.argv[1])
    folder.mkdir(parents=True, exist_ok=True)
    for name, data in SEEDS.items():
        (folder / name).write_bytes(data)
