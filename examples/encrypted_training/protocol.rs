//! What goes over the wire between owner and server: an object in the library's wire format, then a tag.

use cipherblas::models::{Degree, LearningRate, LogisticRegression, Solver};
use cipherblas::scheme::wire::{
    Expected, Header, KeyId, Kind, ParameterId, Reader, SchemeId, Writer,
};
use cipherblas::scheme::{Error, Result};
use std::sync::mpsc::{Receiver, Sender};

/// What a message holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Tag {
    Parameters = 1,
    EvaluationKeys,
    Job,
    Rows,
    Labels,
    TestRows,
    Ready,
    Progress,
    Model,
    Scores,
    Failure,
}

const TAGS: [Tag; 11] = [
    Tag::Parameters,
    Tag::EvaluationKeys,
    Tag::Job,
    Tag::Rows,
    Tag::Labels,
    Tag::TestRows,
    Tag::Ready,
    Tag::Progress,
    Tag::Model,
    Tag::Scores,
    Tag::Failure,
];

fn wire(got: impl Into<String>, expected: impl Into<String>) -> Error {
    Error::Wire {
        what: "message",
        got: got.into(),
        expected: expected.into(),
    }
}

/// Sends one message.
pub(crate) fn send(to: &Sender<Vec<u8>>, tag: Tag, mut body: Vec<u8>) -> Result<()> {
    // Exactly: keys are large, and a doubled buffer would be too.
    body.reserve_exact(1);
    body.push(tag as u8);
    to.send(body)
        .map_err(|_| wire("a closed connection", "a peer"))
}

/// Waits for one message.
pub(crate) fn receive(from: &Receiver<Vec<u8>>) -> Result<(Tag, Vec<u8>)> {
    let mut message = from
        .recv()
        .map_err(|_| wire("a closed connection", "a message"))?;
    let code = message.pop().unwrap_or(0);
    let tag = TAGS.into_iter().find(|&t| t as u8 == code);
    let tag = tag.ok_or_else(|| wire(format!("tag {code}"), "a known tag"))?;
    Ok((tag, message))
}

/// Waits for a message of a given kind.
pub(crate) fn expect(from: &Receiver<Vec<u8>>, tag: Tag) -> Result<Vec<u8>> {
    match receive(from)? {
        (got, body) if got == tag => Ok(body),
        (got, _) => Err(wire(format!("{got:?}"), format!("{tag:?}"))),
    }
}

/// The settings of the training that the owner asks for; all public.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Job {
    pub(crate) iterations: usize,
    pub(crate) rate: f64,
    pub(crate) bound: f64,
    pub(crate) l2: f64,
}

impl Job {
    /// The model with these settings.
    pub(crate) fn model(&self) -> LogisticRegression {
        LogisticRegression::new()
            .solver(Solver::Nag)
            .sigmoid(Degree::Three, self.bound)
            .max_iter(self.iterations)
            .learning_rate(LearningRate::Constant(self.rate))
            .l2(self.l2)
    }

    pub(crate) fn to_bytes(self, parameters: ParameterId, key: KeyId) -> Vec<u8> {
        let mut writer = Writer::new();
        writer.u64(self.iterations as u64);
        writer.f64(self.rate);
        writer.f64(self.bound);
        writer.f64(self.l2);
        writer.seal(&Header::new(Kind::Job, SchemeId::Ckks, parameters, key))
    }

    pub(crate) fn from_bytes(bytes: &[u8], parameters: ParameterId, key: KeyId) -> Result<Self> {
        let expected = Expected {
            kind: Kind::Job,
            scheme: SchemeId::Ckks,
            parameters: Some(parameters),
            key: Some(key),
        };
        let (_, payload) = expected.open(bytes)?;
        let mut reader = Reader::new("training job", payload);
        let job = Self {
            iterations: reader.u64()? as usize,
            rate: reader.f64()?,
            bound: reader.f64()?,
            l2: reader.f64()?,
        };
        reader.expect_end()?;
        Ok(job)
    }
}
