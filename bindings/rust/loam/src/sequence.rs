//! Sequences: what a model has read and written.

use std::slice;

use loam_sys as sys;

use crate::error::{Error, Result};
use crate::handle::fill;
use crate::model::{Control, Model, ModelRef};
use crate::text::Text;
use crate::Token;

/// How the next token is chosen. All zero, as by default, is greedy. The order is: penalties, `top_k`,
/// `top_p`, `min_p`, `temperature`, draw.
///
/// ```
/// let sampling = loam::Sampling { temperature: 0.8, top_p: 0.95, seed: 7, ..Default::default() };
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Sampling {
    /// 0: greedy, the largest logit, the lowest id on a tie.
    pub temperature: f32,
    /// The same seed gives the same text; independent of other sequences.
    pub seed: u64,
    /// Keep the k largest; 0: all.
    pub top_k: u32,
    /// Keep the fewest whose probabilities reach this; 0: all.
    pub top_p: f32,
    /// Keep those of at least this share of the largest probability; 0: all.
    pub min_p: f32,
    /// Divide positive and multiply negative logits of recent tokens; 0 or 1: off.
    pub repeat_penalty: f32,
    /// Subtract this for each time a recent token occurred.
    pub frequency_penalty: f32,
    /// Subtract this once if it occurred.
    pub presence_penalty: f32,
    /// How many of the last tokens are recent; 0: 64.
    pub penalty_tokens: u32,
}

impl Sampling {
    pub(crate) fn raw(&self) -> sys::loam_sampling {
        stamped!(loam_sampling {
            temperature: self.temperature,
            seed: self.seed,
            top_k: self.top_k,
            top_p: self.top_p,
            min_p: self.min_p,
            repeat_penalty: self.repeat_penalty,
            frequency_penalty: self.frequency_penalty,
            presence_penalty: self.presence_penalty,
            penalty_tokens: self.penalty_tokens,
        })
    }
}

/// One conversation inside a model: the tokens so far, their KV cells, and the logits that follow.
/// It is closed when it is dropped.
///
/// It borrows its model or shares it; see [`Sequence::open`]. What changes it takes `&mut self`, so
/// that [`logits`](Self::logits) can be borrowed without a copy:
///
/// ```compile_fail,E0502
/// # let model = loam::Model::load("model.gguf")?;
/// # let mut sequence = model.sequence()?;
/// let logits = sequence.logits().unwrap();
/// sequence.decode(5)?;
/// println!("{}", logits[0]);
/// # Ok::<(), loam::Error>(())
/// ```
#[derive(Debug)]
pub struct Sequence<'m> {
    model: ModelRef<'m>,
    id: sys::loam_seq,
    /// The place for logits of a call that failed. The next one may be the same again, and goes on if
    /// it has the same place, whose first rows are set.
    unfinished: Vec<f32>,
}

impl<'m> Sequence<'m> {
    /// Open an empty sequence of a model that is borrowed (`&model`) or shared (`Arc<Model>`, which
    /// makes it a `Sequence<'static>` that keeps its model alive).
    ///
    /// ```
    /// # let path = std::env::var("LOAM_TEST_DATA")? + "/tiny-llama.gguf";
    /// use std::sync::Arc;
    ///
    /// let model = Arc::new(loam::Model::load(&path)?);
    /// let mut sequence = loam::Sequence::open(Arc::clone(&model))?;
    /// std::thread::spawn(move || sequence.prefill(&[1, 5, 6])).join().unwrap()?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// [`Error::Full`] if [`Builder::sequences`](crate::Builder::sequences) are open;
    /// [`Error::State`] if only the vocabulary was loaded.
    pub fn open(model: impl Into<ModelRef<'m>>) -> Result<Self> {
        Self::from_call(model.into(), |m, id| {
            // SAFETY: id is a place for one.
            unsafe { sys::loam_seq_open(m, id) }
        })
    }

    /// Open a sequence from the bytes of [`save`](Self::save), of this process or another one. It
    /// goes on with the same bits on the same instruction set.
    ///
    /// # Errors
    /// [`Error::Magic`] (no saved state), [`Error::Version`], [`Error::Truncated`],
    /// [`Error::Corrupt`], [`Error::Foreign`], [`Error::Full`], [`Error::State`].
    pub fn restore(model: impl Into<ModelRef<'m>>, state: &[u8]) -> Result<Self> {
        Self::from_call(model.into(), |m, id| {
            // SAFETY: state has that length, and id is a place for one.
            unsafe { sys::loam_seq_restore(m, state.as_ptr().cast(), state.len(), id) }
        })
    }

