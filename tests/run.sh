#!/bin/sh
# Install what is missing, build, and run every test: the release build, the build with
# AddressSanitizer and UndefinedBehaviorSanitizer, what threads are in with ThreadSanitizer, and the
# fuzz targets for a short while.
#
# LOAM_MODELS        folder of the real models; else they are fetched once, into ~/.cache/loam
# LOAM_SHARED        folder of the reference data; else ../shared, if it is there
# LOAM_FUZZ_SECONDS  how long each fuzz target looks for new inputs (20; 0: not at all)
set -eu
cd "$(dirname "$0")/.."
. examples/prepare.sh

failures=0

fail() {
    failures=$((failures + 1))
    say "FAILED: $*"
}

# ---- what the tests need ----

can_fuzz() (
    command -v clang >/dev/null 2>&1 || return 1
    folder=$(mktemp -d)
    trap 'rm -rf "$folder"' EXIT
    printf 'int LLVMFuzzerTestOneInput(const char *p, long n) { return !p && n; }\n' |
        clang -fsanitize=fuzzer,address -x c - -o "$folder/target" 2>/dev/null
)

prepare() {
    want_to_build
    want_library cmocka libcmocka-dev
    want_command clang clang
    if [ -z "${LOAM_MODELS:-}" ] && ! { have_model "$smollm2" && have_model "$gemma3"; }; then
        want_to_fetch
    fi
    install_missing
    command -v chromium >/dev/null 2>&1 || (want chromium && install_missing) ||
        say "the tests in a browser will be skipped: chromium could not be installed"
    can_fuzz && return 0
    want "libclang-rt-$(clang -dumpversion | cut -d. -f1)-dev"
    install_missing
}

# Tests that need a model that is not there are skipped, by name.
find_models() {
    if [ -z "${LOAM_MODELS:-}" ]; then
        LOAM_MODELS=$(model_cache)
        fetch_smollm2 || say "the tests of SmolLM2 will be skipped: it could not be fetched"
        fetch_gemma3 || say "the tests of gemma 3 will be skipped: it could not be fetched"
    fi
    export LOAM_MODELS
}

# ---- builds ----

configure() { # folder, options
    folder=build/$1
    shift
    quietly cmake -S . -B "$folder" -G Ninja -DLOAM_TESTS=ON \
        ${LOAM_SHARED:+"-DLOAM_SHARED=$LOAM_SHARED"} "$@" || die "$folder could not be set up"
}

# What the test programs say of skipped tests is only in ctest's log: those in C, those in Python.
name_skipped() { # folder
    sed -n -e 's/^\[  SKIPPED \] \(test_[a-zA-Z0-9_]*\)$/loam:   skipped \1/p' \
        -e 's/^\(test_[a-zA-Z0-9_]*\) (.*) \.\.\. skipped .*/loam:   skipped \1/p' \
        "$1/Testing/Temporary/LastTest.log" | sort -u
}

test_build() { # folder, programs: all where none is named
    tested=$1
    shift
    say "building $tested"
    if ! quietly ninja -C "build/$tested" "$@"; then
        fail "$tested does not build"
        return 0
    fi
    say "testing $tested"
    {
        ctest --test-dir "build/$tested" -j 2 --output-on-failure \
            ${1:+-R "^($(echo "$@" | tr ' ' '|'))\$"} && echo passed
    } 2>&1 | tee "build/$tested/tests.log"
    [ "$(tail -n 1 "build/$tested/tests.log")" = passed ] || fail "tests of $tested"
    name_skipped "build/$tested"
}

release() {
    configure tests-release -DCMAKE_BUILD_TYPE=Release -DLOAM_STRICT=ON
    test_build tests-release
}

# With -O1, because the real models take minutes without optimization; not strict, because
# sanitizers make gcc warn of what cannot happen.
sanitized() {
    configure tests-asan -DCMAKE_BUILD_TYPE=Debug -DCMAKE_C_FLAGS_DEBUG='-O1 -g' -DLOAM_SANITIZE=ON
    UBSAN_OPTIONS=print_stacktrace=1 test_build tests-asan
}

threads() {
    configure tests-tsan -DCMAKE_BUILD_TYPE=Debug -DCMAKE_C_FLAGS_DEBUG='-O1 -g' \
        -DLOAM_SANITIZE_THREAD=ON -DLOAM_COMMAND=OFF
    test_build tests-tsan test_pool test_process test_determinism test_memory test_errors test_kv test_queue
}

# ---- fuzzing ----

fuzz_target() { # program
    name=${1##*/fuzz_}
    new=build/tests-fuzz/new-$name
    log=build/tests-fuzz/$name.log
    mkdir -p "$new"
    # One seed, so that a run on one day tries what it tried the day before.
    if UBSAN_OPTIONS=halt_on_error=1:print_stacktrace=1 "$1" -max_total_time="$fuzz_seconds" \
        -seed=1 -timeout=120 -rss_limit_mb=2048 -artifact_prefix="$new-" -print_final_stats=1 \
        "$new" "tests/fuzz/corpus/$name" >"$log" 2>&1; then
        say "fuzz_$name: $(sed -n 's/^stat::number_of_executed_units: *//p' "$log") inputs," \
            "no fault in $fuzz_seconds s"
    else
        tail -n 40 "$log"
        fail "fuzz_$name; the input is the last file named above"
    fi
}

fuzz() {
    fuzz_seconds=${LOAM_FUZZ_SECONDS:-20}
    [ "$fuzz_seconds" -gt 0 ] || return 0
    if ! can_fuzz; then
        say "  skipped the search for new inputs: clang cannot build libFuzzer programs here"
        return 0
    fi
    configure tests-fuzz -DCMAKE_C_COMPILER=clang -DCMAKE_BUILD_TYPE=Debug \
        -DCMAKE_C_FLAGS_DEBUG='-O1 -g' -DLOAM_FUZZ=ON -DLOAM_COMMAND=OFF
    say "building tests-fuzz"
    if ! quietly ninja -C build/tests-fuzz fuzzers; then
        fail "the fuzz targets do not build"
        return 0
    fi
    for source in tests/fuzz/fuzz_*.c; do
        [ -f "$source" ] || continue
        fuzz_target "build/tests-fuzz/tests/fuzz/$(basename "$source" .c)"
    done
}

# ---- all ----

# The sum of what the test programs of a build printed: "[  PASSED  ] 12 test(s)." is of those in C,
# "test_thing (Class.test_thing) ... ok" of those in Python.
sum_of() { # word in C, words in Python, folder
    sed -n -E -e "s/^\[  $1 *\] ([0-9]*) test.*/\1/p" -e "s/^test_.* \.\.\. ($2)( .*)?$/1/p" \
        "$3/Testing/Temporary/LastTest.log" | awk '{ sum += $1 } END { print sum + 0 }'
}

totals() { # folder
    say "$1: the test programs report $(sum_of PASSED ok "build/$1") passed," \
        "$(sum_of FAILED 'FAIL|ERROR' "build/$1") failed," \
        "$(sum_of SKIPPED skipped "build/$1") skipped"
    grep 'tests passed,' "build/$1/tests.log" || true
}

prepare
find_models
release
sanitized
threads
fuzz
[ "$failures" = 0 ] || say "$failures of the steps above failed"
totals tests-release
totals tests-asan
totals tests-tsan
[ "$failures" = 0 ]
