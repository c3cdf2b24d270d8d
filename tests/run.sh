#!/bin/sh
# Install what is missing, build, and run every test: the release build, the build with
# AddressSanitizer and UndefinedBehaviorSanitizer, what threads are in with ThreadSanitizer, and the
# fuzz targets for a short while. A build for 64-bit ARM runs in qemu, on whatever machine this is.
# The bindings are tested on the release build as it is installed.
#
# LOAM_MODELS        folder of the real models; else they are fetched once, into ~/.cache/loam
# LOAM_SHARED        folder of the reference data; else ../shared, if it is there
# LOAM_FUZZ_SECONDS  how long each fuzz target looks for new inputs (5; 0: not at all)
set -eu
cd "$(dirname "$0")/.."
. examples/prepare.sh

failures=0
crossed= # the build for 64-bit ARM, if there is one
bound=   # what the bindings printed, a file each
started=$(date +%s)

step() {
    say "$* (after $(($(date +%s) - started)) s)"
}

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

can_cross() {
    command -v aarch64-linux-gnu-gcc >/dev/null 2>&1 && command -v qemu-aarch64 >/dev/null 2>&1 &&
        [ -f /usr/aarch64-linux-gnu/include/stdio.h ]
}

want_to_cross() {
    want gcc-aarch64-linux-gnu
    want libc6-dev-arm64-cross
    want qemu-user
}

# Its headers and compiler, two software drivers and the validation layers.
can_vulkan() {
    command -v glslc >/dev/null 2>&1 && pkg-config --exists vulkan &&
        [ -f /usr/lib/chromium/vk_swiftshader_icd.json ] &&
        [ -f /usr/share/vulkan/explicit_layer.d/VkLayer_khronos_validation.json ] &&
        ls /usr/share/vulkan/icd.d/lvp_icd.*.json >/dev/null 2>&1
}

want_vulkan() {
    want libvulkan-dev
    want glslc
    want mesa-vulkan-drivers
    want vulkan-validationlayers
    want chromium-common
}

# What judges the ABI, the reference pages and the packages.
can_judge() {
    for tool in abidw doxygen lintian dpkg-shlibdeps; do
        command -v $tool >/dev/null 2>&1 || return 1
    done
}

want_to_judge() {
    want abigail-tools
    want doxygen
    want lintian
    want dpkg-dev
}

