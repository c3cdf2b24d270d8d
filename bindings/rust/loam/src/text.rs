//! Text out of tokens, as they come.

use loam_sys as sys;

use crate::error::{Error, Result};
use crate::model::{Control, Model, ModelRef};
use crate::sequence::Tokens;
use crate::Token;

impl Model {
    /// Make text out of tokens, as they come.
    #[must_use]
    pub fn text_stream(&self, control: Control) -> TextStream<'_> {
        TextStream::new(self, control)
    }
}

/// Text that streams: it holds back an unfinished character.
///
/// ```
/// # let path = std::env::var("LOAM_TEST_DATA")? + "/tiny-llama.gguf";
/// let model = loam::Model::load(&path)?;
/// let mut stream = model.text_stream(loam::Control::Show);
/// let mut text = String::new();
/// for token in model.tokenize("日本", loam::Tokenize::PLAIN)? {
///     text += stream.push(token)?; // "", "", "日", ..
/// }
/// text += stream.finish()?;
/// assert_eq!(text.trim(), "日本");
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug)]
pub struct TextStream<'m> {
    model: ModelRef<'m>,
    raw: sys::loam_stream,
    piece: Vec<u8>,
}

impl<'m> TextStream<'m> {
    /// Text of a model that is borrowed or shared.
    #[must_use]
    pub fn new(model: impl Into<ModelRef<'m>>, control: Control) -> Self {
        let raw = stamped!(loam_stream { flags: control.flags() });
        Self { model: model.into(), raw, piece: vec![0; 256] }
    }

    /// Add a token and take the text that is now complete: whole characters only, often none; a
    /// broken one becomes U+FFFD.
    ///
    /// # Errors
    /// [`Error::Token`], [`Error::Tokenizer`]; nothing was added.
    pub fn push(&mut self, token: Token) -> Result<&str> {
        if token < 0 {
            return Err(Error::Token(format!("token {token} is negative")));
        }
        self.advance(token)
    }

    /// End the text and take what was held back, as U+FFFD. The next token begins a new text.
    ///
    /// # Errors
    /// [`Error::Tokenizer`].
    pub fn finish(&mut self) -> Result<&str> {
        self.advance(-1)
    }

    fn advance(&mut self, token: Token) -> Result<&str> {
        let mut n = 0;
        while let Err(why) = self.try_advance(token, &mut n) {
            match why {
                Error::Buffer(_) if n > self.piece.len() => self.piece.resize(n, 0),
                other => return Err(other),
            }
        }
        let piece = std::str::from_utf8(&self.piece[..n]);
        piece.map_err(|_| Error::Internal("a stream of text is not UTF-8: please report it".into()))
    }

    fn try_advance(&mut self, token: Token, n: &mut usize) -> Result<()> {
        let (text, capacity) = (self.piece.as_mut_ptr().cast(), self.piece.len());
        let stream = &mut self.raw;
        // SAFETY: text has that capacity.
        self.model
            .handle()
            .call(|m| unsafe { sys::loam_stream_push(m, stream, token, text, capacity, n) })
    }
}

/// The text of a generation, in pieces of whole characters, none of them empty; see
/// [`Tokens::text`].
///
/// ```
/// # let path = std::env::var("LOAM_TEST_DATA")? + "/tiny-llama.gguf";
/// let model = loam::Model::load(&path)?;
/// let mut sequence = model.sequence()?;
/// sequence.prefill(&model.tokenize("Once upon", loam::Tokenize::SPECIAL)?)?;
/// for piece in sequence.generate(64).text(loam::Control::Skip) {
///     print!("{}", piece?);
/// }
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug)]
#[must_use = "nothing is generated until the text is asked for"]
pub struct Text<'a, 'm> {
    tokens: Tokens<'a, 'm>,
    stream: TextStream<'m>,
    finished: bool,
}

impl<'a, 'm> Text<'a, 'm> {
    pub(crate) fn new(tokens: Tokens<'a, 'm>, control: Control) -> Self {
        let stream = TextStream::new(tokens.model_ref(), control);
        Self { tokens, stream, finished: false }
    }

    fn piece(&mut self) -> Result<Option<String>> {
        while !self.finished {
            let piece = if let Some(token) = self.tokens.next().transpose()? {
                self.stream.push(token)?
            } else {
                self.finished = true;
                self.stream.finish()?
            };
            if !piece.is_empty() {
                return Ok(Some(piece.to_owned()));
            }
        }
        Ok(None)
    }
}

impl Iterator for Text<'_, '_> {
    type Item = Result<String>;

    fn next(&mut self) -> Option<Self::Item> {
        self.piece().transpose()
    }
}
