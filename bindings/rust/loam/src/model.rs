//! A loaded model.

use std::ffi::CStr;
use std::ops::{BitOr, Deref};
use std::path::Path;
use std::ptr;
use std::sync::{Arc, Weak};
use std::time::Duration;

use loam_sys as sys;

use crate::builder::Builder;
use crate::error::{Error, Result};
use crate::handle::{fill, into_text, owned_text, Handle};
use crate::sequence::Sequence;
use crate::Token;

/// A loaded model with all it needs to run.
///
/// It may be used from many threads: calls on one model run one after another. Different models are
/// independent.
///
/// [`Sequence`]s and queues borrow the model, so that none is left when it is dropped:
///
/// ```compile_fail,E0505
/// let model = loam::Model::load("model.gguf")?;
/// let sequence = model.sequence()?;
/// drop(model);
/// sequence.length()?;
/// # Ok::<(), loam::Error>(())
/// ```
#[derive(Debug)]
pub struct Model {
    handle: Arc<Handle>,
    info: Info,
}

/// Facts about a loaded model.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Info {
    /// How many tokens the vocabulary has: the length of [`Sequence::logits`].
    pub vocabulary_tokens: usize,
    /// How many layers.
    pub layers: u32,
    /// The width of the residual stream.
    pub embedding_values: u32,
    /// Of a sequence in this handle.
    pub context_tokens: u32,
    /// The context that the model was trained for.
    pub trained_tokens: u32,
    /// Most open at once.
    pub sequences: u32,
    /// That compute.
    pub threads: u32,
    /// What begins a text, if the vocabulary has it.
    pub bos: Option<Token>,
    /// What ends a text, if the vocabulary has it.
    pub eos: Option<Token>,
    /// Weights, counted from the tensors.
    pub parameters: u64,
    /// What they take.
    pub weights_bytes: u64,
    /// `""` where it is not known.
    pub architecture: String,
    /// `""` where it is not known.
    pub name: String,
    /// The instruction set in use.
    pub isa: String,
    /// Source text, if the file has one.
    pub chat_template: Option<String>,
}

/// How text becomes tokens. `Tokenize::SPECIAL | Tokenize::CONTROL` is both.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Tokenize(u32);

impl Tokenize {
    /// The text alone.
    pub const PLAIN: Self = Self(0);
    /// Add what the vocabulary wants at the start and end.
    pub const SPECIAL: Self = Self(sys::LOAM_TOKENIZE_SPECIAL);
    /// Read control tokens such as `<|im_end|>` in the text as themselves; leave this off for text
    /// from users, which then stays text.
    pub const CONTROL: Self = Self(sys::LOAM_TOKENIZE_CONTROL);
}

impl BitOr for Tokenize {
    type Output = Self;

    fn bitor(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }
}

/// Whether text shows control tokens.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum Control {
    /// As they are spelled.
    #[default]
    Show,
    /// They are left out.
    Skip,
}

impl Control {
    pub(crate) fn flags(self) -> u32 {
        match self {
            Self::Show => 0,
            Self::Skip => sys::LOAM_DETOKENIZE_SKIP_CONTROL,
        }
    }
}

mirrored! {
    /// What the KV cache holds and has saved.
    Usage of loam_usage {
        /// That are open.
        sequences: u32,
        /// Positions in a block.
        kv_block_tokens: u32,
        /// Blocks of the layers that see the whole context, or else of the others.
        kv_blocks: u32,
        /// Of these, in use by sequences; one that several share counts once.
        kv_blocks_used: u32,
        /// Kept for prompts that begin like one of lately.
        kv_blocks_idle: u32,
        /// Rows that went through the model since it was loaded.
        tokens_computed: u64,
        /// Prompt tokens that were found in the cache instead.
        tokens_shared: u64,
    }
}

/// What one kind of op has taken since the model was loaded.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct ProfilePart {
    /// `"matmul"`, `"attention"`, ... in the backend's words.
    pub name: String,
    /// The number format of the weights or KV cells that it touches, such as `"Q4_K"`.
    pub format: Option<String>,
    /// Whether it is of the head, which computes logits.
    pub head: bool,
    /// How often.
    pub runs: u64,
    /// How long in all.
    pub time: Duration,
}

impl Model {
    /// Load a model with all defaults; see [`Builder::load`].
    ///
    /// # Errors
    /// What is wrong with the file, as one of [`Error`].
    pub fn load(path: impl AsRef<Path>) -> Result<Self> {
        Self::builder().load(path)
    }