prepare() {
    want_to_build
    want_library cmocka libcmocka-dev
    want_command clang clang
    if [ -z "${LOAM_MODELS:-}" ] && ! { have_model "$smollm2" && have_model "$gemma3"; }; then
        want_to_fetch
    fi
    install_missing
    can_cross || (want_to_cross && install_missing) ||
        say "the tests on 64-bit ARM will be skipped: its compiler and qemu could not be installed"
    command -v chromium >/dev/null 2>&1 || (want chromium && install_missing) ||
        say "the tests in a browser will be skipped: chromium could not be installed"
    pkg-config --exists openblas || (want libopenblas-pthread-dev && install_missing) ||
        say "the OpenBLAS module will not be built: libopenblas-pthread-dev could not be installed"
    can_judge || (want_to_judge && install_missing) ||
        say "of the tests abi, reference and packages some will be skipped: a tool could not be installed"
    can_vulkan || (want_vulkan && install_missing) ||
        say "the tests of the Vulkan module will be skipped: what it needs could not be installed"
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

# What the tests say of skipped ones is only in ctest's log: whole tests, those in C, those in Python.
name_skipped() { # folder
    sed -n -e '/^loam:   skipped /p' \
        -e 's/^\[  SKIPPED \] \(test_[a-zA-Z0-9_]*\)$/loam:   skipped \1/p' \
        -e 's/^\(test_[a-zA-Z0-9_]*\) (.*) \.\.\. skipped .*/loam:   skipped \1/p' \
        "$1/Testing/Temporary/LastTest.log" | sort -u
}

test_build() { # folder, programs: all where none is named
    tested=$1
    shift
    step "building $tested"
    if ! quietly ninja -C "build/$tested" "$@"; then
        fail "$tested does not build"
        return 0
    fi
    step "testing $tested"
    {
        ctest --test-dir "build/$tested" -j 2 --output-on-failure \
            ${1:+-R "^($(echo "$@" | tr ' ' '|'))(_on_.*)?\$"} && echo passed
    } 2>&1 | tee "build/$tested/tests.log"
    [ "$(tail -n 1 "build/$tested/tests.log")" = passed ] || fail "tests of $tested"
    name_skipped "build/$tested"
}

release() {
    configure tests-release -DCMAKE_BUILD_TYPE=Release -DLOAM_STRICT=ON -DCMAKE_INSTALL_PREFIX=/usr
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
    test_build tests-tsan test_pool test_process test_determinism test_errors test_kv test_queue
}

# ---- bindings ----

# Each script of a language prints what its own runners say, with the totals in the last line.
bindings() {
    [ -f build/tests-release/libloam.a ] || return 0
    rm -rf build/prefix
    if ! quietly cmake --install build/tests-release --prefix "$PWD/build/prefix"; then
        fail "build/tests-release cannot be installed"
        return 0
    fi
    for script in tests/bindings/*.sh; do
        [ -f "$script" ] || continue
        log=build/$(basename "$script" .sh).log
        step "testing $script"
        {
            LOAM_PREFIX=$PWD/build/prefix LOAM_TEST_DATA=$PWD/build/tests-release/tests/data \
                sh "$script" && echo passed
        } 2>&1 | tee "$log"
        [ "$(tail -n 1 "$log")" = passed ] || fail "$script"
        bound="$bound $log"
    done
}

# ---- 64-bit ARM ----

arm64_root=$PWD/build/arm64-root

# The libraries out of Debian's packages for arm64, in a folder of their own: none is installed, and
# the system's own lists of packages stay as they are.
fetch_arm64_libraries() (
    [ -f "$arm64_root/complete" ] && return 0
    rm -rf "$arm64_root"
    mkdir -p "$arm64_root/apt/lists/partial" "$arm64_root/apt/archives/partial"
    cd "$arm64_root/apt"
    set -- -o APT::Architecture=arm64 -o APT::Architectures::=arm64 -o Dir::Cache="$PWD" \
        -o Dir::State::Lists="$PWD/lists" -o Dir::State::status=/dev/null
    say "fetching the libraries for arm64"
    quietly apt-get "$@" update || return 1
    quietly apt-get "$@" download libpcre2-8-0 libpcre2-dev libutf8proc2 libutf8proc-dev \
        libcmocka0 libcmocka-dev libjansson4 libjansson-dev || return 1
    for package in *.deb; do
        dpkg -x "$package" "$arm64_root" || return 1
    done
    touch "$arm64_root/complete"
)

# The real models would take minutes.
aarch64() {
    if ! can_cross || ! fetch_arm64_libraries; then
        say "  skipped tests-aarch64: its compiler, qemu or the libraries could not be fetched"
        return 0
    fi
    configure tests-aarch64 -DCMAKE_TOOLCHAIN_FILE=cmake/aarch64.cmake \
        -DLOAM_ARM64_ROOT="$arm64_root" -DCMAKE_BUILD_TYPE=Release -DLOAM_STRICT=ON
    LOAM_MODELS=/nonexistent test_build tests-aarch64 test_base test_errors \
        test_gguf test_kernels test_kv test_models test_os test_quant
    crossed=tests-aarch64
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
    fuzz_seconds=${LOAM_FUZZ_SECONDS:-5}
    [ "$fuzz_seconds" -gt 0 ] || return 0
    if ! can_fuzz; then
        say "  skipped the search for new inputs: clang cannot build libFuzzer programs here"
        return 0
    fi
    configure tests-fuzz -DCMAKE_C_COMPILER=clang -DCMAKE_BUILD_TYPE=Debug \
        -DCMAKE_C_FLAGS_DEBUG='-O1 -g' -DLOAM_FUZZ=ON -DLOAM_COMMAND=OFF
    step "building tests-fuzz"
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
bindings
sanitized
threads
aarch64
fuzz
step "all steps are done"
[ "$failures" = 0 ] || say "$failures of the steps above failed"
totals tests-release
totals tests-asan
totals tests-tsan
[ -z "$crossed" ] || totals "$crossed"
for log in $bound; do
    grep '^loam: ' "$log" | tail -n 1
done
[ "$failures" = 0 ]
