#!/usr/bin/env python3
"""Write the seeds of the model fuzzer: make_fuzz_models.py FOLDER. Whole models of a few KB, which
together use every part of a family's graph, most number formats and both kinds of vocabulary. The
last byte of each says how the fuzz target loads it."""
import struct
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent))
from make_gguf import ARRAY, BOOL, F32, I32, STRING, U32, tensor
from make_models import Model

TYPE_F32, TYPE_F16, TYPE_Q4_0, TYPE_Q4_1, TYPE_Q5_0, TYPE_Q5_1, TYPE_Q8_0 = 0, 1, 2, 3, 6, 7, 8
TYPE_Q2_K, TYPE_Q3_K, TYPE_Q4_K, TYPE_Q5_K, TYPE_Q6_K = range(10, 15)
TYPE_IQ2_XXS, TYPE_IQ2_XS, TYPE_IQ3_XXS, TYPE_IQ1_S, TYPE_IQ4_NL, TYPE_IQ3_S, TYPE_IQ2_S, TYPE_IQ4_XS = range(16, 24)
TYPE_IQ1_M, TYPE_BF16, TYPE_TQ1_0, TYPE_TQ2_0 = 29, 30, 34, 35
TYPE_MXFP4, TYPE_NVFP4, TYPE_Q1_0, TYPE_Q2_0 = range(39, 43)
BLOCKS = {TYPE_F32: (1, 4), TYPE_F16: (1, 2), TYPE_BF16: (1, 2), TYPE_Q4_0: (32, 18), TYPE_Q4_1: (32, 20),
          TYPE_Q5_0: (32, 22), TYPE_Q5_1: (32, 24), TYPE_Q8_0: (32, 34), TYPE_IQ4_NL: (32, 18), TYPE_MXFP4: (32, 17),
          TYPE_NVFP4: (64, 36), TYPE_Q1_0: (128, 18), TYPE_Q2_0: (64, 18), TYPE_Q2_K: (256, 84), TYPE_Q3_K: (256, 110),
          TYPE_Q4_K: (256, 144), TYPE_Q5_K: (256, 176), TYPE_Q6_K: (256, 210), TYPE_IQ1_S: (256, 50),
          TYPE_IQ1_M: (256, 56), TYPE_IQ2_XXS: (256, 66), TYPE_IQ2_XS: (256, 74), TYPE_IQ2_S: (256, 82),
          TYPE_IQ3_XXS: (256, 98), TYPE_IQ3_S: (256, 110), TYPE_IQ4_XS: (256, 136), TYPE_TQ1_0: (256, 54),
          TYPE_TQ2_0: (256, 66)}
SCALE_AT = {TYPE_Q2_K: 80, TYPE_Q3_K: 108, TYPE_Q6_K: 208, TYPE_TQ1_0: 52, TYPE_TQ2_0: 64}  # of others: 0
WITH_MINIMUM = {TYPE_Q4_1, TYPE_Q5_1, TYPE_Q2_K, TYPE_Q4_K, TYPE_Q5_K}  # its scale stands behind the other
SCALE = 0.004
CHAT = "{% for m in messages %}<s>{{ m['role'] }}: {{ m['content'] }}</s>{% endfor %}"
CALLBACK, TWO_THREADS, PACK, KV_F32, SCALAR, SEQUENCES, TWICE = 1, 2, 4, 8, 16, 32, 64


