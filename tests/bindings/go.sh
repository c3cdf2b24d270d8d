#!/bin/sh
# Test the Go binding: go vet, the tests under the race detector and with all checks of pointers that
# go to C, and again linked with the static library.
#
# LOAM_PREFIX     folder of an installed release build
# LOAM_TEST_DATA  folder of the small models; else the tests make them
# LOAM_MODELS     folder of the real models; without it those tests are skipped
# Without Go 1.24 nothing is tested, and the script says so.
set -u
cd "$(dirname "$0")/../.."

skip() {
    echo "loam:   skipped go: $*"
    exit 0
}

command -v go >/dev/null 2>&1 || skip "there is no go"
version=$(GOTOOLCHAIN=local go env GOVERSION)
minor=$(echo "$version" | sed -n 's/^go1\.\([0-9]*\).*/\1/p')
[ "${minor:-0}" -ge 24 ] || skip "it wants go 1.24 and this is $version"

pc=$(find "${LOAM_PREFIX:?is the folder of an installed build}" -name loam.pc | head -n 1)
library=$(dirname "$(dirname "$pc")")
: "${GOCACHE:=$PWD/build/go/cache}"
export GOCACHE GOTOOLCHAIN=local GOPROXY=off GOFLAGS="-mod=mod -buildvcs=false" CGO_ENABLED=1
export GOPATH="$PWD/build/go/path" PKG_CONFIG_PATH="$(dirname "$pc")${PKG_CONFIG_PATH:+:$PKG_CONFIG_PATH}"
export LD_LIBRARY_PATH="$library${LD_LIBRARY_PATH:+:$LD_LIBRARY_PATH}"
lines=$(mktemp)
trap 'rm -f "$lines"' EXIT
cd bindings/go || exit 1

broken=0
step() { # NAME COMMAND...
    name=$1
    shift
    "$@" >>"$lines" 2>&1 && return
    broken=$((broken + 1))
    echo "FAIL $name"
}

step "gofmt" sh -c 'test -z "$(gofmt -l . | tee /dev/stderr)"'
step "go vet" go vet ./...
step "go test -race" env GOEXPERIMENT=cgocheck2 go test -race -count=1 -v ./...
step "go test -tags loam_static" env LD_LIBRARY_PATH= go test -tags loam_static -count=1 -v ./...
grep -v '^=== ' "$lines"
passed=$(grep -c '^ *--- PASS' "$lines")
skipped=$(grep -c '^ *--- SKIP' "$lines")
failed=$(($(grep -c '^ *--- FAIL' "$lines") + broken))
echo "loam:   go: $passed passed, $failed failed, $skipped skipped"
[ "$failed" -eq 0 ]
