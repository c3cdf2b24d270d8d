//! Will it fit, what goes where, how fast can it be at best: before anything is loaded.

use std::ptr::NonNull;
use std::sync::Arc;

use loam_sys as sys;

use crate::error::{Error, Result};
use crate::handle::{failed, owned_text};
use crate::hooks::Callbacks;

/// What loading a file would take, from [`Builder::plan`](crate::Builder::plan).
///
/// ```
/// # let path = std::env::var("LOAM_TEST_DATA")? + "/tiny-llama.gguf";
/// let plan = loam::Model::builder().memory_limit_bytes(100_000).plan(&path)?;
/// assert!(!plan.fits());
/// println!("{}", plan.sentence()); // says what would make it fit
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug)]
pub struct Plan {
    raw: NonNull<sys::loam_plan>,
    fits: bool,
    /// Memory of the plan is the hooks'.
    _callbacks: Arc<Callbacks>,
}

// SAFETY: a plan may be used from any thread.
unsafe impl Send for Plan {}
// SAFETY: what `&self` gives is read only; the calls that want to be alone take `&mut self`.
unsafe impl Sync for Plan {}

mirrored! {
    /// What a plan takes in all.
    PlanTotals of loam_plan_totals {
        /// Mapped and private.
        weights_bytes: u64,
        /// Shared with the file cache, pageable.
        weights_mapped_bytes: u64,
        /// KV cache.
        kv_bytes: u64,
        /// Activations, logits, scratch, tables, vocabulary, handle.
        overhead_bytes: u64,
        /// Shared and private.
        total_bytes: u64,
        /// What other processes that map the file have too.
        shared_bytes: u64,
        /// What this process alone has.
        private_bytes: u64,
        /// What the process grows by with the whole context in use.
        peak_resident_bytes: u64,
        /// The limit that was set, or the part of the memory available that may be used.
        limit_bytes: u64,
        /// Read for one decoded token with an empty context.
        token_read_bytes: u64,
        /// KV cache of one token over all layers.
        kv_token_bytes: u64,
        /// How many weights.
        parameters: f64,
        /// Of all tensors together.
        bits_per_weight: f64,
        /// How much of the memory may be used.
        fill: f64,
        /// Of a sequence.
        context_tokens: u32,
        /// Most open at once.
        sequences: u32,
        /// Positions in a block of the KV cache.
        block_tokens: u32,
        /// Blocks of a whole context.
        blocks_per_sequence: u32,
        /// Products with weights for one token of a prompt.
        token_products: u64,
    }
}

mirrored! {
    /// How fast decoding can be at best.
    PlanBound of loam_plan_bound {
        /// That it holds for.
        context_tokens: u32,
        /// Weights read for a token.
        weights_bytes: u64,
        /// KV cells read for a token.
        kv_bytes: u64,
        /// At least.
        token_seconds: f64,
        /// At most.
        tok_s: f64,
    }
}

/// A device of a plan.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct PlanDevice {
    /// Its name.
    pub name: String,
    /// How many layers live there.
    pub layers: u32,
    /// The first of them.
    pub first_layer: u32,
    /// What it needs.
    pub bytes: u64,
    /// What it may use.
    pub limit_bytes: u64,
    /// Whether its memory is the host's.
    pub is_host: bool,
}

/// An area of a plan: what loading allocates, by name.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct PlanArea {
    /// `"weights"`, `"kv"`, `"activations"`, ...
    pub name: String,
    /// Where it lies, of [`Plan::devices`].
    pub device: u32,
    /// Its size.
    pub bytes: u64,
}

/// The smallest change of its kind that makes a plan fit.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct PlanChange {
    /// What to change.
    pub kind: ChangeKind,
    /// To what: a number of sequences, of tokens, a KV type of the C API, or bits a weight.
    pub value: f64,
    /// Of a number format or a KV type.
    pub name: Option<String>,
    /// Of the plan that is made so.
    pub total_bytes: u64,
    /// Changes of one choice go together; any choice is enough.
    pub choice: u32,
}

/// What a [`PlanChange`] changes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum ChangeKind {
    /// [`Builder::sequences`](crate::Builder::sequences).
    Sequences,
    /// [`Builder::kv_tokens`](crate::Builder::kv_tokens).
    KvTokens,
    /// [`Builder::kv_type`](crate::Builder::kv_type).
    KvType,
    /// [`Builder::context_tokens`](crate::Builder::context_tokens).
    ContextTokens,
    /// Another file, with fewer bits a weight.
    Format,
    /// One that this crate does not know, of a newer library.
    Unknown(i32),
}

impl ChangeKind {
    fn new(kind: i32) -> Self {
        match u32::try_from(kind) {
            Ok(sys::LOAM_CHANGE_SEQUENCES) => Self::Sequences,
            Ok(sys::LOAM_CHANGE_KV_TOKENS) => Self::KvTokens,
            Ok(sys::LOAM_CHANGE_KV_TYPE) => Self::KvType,
            Ok(sys::LOAM_CHANGE_CONTEXT) => Self::ContextTokens,
            Ok(sys::LOAM_CHANGE_FORMAT) => Self::Format,
            _ => Self::Unknown(kind),
        }
    }
}

