#!/usr/bin/env python3
"""Write small models with what they compute: make_models.py FOLDER.

For each NAME: NAME.gguf; NAME.tokens (ids, as text); NAME.logits.bin (float32, a row for each token), and where its heads
are wide enough, NAME.q8_0-q4_0.logits.bin and the like: with cells of those types for keys and values. Computed here in
double precision by plain loops that share nothing with loam but the formulas: Llama (Touvron et al. 2023), Gemma 3 (Gemma
Team 2025). Weights are seeded, so the files are the same everywhere. Python's standard library only."""
import math
import random
import struct
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent))
from make_gguf import ARRAY, BOOL, F32, I32, STRING, U32, entry, tensor

TYPE_F32, TYPE_F16, TYPE_Q4_0, TYPE_Q8_0 = 0, 1, 2, 8
CHAT = ("{% for m in messages %}{{ '<|im_start|>' + m['role'] + '\\n' + m['content'] + '<|im_end|>\\n' }}"
        "{% endfor %}{% if add_generation_prompt %}{{ '<|im_start|>assistant\\n' }}{% endif %}")


def half(x):
    return struct.unpack("<e", struct.pack("<e", x))[0]


def encode(kind, row):
    """A row's bytes and the numbers that they mean."""
    if kind == TYPE_F32:
        data = struct.pack(f"<{len(row)}f", *row)
        return data, list(struct.unpack(f"<{len(row)}f", data))
    if kind == TYPE_F16:
        data = struct.pack(f"<{len(row)}e", *row)
        return data, list(struct.unpack(f"<{len(row)}e", data))
    data, meant = b"", []
    for i in range(0, len(row), 32):
        block = row[i:i + 32]
        most = max(abs(x) for x in block)
        if kind == TYPE_Q8_0:
            d = half(most / 127)
            q = [max(-127, min(127, round(x / d))) for x in block]
            data += struct.pack("<e32b", d, *q)
        else:
            d = half(most / 7)
            q = [max(-8, min(7, round(x / d))) for x in block]
            data += struct.pack("<e", d) + bytes((q[j] + 8) | (q[j + 16] + 8) << 4 for j in range(16))
        meant += [d * x for x in q]
    return data, meant


def cells(kind, row):
    """What a head's row means after a stay in cells of that kind; as the reference encoders of the formats round."""
    meant = []
    for i in range(0, len(row), 32):
        block = row[i:i + 32]
        peak = max(block, key=abs)
        if kind == TYPE_Q8_0:
            d = abs(peak) / 127
            meant += [half(d) * math.copysign(math.floor(abs(x) / d + 0.5), x) for x in block]
        elif kind == TYPE_Q4_0:
            d = peak / -8
            meant += [half(d) * (min(15, math.floor(x / d + 8.5)) - 8) for x in block]
        else:
            meant += block
    return meant


class Model:
    """A GGUF file under construction, and its tensors as rows of numbers."""

    def __init__(self, arch, seed):
        self.arch, self.random = arch, random.Random(seed)
        self.entries, self.tensors, self.data, self.rows = [], [], b"", {}
        self.add("general.architecture", STRING, arch)
        self.add("general.name", STRING, f"tiny {arch}")

    def add(self, key, kind, value):
        self.entries.append(entry(key, kind, value))

    def hyper(self, **values):
        for key, value in values.items():
            self.add(f"{self.arch}.{key.replace('__', '.')}", F32 if isinstance(value, float) else U32, value)

    def put(self, name, kind, rows, *dims):
        self.data += bytes(-len(self.data) % 32)
        self.tensors.append(tensor(name, kind, len(self.data), *dims))
        self.rows[name] = []
        for row in rows:
            data, meant = encode(kind, row)
            self.data += data
            self.rows[name].append(meant)

    def matrix(self, name, kind, n_rows, n_cols):
        scale = 1.6 / math.sqrt(n_cols)
        self.put(name, kind, [[self.random.gauss(0, scale) for _ in range(n_cols)] for _ in range(n_rows)],
                 n_cols, n_rows)

    def vector(self, name, n, around=1.0):
        self.put(name, TYPE_F32, [[around + self.random.gauss(0, 0.2) for _ in range(n)]], n)

    def vocabulary(self):
        words = ["▁the", "▁a", "he", "th", "in", "▁th", "er", "an", "▁s", "re"]
        letters = ["▁"] + [chr(c) for c in range(ord("a"), ord("z") + 1)]
        tokens = ["<unk>", "<s>", "</s>", "<|im_start|>", "<|im_end|>"]
        kinds = [2, 3, 3, 3, 3] + [6] * 256 + [1] * (len(letters) + len(words))
        tokens += [f"<0x{b:02X}>" for b in range(256)] + letters + words
        scores = [0.0] * 261 + [-100.0 - i for i in range(len(letters))] + [-float(i) for i in range(len(words))]
        self.add("tokenizer.ggml.model", STRING, "llama")
        self.add("tokenizer.ggml.tokens", ARRAY, (STRING, tokens))
        self.add("tokenizer.ggml.scores", ARRAY, (F32, scores))
        self.add("tokenizer.ggml.token_type", ARRAY, (I32, kinds))
        self.add("tokenizer.ggml.bos_token_id", U32, 1)
        self.add("tokenizer.ggml.eos_token_id", U32, 2)
        self.add("tokenizer.ggml.add_bos_token", BOOL, 1)
        self.add("tokenizer.chat_template", STRING, CHAT)
        return len(tokens)

    def bytes(self):
        head = b"GGUF" + struct.pack("<IQQ", 3, len(self.tensors), len(self.entries))
        head += b"".join(self.entries) + b"".join(self.tensors)
        return head + bytes(-len(head) % 32) + self.data


