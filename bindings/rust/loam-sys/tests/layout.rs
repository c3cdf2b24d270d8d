//! That the library is the one that the bindings were made for. Tests in `bindings.rs` compare each
//! struct with the layout that it had in C when they were made, on a 64-bit target.

use std::mem::{size_of, size_of_val};

/// The size that an `_init` function stamps, in a place where a larger struct fits too.
fn stamped<T>(init: unsafe extern "C" fn(*mut T)) -> usize {
    let mut room = [0u64; 512];
    assert!(size_of::<T>() <= size_of_val(&room));
    // SAFETY: room is large and aligned enough for every struct of the API.
    unsafe { init(room.as_mut_ptr().cast()) };
    usize::try_from(room[0] & u64::from(u32::MAX)).unwrap()
}

macro_rules! sizes {
    ($($name:ident $init:ident)*) => {
        #[test]
        fn structs_are_as_large_as_in_the_library() {
            $(assert_eq!(
                size_of::<loam_sys::$name>(),
                stamped::<loam_sys::$name>(loam_sys::$init),
                concat!(stringify!($name), ": run renew.sh")
            );)*
        }
    };
}

sizes! {
    loam_options loam_options_init
    loam_hooks loam_hooks_init
    loam_device loam_device_init
    loam_source loam_source_init
    loam_info loam_info_init
    loam_stream loam_stream_init
    loam_usage loam_usage_init
    loam_profile loam_profile_init
    loam_sampling loam_sampling_init
    loam_queue_options loam_queue_options_init
    loam_submission loam_submission_init
    loam_queue_event loam_queue_event_init
    loam_queue_stats loam_queue_stats_init
    loam_plan_geometry loam_plan_geometry_init
    loam_plan_target loam_plan_target_init
    loam_plan_machine loam_plan_machine_init
    loam_plan_totals loam_plan_totals_init
    loam_plan_device loam_plan_device_init
    loam_plan_area loam_plan_area_init
    loam_plan_bound loam_plan_bound_init
    loam_plan_change loam_plan_change_init
    loam_quality loam_quality_init
    loam_gguf_meta loam_gguf_meta_init
    loam_gguf_tensor loam_gguf_tensor_init
    loam_format_info loam_format_info_init
    loam_read_event loam_read_event_init
}

#[test]
fn the_version_is_the_one_of_the_headers() {
    // SAFETY: the version is a string that lives as long as the library.
    let version = unsafe { std::ffi::CStr::from_ptr(loam_sys::loam_version()) };
    let (major, minor) = (loam_sys::LOAM_VERSION_MAJOR, loam_sys::LOAM_VERSION_MINOR);
    assert!(version.to_str().unwrap().starts_with(&format!("{major}.{minor}.")));
}
