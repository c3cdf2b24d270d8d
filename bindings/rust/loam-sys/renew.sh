#!/bin/sh
# Write src/bindings.rs anew from the headers of this repository, or to the file that is named.
# Needs bindgen 0.73 (cargo install bindgen-cli) and libclang (Debian: libclang-dev).
set -eu
cd "$(dirname "$0")"
bindgen src/loam.h --rust-target 1.75 --rust-edition 2021 --use-core --merge-extern-blocks \
    --allowlist-item '(loam|LOAM)_.*' --with-derive-default --no-doc-comments --formatter rustfmt \
    --raw-line '//! The headers of loam in Rust, written by renew.sh.' \
    --output "${1:-src/bindings.rs}" -- -I../../../include
