//! The server: computes on ciphertexts. It imports nothing that decrypts.

use crate::protocol::{Job, Tag, expect, send};
use cipherblas::ckks::{Evaluator, Params};
use cipherblas::linalg::{EncryptedMatrix, EncryptedVector};
use cipherblas::scheme::Result;
use std::ops::ControlFlow;
use std::sync::mpsc::{Receiver, Sender};
use std::time::Instant;

/// Serves one job; tells the owner if it fails.
pub(crate) fn run(from_owner: &Receiver<Vec<u8>>, to_owner: &Sender<Vec<u8>>) {
    if let Err(error) = serve(from_owner, to_owner) {
        // An owner that hung up has no use for the message.
        let _ = send(to_owner, Tag::Failure, error.to_string().into_bytes());
    }
}

fn serve(from_owner: &Receiver<Vec<u8>>, to_owner: &Sender<Vec<u8>>) -> Result<()> {
    let params = Params::from_bytes(&expect(from_owner, Tag::Parameters)?)?;
    let keys = params.evaluation_keys_from_bytes(&expect(from_owner, Tag::EvaluationKeys)?)?;
    let evaluator = Evaluator::new(&params, keys)?;
    let job = Job::from_bytes(
        &expect(from_owner, Tag::Job)?,
        params.id(),
        evaluator.key_id(),
    )?;
    let rows = EncryptedMatrix::from_bytes(&evaluator, &expect(from_owner, Tag::Rows)?)?;
    let labels = EncryptedVector::from_bytes(&evaluator, &expect(from_owner, Tag::Labels)?)?;
    send(to_owner, Tag::Ready, Vec::new())?;

    let mut start = Instant::now();
    let model = job.model().fit_encrypted(&rows, &labels, |_| {
        let micros = u64::try_from(start.elapsed().as_micros()).unwrap_or(u64::MAX);
        start = Instant::now();
        match send(to_owner, Tag::Progress, micros.to_le_bytes().to_vec()) {
            Ok(()) => ControlFlow::Continue(()),
            Err(_) => ControlFlow::Break(()),
        }
    })?;
    send(to_owner, Tag::Model, model.to_bytes()?)?;

    let test_rows = EncryptedMatrix::from_bytes(&evaluator, &expect(from_owner, Tag::TestRows)?)?;
    let scores = model.decision_function(&test_rows)?;
    send(to_owner, Tag::Scores, scores.to_bytes()?)
}
