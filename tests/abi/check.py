#!/usr/bin/env python3
"""The ABI against its description: check.py BUILD_FOLDER [--renew].

loam.abi is what programs were built against in the last release, headers.abi what modules were (both by abidw),
constants.txt the numbers. A change that breaks them fails. An addition (a function, a constant, a member at the end of a
struct that says its size) must be named in the newest "ABI:" paragraph of CHANGELOG.md. --renew writes the descriptions
anew: when a version is released, or where a major version breaks with the last."""
import pathlib
import re
import shutil
import subprocess
import sys
import xml.etree.ElementTree as ET

HERE = pathlib.Path(__file__).resolve().parent
ROOT = HERE.parents[1]
CONSTANTS = HERE / "constants.txt"
READ_WITH_A_STRIDE = {"loam_value", "loam_node"}  # they may grow without saying their size
MAY_CHANGE = {"LOAM_VERSION_MAJOR", "LOAM_VERSION_MINOR", "LOAM_VERSION_PATCH", "LOAM_BACKEND_ABI"}
# Nothing that depends on the machine or on where things lie.
ABIDW = ["abidw", "--headers-dir", ROOT / "include/loam", "--drop-private-types", "--no-corpus-path", "--no-comp-dir-path",
         "--no-show-locs", "--no-elf-needed", "--drop-undefined-syms", "--type-id-style", "hash"]


def describe(library):
    text = subprocess.run([*ABIDW, library], check=True, text=True, capture_output=True).stdout
    if "<class-decl" not in text:
        sys.exit(f"{library} has no debugging information: build it with -DLOAM_TESTS=ON")
    return text.replace(f"{ROOT}/", "")


def structs(corpus):
    """Each struct by its name, with the names of its members."""
    return {s.get("name"): (s, [m.get("name") for m in s.findall("data-member/var-decl")])
            for s in corpus.iter("class-decl") if s.get("is-declaration-only") != "yes"}


def functions(corpus):
    return {s.get("name") for s in corpus.iter("elf-symbol")}


def take_additions(old, new):
    """Take the members at the end that a struct has got out of the new description, and name all additions."""
    added = functions(new) - functions(old)
    before, after = structs(old), structs(new)
    for name in before.keys() & after.keys():
        (was, had), (now, has) = before[name], after[name]
        may_grow = had[:1] == ["struct_size"] or name in READ_WITH_A_STRIDE
        if may_grow and len(has) > len(had) and has[:len(had)] == had:
            added |= set(has[len(had):])
            for member in now.findall("data-member")[len(had):]:
                now.remove(member)
            now.set("size-in-bits", was.get("size-in-bits"))
    return added


def compare(description, library, folder):
    """(what is broken, names of what is added)"""
    old, new = ET.parse(description).getroot(), ET.fromstring(describe(library))
    added = take_additions(old, new)
    trimmed = folder / description.name
    ET.ElementTree(new).write(trimmed)
    run = subprocess.run(["abidiff", "--no-added-syms", "--no-show-locs", description, trimmed], text=True,
                         capture_output=True)
    return ([f"{library.name} against {description.name}:\n{run.stdout}{run.stderr}"] if run.returncode else []), added


def constants():
    """The numbers and names that the headers give: one line each."""
    found = {}
    for header in sorted((ROOT / "include/loam").glob("*.h")):
        code = re.sub(r"/\*.*?\*/", " ", header.read_text(encoding="utf-8"), flags=re.S)
        found.update(re.findall(r"\b(LOAM_\w+)\s*=\s*(-?\d+)", code))
        found.update(re.findall(r'^#define\s+(LOAM_\w+)\s+(\d+u?|".*")\s*$', code, flags=re.M))
    return {name: value for name, value in found.items() if name not in MAY_CHANGE}


def compare_constants():
    old, new = dict(line.split(" ", 1) for line in CONSTANTS.read_text().splitlines()), constants()
    broken = [f"{name} was {value} and is {new.get(name, 'gone')}" for name, value in old.items() if new.get(name) != value]
    return broken, new.keys() - old.keys()


def unannounced(added):
    """The additions that the newest version's "ABI:" paragraph does not name."""
    newest = (ROOT / "CHANGELOG.md").read_text(encoding="utf-8").split("\n## ")[1]
    said = set(re.findall(r"\w+", " ".join(p for p in newest.split("\n\n") if p.startswith("ABI:"))))
    return [f"{name} is new: name it under \"ABI:\" in CHANGELOG.md" for name in sorted(added - said)]


def main():
    build = pathlib.Path(sys.argv[1])
    described = {HERE / "loam.abi": build / "libloam.so", HERE / "headers.abi": build / "tests/abi/headers.so"}
    if not shutil.which("abidw"):
        print("loam:   skipped abi: abidw is not installed (abigail-tools)")
        return 0
    if sys.argv[2:] == ["--renew"]:
        for description, library in described.items():
            description.write_text(describe(library))
        CONSTANTS.write_text("".join(f"{name} {value}\n" for name, value in sorted(constants().items())))
        return 0
    broken, added = compare_constants()
    for description, library in described.items():
        more_broken, more_added = compare(description, library, build / "tests/abi")
        broken, added = broken + more_broken, added | more_added
    broken += unannounced(added)
    print("\n".join(broken) or f"the ABI is kept; {len(added)} additions, all announced")
    return 1 if broken else 0


if __name__ == "__main__":
    sys.exit(main())