    /// The options to load a model with.
    pub fn builder() -> Builder {
        Builder::default()
    }

    pub(crate) fn new(handle: Handle) -> Result<Self> {
        let mut raw = stamped!(loam_info {});
        // SAFETY: info is a place of that size; its strings live as long as the handle.
        let info = unsafe {
            handle.call(|m| sys::loam_get_info(m, &mut raw))?;
            Info {
                vocabulary_tokens: raw.vocabulary_tokens as usize,
                layers: raw.layers,
                embedding_values: raw.embedding_values,
                context_tokens: raw.context_tokens,
                trained_tokens: raw.trained_tokens,
                sequences: raw.sequences,
                threads: raw.threads,
                bos: (raw.bos >= 0).then_some(raw.bos),
                eos: (raw.eos >= 0).then_some(raw.eos),
                parameters: raw.parameters,
                weights_bytes: raw.weights_bytes,
                architecture: owned_text(raw.architecture).unwrap_or_default(),
                name: owned_text(raw.name).unwrap_or_default(),
                isa: owned_text(raw.isa).unwrap_or_default(),
                chat_template: owned_text(raw.chat_template),
            }
        };
        if info.sequences > 0 {
            // SAFETY: 0 is open after loading. Here every sequence is a `Sequence`, that one too.
            handle.call(|m| unsafe { sys::loam_seq_close(m, 0) })?;
        }
        Ok(Self { handle: Arc::new(handle), info })
    }

    pub(crate) fn handle(&self) -> &Handle {
        &self.handle
    }

    /// Facts about the model.
    #[must_use]
    pub fn info(&self) -> &Info {
        &self.info
    }

    /// What stops this model's calls from another thread.
    #[must_use]
    pub fn canceller(&self) -> Canceller {
        Canceller(Arc::downgrade(&self.handle))
    }

    /// Give each later call that computes a time budget, as a game gives each frame. One that uses it
    /// up fails with [`Error::Deadline`], and goes on when it is called again with the same
    /// arguments; any other call drops the work.
    ///
    /// # Errors
    /// [`Error::State`] if only the vocabulary was loaded.
    pub fn set_budget(&self, budget: Option<Duration>) -> Result<()> {
        let ns = budget.map_or(0, |b| u64::try_from(b.as_nanos()).unwrap_or(u64::MAX).max(1));
        // SAFETY: the handle is loaded.
        self.handle.call(|m| unsafe { sys::loam_set_budget(m, ns) })
    }

    // ---- text ----

    /// Turn text into tokens.
    ///
    /// ```
    /// # let path = std::env::var("LOAM_TEST_DATA")? + "/tiny-llama.gguf";
    /// use loam::{Control, Tokenize};
    ///
    /// let model = loam::Model::load(&path)?;
    /// let tokens = model.tokenize("a rain of tears", Tokenize::SPECIAL)?;
    /// assert_eq!(Some(tokens[0]), model.info().bos);
    /// assert_eq!(model.detokenize(&tokens, Control::Skip)?, b"a rain of tears");
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// [`Error::Tokenizer`], [`Error::NoMemory`].
    pub fn tokenize(&self, text: impl AsRef<[u8]>, how: Tokenize) -> Result<Vec<Token>> {
        let text = text.as_ref();
        fill(text.len() / 2 + 16, |tokens, capacity, n| {
            // SAFETY: text and tokens have these lengths.
            self.handle.call(|m| unsafe {
                sys::loam_tokenize(m, text.as_ptr().cast(), text.len(), how.0, tokens, capacity, n)
            })
        })
    }

    /// Turn a whole list of tokens back into bytes, which are the model's and so not always UTF-8.
    /// [`text_stream`](Self::text_stream) makes whole characters of them, token by token.
    ///
    /// # Errors
    /// [`Error::Token`], [`Error::Tokenizer`].
    pub fn detokenize(&self, tokens: &[Token], control: Control) -> Result<Vec<u8>> {
        fill(4 * tokens.len() + 16, |text: *mut u8, capacity, n| {
            let (ids, n_ids, flags) = (tokens.as_ptr(), tokens.len(), control.flags());
            // SAFETY: tokens and text have these lengths.
            self.handle.call(|m| unsafe {
                sys::loam_detokenize(m, ids, n_ids, flags, text.cast(), capacity, n)
            })
        })
    }

