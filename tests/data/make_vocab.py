#!/usr/bin/env python3
"""Write the seeds of the vocabulary fuzzer: make_vocab.py FOLDER. Tiny vocabularies, some of them broken."""
import struct
import sys
from pathlib import Path

from make_gguf import ARRAY, BOOL, F32, I32, STRING, U8, U32, container, entry

T = "tokenizer.ggml."


def alphabet():
    """The characters that stand for the bytes in byte-level BPE, in the order of the bytes."""
    shown = [*range(0x21, 0x7F), *range(0xA1, 0xAD), *range(0xAE, 0x100)]
    hidden = [c for c in range(256) if c not in shown]
    return [chr(c) if c in shown else chr(256 + hidden.index(c)) for c in range(256)]


def entries(model, tokens, types=None, **more):
    out = [entry(T + "model", STRING, model), entry(T + "tokens", ARRAY, (STRING, tokens))]
    if types is not None:
        out.append(entry(T + "token_type", ARRAY, (I32, types)))
    for key, (kind, v) in more.items():
        out.append(entry(T + key, kind, v))
    return out


def spm(tokens, scores, types, **more):
    return container(entries("llama", tokens, types, scores=(ARRAY, (F32, scores)), **more), [], 0)


def bpe(merges, specials, pre, **more):
    tokens = alphabet() + [m.replace(" ", "") for m in merges] + [s for s, _ in specials]
    types = [1] * (len(tokens) - len(specials)) + [t for _, t in specials]
    return container(entries("gpt2", tokens, types, pre=(STRING, pre),
                             merges=(ARRAY, (STRING, merges)), **more), [], 0)


def charsmap(replacements):
    """A normalizer map of single bytes: the children of the root from 512, the values 256 beside them."""
    units, texts = [0] * 1024, b""
    units[0] = 512 << 10
    for c, text in replacements.items():
        place = 512 ^ c
        units[place] = 256 << 10 | 1 << 8 | c
        units[place ^ 256] = 1 << 31 | len(texts)
        texts += text + b"\0"
    return struct.pack("<I1024I", 4096, *units) + texts


def unigram(tokens, scores, types, charsmap_bytes=None, **more):
    if charsmap_bytes is not None:
        more["precompiled_charsmap"] = (ARRAY, (U8, list(charsmap_bytes)))
    return container(entries("t5", tokens, types, scores=(ARRAY, (F32, scores)), **more), [], 0)


SPM = (["<unk>", "<s>", "</s>", "<0x0A>", "<0xE2>", "▁", "e", "l", "o", "H", "el", "lo", "▁H", "▁Hel",
        "▁Hello", "o▁w"], [0.0, 0, 0, 0, 0, -1, -2, -2, -2, -2, -3, -4, -5, -6, -7, -8],
       [2, 3, 3, 6, 6] + [1] * 11)
UNIGRAM = (["<pad>", "</s>", "<unk>", "▁", "e", "l", "o", "▁He", "llo", "▁w", "or", "▁Hello", "<x>", "o▁w",
            "[GONE]"], [0.0, 0, 0, -3, -4, -4.5, -5, -6, -6.5, -7, -7.5, -8, 0, -9, -10], [3, 3, 2] + [1] * 9 + [4, 1, 5])
MAP = {ord("H"): b"h", 9: b" ", ord("z"): b"", 0xC3: b"ab c"}
BERT = (["[PAD]", "[UNK]", "[CLS]", "[SEP]", "▁hello", "▁hel", "lo", "▁,", "▁world", "s", "▁'", "▁1", "23", "45",
         "▁"], [3, 3, 3, 3] + [1] * 11)
GEMMA = (["<pad>", "<eos>", "<bos>", "<unk>", "▁", "H", "e", "l", "o", "ll", "He", "llo", "▁w", "\n", "\n\n",
          "1", "<0xF0>", "o▁w"], [3, 3, 3, 2] + [1] * 12 + [6, 1])
WORLD = (["<s>", "\\x00", "\\n", "a", "el", "l", "lo", "Hello", " world", "\\xe2\\x96", "\\\\", "\\'", "\\x"],
         [3] + [1] * 12)
PLAMO = (["<|plamo:unk|>", "<|plamo:bos|>", "<|plamo:eos|>", "e", "l", "lo", "hel", " w", "orl", "ell", "\n\n",
          "x▁", *(f"<0x{c:02X}>" for c in range(256))], [2, 3, 3] + [1] * 9 + [6] * 256)
