#!/usr/bin/env python3
"""The house rules that a machine can check, on the sources and on the built library."""
import argparse
import pathlib
import re
import shutil
import subprocess
import sys

ROOT = pathlib.Path(__file__).resolve().parents[2]

# A room may include base and the rooms before it (DESIGN: the rooms of the house).
ROOMS = "base gguf quant text chat graph model kv plan sample run queue api".split()
BASE_DOORS = {"lib/base/base.h", "lib/base/os.h", "lib/base/compiler.h",
              "lib/base/utf8.h"}
# What a backend may take from the library, and who may name the built-in backend.
BACKEND_ROOMS = {"base", "quant"}
BACKEND_USERS = {"plan", "run", "api"}
BACKEND_DOOR = "backends/cpu/cpu.h"

C_HEADERS = set("""assert complex ctype errno fenv float inttypes iso646 limits locale math setjmp
    signal stdalign stdarg stdatomic stdbool stddef stdint stdio stdlib stdnoreturn string tgmath
    threads time uchar wchar wctype""".split())
LIBRARY_HEADERS = {"pcre2.h", "utf8proc.h", "cblas.h", "vulkan/vulkan.h"}

ENDS_THE_HOST = """abort exit _exit _Exit quick_exit assert __assert_fail raise kill signal
    sigaction longjmp"""
PRINTS = """printf vprintf fprintf vfprintf puts putchar putc fputs fputc fwrite perror
    __printf_chk __fprintf_chk __vfprintf_chk"""
STREAMS = r"\b(?:stdin|stdout|stderr)\b"
ENVIRONMENT = """getenv secure_getenv setenv unsetenv putenv setlocale uselocale fesetround
    feenableexcept _mm_setcsr"""
HIDDEN_STATE = "strtok rand srand random srandom drand48 gmtime localtime strerror"
LOCALE = "strtod strtof strtold atof sscanf isalpha isalnum isspace isupper islower tolower toupper"
MEMORY = """malloc calloc realloc reallocarray free posix_memalign aligned_alloc memalign strdup
    strndup asprintf alloca"""
FORBIDDEN = f"{ENDS_THE_HOST} {PRINTS} {ENVIRONMENT} {HIDDEN_STATE} {LOCALE}".split()
ALLOCATOR = "lib/base/alloc.c"

SYSTEM_MACROS = r"_WIN32|_WIN64|__linux__|__APPLE__|__FreeBSD__|__unix__|__ANDROID__"
CPU_MACROS = r"__x86_64__|__i386__|__(?:SSE|AVX)\w*__|__FMA__|__F16C__|__aarch64__|__ARM_\w+"
COMPILER_MACROS = r"__GNUC__|__clang__|_MSC_VER|__attribute__|__builtin_\w+|__declspec"


# ---- reading the sources ----

def sources(*folders):
    """Every C file below the folders, as (path from the root, text)."""
    found = []
    for folder in folders:
        found += [p for p in (ROOT / folder).rglob("*") if p.suffix in (".c", ".h")]
    return [(p.relative_to(ROOT).as_posix(), p.read_text(encoding="utf-8")) for p in sorted(found)]


def blank(match):
    return "\n" * match.group().count("\n") + " "


def code_of(text):
    """The text without comments, strings and characters; lines stay where they are."""
    token = r'/\*.*?\*/|//[^\n]*|"(?:\\.|[^"\\\n])*"|\'(?:\\.|[^\'\\\n])*\''
    return re.sub(token, blank, text, flags=re.S)


def find(pattern, text):
    """Lines (from 1) and words where the pattern occurs."""
    return [(text.count("\n", 0, m.start()) + 1, m.group()) for m in re.finditer(pattern, text)]


def call(names):
    """Calls of these functions, but not of members: p->free() is the host's own."""
    return r"(?<![\w.>])(?:" + "|".join(map(re.escape, names)) + r")\b(?=\s*\()"


def room_of(path):
    parts = path.split("/")
    return parts[1] if parts[0] == "lib" and len(parts) > 2 else None


# ---- rules on the sources: each gives a list of complaints ----

def rule_no_forbidden_calls():
    bad = []
    for path, text in sources("lib", "backends"):
        names = FORBIDDEN + ([] if path == ALLOCATOR else MEMORY.split())
        wrong = find(call(names) + "|" + STREAMS, code_of(text))
        bad += [f"{path}:{line}: {name}" for line, name in wrong]
    return bad


