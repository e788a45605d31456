//! The owner: holds the data and the secret key, and learns the result.

use crate::Options;
use crate::data::{self, Part};
use crate::protocol::{Job, Tag, receive, send};
use crate::report::{self, Bar, Elsewhere, line};
use cipherblas::ckks::{Params, SecretKey};
use cipherblas::linalg::{EncryptOptions, EncryptedMatrix, EncryptedVector};
use cipherblas::models::plan::SCORING_DEPTH;
use cipherblas::models::{
    EncryptedModel, PlainModel, Plannable, Scaler, Scaling, Table, TrainingPlan, Whitening, metrics,
};
use cipherblas::scheme::{Encrypt, Error, Result};
use std::sync::mpsc::{Receiver, Sender};
use std::time::{Duration, Instant};

/// Learning rate, interval of the sigmoid, shrinkage of the whitening: chosen in clear by five-fold cross-validation
/// on these features, for the best held-out accuracy and AUROC with scores well inside the interval.
const RATE: f64 = 1.5;
const BOUND: f64 = 8.0;
const SHRINKAGE: f64 = 0.2;
/// The ring: 16384 slots hold 512 rows of 32 columns.
const DEGREE: usize = 1 << 15;
/// Evaluation keys that the default number of iterations may take, in bytes on the wire. A deeper chain leaves less room for
/// the special primes of key switching, which then needs more digits: the last levels that a ring affords are the dearest.
const KEY_BUDGET: usize = 500_000_000;
/// Bits that the parameters are asked for beyond those that the weights are to have: they promise bits for one product,
/// and errors add up over the rows and the steps.
const HEADROOM_BITS: u32 = 3;

/// Runs the whole job; whether encrypted and clear agree.
pub(crate) fn run(
    options: Options,
    to_server: Sender<Vec<u8>>,
    from_server: &Receiver<Vec<u8>>,
) -> Result<bool> {
    let split = data::load()?;
    let (train, test) = scaled(&split)?;
    let x = Table::new(train.rows(), split.features, &train.x)?;
    let test_x = Table::new(test.rows(), split.features, &test.x)?;

    let Choice { job, params, plan } = choose(&options, &x)?;
    describe(&job, &params, &plan, &test)?;

    println!("\nOwner: keys and encryption");
    let mut rng = rand::rng();
    let secret = SecretKey::generate(&params, &mut rng)?;
    let mut last = Instant::now();
    let mut bar = Bar::new(
        "evaluation keys",
        plan.keys().rotations.len() + 1,
        Elsewhere::Nothing,
    );
    let keys = secret.evaluation_keys_with_progress(plan.keys(), &mut rng, |_, _| {
        bar.step(last.elapsed());
        last = Instant::now();
    })?;
    let total: Duration = bar.finish().iter().sum();
    line("evaluation keys", format!("{:.2} s", total.as_secs_f64()));

    let start = Instant::now();
    let options_x = EncryptOptions::new()
        .packing(plan.tile())
        .bound(public_bound(&train.x));
    let rows =
        EncryptedMatrix::encrypt_with(&secret, x.rows(), x.cols(), x.data(), &options_x, &mut rng)?;
    let options_y = EncryptOptions::new()
        .packing(plan.tile().row_packing())
        .bound(1.0);
    let labels = EncryptedVector::encrypt_with(&secret, &train.y, &options_y, &mut rng)?;
    line(
        "encryption",
        format!("{:.2} s", start.elapsed().as_secs_f64()),
    );

    println!("\nOwner to server");
    let post = |tag: Tag, what: &str, body: Vec<u8>| {
        line(what, report::bytes(body.len()));
        send(&to_server, tag, body)
    };
    post(Tag::Parameters, "parameters", params.to_bytes())?;
    post(
        Tag::EvaluationKeys,
        "evaluation keys",
        params.evaluation_keys_to_bytes(&keys),
    )?;
    drop(keys);
    post(Tag::Job, "job", job.to_bytes(params.id(), secret.id()))?;
    post(Tag::Rows, "encrypted rows", rows.to_bytes()?)?;
    post(Tag::Labels, "encrypted labels", labels.to_bytes()?)?;
    let start = Instant::now();
    let (tag, body) = receive(from_server)?;
    checked(tag, Tag::Ready, body)?;
    line(
        "read and checked",
        format!("{:.2} s", start.elapsed().as_secs_f64()),
    );

    println!("\nServer: training on ciphertexts");
    let start = Instant::now();
    let mut bar = Bar::new("iteration", job.iterations, Elsewhere::LineForEachStep);
    let body = loop {
        match receive(from_server)? {
            (Tag::Progress, body) => bar.step(Duration::from_micros(micros(&body))),
            (tag, body) => break checked(tag, Tag::Model, body)?,
        }
    };
    let steps = bar.finish();
    line("time per iteration", times(&steps));
    line(
        "training",
        format!("{:.2} s", start.elapsed().as_secs_f64()),
    );
    line("encrypted weights", report::bytes(body.len()));
    let encrypted = EncryptedModel::from_bytes(&secret.scheme(), &body)?;
    let model = encrypted.decrypt(&secret)?;

    println!("\nServer: scoring encrypted test rows with the encrypted weights");
    let start = Instant::now();
    let tile = job
        .model()
        .row_packing(test.rows(), split.features, params.slots())?;
    let options_test = EncryptOptions::new()
        .packing(tile)
        .depth(SCORING_DEPTH)
        .bound(public_bound(&test.x));
    let rows = EncryptedMatrix::encrypt_with(
        &secret,
        test.rows(),
        split.features,
        &test.x,
        &options_test,
        &mut rng,
    )?;
    post(Tag::TestRows, "encrypted test rows", rows.to_bytes()?)?;
    let (tag, body) = receive(from_server)?;
    let scores = EncryptedVector::from_bytes(&secret.scheme(), &checked(tag, Tag::Scores, body)?)?;
    let scores = scores.decrypt(&secret)?;
    line(
        "scores, both ways",
        format!("{:.2} s", start.elapsed().as_secs_f64()),
    );

    Comparison {
        job: &job,
        precision_bits: options.precision_bits,
        x: &x,
        y: &train.y,
        test_x: &test_x,
        test_y: &test.y,
        model: &model,
        scores: &scores,
    }
    .print()
}

