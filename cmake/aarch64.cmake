# Builds for 64-bit ARM on another machine, with Debian's cross compiler; the tests run in qemu-user.
# LOAM_ARM64_ROOT: a folder with the libraries as arm64 packages hold them; tests/run.sh fills one.
set(CMAKE_SYSTEM_NAME Linux)
set(CMAKE_SYSTEM_PROCESSOR aarch64)
set(CMAKE_C_COMPILER aarch64-linux-gnu-gcc)
set(CMAKE_CROSSCOMPILING_EMULATOR qemu-aarch64 -L /usr/aarch64-linux-gnu)

set(CMAKE_TRY_COMPILE_PLATFORM_VARIABLES LOAM_ARM64_ROOT) # this file is read again for each try
set(ENV{PKG_CONFIG_LIBDIR} ${LOAM_ARM64_ROOT}/usr/lib/aarch64-linux-gnu/pkgconfig)
set(ENV{PKG_CONFIG_SYSROOT_DIR} ${LOAM_ARM64_ROOT})