def rule_no_line_over_100_columns():
    return [f"{path}:{i}: {len(line)} columns"
            for path, text in sources("lib", "backends", "include", "tests", "examples")
            for i, line in enumerate(text.splitlines(), 1) if len(line) > 100]


def rule_differences_stay_in_their_place():
    bad = []
    for path, text in sources("lib", "backends"):
        if re.match(r"lib/base/(os_\w+\.c|compiler\.h)$", path):
            continue
        wrong = find(f"{SYSTEM_MACROS}|{COMPILER_MACROS}", code_of(text))
        if not path.startswith("backends/cpu/"):
            wrong += find(CPU_MACROS, code_of(text))
        bad += [f"{path}:{line}: {name}" for line, name in wrong]
    return bad


def resolve(path, name):
    """The file of an #include "name" in path: beside it, else from the root."""
    beside = (ROOT / path).parent / name
    target = beside if beside.is_file() else ROOT / name
    return target.resolve().relative_to(ROOT).as_posix() if target.is_file() else None


def wrong_include(path, target):
    """Why a file of lib/ or backends/ may not include that one, or None."""
    here, there = room_of(path), room_of(target)
    if target.startswith("backends/"):
        if here is None or (here in BACKEND_USERS and target == BACKEND_DOOR):
            return None
        return f"{' and '.join(sorted(BACKEND_USERS))} alone may include {BACKEND_DOOR}"
    if there is None:
        return "it is no room of the library"
    if here == there:
        return None
    doors = BASE_DOORS if there == "base" else {f"lib/{there}/{there}.h"}
    if target not in doors:
        return f"it is private to {there}"
    if there == "base":
        return None
    if here is None:
        return None if there in BACKEND_ROOMS else f"a backend does not know {there}"
    return None if ROOMS.index(there) < ROOMS.index(here) else f"{there} comes after {here}"


def rule_rooms_include_upwards_only():
    bad = []
    for path, text in sources("lib", "backends"):
        room = room_of(path)
        if room and room not in ROOMS:
            bad.append(f"{path}: {room} is not in the list of rooms")
            continue
        for line, directive in find(r'#\s*include\s+"[^"]+"', text):
            name = directive.split('"')[1]
            target = resolve(path, name)
            why = wrong_include(path, target) if target else "there is no such file"
            if why:
                bad.append(f"{path}:{line}: includes {name}: {why}")
    return bad


def rule_system_headers_stay_in_their_place():
    bad = []
    for path, text in sources("lib", "backends", "include"):
        if re.match(r"lib/base/os_\w+\.c$", path) or re.match("backends/cpu/(x86|arm)/", path):
            continue
        for line, directive in find(r"#\s*include\s+<[^>]+>", text):
            name = re.search(r"<(.*)>", directive).group(1)
            public = path.startswith("include/")
            if name.startswith("loam/") or name.removesuffix(".h") in C_HEADERS:
                continue
            if not public and name in LIBRARY_HEADERS:
                continue
            bad.append(f"{path}:{line}: includes <{name}>")
    return bad


def rule_public_headers_compile_alone():
    bad = []
    compilers = [("cc", "c", "c11")]
    cxx = next((c for c in ("c++", "g++", "clang++") if shutil.which(c)), None)
    if cxx:
        compilers.append((cxx, "c++", "c++17"))
    else:
        print("skip  public headers as C++17: there is no C++ compiler")
    for header in sorted((ROOT / "include/loam").glob("*.h")):
        for compiler, language, standard in compilers:
            run = subprocess.run(
                [compiler, f"-std={standard}", "-Wall", "-Wextra", "-pedantic", "-Werror",
                 f"-I{ROOT / 'include'}", "-fsyntax-only", "-x", language, "-"],
                input=f"#include <loam/{header.name}>\nint loam_alone;\n",
                text=True, capture_output=True)
            if run.returncode:
                bad.append(f"{header.name} as {standard}:\n{run.stderr}")
    return bad


def rule_every_public_function_is_explained():
    """By a comment above it, or above the first of several that stand together. loam.h says at its
    head what every _init() does."""
    bad = []
    for path, text in sources("include"):
        for block in re.split(r"\n\n+", text):
            first = re.search(r"^LOAM_API\b[^(;]*?(\w+)\(", block, re.M)
            if first and "/*" not in block[:first.start()] and not first[1].endswith("_init"):
                bad.append(f"{path}: nothing is said of {first.group(1)}()")
    return bad