class Seed(Model):
    """A model whose weights are any bytes with small exponents."""

    def noise(self, kind, *dims):
        values = BLOCKS[kind][0]
        n = 1
        for d in dims:
            n *= d
        if kind == TYPE_F32:
            return struct.pack(f"<{n}f", *(self.random.uniform(-1, 1) for _ in range(n)))
        if kind == TYPE_F16:
            return struct.pack(f"<{n}e", *(self.random.uniform(-1, 1) for _ in range(n)))
        if kind == TYPE_BF16:
            return b"".join(struct.pack("<f", self.random.uniform(-1, 1))[2:] for _ in range(n))
        return self.block(kind) * (n // values)

    def block(self, kind):
        at, scale = SCALE_AT.get(kind, 0), struct.pack("<e", SCALE)
        rest = self.random.randbytes(BLOCKS[kind][1] - 2)
        block = bytearray(rest[:at] + scale + rest[at:])
        if kind in WITH_MINIMUM:
            block[at + 2:at + 4] = scale
        elif kind == TYPE_IQ1_M:  # in the upper nibbles of four bytes
            for i in range(4):
                block[49 + 2 * i] = block[49 + 2 * i] & 15 | (scale[i // 2] >> 4 * (i % 2) & 15) << 4
        elif kind == TYPE_MXFP4:  # 2 ** (e - 128)
            block[0] = 120
        elif kind == TYPE_NVFP4:  # e4m3, the smallest normal ones
            block[:4] = bytes([8, 9, 10, 11])
        return bytes(block)

    def fill(self, name, kind, *dims):
        """Behind each tensor is room for it to grow before it meets the next."""
        self.data += bytes(-len(self.data) % 32)
        self.tensors.append(tensor(name, kind, len(self.data), *dims))
        self.data += self.noise(kind, *dims) + bytes(64)

    def spm(self):
        tokens = ["<unk>", "<s>", "</s>", "<0x0A>", "▁", "a", "b", "e", "h", "t", "th", "▁t", "the", "▁the", "é", "▁▁"]
        self.add("tokenizer.ggml.model", STRING, "llama")
        self.add("tokenizer.ggml.tokens", ARRAY, (STRING, tokens))
        self.add("tokenizer.ggml.scores", ARRAY, (F32, [-float(i) for i in range(len(tokens))]))
        self.add("tokenizer.ggml.token_type", ARRAY, (I32, [2, 3, 3, 6] + [1] * (len(tokens) - 4)))
        self.add("tokenizer.ggml.add_bos_token", BOOL, 1)
        self.add("tokenizer.chat_template", STRING, CHAT)
        return len(tokens)

    def bpe(self):
        tokens = ["a", "b", "e", "h", "t", "Ġ", "Ċ", "th", "the", "Ġthe", "Ġt", "<s>", "</s>"]
        self.add("tokenizer.ggml.model", STRING, "gpt2")
        self.add("tokenizer.ggml.pre", STRING, "default")
        self.add("tokenizer.ggml.tokens", ARRAY, (STRING, tokens))
        self.add("tokenizer.ggml.token_type", ARRAY, (I32, [1] * 11 + [3, 4]))
        self.add("tokenizer.ggml.merges", ARRAY, (STRING, ["t h", "th e", "Ġ the", "Ġ t"]))
        self.add("tokenizer.ggml.bos_token_id", U32, 11)
        self.add("tokenizer.ggml.eos_token_id", U32, 12)
        self.add("tokenizer.chat_template", STRING, CHAT)
        return len(tokens)

    def layer(self, i, width, inner, heads, kv_heads, head, kinds, bias=False, qk_norm=False, extra_norms=()):
        b = f"blk.{i}."
        q, k, v, o, gate, up, down = kinds
        for name in ("attn_norm", "ffn_norm", *extra_norms):
            self.fill(f"{b}{name}.weight", TYPE_F32, width)
        self.fill(b + "attn_q.weight", q, width, heads * head)
        self.fill(b + "attn_k.weight", k, width, kv_heads * head)
        self.fill(b + "attn_v.weight", v, width, kv_heads * head)
        self.fill(b + "attn_output.weight", o, heads * head, width)
        self.fill(b + "ffn_gate.weight", gate, width, inner)
        self.fill(b + "ffn_up.weight", up, width, inner)
        self.fill(b + "ffn_down.weight", down, inner, width)
        if bias:
            self.fill(b + "attn_q.bias", TYPE_F32, heads * head)
            self.fill(b + "ffn_down.bias", TYPE_F16, width)
        if qk_norm:
            self.fill(b + "attn_q_norm.weight", TYPE_F32, head)
            self.fill(b + "attn_k_norm.weight", TYPE_F32, head)


def floats(vocabulary):
    m = Seed("llama", 1)
    vocab = m.bpe() if vocabulary == "bpe" else m.spm()
    m.hyper(context_length=64, embedding_length=8, block_count=1, feed_forward_length=12,
            attention__head_count=2, attention__head_count_kv=1, attention__layer_norm_rms_epsilon=1e-5,
            rope__freq_base=10000.0)
    m.fill("token_embd.weight", TYPE_F16, 8, vocab)
    m.layer(0, 8, 12, 2, 1, 4, [TYPE_F32, TYPE_F16, TYPE_BF16, TYPE_F32, TYPE_F16, TYPE_BF16, TYPE_F32])
    m.fill("output_norm.weight", TYPE_F32, 8)
    return m


def blocks():
    """Blocks of 32, two layers of different widths, YaRN with factors, biases, rows beyond the vocabulary."""
    m = Seed("llama", 2)
    vocab = m.spm() + 3
    m.hyper(context_length=256, embedding_length=32, block_count=2, attention__key_length=32,
            attention__value_length=32, attention__layer_norm_rms_epsilon=1e-5, rope__freq_base=10000.0,
            rope__dimension_count=16, rope__scaling__factor=4.0, rope__scaling__attn_factor=1.0,
            rope__scaling__original_context_length=64)
    m.add("llama.rope.scaling.type", STRING, "yarn")
    m.add("llama.feed_forward_length", ARRAY, (I32, [32, 64]))
    m.add("llama.attention.head_count", ARRAY, (I32, [1, 2]))
    m.add("llama.attention.head_count_kv", ARRAY, (I32, [1, 1]))
    m.fill("token_embd.weight", TYPE_Q8_0, 32, vocab)
    m.fill("rope_freqs.weight", TYPE_F32, 8)
    m.layer(0, 32, 32, 1, 1, 32, [TYPE_Q8_0, TYPE_Q4_0, TYPE_Q4_1, TYPE_Q8_0, TYPE_Q4_0, TYPE_Q4_1, TYPE_Q4_0], bias=True)
    m.layer(1, 32, 64, 2, 1, 32, [TYPE_Q4_0, TYPE_Q8_0, TYPE_Q8_0, TYPE_Q4_1, TYPE_Q4_0, TYPE_Q8_0, TYPE_Q4_0])
    m.fill("output_norm.weight", TYPE_F32, 32)
    m.fill("output.weight", TYPE_Q4_0, 32, vocab)
    m.fill("output.bias", TYPE_F32, vocab)
    return m


def superblocks():
    """Blocks of 256."""
    m = Seed("llama", 3)
    vocab = m.bpe()
    m.hyper(context_length=64, embedding_length=256, block_count=1, feed_forward_length=8, attention__head_count=1,
            attention__key_length=4, attention__value_length=4, rope__scale_linear=2.0)
    m.fill("token_embd.weight", TYPE_Q6_K, 256, vocab)
    m.layer(0, 256, 8, 1, 1, 4, [TYPE_Q4_K, TYPE_Q5_K, TYPE_Q6_K, TYPE_BF16, TYPE_Q4_K, TYPE_Q6_K, TYPE_BF16])
    m.fill("output_norm.weight", TYPE_F32, 256)
    return m


def low_blocks():
    """Blocks of 32 to 128 values."""
    m = Seed("llama", 5)
    vocab = m.bpe()
    m.hyper(context_length=64, embedding_length=128, block_count=1, feed_forward_length=4, attention__head_count=1,
            attention__key_length=4, attention__value_length=4)
    m.fill("token_embd.weight", TYPE_IQ4_NL, 128, vocab)
    m.layer(0, 128, 4, 1, 1, 4, [TYPE_Q5_0, TYPE_Q5_1, TYPE_NVFP4, TYPE_BF16, TYPE_Q1_0, TYPE_Q2_0, TYPE_F16])
    m.fill("output_norm.weight", TYPE_F32, 128)
    m.fill("output.weight", TYPE_MXFP4, 128, vocab)
    return m


def low_superblocks():
    """Blocks of 256 in few bytes."""
    m = Seed("llama", 6)
    vocab = m.bpe()
    m.hyper(context_length=64, embedding_length=256, block_count=2, feed_forward_length=3, attention__head_count=1,
            attention__key_length=2, attention__value_length=2)
    m.fill("token_embd.weight", TYPE_Q2_K, 256, vocab)
    m.layer(0, 256, 3, 1, 1, 2, [TYPE_Q3_K, TYPE_IQ4_XS, TYPE_IQ3_S, TYPE_BF16, TYPE_IQ3_XXS, TYPE_IQ2_S, TYPE_BF16])
    m.layer(1, 256, 3, 1, 1, 2, [TYPE_IQ2_XS, TYPE_IQ2_XXS, TYPE_IQ1_M, TYPE_BF16, TYPE_IQ1_S, TYPE_TQ1_0, TYPE_BF16])
    m.fill("output_norm.weight", TYPE_F32, 256)
    m.fill("output.weight", TYPE_TQ2_0, 256, vocab)
    return m


def gemma3():
    m = Seed("gemma3", 4)
    vocab = m.spm()
    m.hyper(context_length=64, embedding_length=8, block_count=2, feed_forward_length=8,
            attention__head_count=2, attention__head_count_kv=1, attention__key_length=6,
            attention__value_length=6, attention__sliding_window=3, attention__sliding_window_pattern=2,
            attention__layer_norm_rms_epsilon=1e-6, rope__freq_base=1000000.0, final_logit_softcapping=30.0)
    m.fill("token_embd.weight", TYPE_F32, 8, vocab)
    for i in range(2):
        m.layer(i, 8, 8, 2, 1, 6, [TYPE_F32] * 7, qk_norm=True, extra_norms=("post_attention_norm", "post_ffw_norm"))
    m.fill("output_norm.weight", TYPE_F32, 8)
    return m


SEEDS = {
    "llama-spm": (floats("spm"), TWICE),
    "llama-bpe": (floats("bpe"), CALLBACK | KV_F32),
    "llama-scalar": (floats("bpe"), SCALAR | PACK),
    "llama-blocks": (blocks(), TWO_THREADS | SEQUENCES | TWICE),
    "llama-blocks-packed": (blocks(), CALLBACK | SCALAR),
    "llama-superblocks": (superblocks(), SEQUENCES | TWICE),
    "llama-superblocks-scalar": (superblocks(), SCALAR | PACK),
    "llama-low-blocks": (low_blocks(), SEQUENCES | TWICE),
    "llama-low-blocks-scalar": (low_blocks(), CALLBACK | SCALAR),
    "llama-low-superblocks": (low_superblocks(), TWO_THREADS | TWICE),
    "llama-low-superblocks-packed": (low_superblocks(), PACK | SEQUENCES | TWICE),
    "gemma3": (gemma3(), SEQUENCES | TWICE),
    "gemma3-callback": (gemma3(), CALLBACK | TWO_THREADS | KV_F32),
}

if __name__ == "__main__":
    folder = Path(sys.argv[1])
    folder.mkdir(parents=True, exist_ok=True)
    for name, (model, mode) in SEEDS.items():
        (folder / name).write_bytes(model.bytes() + bytes([mode]))