    fn from_call(
        model: ModelRef<'m>,
        open: impl FnOnce(*mut sys::loam, &mut sys::loam_seq) -> sys::loam_status,
    ) -> Result<Self> {
        let mut id = -1;
        model.handle().call(|m| open(m, &mut id))?;
        Ok(Self { model, id, unfinished: vec![] })
    }

    /// Open a sequence that begins with all of this one's tokens; whole KV blocks are shared.
    /// Sampling starts from the defaults; logits are copied.
    ///
    /// # Errors
    /// [`Error::Full`] if [`Builder::sequences`](crate::Builder::sequences) are open.
    pub fn fork(&self) -> Result<Self> {
        Self::from_call(self.model.clone(), |m, id| {
            // SAFETY: id is a place for one.
            unsafe { sys::loam_seq_fork(m, self.id, id) }
        })
    }

    /// The model.
    #[must_use]
    pub fn model(&self) -> &Model {
        &self.model
    }

    pub(crate) fn model_ref(&self) -> ModelRef<'m> {
        self.model.clone()
    }

    /// The number for a call on that model, which must be the sequence's own.
    pub(crate) fn id_in(&self, model: &Model) -> Result<sys::loam_seq> {
        if std::ptr::eq(self.model.handle(), model.handle()) {
            return Ok(self.id);
        }
        Err(Error::Sequence("a sequence of another model; give it to its own".into()))
    }

    /// Forget all but the first tokens. The logits are gone.
    ///
    /// # Errors
    /// [`Error::Argument`] if it has not so many.
    pub fn truncate(&mut self, tokens: usize) -> Result<()> {
        // SAFETY: the sequence is open.
        self.model.handle().call(|m| unsafe { sys::loam_seq_truncate(m, self.id, tokens) })
    }

    /// How many tokens it holds.
    ///
    /// # Errors
    /// [`Error::Device`] if the device is gone.
    pub fn length(&self) -> Result<usize> {
        let mut n = 0;
        // SAFETY: the sequence is open.
        self.model.handle().call(|m| unsafe { sys::loam_seq_length(m, self.id, &mut n) })?;
        Ok(n)
    }

    /// Save the whole generation as bytes: tokens, KV cells, logits, sampling and its random state.
    ///
    /// ```
    /// # let path = std::env::var("LOAM_TEST_DATA")? + "/tiny-llama.gguf";
    /// let model = loam::Model::builder().sequences(2).load(&path)?;
    /// let mut sequence = model.sequence()?;
    /// sequence.prefill(&[1, 5, 6])?;
    /// let state = sequence.save()?;
    /// let again = loam::Sequence::restore(&model, &state)?;
    /// assert_eq!(again.logits(), sequence.logits());
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// [`Error::Io`] if a device fails to give its cells.
    pub fn save(&mut self) -> Result<Vec<u8>> {
        fill(0, |state: *mut u8, capacity, n| {
            // SAFETY: state has that capacity.
            self.model
                .handle()
                .call(|m| unsafe { sys::loam_seq_save(m, self.id, state.cast(), capacity, n) })
        })
    }

    /// Append tokens, at least one, and compute the logits that follow the last.
    ///
    /// # Errors
    /// [`Error::Argument`], [`Error::Token`], [`Error::Full`] (longer than what is left of the
    /// context), [`Error::Cancelled`]: nothing has changed. [`Error::Deadline`]: call again with the
    /// same tokens to go on. [`Error::Device`]: the device is gone.
    pub fn prefill(&mut self, tokens: &[Token]) -> Result<()> {
        // SAFETY: tokens has that length.
        self.model
            .handle()
            .call(|m| unsafe { sys::loam_prefill(m, self.id, tokens.as_ptr(), tokens.len()) })
    }

    /// The same, and the logits of every position, one after another: for perplexity and evaluation.
    ///
    /// # Errors
    /// As [`prefill`](Self::prefill), and [`Error::NoMemory`].
    pub fn prefill_logits(&mut self, tokens: &[Token]) -> Result<Vec<f32>> {
        let n = tokens.len().saturating_mul(self.model.info().vocabulary_tokens);
        if self.unfinished.try_reserve_exact(n).is_err() {
            return Err(Error::NoMemory(format!("no memory for {} rows of logits", tokens.len())));
        }
        // SAFETY: there is room for a row for each token.
        self.model.handle().call(|m| unsafe {
            let (ids, n_ids) = (tokens.as_ptr(), tokens.len());
            sys::loam_prefill_logits(m, self.id, ids, n_ids, self.unfinished.as_mut_ptr())
        })?;
        let mut logits = std::mem::take(&mut self.unfinished);
        // SAFETY: the call has set them all.
        unsafe { logits.set_len(n) };
        Ok(logits)
    }

    /// Append one token and compute the logits that follow. [`Model::decode`] does it for several
    /// sequences at once.
    ///
    /// # Errors
    /// As [`prefill`](Self::prefill).
    pub fn decode(&mut self, token: Token) -> Result<()> {
        // SAFETY: one sequence and one token.
        self.model.handle().call(|m| unsafe { sys::loam_decode(m, &self.id, &token, 1) })
    }

    /// The logits that follow the last token, one for each token of the vocabulary; none before
    /// anything was computed.
    #[must_use]
    pub fn logits(&self) -> Option<&[f32]> {
        // SAFETY: the sequence is open.
        let logits = self.model.handle().look(|m| unsafe { sys::loam_logits(m, self.id) });
        let n = self.model.info().vocabulary_tokens;
        // SAFETY: they are valid until a call changes the sequence, which takes `&mut self`.
        (!logits.is_null()).then(|| unsafe { slice::from_raw_parts(logits, n) })
    }

    /// Set how tokens are chosen, and restart the random numbers from the seed.
    ///
    /// # Errors
    /// [`Error::Argument`] if a value is negative or not finite.
    pub fn set_sampling(&mut self, sampling: &Sampling) -> Result<()> {
        let raw = sampling.raw();
        // SAFETY: raw lives until the call returns.
        self.model.handle().call(|m| unsafe { sys::loam_seq_sampling(m, self.id, &raw) })
    }

    /// Choose the next token from the logits. It is not appended: give it to
    /// [`decode`](Self::decode).
    ///
    /// # Errors
    /// [`Error::State`] if there are no logits: prefill or decode first.
    pub fn sample(&mut self) -> Result<Token> {
        let mut token = -1;
        // SAFETY: token is a place for one.
        self.model.handle().call(|m| unsafe { sys::loam_sample(m, self.id, &mut token) })?;
        Ok(token)
    }

    /// Generate: sample and decode, until a token ends the generation or there are that many.
    /// [`Tokens::text`] makes text of it.
    ///
    /// A token is appended when the one after it is asked for. So the last one is not in the sequence;
    /// give it to [`decode`](Self::decode) to go on from there.
    ///
    /// ```
    /// # let path = std::env::var("LOAM_TEST_DATA")? + "/tiny-llama.gguf";
    /// let model = loam::Model::load(&path)?;
    /// let mut sequence = model.sequence()?;
    /// sequence.prefill(&model.tokenize("Once upon", loam::Tokenize::SPECIAL)?)?;
    /// let tokens = sequence.generate(8).collect::<loam::Result<Vec<_>>>()?;
    /// assert_eq!(tokens.len(), 8);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn generate(&mut self, most_tokens: usize) -> Tokens<'_, 'm> {
        Tokens { sequence: self, left: most_tokens, last: None }
    }
}