    /// The bytes of one token alone: often no whole characters.
    ///
    /// # Errors
    /// [`Error::Token`].
    pub fn token_bytes(&self, token: Token) -> Result<Vec<u8>> {
        fill(64, |text: *mut u8, capacity, n| {
            // SAFETY: text has that capacity.
            self.handle
                .call(|m| unsafe { sys::loam_token_text(m, token, text.cast(), capacity, n) })
        })
    }

    /// Whether the token ends a generation (end of text, end of turn).
    #[must_use]
    pub fn is_end(&self, token: Token) -> bool {
        // SAFETY: the handle is loaded.
        self.handle.look(|m| unsafe { sys::loam_token_is_end(m, token) } != 0)
    }

    // ---- chat ----

    /// Render messages through the model's own chat template. The request is a JSON object:
    /// `{"messages": [{"role": "user", "content": "hi"}], "add_generation_prompt": true}`; every
    /// member becomes a variable of the template.
    ///
    /// # Errors
    /// [`Error::Json`], [`Error::Template`], [`Error::Limit`], [`Error::NoMemory`].
    pub fn chat_render(&self, request: &str) -> Result<String> {
        let text = fill(request.len() + 256, |text: *mut u8, capacity, n| {
            let (from, n_from) = (request.as_ptr().cast(), request.len());
            // SAFETY: request and text have these lengths.
            self.handle.call(|m| unsafe {
                sys::loam_chat_render(m, from, n_from, text.cast(), capacity, n)
            })
        })?;
        Ok(into_text(text))
    }

    /// The same, as tokens: control tokens count where the template wrote them, and stay text inside
    /// message content.
    ///
    /// # Errors
    /// As [`chat_render`](Self::chat_render), and [`Error::Tokenizer`].
    pub fn chat_tokenize(&self, request: &str) -> Result<Vec<Token>> {
        fill(request.len() / 2 + 64, |tokens, capacity, n| {
            let (from, n_from) = (request.as_ptr().cast(), request.len());
            // SAFETY: request and tokens have these lengths.
            self.handle
                .call(|m| unsafe { sys::loam_chat_tokenize(m, from, n_from, tokens, capacity, n) })
        })
    }

    // ---- sequences ----

