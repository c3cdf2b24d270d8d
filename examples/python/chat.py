#!/usr/bin/env python3
"""A conversation in the terminal: chat.py MODEL.gguf"""
import sys

import loam


def main(path: str) -> None:
    messages: list[dict[str, str]] = []
    with loam.Model(path, context=4096) as m:
        while True:
            try:
                messages.append({"role": "user", "content": input("> ")})
            except EOFError:
                return
            answer = m.answer_chat(messages, sampling=loam.Sampling(temperature=0.7, top_p=0.95))
            said = ""
            try:
                for piece in answer:
                    print(piece, end="", flush=True)
                    said += piece
            except KeyboardInterrupt:  # ends the answer, not the conversation
                pass
            print()
            messages.append({"role": "assistant", "content": said})


if __name__ == "__main__":
    main(sys.argv[1]) if len(sys.argv) == 2 else sys.exit(__doc__)