impl Drop for Sequence<'_> {
    fn drop(&mut self) {
        // SAFETY: the sequence is open, and nobody else has its number.
        let closed = self.model.handle().call(|m| unsafe { sys::loam_seq_close(m, self.id) });
        drop(closed); // it fails only if the device is gone, and with it the sequence
    }
}

/// The tokens of a generation, as they are chosen; see [`Sequence::generate`]. After a failure it may
/// be asked again: it goes on where it was.
#[derive(Debug)]
#[must_use = "nothing is generated until the tokens are asked for"]
pub struct Tokens<'a, 'm> {
    sequence: &'a mut Sequence<'m>,
    left: usize,
    /// The token given last, which is to be appended.
    last: Option<Token>,
}

impl<'a, 'm> Tokens<'a, 'm> {
    /// The text of these tokens, in pieces of whole characters.
    pub fn text(self, control: Control) -> Text<'a, 'm> {
        Text::new(self, control)
    }

    pub(crate) fn model_ref(&self) -> ModelRef<'m> {
        self.sequence.model_ref()
    }

    fn choose(&mut self) -> Result<Option<Token>> {
        if self.left == 0 {
            return Ok(None);
        }
        if let Some(token) = self.last {
            self.sequence.decode(token)?;
            self.last = None;
        }
        let token = self.sequence.sample()?;
        if self.sequence.model().is_end(token) {
            self.left = 0;
            return Ok(None);
        }
        self.left -= 1;
        self.last = Some(token);
        Ok(self.last)
    }
}

impl Iterator for Tokens<'_, '_> {
    type Item = Result<Token>;

    fn next(&mut self) -> Option<Self::Item> {
        self.choose().transpose()
    }
}
