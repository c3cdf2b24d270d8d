#!/bin/sh
# Install a build into a fresh folder and build a ten-line program against it: with -lloam alone,
# with pkg-config and with CMake, shared and static; then with loam as a folder of its own build.
# check.sh BUILD_FOLDER WORK_FOLDER
set -eu
build=$1
work=$2
here=$(CDPATH='' cd "$(dirname "$0")" && pwd)
prefix=$work/prefix
version=$(sed -n 's/^#define LOAM_VERSION_[A-Z]* //p' "$here/../../include/loam/loam.h" | paste -sd.)

expect() { # what, program
    said=$("$2")
    printf '%s\n' "$1: $said"
    case $said in
    "loam $version: LOAM_ERR_NOT_FOUND: "*no/such/model.gguf*) ;;
    *) printf '%s\n' "FAILED $1: this is not what it should say" && exit 1 ;;
    esac
}

rm -rf "$work"
mkdir -p "$work"
cmake --install "$build" --prefix "$prefix" >"$work/install.log"

PKG_CONFIG_PATH=$(dirname "$(find "$prefix" -name loam.pc)")
export PKG_CONFIG_PATH
libraries=$(pkg-config --variable=libdir loam)
[ "$(pkg-config --modversion loam)" = "$version" ]

compile() { # program, flags
    out=$work/$1
    shift
    cc -std=c11 -Wall -Wextra -Werror "$here/program.c" -o "$out" "$@" -Wl,-rpath,"$libraries"
}
compile with_lloam -I"$prefix/include" -L"$libraries" -lloam
expect "-lloam" "$work/with_lloam"
# shellcheck disable=SC2046 # flags, one word each
compile with_pkg_config $(pkg-config --cflags --libs loam)
expect pkg-config "$work/with_pkg_config"
# shellcheck disable=SC2046
compile with_archive $(pkg-config --static --cflags --libs loam | sed 's/-lloam/-l:libloam.a/')
expect "pkg-config, static" "$work/with_archive"

generator=$(sed -n 's/^CMAKE_GENERATOR:INTERNAL=//p' "$build/CMakeCache.txt") # there may be no make
cmake -S "$here" -B "$work/cmake" -G "$generator" -DCMAKE_PREFIX_PATH="$prefix" >"$work/configure.log"
cmake --build "$work/cmake" >"$work/build.log"
expect "CMake, shared" "$work/cmake/with_shared"
expect "CMake, static" "$work/cmake/with_static"

cmake -S "$here/inside" -B "$work/inside" -G "$generator" -DCMAKE_BUILD_TYPE=Debug \
    -DCMAKE_C_FLAGS_DEBUG=-O0 -DLOAM_VULKAN=OFF -DLOAM_OPENBLAS=OFF >"$work/configure.log"
cmake --build "$work/inside" --parallel 2 --target with_loam with_loam_static >"$work/build.log"
expect "add_subdirectory, shared" "$work/inside/with_loam"
expect "add_subdirectory, static" "$work/inside/with_loam_static"

for component in library command backends headers; do
    cmake --install "$build" --component "$component" --prefix "$work/parts" >>"$work/install.log"
done
diff "$prefix" "$work/parts" -r --brief --exclude=doc # the components are the whole

if [ -x "$prefix/bin/loam" ]; then
    [ "$("$prefix/bin/loam" --version)" = "loam $version" ]
    printf '%s\n' "the installed command runs"
fi