# ---- the reference ----

def times(rows, x):
    return [sum(w * v for w, v in zip(row, x)) for row in rows]


def plus(a, b):
    return [p + q for p, q in zip(a, b)]


def norm(x, weight, eps):
    scale = 1 / math.sqrt(sum(v * v for v in x) / len(x) + eps)
    return [v * scale * w for v, w in zip(x, weight)]


def heads_of(x, n):
    width = len(x) // n
    return [x[i * width:(i + 1) * width] for i in range(n)]


def rotate(x, position, base, halves):
    n, y = len(x), list(x)
    for i in range(n // 2):
        a, b = (i, i + n // 2) if halves else (2 * i, 2 * i + 1)
        angle = position * base ** (-2 * i / n)
        y[a] = x[a] * math.cos(angle) - x[b] * math.sin(angle)
        y[b] = x[a] * math.sin(angle) + x[b] * math.cos(angle)
    return y


def attend(q, keys, values, scale):
    scores = [scale * sum(a * b for a, b in zip(q, k)) for k in keys]
    top = max(scores)
    weights = [math.exp(s - top) for s in scores]
    total = sum(weights)
    return [sum(w * v[i] for w, v in zip(weights, values)) / total for i in range(len(values[0]))]


def silu(x):
    return x / (1 + math.exp(-x))


def gelu(x):
    return 0.5 * x * (1 + math.tanh(math.sqrt(2 / math.pi) * (x + 0.044715 * x ** 3)))


def attention(m, geo, layer, x, position, cache, kinds):
    """One layer's attention of one token; cache: (keys, values) of each position so far, as lists of heads."""
    w = lambda name: m.rows[f"blk.{layer}.{name}.weight"]
    q, k, v = (times(w(name), x) for name in ("attn_q", "attn_k", "attn_v"))
    q, k, v = heads_of(q, geo["heads"]), heads_of(k, geo["kv_heads"]), heads_of(v, geo["kv_heads"])
    if geo["qk_norm"]:
        q = [norm(h, w("attn_q_norm")[0], geo["eps"]) for h in q]
        k = [norm(h, w("attn_k_norm")[0], geo["eps"]) for h in k]
    window, base = geo["layer"](layer)
    q = [rotate(h, position, base, geo["halves"]) for h in q]
    k = [rotate(h, position, base, geo["halves"]) for h in k]
    cache[layer].append(([cells(kinds[0], h) for h in k], [cells(kinds[1], h) for h in v]))
    seen = cache[layer][-window:] if window else cache[layer]
    group, out = geo["heads"] // geo["kv_heads"], []
    for i, h in enumerate(q):
        out += attend(h, [s[0][i // group] for s in seen], [s[1][i // group] for s in seen],
                      1 / math.sqrt(len(h)))
    return times(w("attn_output"), out)


def forward(m, geo, tokens, kinds=(TYPE_F32, TYPE_F32)):
    """Logits after each token; kinds: the cells of keys and of values."""
    cache = [[] for _ in range(geo["layers"])]
    act, eps, logits = gelu if geo["gemma"] else silu, geo["eps"], []
    for position, token in enumerate(tokens):
        x = [v * geo["embed_scale"] for v in m.rows["token_embd.weight"][token]]
        for layer in range(geo["layers"]):
            w = lambda name: m.rows[f"blk.{layer}.{name}.weight"]
            h = attention(m, geo, layer, norm(x, w("attn_norm")[0], eps), position, cache, kinds)
            x = plus(x, norm(h, w("post_attention_norm")[0], eps) if geo["gemma"] else h)
            h = norm(x, w("ffn_norm")[0], eps)
            inner = [act(a) * b for a, b in zip(times(w("ffn_gate"), h), times(w("ffn_up"), h))]
            h = times(w("ffn_down"), inner)
            x = plus(x, norm(h, w("post_ffw_norm")[0], eps) if geo["gemma"] else h)
        last = norm(x, m.rows["output_norm.weight"][0], eps)
        logits.append(times(m.rows.get("output.weight", m.rows["token_embd.weight"]), last))
    return logits


# ---- the models ----

def llama(head=16):
    m, width, inner = Model("llama", 1), 64, 96
    vocab = m.vocabulary()
    m.hyper(context_length=256, embedding_length=width, block_count=2, feed_forward_length=inner,
            attention__head_count=4, attention__head_count_kv=2, attention__layer_norm_rms_epsilon=1e-3,
            rope__freq_base=10000.0)
    if head != width // 4:
        m.hyper(attention__key_length=head, attention__value_length=head)
    m.matrix("token_embd.weight", TYPE_F16, vocab, width)
    for i in range(2):
        b = f"blk.{i}."
        m.vector(b + "attn_norm.weight", width)
        m.matrix(b + "attn_q.weight", TYPE_Q8_0, 4 * head, width)
        m.matrix(b + "attn_k.weight", TYPE_Q4_0, 2 * head, width)
        m.matrix(b + "attn_v.weight", TYPE_F16, 2 * head, width)
        m.matrix(b + "attn_output.weight", TYPE_F32, width, 4 * head)
        m.vector(b + "ffn_norm.weight", width)
        m.matrix(b + "ffn_gate.weight", TYPE_Q4_0, inner, width)
        m.matrix(b + "ffn_up.weight", TYPE_Q8_0, inner, width)
        m.matrix(b + "ffn_down.weight", TYPE_Q8_0, width, inner)
    m.vector("output_norm.weight", width)
    m.matrix("output.weight", TYPE_Q8_0, vocab, width)
    return m, dict(layers=2, heads=4, kv_heads=2, qk_norm=False, halves=False, gemma=False, eps=1e-3, embed_scale=1.0,
                   layer=lambda i: (0, 10000.0))


def gemma3(slides=None, head=24, window=5):
    """slides: which layers have the window, as a list in the file; else all but each sixth."""
    m, width, inner = Model("gemma3", 2), 32, 48
    vocab = m.vocabulary()
    m.hyper(context_length=256, embedding_length=width, block_count=6, feed_forward_length=inner,
            attention__head_count=2, attention__head_count_kv=1, attention__key_length=head,
            attention__value_length=head, attention__sliding_window=window, attention__layer_norm_rms_epsilon=1e-3,
            rope__freq_base=1000000.0)
    if slides:
        m.add("gemma3.attention.sliding_window_pattern", ARRAY, (BOOL, slides))
    slides = slides or [1, 1, 1, 1, 1, 0]
    m.matrix("token_embd.weight", TYPE_F32, vocab, width)
    for i in range(6):
        b = f"blk.{i}."
        for name in ("attn_norm", "post_attention_norm", "ffn_norm", "post_ffw_norm"):
            m.vector(f"{b}{name}.weight", width)
        m.vector(b + "attn_q_norm.weight", head)
        m.vector(b + "attn_k_norm.weight", head)
        m.matrix(b + "attn_q.weight", TYPE_F32, 2 * head, width)
        m.matrix(b + "attn_k.weight", TYPE_F32, head, width)
        m.matrix(b + "attn_v.weight", TYPE_F16, head, width)
        m.matrix(b + "attn_output.weight", TYPE_F16, width, 2 * head)
        m.matrix(b + "ffn_gate.weight", TYPE_F16, inner, width)
        m.matrix(b + "ffn_up.weight", TYPE_F32, inner, width)
        m.matrix(b + "ffn_down.weight", TYPE_F16, width, inner)
    m.vector("output_norm.weight", width)
    return m, dict(layers=6, heads=2, kv_heads=1, qk_norm=True, halves=True, gemma=True, eps=1e-3,
                   embed_scale=math.sqrt(width),
                   layer=lambda i: (window, 1e4) if slides[i] else (0, 1e6))


def write_logits(path, logits):
    path.write_bytes(b"".join(struct.pack(f"<{len(row)}f", *row) for row in logits))


def main():
    folder = Path(sys.argv[1])
    folder.mkdir(parents=True, exist_ok=True)
    for name, make in {"tiny-llama": llama, "tiny-gemma3": gemma3,
                       "tiny-gemma3-listed": lambda: gemma3([1, 0, 1, 1, 0, 1]),
                       "tiny-llama-wide": lambda: llama(head=64),
                       "tiny-gemma3-wide": lambda: gemma3(head=32),
                       "tiny-gemma3-far": lambda: gemma3([1, 0, 1, 1, 0, 1], window=300)}.items():
        m, geo = make()
        draw = random.Random(7)
        tokens = [1] + [draw.randrange(5, 298) for _ in range(23)]
        (folder / f"{name}.gguf").write_bytes(m.bytes())
        (folder / f"{name}.tokens").write_text(" ".join(map(str, tokens)) + "\n")
        write_logits(folder / f"{name}.logits.bin", forward(m, geo, tokens))
        if name.endswith("-wide"):
            write_logits(folder / f"{name}.q8_0-q4_0.logits.bin", forward(m, geo, tokens, (TYPE_Q8_0, TYPE_Q4_0)))
            write_logits(folder / f"{name}.q4_0-q8_0.logits.bin", forward(m, geo, tokens, (TYPE_Q4_0, TYPE_Q8_0)))


if __name__ == "__main__":
    main()
