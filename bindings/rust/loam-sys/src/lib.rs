//! The C API of [loam](https://crates.io/crates/loam), as its headers have it: `loam.h`, `queue.h`,
//! `plan.h`, `gguf.h` and `quant.h` are the manual. The crate `loam` is the safe way to it.
//!
//! The library is found through pkg-config; with the feature `vendored` it is built from the
//! repository that this crate lies in, and linked statically.
//!
//! Zero a struct and set its `struct_size` to `size_of`, which is what the `_init` functions do, but
//! with the size that this crate knows:
//!
//! ```
//! let mut info = loam_sys::loam_info::default();
//! info.struct_size = size_of::<loam_sys::loam_info>() as u32;
//! // SAFETY: a NULL handle is refused.
//! let status = unsafe { loam_sys::loam_get_info(std::ptr::null_mut(), &mut info) };
//! assert_eq!(status, loam_sys::LOAM_ERR_ARG);
//! # use std::mem::size_of;
//! ```
#![no_std]

#[allow(missing_docs, non_camel_case_types, unreachable_pub)]
#[allow(clippy::all, clippy::pedantic, clippy::undocumented_unsafe_blocks)]
mod bindings;

pub use bindings::*;