PLAMO_SCORES = [0.0, 0, 0, -2, -2, -4, -6, -1.5, -3, -6, -1, -9] + [0.0] * 256
MERGES = ["e l", "l o", "Ġ w", "H el", "Hel lo", "1 2", "12 3", "' s"]
SPECIALS = [("<|im_end|>", 3), ("</s>", 1), ("\n\n", 4), ("  ", 4)]
PRES = ["gpt-2", "llama-bpe", "qwen2", "deepseek-llm", "falcon", "starcoder", "gpt-4o", "kimi-k2", "tekken",
        "bloom", "superbpe", "sophia", "mmbert", "longcat", "unheard-of"]

SEEDS = {
    "spm": spm(*SPM),
    "spm-bare": spm(["a", "b", "ab"], [0.0, 0.0, 1.0], None),
    "spm-nan": spm(["a", "b", "ab", "ba"], [float("nan"), float("inf"), float("-inf"), -0.0], [1] * 4,
                   add_space_prefix=(BOOL, 0)),
    "spm-twice": spm(["", "a", "a", "aa", "aa"], [0.0] * 5, [1, 1, 4, 1, 3], bos_token_id=(U32, 9)),
    "spm-short-scores": spm(["a", "b"], [0.0], [1, 1]),
    "spm-text-types": container(entries("llama", ["a"], scores=(ARRAY, (F32, [0.0])),
                                        token_type=(ARRAY, (STRING, ["x"]))), [], 0),
    "spm-list-id": spm(["a", "b"], [0.0, 0.0], [1, 1], bos_token_id=(ARRAY, (U32, []))),
    "bpe-no-merges": container(entries("gpt2", alphabet()), [], 0),
    "bpe-odd-merges": bpe(["no token", "x", " ", "e l", "e l", "l"], SPECIALS, "default"),
    "bpe-few-bytes": container(entries("gpt2", ["a", "b", "ab", "日本", "Ġa"], pre=(STRING, "gpt-2"),
                                       merges=(ARRAY, (STRING, ["a b", "b a"]))), [], 0),
    "unigram": unigram(*UNIGRAM, add_space_prefix=(BOOL, 1)),
    "unigram-map": unigram(*UNIGRAM, charsmap(MAP), add_space_prefix=(BOOL, 1), remove_extra_whitespaces=(BOOL, 1)),
    "unigram-short-map": unigram(*UNIGRAM, charsmap(MAP)[:-3], add_bos_token=(BOOL, 1)),
    "unigram-wild-map": unigram(*UNIGRAM, struct.pack("<9I", 32, *[0x7FFFFDFF] * 8)),
    "unigram-no-map": unigram(*UNIGRAM, b"\xff\xff"),
    "unigram-bytes": unigram(["<unk>", "a"] + [f"<0x{c:02X}>" for c in range(256)], [0.0, -1.0] + [0.0] * 256,
                             [2, 1] + [6] * 256, unknown_token_id=(U32, 0)),
    "unigram-nan": unigram(["a", "b", "ab", "ba", ""], [float("nan"), float("inf"), float("-inf"), -0.0, 1.0], [1] * 5),
    "wordpiece": container(entries("bert", *BERT, cls_token_id=(U32, 2), seperator_token_id=(U32, 3),
                                   unknown_token_id=(U32, 1)), [], 0),
    "wordpiece-bare": container(entries("bert", ["▁a", "b", "a", "", "▁▁", "▁▁"]), [], 0),
    "rwkv": container(entries("rwkv", *WORLD), [], 0),
    "rwkv-bare": container(entries("rwkv", ["\\", "\\x", "\\x4", "\\x41", "\\q"]), [], 0),
    "gemma4": container(entries("gemma4", *GEMMA, merges=(ARRAY, (STRING, [
        "l l", "H e", "ll o", "▁ w", "o ▁w", "\n \n", "1 2"]))), [], 0),
    "whitespace": container(entries("whitespace", *GEMMA, merges=(ARRAY, (STRING, ["l l", "H e", "ll o"])),
                                    **{"normalizer.lowercase": (BOOL, 1)}), [], 0),
    "plamo2": container(entries("plamo2", *PLAMO, scores=(ARRAY, (F32, PLAMO_SCORES))), [], 0),
    "plamo2-bare": container(entries("plamo2", ["a", "b", "ab", "ba", "", "aba"], scores=(
        ARRAY, (F32, [float("nan"), float("inf"), -1.0, -1.0, 0.0, -1e30]))), [], 0),
    "no-tokens": container(entries("llama", []), [], 0),
    "other-kind": container(entries("unheard-of", ["a"]), [], 0),
    "no-vocabulary": container([], [], 0),
    **{f"bpe-{name}": bpe(MERGES, SPECIALS, name, add_bos_token=(BOOL, 1), bos_token_id=(U32, 0))
       for name in PRES},
}


def main():
    folder = Path(sys.argv[1])
    folder.mkdir(parents=True, exist_ok=True)
    for name, data in SEEDS.items():
        (folder / name).write_bytes(data)


if __name__ == "__main__":
    main()
