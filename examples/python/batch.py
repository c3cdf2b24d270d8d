#!/usr/bin/env python3
"""Answer every line of standard input, 16 at a time: batch.py MODEL.gguf < questions"""
import asyncio
import sys

import loam


async def ask(m: loam.Model, question: str) -> str:
    reply = await m.aio.chat.completions.create(
        messages=[{"role": "user", "content": question}], max_tokens=128, temperature=0)
    return reply.choices[0].message.content or ""


async def main(path: str) -> None:
    questions = [line.strip() for line in sys.stdin if line.strip()]
    with loam.Model(path, context=1024, sequences=16) as m:
        for question, answer in zip(questions, await asyncio.gather(*(ask(m, q) for q in questions))):
            print(f"{question}\n{answer}\n")
        print(m.queue_stats(), file=sys.stderr)


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1])) if len(sys.argv) == 2 else sys.exit(__doc__)
