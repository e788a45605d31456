//! The Python package: ours from its wheel, beside what its users may use today and beside the same calls in Rust.
//!
//! Ours and the peers run in a Python process each (`peers/python`), in turns.

use crate::compare::{Comparison, Entry, Work};
use crate::ours::{self, NAME};
use crate::peers::python::{self, Link};
use rayon::ThreadPool;
use serde_json::{Value, json};
use std::sync::Arc;

/// Values of an array in calls from Rust and from Python, or rows of a square matrix.
const SIZES: [usize; 2] = [10_000, 100_000];
const ROWS: usize = 128;

/// An operation of the package, and who else does it.
#[derive(Debug, Clone, PartialEq)]
pub struct Job {
    /// E.g. `python/dot/4096`.
    pub name: String,
    request: Value,
    peers: Vec<Peer>,
}

#[derive(Debug, Clone, PartialEq)]
struct Peer {
    library: &'static str,
    label: &'static str,
    request: Value,
}

/// The processes that are asked.
pub struct Links<'a> {
    /// Python with our wheel.
    pub ours: &'a Link,
    /// Python with the peers.
    pub peers: &'a Link,
    /// The threads of ours in Rust.
    pub pool: &'a Arc<ThreadPool>,
}

impl Job {
    /// `op` of ours with `arguments`; nobody else yet.
    fn new(name: impl Into<String>, op: &str, arguments: Value) -> Self {
        let mut request = arguments;
        request["op"] = json!(op);
        Self {
            name: format!("python/{}", name.into()),
            request,
            peers: Vec::new(),
        }
    }

    /// The same of `library`, with `more` arguments that are its own.
    fn beside(mut self, library: &'static str, label: &'static str, more: &Value) -> Self {
        let mut request = self.request.clone();
        for (key, value) in more.as_object().into_iter().flatten() {
            request[key] = value.clone();
        }
        self.peers.push(Peer {
            library,
            label,
            request,
        });
        self
    }

    fn tenseal(self) -> Self {
        self.beside("tenseal", "", &json!({}))
    }

    /// Everybody at this operation.
    #[must_use]
    pub fn comparison(&self, links: &Links<'_>, threads: usize) -> Comparison {
        let ours = contender(links.ours, NAME, &self.request, |_| NAME.to_owned(), "");
        let peers = self.peers.iter().map(|peer| {
            let Peer {
                library,
                label,
                request,
            } = peer;
            if *library == NAME {
                return ours::arrays::contender(request, links.pool);
            }
            let shown = match *library {
                "tenseal" => "TenSEAL",
                other => other,
            };
            let note = if *library == "phe" && threads > 1 {
                "one thread"
            } else {
                ""
            };
            let name = |version: &str| {
                let words = [shown, version, label];
                let words: Vec<_> = words.into_iter().filter(|word| !word.is_empty()).collect();
                words.join(" ")
            };
            contender(links.peers, library, request, name, note)
        });
        Comparison {
            name: self.name.clone(),
            threads,
            ours,
            peers: peers.collect(),
            work: Work::default(),
        }
    }
}

fn contender(
    link: &Link,
    library: &str,
    request: &Value,
    name: impl Fn(&str) -> String,
    note: &str,
) -> Entry {
    let mut request = request.clone();
    request["library"] = json!(library);
    python::contender(link, library, name, request, note)
}

