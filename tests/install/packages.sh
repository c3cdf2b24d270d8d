#!/bin/sh
# Make the Debian packages of a build that is configured for /usr, and let lintian judge them.
# packages.sh BUILD_FOLDER
set -eu
cd "$1"
for tool in lintian dpkg-shlibdeps; do
    command -v $tool >/dev/null 2>&1 && continue
    echo "loam:   skipped packages: $tool is not installed"
    exit 0
done
if ! grep -q '^CMAKE_INSTALL_PREFIX:PATH=/usr$' CMakeCache.txt; then
    echo "loam:   skipped packages: the build is not configured for /usr"
    exit 0
fi
rm -rf packages
cpack
lintian --allow-root --fail-on error,warning packages/*.deb

# Each file is in one package alone, and the command of the unpacked packages runs.
mkdir packages/root
for package in packages/*.deb; do
    dpkg-deb --fsys-tarfile "$package" | tar -t | grep -v '/$'
    dpkg-deb -x "$package" packages/root
done | sort | uniq -d | tee packages/twice
[ ! -s packages/twice ]
libraries=$(dirname "$(find "$PWD/packages/root" -name 'libloam.so.0')")
LD_LIBRARY_PATH=$libraries packages/root/usr/bin/loam --version
