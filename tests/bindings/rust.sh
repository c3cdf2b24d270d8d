#!/bin/sh
# Test the Rust bindings on an installed library: layout, lints, tests, the shared list, doc tests.
#
# LOAM_PREFIX     where a release build is installed
# LOAM_TEST_DATA  folder of the tiny models
set -eu
cd "$(dirname "$0")/../.."
: "${LOAM_PREFIX:?}" "${LOAM_TEST_DATA:?}"
log=$PWD/build/rust/tests.log
failures=0

say() {
    echo "loam:   $*"
}

skip() {
    say "skipped rust: $*"
    exit 0
}

# Of cargo, which must be 1.75 or later.
is_new() {
    cargo --version 2>/dev/null | awk '{ split($2, v, "."); exit !(v[1] > 1 || v[2] >= 75) }'
}

step() {
    "$@" || {
        failures=$((failures + 1))
        say "FAILED: $*"
    }
}

# "test result: ok. 3 passed; 0 failed; 1 ignored" of cargo, "3 passed, 0 failed, 0 skipped" of the list.
sum_of() { # word
    sed -n -E "/^(test result: .*|[0-9]+ passed, .*)/s/.*[^0-9]?\b([0-9]+) ($1).*/\1/p" "$log" |
        awk '{ sum += $1 } END { print sum + 0 }'
}

# Whether renewing gives other bindings can be told with the bindgen that made these.
can_renew() {
    made_by=$(sed -n '1s/.*rust-bindgen \([0-9.]*\) .*/bindgen \1/p' loam-sys/src/bindings.rs)
    [ "$(bindgen --version 2>/dev/null)" = "$made_by" ]
}

is_renewed() {
    loam-sys/renew.sh "$CARGO_TARGET_DIR/renewed.rs" &&
        cmp loam-sys/src/bindings.rs "$CARGO_TARGET_DIR/renewed.rs"
}

run_tests() {
    { cargo test --locked --features stream --no-fail-fast 2>&1 && echo passed; } | tee "$log"
    [ "$(tail -n 1 "$log")" = passed ]
}

command -v cargo >/dev/null 2>&1 && is_new || skip "cargo 1.75 or later is not there"
loam_pc=$(find "$LOAM_PREFIX" -name loam.pc | head -n 1)
if [ -z "$loam_pc" ]; then
    say "FAILED: there is no loam.pc below $LOAM_PREFIX"
    exit 1
fi
PKG_CONFIG_PATH=$(dirname "$loam_pc")
LD_LIBRARY_PATH=$(dirname "$PKG_CONFIG_PATH")${LD_LIBRARY_PATH:+:$LD_LIBRARY_PATH}
CARGO_TARGET_DIR=$PWD/build/rust
export PKG_CONFIG_PATH LD_LIBRARY_PATH CARGO_TARGET_DIR LOAM_TEST_DATA
mkdir -p "$CARGO_TARGET_DIR"
cd bindings/rust
cargo fetch --locked >"$log" 2>&1 || skip "its crates could not be fetched"

if can_renew; then
    step is_renewed
else
    say "skipped renewing the Rust bindings: $made_by is not there"
fi
if cargo fmt --version >/dev/null 2>&1; then
    step cargo fmt --check
else
    say "skipped rustfmt: it is not there"
fi
if cargo clippy --version >/dev/null 2>&1; then
    step cargo clippy --locked -q --all-targets --features stream -- -W clippy::pedantic -D warnings
else
    say "skipped clippy: it is not there"
fi
step run_tests
failed=$(sum_of failed)
[ "$failures" = 0 ] || [ "$failed" != 0 ] || failed=$failures
say "rust: $(sum_of passed) passed, $failed failed, $(sum_of 'ignored|skipped') skipped"
[ "$failures" = 0 ]