impl Plan {
    /// What planning gave, with the callbacks that it was given.
    pub(crate) fn new(
        raw: *mut sys::loam_plan,
        status: sys::loam_status,
        callbacks: Arc<Callbacks>,
    ) -> Result<Self> {
        let failure = callbacks.failure.take();
        let Some(raw) = NonNull::new(raw) else {
            return Err(failed(status, None, failure));
        };
        let plan = Self { raw, fits: status == sys::LOAM_OK, _callbacks: callbacks };
        match status {
            sys::LOAM_OK | sys::LOAM_ERR_NOFIT => Ok(plan),
            _ => Err(failed(status, Some(plan.sentence()), failure)),
        }
    }

    fn p(&self) -> *const sys::loam_plan {
        self.raw.as_ptr()
    }

    /// Whether it fits within the limit.
    #[must_use]
    pub fn fits(&self) -> bool {
        self.fits
    }

    /// Why it does not fit, and what would make it; `""` if it fits.
    #[must_use]
    pub fn sentence(&self) -> String {
        // SAFETY: the sentence lives as long as the plan.
        unsafe { owned_text(sys::loam_plan_error(self.p())) }.unwrap_or_default()
    }

    /// What it takes in all.
    ///
    /// # Errors
    /// None, for a library of the version that this crate was made for.
    pub fn totals(&self) -> Result<PlanTotals> {
        let mut raw = stamped!(loam_plan_totals {});
        // SAFETY: totals is a place of that size.
        check(unsafe { sys::loam_plan_get_totals(self.p(), &mut raw) })?;
        Ok(raw.into())
    }

    /// The devices, in order.
    ///
    /// # Errors
    /// As [`totals`](Self::totals).
    pub fn devices(&self) -> Result<Vec<PlanDevice>> {
        // SAFETY: the plan is there; device is a place of that size, its name lives as long as the
        // plan. So below.
        let n = unsafe { sys::loam_plan_device_count(self.p()) };
        let device = |i| {
            let mut raw = stamped!(loam_plan_device {});
            // SAFETY: as above.
            let name = unsafe {
                check(sys::loam_plan_get_device(self.p(), i, &mut raw))?;
                owned_text(raw.name)
            };
            Ok(PlanDevice {
                name: name.unwrap_or_default(),
                layers: raw.layers,
                first_layer: raw.first_layer,
                bytes: raw.bytes,
                limit_bytes: raw.limit_bytes,
                is_host: raw.flags & sys::LOAM_PLAN_HOST != 0,
            })
        };
        (0..n).map(device).collect()
    }

    /// What loading allocates, area by area.
    ///
    /// # Errors
    /// As [`totals`](Self::totals).
    pub fn areas(&self) -> Result<Vec<PlanArea>> {
        // SAFETY: as in devices().
        let n = unsafe { sys::loam_plan_area_count(self.p()) };
        let area = |i| {
            let mut raw = stamped!(loam_plan_area {});
            // SAFETY: as in devices().
            let name = unsafe {
                check(sys::loam_plan_get_area(self.p(), i, &mut raw))?;
                owned_text(raw.name)
            };
            Ok(PlanArea { name: name.unwrap_or_default(), device: raw.device, bytes: raw.bytes })
        };
        (0..n).map(area).collect()
    }

    /// What would make it fit; none if it does.
    ///
    /// # Errors
    /// As [`totals`](Self::totals).
    pub fn changes(&self) -> Result<Vec<PlanChange>> {
        // SAFETY: as in devices().
        let n = unsafe { sys::loam_plan_change_count(self.p()) };
        let change = |i| {
            let mut raw = stamped!(loam_plan_change {});
            // SAFETY: as in devices(); the name lives as long as the library.
            let name = unsafe {
                check(sys::loam_plan_get_change(self.p(), i, &mut raw))?;
                owned_text(raw.name)
            };
            Ok(PlanChange {
                kind: ChangeKind::new(raw.kind),
                value: raw.value,
                name,
                total_bytes: raw.total_bytes,
                choice: raw.choice,
            })
        };
        (0..n).map(change).collect()
    }

    /// How fast decoding can be at best with that many tokens in a sequence (0: a whole context),
    /// when all is read at that speed.
    ///
    /// # Errors
    /// [`Error::Argument`] if the bandwidth makes no sense.
    pub fn bound(&mut self, context_tokens: u32, bandwidth_bytes_s: f64) -> Result<PlanBound> {
        let mut raw = stamped!(loam_plan_bound {});
        // SAFETY: bound is a place of that size.
        check(unsafe {
            sys::loam_plan_get_bound(self.p(), context_tokens, bandwidth_bytes_s, &mut raw)
        })?;
        Ok(raw.into())
    }

    /// How many sequences could be open at once, each with that many tokens on average in the KV
    /// cache (0: the whole context), if all else stays.
    ///
    /// # Errors
    /// [`Error::Argument`], [`Error::NoMemory`]; [`Error::Unsupported`] for several devices.
    pub fn sequences_fit(&mut self, mean_tokens: u32) -> Result<u32> {
        let mut sequences = 0;
        // SAFETY: sequences is a place for a number.
        check(unsafe { sys::loam_plan_sequences_fit(self.p(), mean_tokens, &mut sequences) })?;
        Ok(sequences)
    }
}

impl Drop for Plan {
    fn drop(&mut self) {
        // SAFETY: nobody else has the plan, and the callbacks are dropped after it.
        unsafe { sys::loam_plan_free(self.raw.as_ptr()) };
    }
}

/// These calls have no sentence.
fn check(status: sys::loam_status) -> Result<()> {
    match status {
        sys::LOAM_OK => Ok(()),
        _ => Err(Error::new(status, String::new())),
    }
}
