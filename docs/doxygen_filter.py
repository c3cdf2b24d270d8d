#!/usr/bin/env python3
"""What Doxygen reads for a header of include/loam: its plain comments, in the house form, as Doxygen's own."""
import re
import sys

PART = re.compile(r"^(\w[\w.]*(?:, \w+)*)  +(\S.*)$")  # "Errors   LOAM_ERR_ARG", "seqs     borrowed; ..."


def escape(text):
    return re.sub(r"([<>@\\#%])", r"\\\1", text)


def body(comment, declaration):
    """The text of a block, line by line: parts become parameters or paragraphs, indented lines an example."""
    lines, part, example = [], False, False
    for line in comment[2:-2].split("\n"):
        line = re.sub(r"^ *\* ?", "", line.rstrip()) if lines or not line.startswith(" ") else line.strip()
        found, indented = PART.match(line.strip()), line.startswith("    ")
        if example and line and not indented:
            lines.append("@endcode")
            example = False
        if indented and not part and not found and not example:
            lines.append("@code")
            example = True
        if example:
            lines.append(line[4:])
        elif found and not line.startswith("   "):
            parameter = re.search(rf"\b{found.group(1)}\b[^()]*\)$", declaration)
            lines += [f"@{'param' if parameter else 'par'} {escape(found.group(1))}", escape(found.group(2))]
        else:
            lines.append(escape(line.strip()))
        part = bool(found or part and indented)
    return lines + ["@endcode"] * example


def doxygen(match):
    before, comment = match.group(1), match.group(2)
    if not before.strip() and comment.startswith("/* --"):
        return match.group()  # the title of a section
    if before.strip().startswith("}") or before.strip().endswith("{"):
        return match.group()
    opening = "/**<" if before.strip() else "/**"
    declaration = match.string[match.end():].partition(";")[0]
    return before + "\n * ".join([opening, *body(comment, declaration)]) + "\n */"


text = open(sys.argv[1], encoding="utf-8").read()
name = re.search(r"\w+\.h", text).group()
text = re.sub(r"^([^\n]*?)(/\*.*?\*/)", doxygen, text, flags=re.S | re.M)
sys.stdout.write(text.replace("/**", f"/** @file {name}", 1))
