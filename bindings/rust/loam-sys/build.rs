//! Finds the library loam, or with the feature `vendored` builds it.

fn main() {
    #[cfg(feature = "vendored")]
    build();
    #[cfg(not(feature = "vendored"))]
    find();
}

/// The installed library. Before 1.0 a minor version may change the ABI, so no other one will do.
#[cfg(not(feature = "vendored"))]
fn find() {
    let found = pkg_config::Config::new().range_version("0.1".."0.2").probe("loam");
    if let Err(why) = found {
        eprintln!(
            "loam 0.1 was not found: install it (cmake --install build), name the folder of its \
             loam.pc in PKG_CONFIG_PATH, or build it with the feature `vendored`.\n{why}"
        );
        std::process::exit(1);
    }
}

/// The library out of the repository that this crate lies in.
#[cfg(feature = "vendored")]
fn build() {
    let root = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../../..");
    for part in ["CMakeLists.txt", "include", "lib", "backends/cpu"] {
        println!("cargo:rerun-if-changed={}", root.join(part).display());
    }
    let built = cmake::Config::new(&root)
        .profile("Release") // kernels without optimization take minutes for a token
        .define("LOAM_COMMAND", "OFF")
        .define("LOAM_TESTS", "OFF")
        .define("LOAM_OPENBLAS", "OFF")
        .define("LOAM_VULKAN", "OFF")
        .build_target("loam_archive")
        .build();
    println!("cargo:rustc-link-search=native={}/build", built.display());
    println!("cargo:rustc-link-lib=static=loam");
    for library in ["libpcre2-8", "libutf8proc"] {
        pkg_config::probe_library(library).expect("loam needs PCRE2 and utf8proc");
    }
    println!("cargo:rustc-link-lib=m");
}