/// Both parts, scaled by the statistics of the training rows.
fn scaled(split: &data::Split) -> Result<(Part, Part)> {
    let x = Table::new(split.train.rows(), split.features, &split.train.x)?;
    let scaler = Scaler::fit(
        &x,
        Scaling::Quantile,
        Whitening::Shrunk {
            shrinkage: SHRINKAGE,
        },
    )?;
    let part = |part: &Part| {
        Ok(Part {
            x: scaler.transform(&Table::new(part.rows(), split.features, &part.x)?)?,
            y: part.y.clone(),
        })
    };
    Ok((part(&split.train)?, part(&split.test)?))
}

/// What the owner settles before any key is made.
struct Choice {
    job: Job,
    params: Params,
    plan: TrainingPlan,
}

impl Choice {
    fn new(
        iterations: usize,
        options: &Options,
        x: &Table<'_>,
        degree: Option<usize>,
    ) -> Result<Self> {
        let job = Job {
            iterations,
            rate: RATE,
            bound: BOUND,
            l2: 1.0 / x.rows() as f64,
        };
        let plan = job.model().plan(x.rows(), x.cols(), DEGREE / 2)?;
        let norm = x
            .iter()
            .map(|row| row.iter().map(|v| v * v).sum::<f64>())
            .fold(0.0, f64::max)
            .sqrt();
        let mut builder = Params::builder()
            .depth(plan.depth() + SCORING_DEPTH)
            .precision_bits(options.precision_bits + HEADROOM_BITS)
            .integer_bits(plan.largest_value(norm, 0.5).log2().ceil() as u32)
            .slots(DEGREE / 2);
        if let Some(degree) = degree {
            builder = builder.degree(degree);
        }
        let params = builder.build()?;
        let plan = job.model().plan(x.rows(), x.cols(), params.slots())?;
        Ok(Self { job, params, plan })
    }

    fn key_bytes(&self) -> usize {
        self.params.evaluation_keys_wire_bytes(self.plan.keys())
    }
}

/// The iterations that were asked for, or as many as the ring affords within the budget for keys.
fn choose(options: &Options, x: &Table<'_>) -> Result<Choice> {
    if let Some(iterations) = options.iterations {
        return Choice::new(iterations, options, x, None);
    }
    let mut best = Choice::new(2, options, x, Some(DEGREE))?;
    for iterations in 3.. {
        match Choice::new(iterations, options, x, Some(DEGREE)) {
            Ok(choice) if choice.key_bytes() <= KEY_BUDGET => best = choice,
            _ => break,
        }
    }
    Ok(best)
}

