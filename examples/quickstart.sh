#!/bin/sh
# From a fresh machine to a streamed answer: examples/quickstart.sh [MODEL.gguf] [PROMPT]
#
# Installs what is missing (Debian), builds into build/, fetches SmolLM2-135M-Instruct (98 MB, kept
# in ~/.cache/loam) unless a model is given, prints the memory plan and answers the prompt.
set -eu
source_folder=$(CDPATH='' cd "$(dirname "$0")/.." && pwd)
. "$source_folder/examples/prepare.sh"

model=${1:-}
prompt=${2:-Why is the sky blue? Answer in three sentences.}
build=$source_folder/build

[ -z "$model" ] || [ -f "$model" ] || die "$model: no such file; give a GGUF file, or none"

want_to_build
[ -n "$model" ] || have_model "$smollm2" || want_to_fetch
install_missing

# An existing build folder keeps its options.
[ -f "$build/build.ninja" ] || [ -f "$build/Makefile" ] ||
    quietly cmake -S "$source_folder" -B "$build" -G Ninja -DCMAKE_BUILD_TYPE=Release \
        -DLOAM_TESTS=OFF || die "the build could not be set up"
say "building $build"
quietly cmake --build "$build" || die "the build failed"

if [ -z "$model" ]; then
    fetch_smollm2 || die "no model: it could not be fetched; give the path of a GGUF file instead"
    model=$(model_cache)/$smollm2
fi

"$build/loam" plan "$model"
say "$prompt"
"$build/loam" run "$model" "$prompt" --seed 1