def rule_every_struct_is_tried_from_the_future():
    tried = (ROOT / "tests/abi/test_future.c").read_text(encoding="utf-8")
    return [f"tests/abi/test_future.c does not try {name}" for name in sorted(declared())
            if name.endswith("_init") and f"ROW({name.removesuffix('_init')}," not in tried]


def rule_the_readme_example_compiles():
    example = re.search(r"```c\n(.*?)```", (ROOT / "README.md").read_text(encoding="utf-8"), re.S)
    if not example:
        return ["README.md has no example in C"]
    run = subprocess.run(
        ["cc", "-std=c11", "-Wall", "-Wextra", "-Werror", f"-I{ROOT / 'include'}",
         "-fsyntax-only", "-x", "c", "-"], text=True, capture_output=True,
        input="#include <loam/loam.h>\n#include <stdio.h>\n"
              f"int main(void)\n{{\n{example.group(1)}}}\n")
    return [run.stderr] if run.returncode else []


# ---- rules on the built library ----

def nm(*arguments):
    run = subprocess.run(["nm", *map(str, arguments)], text=True, capture_output=True)
    if run.returncode:
        sys.exit(f"nm {' '.join(map(str, arguments))}: {run.stderr}")
    return run.stdout.splitlines()


def symbols(*arguments):
    """(name, class, section, object) of each symbol that nm lists."""
    found, member = [], ""
    for line in nm("-f", "sysv", *arguments):
        fields = [f.strip() for f in line.split("|")]
        if len(fields) == 7 and len(fields[2]) == 1:
            found.append((fields[0].split("@")[0], fields[2], fields[6], member))
        elif "[" in line:
            member = line[line.rindex("[") + 1:].split("]")[0]
    return found


def declared():
    """The functions that the public headers declare with LOAM_API."""
    names = set()
    for header in (ROOT / "include/loam").glob("*.h"):
        code = re.sub(r"^\s*#.*$", "", code_of(header.read_text(encoding="utf-8")), flags=re.M)
        names |= set(re.findall(r"\bLOAM_API\b[^;{(]*?(\w+)\s*\(", code))
    return names


def rule_no_mutable_data(build):
    """Neither at file scope nor as a function's static; what relocation fills in is const."""
    return [f"{member}: {name} ({section or 'common'})"
            for name, kind, section, member in symbols(build / "libloam_inside.a")
            if kind in "bBdDCsSgG" and not section.startswith(".data.rel.ro")]


def rule_global_names_begin_with_loam(build):
    return [f"{member}: {name}" for name, kind, _, member in
            symbols("--extern-only", "--defined-only", build / "libloam_inside.a")
            if not name.startswith("loam_")]


def compare(library, exported):
    wanted = declared()
    return ([f"{library} exports {name}, which no header declares" for name in exported - wanted]
            + [f"{library} lacks {name}, which a header declares" for name in wanted - exported])


def rule_exports_are_the_public_functions(build):
    shared = symbols("-D", "--defined-only", build / "libloam.so")
    static = symbols("--extern-only", "--defined-only", build / "libloam.a")
    return (compare("libloam.so", {name for name, kind, *_ in shared if kind != "A"})
            + compare("libloam.a", {name for name, *_ in static}))


def rule_no_forbidden_imports(build):
    """What a search of the sources misses: macros, addresses of functions, what a compiler adds."""
    bad = [f"libloam.so needs {name}"
           for name, *_ in symbols("-D", "--undefined-only", build / "libloam.so")
           if name in FORBIDDEN or re.fullmatch(STREAMS, name)]
    bad += [f"{member}: needs {name}"
            for name, _, _, member in symbols("--undefined-only", build / "libloam_inside.a")
            if name in MEMORY.split() and member != pathlib.Path(ALLOCATOR).name + ".o"]
    return bad


def main():
    parser = argparse.ArgumentParser(description="Check the house rules that a machine can check.")
    parser.add_argument("--build", type=pathlib.Path,
                        help="folder of a build without sanitizers; without it only the sources "
                             "are checked")
    build = parser.parse_args().build
    rules = [(name[5:].replace("_", " "), rule)
             for name, rule in globals().items() if name.startswith("rule_")]
    ran = failed = 0
    for name, rule in rules:
        needs_build = rule.__code__.co_argcount > 0
        if needs_build and not build:
            print(f"skip  {name}: no build is given")
            continue
        bad = sorted(rule(build) if needs_build else rule())
        ran += 1
        failed += bool(bad)
        print(f"{'FAIL' if bad else 'ok  '}  {name}")
        for complaint in bad:
            print(f"      {complaint}")
    print(f"{ran} house rules checked, {failed} broken")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
