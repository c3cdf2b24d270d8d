//! What several tests need. The models are those of `tests/data/make_models.py`.
#![allow(dead_code)]

use std::path::PathBuf;

use loam::{Builder, Model, Sequence, Token, Tokenize};

/// A file of the test data.
pub(crate) fn data(name: &str) -> PathBuf {
    let folder = std::env::var("LOAM_TEST_DATA");
    PathBuf::from(folder.expect("LOAM_TEST_DATA is the folder of the tiny models")).join(name)
}

pub(crate) fn tiny() -> PathBuf {
    data("tiny-llama.gguf")
}

/// As the conformance list has it: the same results on every machine.
pub(crate) fn options() -> Builder {
    Model::builder().isa("scalar").context_tokens(256).sequences(2).threads(2)
}

pub(crate) fn model() -> Model {
    options().load(tiny()).unwrap()
}

pub(crate) fn prompt(model: &Model) -> Vec<Token> {
    model.tokenize("the rain in the air", Tokenize::SPECIAL).unwrap()
}

/// A greedy answer to a prompt.
pub(crate) fn answer(sequence: &mut Sequence<'_>, prompt: &[Token], n: usize) -> Vec<Token> {
    sequence.truncate(0).unwrap();
    sequence.prefill(prompt).unwrap();
    sequence.generate(n).collect::<loam::Result<_>>().unwrap()
}