fn describe(job: &Job, params: &Params, plan: &TrainingPlan, test: &Part) -> Result<()> {
    println!(
        "Logistic regression on encrypted data: Wisconsin breast cancer, {} + {} rows\n",
        plan.rows(),
        test.rows()
    );
    println!("Plan\n  {}", plan.to_string().replace('\n', "\n  "));
    let sigmoid = job.model().polynomial()?;
    line(
        "sigmoid",
        format!(
            "degree {} on [-{BOUND}, {BOUND}], largest error {:.3}",
            sigmoid.degree().get(),
            sigmoid.max_error()
        ),
    );
    line(
        "",
        "degree 3 is the least that saturates: 4 levels a step; 5 and 7 take 5",
    );
    line(
        "",
        "the interval holds the scores of training, with room for other rows",
    );
    line(
        "features",
        "ranks, decorrelated (by statistics of the training rows)",
    );
    println!(
        "\nParameters\n  {}",
        params.to_string().replace('\n', "\n  ")
    );
    Ok(())
}

/// The bound that is declared, rounded up to a power of two: it is public, and the largest value is not.
fn public_bound(values: &[f64]) -> f64 {
    let largest = values.iter().fold(1.0, |m: f64, v| m.max(v.abs()));
    largest.log2().ceil().exp2()
}

fn micros(body: &[u8]) -> u64 {
    body.try_into().map_or(0, u64::from_le_bytes)
}

fn times(steps: &[Duration]) -> String {
    let all: Vec<String> = steps
        .iter()
        .map(|d| format!("{:.2}", d.as_secs_f64()))
        .collect();
    format!("{} s", all.join(", "))
}

/// The body of the message that was waited for; what the server says otherwise.
fn checked(tag: Tag, expected: Tag, body: Vec<u8>) -> Result<Vec<u8>> {
    if tag == expected {
        return Ok(body);
    }
    Err(Error::Wire {
        what: "message",
        got: match tag {
            Tag::Failure => format!("the server's failure: {}", String::from_utf8_lossy(&body)),
            other => format!("{other:?}"),
        },
        expected: format!("{expected:?}"),
    })
}

/// Everything that the outcome is judged by.
struct Comparison<'a> {
    job: &'a Job,
    precision_bits: u32,
    x: &'a Table<'a>,
    y: &'a [f64],
    test_x: &'a Table<'a>,
    test_y: &'a [f64],
    model: &'a PlainModel,
    scores: &'a [f64],
}

impl Comparison<'_> {
    /// Prints the table; whether encrypted and clear agree.
    fn print(&self) -> Result<bool> {
        let clear = self.job.model().fit_clear(self.x, self.y)?;
        let exact = self.job.model().fit_exact(self.x, self.y)?;
        println!("\nHeld-out rows                 accuracy    AUROC");
        let row = |what: &str, scores: &[f64]| -> Result<()> {
            let accuracy = metrics::accuracy(scores, self.test_y)?;
            let auroc = metrics::auroc(scores, self.test_y)?;
            println!("  {what:<26} {:>8.2} %  {auroc:.4}", 100.0 * accuracy);
            Ok(())
        };
        row("encrypted, scored encrypted", self.scores)?;
        row(
            "encrypted, scored in clear",
            &self.model.decision_function(self.test_x)?,
        )?;
        row(
            "same algorithm in clear",
            &clear.model.decision_function(self.test_x)?,
        )?;
        row("exact solver", &exact.decision_function(self.test_x)?)?;

        let tolerance = (-f64::from(self.precision_bits)).exp2();
        let weights = self.model.max_difference(&clear.model)?;
        let expected = clear.model.decision_function(self.test_x)?;
        let scores = self
            .scores
            .iter()
            .zip(&expected)
            .map(|(a, b)| (a - b).abs())
            .fold(0.0, f64::max);
        // A score sums the errors of all weights, times features of the order of one, the constant among them.
        let sizes = self
            .test_x
            .iter()
            .map(|r| 1.0 + r.iter().map(|v| v.abs()).sum::<f64>());
        let score_tolerance = tolerance * sizes.fold(1.0, f64::max);
        println!("\nEncrypted against clear");
        line(
            "largest difference",
            format!("{weights:.1e} in the weights (asked for: {tolerance:.1e})"),
        );
        line(
            "",
            format!("{scores:.1e} in the scores (follows: {score_tolerance:.1e})"),
        );
        line(
            "largest score",
            format!(
                "{:.2} in training, inside [-{BOUND}, {BOUND}]",
                clear.largest_score
            ),
        );
        if let Some(peak) = report::peak_memory() {
            line(
                "peak memory",
                format!("{} (owner and server together)", report::bytes(peak)),
            );
        }
        // Written so that NaN fails.
        let agree = weights <= tolerance && scores <= score_tolerance;
        println!(
            "\n{}",
            if agree {
                "encrypted and clear agree"
            } else {
                "ENCRYPTED AND CLEAR DISAGREE"
            }
        );
        Ok(agree)
    }
}