    /// Open an empty sequence; [`Sequence::open`] does the same for an [`Arc`] of the model.
    ///
    /// # Errors
    /// As [`Sequence::open`].
    pub fn sequence(&self) -> Result<Sequence<'_>> {
        Sequence::open(self)
    }

    /// Append one token to each of several sequences and compute their next-token logits, all in one
    /// pass over the weights.
    ///
    /// ```
    /// # let path = std::env::var("LOAM_TEST_DATA")? + "/tiny-llama.gguf";
    /// let model = loam::Model::builder().sequences(2).load(&path)?;
    /// let (mut a, mut b) = (model.sequence()?, model.sequence()?);
    /// model.decode(&mut [(&mut a, 5), (&mut b, 6)])?;
    /// assert_ne!(a.logits(), b.logits());
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// As [`Sequence::prefill`], and [`Error::Sequence`] for one of another model; no sequence has
    /// changed then.
    pub fn decode(&self, batch: &mut [(&mut Sequence<'_>, Token)]) -> Result<()> {
        let mut seqs = Vec::with_capacity(batch.len());
        let mut tokens = Vec::with_capacity(batch.len());
        for (sequence, token) in batch {
            seqs.push(sequence.id_in(self)?);
            tokens.push(*token);
        }
        // SAFETY: both have that length.
        self.handle
            .call(|m| unsafe { sys::loam_decode(m, seqs.as_ptr(), tokens.as_ptr(), tokens.len()) })
    }

    // ---- facts that change ----

    /// What the KV cache holds and has saved.
    ///
    /// # Errors
    /// [`Error::State`] if only the vocabulary was loaded.
    pub fn usage(&self) -> Result<Usage> {
        let mut raw = stamped!(loam_usage {});
        // SAFETY: usage is a place of that size.
        self.handle.call(|m| unsafe { sys::loam_get_usage(m, &mut raw) })?;
        Ok(raw.into())
    }

    /// The kinds of ops that have run, and what they took; none without [`Builder::profiled`].
    ///
    /// # Errors
    /// [`Error::State`] if only the vocabulary was loaded.
    pub fn profile(&self) -> Result<Vec<ProfilePart>> {
        // SAFETY: the handle is loaded.
        let parts = self.handle.look(|m| unsafe { sys::loam_profile_count(m) });
        (0..parts).map(|i| self.profile_part(i)).collect()
    }

    fn profile_part(&self, i: usize) -> Result<ProfilePart> {
        let mut raw = stamped!(loam_profile {});
        // SAFETY: profile is a place of that size; its name lives as long as the handle.
        let name = unsafe {
            self.handle.call(|m| sys::loam_profile_get(m, i, &mut raw))?;
            owned_text(raw.name)
        };
        Ok(ProfilePart {
            name: name.unwrap_or_default(),
            format: format_name(raw.type_),
            head: raw.head != 0,
            runs: raw.runs,
            time: Duration::from_nanos(raw.ns),
        })
    }

    /// What the backends learnt of their devices, such as compiled shaders, to keep and to give to
    /// [`Builder::cache`] later; often nothing.
    ///
    /// # Errors
    /// [`Error::State`] if only the vocabulary was loaded; [`Error::Device`].
    pub fn cache(&self) -> Result<Vec<u8>> {
        fill(0, |bytes: *mut u8, capacity, n| {
            // SAFETY: bytes has that capacity.
            self.handle.call(|m| unsafe { sys::loam_cache_get(m, bytes.cast(), capacity, n) })
        })
    }
}

fn format_name(format: sys::loam_format) -> Option<String> {
    let mut raw = stamped!(loam_format_info {});
    // SAFETY: info is a place of that size; the name lives as long as the library.
    unsafe {
        let known = sys::loam_format_describe(format, &mut raw) == sys::LOAM_OK;
        known.then(|| owned_text(raw.name)).flatten()
    }
}

/// Render any template text without a model: variables is a JSON object.
///
/// ```
/// let text = loam::render_template("{{ name }} and {{ 2 + 3 }}", r#"{"name": "loam"}"#)?;
/// assert_eq!(text, "loam and 5");
/// # Ok::<(), loam::Error>(())
/// ```
///
/// # Errors
/// As [`Model::chat_render`].
pub fn render_template(source: &str, variables: &str) -> Result<String> {
    let mut sentence = [0; 512];
    let text = fill(source.len() + 256, |text: *mut u8, capacity, n| {
        // SAFETY: source, variables, text and sentence have these lengths; the sentence ends in NUL.
        let (status, sentence) = unsafe {
            let status = sys::loam_template_render(
                source.as_ptr().cast(),
                source.len(),
                variables.as_ptr().cast(),
                variables.len(),
                ptr::null(),
                text.cast(),
                capacity,
                n,
                sentence.as_mut_ptr(),
                sentence.len(),
            );
            (status, CStr::from_ptr(sentence.as_ptr()))
        };
        match status {
            sys::LOAM_OK => Ok(()),
            _ => Err(Error::new(status, sentence.to_string_lossy().into_owned())),
        }
    })?;
    Ok(into_text(text))
}

/// Stops the calls of a model that compute. It does not keep the model alive.
///
/// ```
/// # let path = std::env::var("LOAM_TEST_DATA")? + "/tiny-llama.gguf";
/// let model = loam::Model::load(&path)?;
/// let canceller = model.canceller();
/// std::thread::spawn(move || canceller.cancel()).join().unwrap();
/// assert!(matches!(model.sequence()?.prefill(&[1, 2, 3]), Err(loam::Error::Cancelled(_))));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug)]
pub struct Canceller(Weak<Handle>);

impl Canceller {
    /// Stop the call that is running, or else the next one, which fails with [`Error::Cancelled`]
    /// within milliseconds and leaves everything as it was. Nothing if the model is gone.
    pub fn cancel(&self) {
        if let Some(handle) = self.0.upgrade() {
            // SAFETY: this may run at any time while the handle lives.
            unsafe { sys::loam_cancel(handle.raw()) };
        }
    }
}

/// A model as its sequences and queues hold it: borrowed, so that the compiler sees that they are
/// gone before it is; or shared, for threads and tasks that end nobody knows when.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum ModelRef<'m> {
    /// Borrowed.
    Borrowed(&'m Model),
    /// Shared; the model is freed with the last of those that hold it.
    Shared(Arc<Model>),
}

impl Deref for ModelRef<'_> {
    type Target = Model;

    fn deref(&self) -> &Model {
        match self {
            Self::Borrowed(model) => model,
            Self::Shared(model) => model,
        }
    }
}

impl<'m> From<&'m Model> for ModelRef<'m> {
    fn from(model: &'m Model) -> Self {
        Self::Borrowed(model)
    }
}

impl From<Arc<Model>> for ModelRef<'_> {
    fn from(model: Arc<Model>) -> Self {
        Self::Shared(model)
    }
}
