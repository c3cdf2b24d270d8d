//! How a model is loaded.

use std::alloc::GlobalAlloc;
use std::ffi::CString;
use std::path::Path;
use std::ptr;
use std::sync::Arc;

use loam_sys as sys;

use crate::error::{Error, Result};
use crate::handle::Handle;
use crate::hooks::{Callbacks, Hooks, Level};
use crate::model::Model;
use crate::plan::Plan;
use crate::source::Source;

/// Where the weights lie.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum Weights {
    /// Copied into the order in which they are read fastest, if that fits.
    #[default]
    Auto,
    /// Copied always.
    Pack,
    /// Used where the file is mapped: ready at once and shared with other processes, but slower.
    Map,
}

/// The cells of the KV cache.
#[allow(clippy::cast_possible_wrap)] // the C API's own small numbers
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum KvType {
    /// 32 bits a number.
    F32 = sys::LOAM_KV_F32 as isize,
    /// 16 bits a number.
    #[default]
    F16 = sys::LOAM_KV_F16 as isize,
    /// 16 bits a number, with the range of 32.
    Bf16 = sys::LOAM_KV_BF16 as isize,
    /// 8.5 bits a number; heads are a multiple of 32 values wide.
    Q8_0 = sys::LOAM_KV_Q8_0 as isize,
    /// 4.5 bits a number; heads are a multiple of 32 values wide. It hurts keys far more than values.
    Q4_0 = sys::LOAM_KV_Q4_0 as isize,
}

/// A device to put layers on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Device {
    /// `"cpu"`, or the name of a module.
    pub backend: String,
    /// Of the backend's devices, from 0.
    pub index: u32,
    /// How much of its memory may be used; 0: 0.9 of what is free.
    pub memory_limit_bytes: u64,
    /// How many layers it takes, next in the order of the devices; `None`: any number.
    pub layers: Option<u32>,
}

impl Device {
    /// The first device of a backend, for any number of layers.
    pub fn new(backend: impl Into<String>) -> Self {
        Self { backend: backend.into(), index: 0, memory_limit_bytes: 0, layers: None }
    }
}

/// The options that a model is loaded with. What is not set is the library's own choice.
///
/// ```
/// # let path = std::env::var("LOAM_TEST_DATA")? + "/tiny-llama.gguf";
/// let options = loam::Model::builder()
///     .context_tokens(128)
///     .sequences(4)
///     .log(|level, line| eprintln!("{level:?}: {line}"));
/// let plan = options.plan(&path)?; // reads the header only
/// assert!(plan.fits());
/// let model = options.load(&path)?;
/// assert_eq!(model.info().context_tokens, 128);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug, Default)]
#[must_use]
pub struct Builder {
    flags: u32,
    memory_limit_bytes: u64,
    kv_tokens: u64,
    context_tokens: u32,
    sequences: u32,
    threads: u32,
    step_tokens: u32,
    kv_type: i32,
    v_type: i32,
    kv_block_tokens: u32,
    isa: String,
    backend: String,
    modules: String,
    devices: Vec<Device>,
    cache: Vec<u8>,
    hooks: Hooks,
}