/// Beside TenSEAL's vectors and tensors: 40-bit scales, parameters of its tutorials.
fn beside_tenseal() -> Vec<Job> {
    let mut jobs: Vec<Job> = [
        "encrypt",
        "encrypt_secret",
        "decrypt",
        "serialize",
        "deserialize",
        "add",
        "add_plain",
        "mul",
        "mul_plain",
        "sum",
        "dot",
    ]
    .into_iter()
    .map(|op| Job::new(format!("{op}/4096"), op, json!({})).tenseal())
    .collect();
    let polynomial = |degree: usize| {
        let name = format!("polynomial{degree}/4096");
        Job::new(name, "polynomial", json!({"degree": degree})).tenseal()
    };
    jobs.push(polynomial(3));
    let tutorial = json!({"ring": 1 << 14});
    jobs.push(polynomial(7).beside("tenseal", "2^14", &tutorial));
    for (rows, cols) in [(64, 64), (256, 128)] {
        let name = format!("vec{rows}_plain_{rows}x{cols}");
        jobs.push(Job::new(name, "vecmat", json!({"rows": rows, "cols": cols})).tenseal());
    }
    jobs.push(Job::new("enc16_enc16", "matmul", json!({"size": 16})).tenseal());
    let small = json!({"ring": 1 << 12});
    for op in ["bfv_add", "bfv_mul"] {
        let job = Job::new(format!("{op}/4096"), op, json!({})).tenseal();
        jobs.push(job.beside("tenseal", "2^12", &small));
    }
    jobs.push(Job::new("bfv_dot/4096", "bfv_dot", json!({})).tenseal());
    jobs
}

/// Beside `phe`: arrays of 100 numbers, a row of 32.
fn beside_phe() -> Vec<Job> {
    let operations = [
        "paillier_encrypt",
        "paillier_encrypt_secret",
        "paillier_decrypt",
        "paillier_add",
        "paillier_mul_plain",
        "paillier_dot_plain",
    ];
    let job = |op: &str, bits: usize| {
        let job = Job::new(format!("{op}/{bits}"), op, json!({"bits": bits}));
        job.beside("phe", "", &json!({}))
    };
    let of = |bits| operations.map(|op| job(op, bits));
    of(2048).into_iter().chain(of(3072)).collect()
}

/// Beside the same calls in Rust.
fn overhead() -> Vec<Job> {
    let job = |scheme: &str, call: &str, size: usize| {
        let arguments = json!({"scheme": scheme, "call": call, "size": size});
        let name = format!("overhead/{scheme}_{call}/{size}");
        Job::new(name, "overhead", arguments).beside(NAME, "", &json!({}))
    };
    let calls = [
        "encrypt",
        "decrypt",
        "to_bytes",
        "from_bytes",
        "add",
        "mul",
        "add_plain",
        "mul_plain",
        "sum",
    ];
    let mut jobs = Vec::new();
    for size in SIZES {
        jobs.extend(calls.map(|call| job("ckks", call, size)));
        jobs.extend(["add", "mul"].map(|call| job("bfv", call, size)));
    }
    jobs.extend(["matvec_plain", "matmul"].map(|call| job("ckks", call, ROWS)));
    jobs
}

/// Everything, in the order of the table.
#[must_use]
pub fn jobs() -> Vec<Job> {
    [beside_tenseal(), beside_phe(), overhead()].concat()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::goals::goal_ratio;
    use std::collections::BTreeSet;

    #[test]
    fn every_row_has_its_own_name_a_peer_and_a_goal() {
        let jobs = jobs();
        let names: BTreeSet<_> = jobs.iter().map(|job| job.name.as_str()).collect();
        assert_eq!(names.len(), jobs.len());
        let link: Link = Err("no interpreter".into());
        let pool = crate::contender::pool(1).unwrap();
        let links = Links {
            ours: &link,
            peers: &link,
            pool: &pool,
        };
        for job in jobs.iter().filter(|job| !job.name.contains("/matmul/")) {
            for row in job.comparison(&links, 2).run(1e-3, Default::default()) {
                let goal = goal_ratio(&row.name, 2, &row.peer);
                let overhead = row.name.contains("/overhead/");
                let expected = if overhead { 1.0 / 1.05 } else { 1.0 };
                assert_eq!(goal, Some(expected), "{} {}", row.name, row.peer);
                assert!(row.note.contains("no interpreter"), "{}", row.note);
            }
        }
    }

    #[test]
    fn arguments_of_a_peer_come_on_top_of_ours() {
        let job = Job::new("x", "dot", json!({"size": 3})).beside("phe", "", &json!({"ring": 4}));
        assert_eq!(job.request, json!({"op": "dot", "size": 3}));
        let expected = json!({"op": "dot", "size": 3, "ring": 4});
        assert_eq!(job.peers[0].request, expected);
    }
}