macro_rules! setters {
    ($($(#[$doc:meta])* $name:ident: $type:ty;)*) => {
        $($(#[$doc])*
        pub fn $name(mut self, $name: $type) -> Self {
            self.$name = $name;
            self
        })*
    };
}

impl Builder {
    setters! {
        /// A hard cap over all private memory and mapped weights; 0: none.
        memory_limit_bytes: u64;
        /// Most tokens that the KV cache holds, of all sequences together, shared ones counted once;
        /// 0: all contexts at once.
        kv_tokens: u64;
        /// Most tokens of one sequence; 0: the model's own, at most 4096.
        context_tokens: u32;
        /// Most sequences open at once; 0: 1.
        sequences: u32;
        /// 0: one per processor that this process may use, at most 64.
        threads: u32;
        /// Most tokens computed at once, the width of prefill; 0: 512.
        step_tokens: u32;
        /// Positions in a block of the KV cache: 8, 16, .. 256; 0: 16.
        kv_block_tokens: u32;
    }

    fn flag(mut self, flag: u32, on: bool) -> Self {
        self.flags = if on { self.flags | flag } else { self.flags & !flag };
        self
    }

    /// Load the vocabulary and the chat template only; computing gives [`Error::State`].
    pub fn vocabulary_only(self, on: bool) -> Self {
        self.flag(sys::LOAM_LOAD_VOCAB, on)
    }

    /// Where the weights lie.
    pub fn weights(self, weights: Weights) -> Self {
        self.flag(sys::LOAM_LOAD_PACK, weights == Weights::Pack)
            .flag(sys::LOAM_LOAD_MAP, weights == Weights::Map)
    }

    /// Whether the beginning of a prompt is looked for in the KV blocks of other sequences and of
    /// those that were closed lately. It is unless this says no.
    pub fn sharing(self, on: bool) -> Self {
        self.flag(sys::LOAM_LOAD_NO_SHARING, !on)
    }

    /// Note how long each kind of op takes, for [`Model::profile`].
    pub fn profiled(self, on: bool) -> Self {
        self.flag(sys::LOAM_LOAD_PROFILE, on)
    }

    /// Cells of the keys, and of the values too.
    pub fn kv_type(mut self, cells: KvType) -> Self {
        self.kv_type = cells as i32;
        self
    }

    /// Cells of the values, where they are others than those of the keys.
    pub fn v_type(mut self, cells: KvType) -> Self {
        self.v_type = cells as i32;
        self
    }

    /// The instruction set: `"scalar"`, `"avx2"`, `"neon"` and others; `""`: the best.
    pub fn isa(mut self, isa: impl Into<String>) -> Self {
        self.isa = isa.into();
        self
    }

    /// `"cpu"`, which is built in, or the name of a module.
    pub fn backend(mut self, backend: impl Into<String>) -> Self {
        self.backend = backend.into();
        self
    }

    /// The folder where modules are; `""`: `loam-modules` beside the library.
    pub fn modules(mut self, folder: impl Into<String>) -> Self {
        self.modules = folder.into();
        self
    }

    /// Where the model may lie, instead of a single backend: one device more.
    pub fn device(mut self, device: Device) -> Self {
        self.devices.push(device);
        self
    }

    /// What [`Model::cache`] gave in an earlier run.
    pub fn cache(mut self, cache: impl Into<Vec<u8>>) -> Self {
        self.cache = cache.into();
        self
    }

    /// Take the library's log, line by line; without this it is silent. It is called from any thread
    /// that uses the model, within a call: it must not use the model itself. If it panics, the line
    /// is lost.
    pub fn log(mut self, log: impl Fn(Level, &str) + Send + Sync + 'static) -> Self {
        self.hooks.log = Some(Arc::new(log));
        self
    }

    /// Civil time for chat templates, in seconds since 1970-01-01 00:00. If it panics, and without
    /// it, that is the system's UTC.
    pub fn clock(mut self, clock: impl Fn() -> i64 + Send + Sync + 'static) -> Self {
        self.hooks.clock = Some(Arc::new(clock));
        self
    }

    /// Let the program's own threads work: `parallel(n, task)` runs `task(0)` to `task(n - 1)` in any
    /// order on any threads, and returns when all are done. Tasks that it leaves out, because it
    /// panics or otherwise, run after it; none runs twice.
    ///
    /// ```
    /// # let path = std::env::var("LOAM_TEST_DATA")? + "/tiny-llama.gguf";
    /// let model = loam::Model::builder()
    ///     .threads(4)
    ///     .parallel(|n, task| {
    ///         std::thread::scope(|scope| {
    ///             for i in 0..n {
    ///                 scope.spawn(move || task(i));
    ///             }
    ///         });
    ///     })
    ///     .load(&path)?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn parallel(
        mut self,
        parallel: impl Fn(u32, &(dyn Fn(u32) + Sync)) + Send + Sync + 'static,
    ) -> Self {
        self.hooks.parallel = Some(Arc::new(parallel));
        self
    }

    /// Where all memory comes from, but for the mapped file and what this crate itself takes.
    pub fn allocator(mut self, memory: impl GlobalAlloc + Send + Sync + 'static) -> Self {
        self.hooks.memory = Some(Arc::new(memory));
        self
    }

    /// Load a model. A name that ends in `-00001-of-0000N.gguf` brings its other parts along. The
    /// file is mapped and must not change while the model lives.
    ///
    /// # Errors
    /// What is wrong with the options or the file, as one of [`Error`].
    pub fn load(&self, path: impl AsRef<Path>) -> Result<Model> {
        let path = c_path(path.as_ref())?;
        let callbacks = Callbacks::new(self.hooks.clone(), vec![]);
        let handle = self.open(&callbacks, |options, out| {
            // SAFETY: the path and the options live until the call returns, callbacks longer.
            unsafe { sys::loam_load(path.as_ptr(), options, out) }
        })?;
        Model::new(handle)
    }

    /// Load a model from a [`Source`].
    ///
    /// ```
    /// # let path = std::env::var("LOAM_TEST_DATA")? + "/tiny-llama.gguf";
    /// let bytes = std::fs::read(&path)?;
    /// let model = loam::Model::builder().load_source(loam::Bytes(bytes))?;
    ///
    /// let reader = std::io::BufReader::new(std::fs::File::open(&path)?);
    /// let model = loam::Model::builder().load_source(std::sync::Mutex::new(reader))?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// As [`load`](Self::load); [`Error::Io`] if the source fails or panics.
    pub fn load_source(&self, source: impl Source + 'static) -> Result<Model> {
        self.load_sources(vec![Arc::new(source)])
    }

    /// Load a split model from its parts in order.
    ///
    /// # Errors
    /// As [`load_source`](Self::load_source).
    pub fn load_sources(&self, parts: Vec<Arc<dyn Source>>) -> Result<Model> {
        let callbacks = Callbacks::new(self.hooks.clone(), parts);
        let parts = callbacks.sources().map_err(|why| Error::Io(why.to_string()))?;
        let pointers: Vec<_> = parts.iter().map(|part| ptr::addr_of!(*part)).collect();
        let handle = self.open(&callbacks, |options, out| {
            // SAFETY: as in load(); what the parts point to is the callbacks' or the sources' own.
            unsafe { sys::loam_load_sources(pointers.as_ptr(), pointers.len(), options, out) }
        })?;
        Model::new(handle)
    }

    /// Plan what loading this file would take, from its header. A plan that does not fit is a plan
    /// too: [`Plan::fits`] and [`Plan::sentence`] say so.
    ///
    /// # Errors
    /// As [`load`](Self::load), but that damage inside a vocabulary is only found by loading.
    pub fn plan(&self, path: impl AsRef<Path>) -> Result<Plan> {
        let path = c_path(path.as_ref())?;
        let callbacks = Callbacks::new(self.hooks.clone(), vec![]);
        let (mut out, mut status) = (ptr::null_mut(), sys::LOAM_OK);
        self.with_options(&callbacks, |options| {
            // SAFETY: as in load().
            status = unsafe { sys::loam_plan_file(path.as_ptr(), options, &mut out) };
        })?;
        Plan::new(out, status, callbacks)
    }

    fn open(
        &self,
        callbacks: &Arc<Callbacks>,
        load: impl FnOnce(&sys::loam_options, &mut *mut sys::loam) -> sys::loam_status,
    ) -> Result<Handle> {
        let (mut out, mut status) = (ptr::null_mut(), sys::LOAM_OK);
        self.with_options(callbacks, |options| status = load(options, &mut out))?;
        Handle::new(out, status, callbacks.clone())
    }

    /// The options for C, as long as the call takes.
    fn with_options(
        &self,
        callbacks: &Arc<Callbacks>,
        call: impl FnOnce(&sys::loam_options),
    ) -> Result<()> {
        let (isa, backend) = (c_string(&self.isa)?, c_string(&self.backend)?);
        let modules = c_string(&self.modules)?;
        let names: Vec<_> =
            self.devices.iter().map(|d| c_string(&d.backend)).collect::<Result<_>>()?;
        let devices: Vec<_> = self.devices.iter().zip(&names).map(raw_device).collect();
        let pointers: Vec<_> = devices.iter().map(|device| ptr::addr_of!(*device)).collect();
        let hooks = callbacks.hooks();
        call(&stamped!(loam_options {
            flags: self.flags,
            memory_limit_bytes: self.memory_limit_bytes,
            kv_tokens: self.kv_tokens,
            context_tokens: self.context_tokens,
            sequences: self.sequences,
            threads: self.threads,
            step_tokens: self.step_tokens,
            kv_type: self.kv_type,
            v_type: self.v_type,
            kv_block_tokens: self.kv_block_tokens,
            n_devices: u32::try_from(pointers.len()).unwrap_or(u32::MAX),
            isa: isa.as_ptr(),
            backend: backend.as_ptr(),
            hooks: &hooks,
            devices: pointers.as_ptr(),
            modules: modules.as_ptr(),
            cache: self.cache.as_ptr().cast(),
            cache_bytes: self.cache.len(),
        }));
        Ok(())
    }
}

fn raw_device((device, name): (&Device, &CString)) -> sys::loam_device {
    stamped!(loam_device {
        index: device.index,
        backend: name.as_ptr(),
        memory_limit_bytes: device.memory_limit_bytes,
        layers: device.layers.map_or(-1, |n| i32::try_from(n).unwrap_or(i32::MAX)),
    })
}

fn c_string(text: impl AsRef<[u8]>) -> Result<CString> {
    let text = text.as_ref();
    CString::new(text)
        .map_err(|_| Error::Argument(format!("{:?} has a NUL byte", String::from_utf8_lossy(text))))
}

#[cfg(unix)]
fn c_path(path: &Path) -> Result<CString> {
    c_string(std::os::unix::ffi::OsStrExt::as_bytes(path.as_os_str()))
}

#[cfg(not(unix))]
fn c_path(path: &Path) -> Result<CString> {
    match path.to_str() {
        Some(path) => c_string(path),
        None => Err(Error::Argument(format!("{} is not Unicode", path.display()))),
    }
}
