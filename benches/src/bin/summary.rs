//! Ours and the peers in one run: a table with ratios, and `summary.json`. `cargo xtask bench` calls it.

use cipherblas_bench::compare::{Comparison, Row, Work, heading};
use cipherblas_bench::contender::{Clock, pool};
use cipherblas_bench::peers::bfv::{self, Bfv};
use cipherblas_bench::peers::blas::{self, Shape};
use cipherblas_bench::peers::ntt::{self, Direction, Job};
use cipherblas_bench::peers::python::{Link, Server};
use cipherblas_bench::peers::seal;
use cipherblas_bench::{ours, package, peers};
use rayon::ThreadPool;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::{Arc, Mutex};

/// Sizes of square integer matrices that are timed.
const EXACT: [usize; 2] = [256, 1024];

/// Rows and columns of the designs whose Gram matrices are timed.
const GRAM: [(usize, usize); 3] = [(100_000, 30), (10_000, 196), (4096, 1024)];

struct Options {
    json: PathBuf,
    seconds: f64,
    filter: String,
    threads: Option<usize>,
    clock: Clock,
    deep: bool,
    python: Result<PathBuf, String>,
    absent: BTreeMap<String, String>,
}

impl Options {
    fn parse(mut arguments: impl Iterator<Item = String>) -> Result<Self, String> {
        let mut options = Self {
            json: "target/bench/summary.json".into(),
            seconds: 1.0,
            filter: String::new(),
            threads: None,
            clock: Clock::Wall,
            deep: false,
            python: Err("no interpreter given (--python)".into()),
            absent: BTreeMap::new(),
        };
        while let Some(argument) = arguments.next() {
            if argument == "--deep" {
                options.deep = true;
                continue;
            }
            let value = arguments
                .next()
                .ok_or_else(|| format!("{argument} needs a value"))?;
            match argument.as_str() {
                "--json" => options.json = value.into(),
                "--seconds" => {
                    options.seconds = value
                        .parse()
                        .map_err(|e| format!("--seconds {value}: {e}"))?
                }
                "--filter" => options.filter = value,
                "--clock" => {
                    options.clock = match value.as_str() {
                        "wall" => Clock::Wall,
                        "processor" => Clock::Processor,
                        _ => return Err(format!("--clock {value}: expected wall or processor")),
                    }
                }
                "--threads" => match value.parse() {
                    Ok(threads) if threads > 0 => options.threads = Some(threads),
                    _ => return Err(format!("--threads {value}: expected a number above 0")),
                },
                "--python" => options.python = Ok(value.into()),
                "--no-python" => options.python = Err(value),
                // A library for Python that could not be installed, and why.
                "--absent" => {
                    let (library, reason) = value
                        .split_once('=')
                        .ok_or_else(|| format!("--absent {value}: expected LIBRARY=REASON"))?;
                    options.absent.insert(library.into(), reason.into());
                }
                _ => return Err(format!("unknown option {argument}")),
            }
        }
        // Processor time is that of one thread.
        if options.clock == Clock::Processor && *options.threads.get_or_insert(1) > 1 {
            return Err("--clock processor: for one thread".into());
        }
        Ok(options)
    }

    /// A process of the given script.
    fn server(&self, script: &str, threads: usize) -> Link {
        let script = Path::new(env!("CARGO_MANIFEST_DIR"))
            .join("peers")
            .join(script);
        let server = Server::start(self.python.as_ref()?, &script, threads)?;
        Ok(Arc::new(Mutex::new(server.without(&self.absent))))
    }
}

/// Runs the comparisons that were asked for, prints their rows as they come, and keeps them.
struct Summary {
    options: Options,
    link: Link,
    rows: Vec<Row>,
}

impl Summary {
    fn wanted(&self, name: &str) -> bool {
        name.contains(&self.options.filter)
    }

    fn run(&mut self, comparison: Comparison) {
        for row in comparison.run(self.options.seconds, self.options.clock) {
            println!("{row}");
            self.rows.push(row);
        }
    }

    fn transforms(&mut self, threads: usize, pool: &Arc<ThreadPool>) -> Result<(), String> {
        for direction in [Direction::Forward, Direction::Inverse] {
            let operation = if direction == Direction::Forward {
                "ntt"
            } else {
                "ntt_inverse"
            };
            for log in 13..=16 {
                let (name, degree) = (format!("{operation}/2^{log}"), 1 << log);
                if !self.wanted(&name) {
                    continue;
                }
                // One transform is work for one thread; more threads share a batch.
                let limbs = if threads == 1 { 1 } else { 8 * threads };
                let job: Job = ours::ntt::job(degree, limbs, direction, pool)?;
                let peers = vec![
                    ntt::tfhe(&job),
                    ntt::concrete(&job),
                    ntt::fhe(&job),
                    seal::seal(&self.link, operation, degree, threads),
                ];
                self.run(Comparison {
                    name,
                    threads,
                    ours: ours::ntt::contender(&job),
                    peers,
                    work: Work::default(),
                });
            }
        }
        Ok(())
    }

    fn ring(&mut self, threads: usize, pool: &Arc<ThreadPool>) {
        use ours::ckks::Operation as Ours;
        use peers::bfv::Operation as Theirs;
        let operations = [
            (
                "mul_relin_rescale",
                Ours::MulRelinRescale,
                "ckks/mul_relin_rescale",
                Some(Theirs::Multiply),
                13..=15,
            ),
            (
                "rotate",
                Ours::Rotate,
                "ckks/rotate",
                Some(Theirs::Rotate),
                13..=15,
            ),
            ("encode", Ours::Encode, "ckks/encode", None, 14..=14),
            ("decode", Ours::Decrypt, "ckks/decode", None, 14..=14),
            (
                "encrypt",
                Ours::Encrypt,
                "ckks/encode_encrypt",
                Some(Theirs::Encrypt),
                14..=14,
            ),
            (
                "decrypt",
                Ours::Decrypt,
                "ckks/decrypt_decode",
                None,
                14..=14,
            ),
        ];
        for log in 13..=15 {
            let degree = 1 << log;
            let mut keys = None;
            for (operation, mine, seal_operation, bfv_operation, logs) in operations.clone() {
                let name = format!("ckks/{operation}/2^{log}");
                if !logs.contains(&log) || !self.wanted(&name) {
                    continue;
                }
                let (setup, bfv) = keys.get_or_insert_with(|| {
                    (ours::ckks::Setup::new(degree), Bfv::new(degree, 65537))
                });
                let mut peers = vec![seal::seal(&self.link, seal_operation, degree, threads)];
                peers.extend(bfv_operation.map(|operation| bfv::contender(bfv, operation, pool)));
                let ours = ours::ckks::contender(setup, mine, pool);
                self.run(Comparison {
                    name,
                    threads,
                    ours,
                    peers,
                    work: Work::default(),
                });
            }
        }
    }

    fn exact(&mut self, threads: usize, pool: &Arc<ThreadPool>) {
        use ours::bfv::Operation as Ours;
        use peers::bfv::Operation as Theirs;
        let operations = [
            (
                "mul_relin",
                Ours::MulRelin,
                "bfv/mul_relin",
                Some(Theirs::Multiply),
            ),
            ("rotate", Ours::Rotate, "bfv/rotate", Some(Theirs::Rotate)),
            (
                "encrypt",
                Ours::Encrypt,
                "bfv/encode_encrypt",
                Some(Theirs::Encrypt),
            ),
            (
                "decrypt",
                Ours::Decrypt,
                "bfv/decrypt_decode",
                Some(Theirs::Decrypt),
            ),
            ("combine", Ours::Combine, "bfv/combine", None),
        ];
        for log in 13..=14 {
            let degree = 1 << log;
            let mut keys = None;
            for (operation, mine, seal_operation, theirs) in operations {
                let name = format!("bfv/{operation}/2^{log}");
                if !self.wanted(&name) {
                    continue;
                }
                let (setup, bfv) = keys.get_or_insert_with(|| {
                    (
                        ours::bfv::Setup::new(degree),
                        Bfv::new(degree, bfv::TWENTY_BITS),
                    )
                });
                let mut peers = vec![seal::seal(&self.link, seal_operation, degree, threads)];
                peers.extend(theirs.map(|operation| bfv::contender(bfv, operation, pool)));
                let ours = ours::bfv::contender(setup, mine, pool);
                self.run(Comparison {
                    name,
                    threads,
                    ours,
                    peers,
                    work: Work::default(),
                });
            }
        }
    }

    fn paillier(&mut self, threads: usize, pool: &Arc<ThreadPool>) {
        use ours::paillier::{Operation, Setup};
        let mut link = None;
        for bits in [2048, 3072] {
            let mut keys = None;
            for operation in Operation::ALL {
                let name = format!("paillier/{}/{bits}", operation.name());
                if !self.wanted(&name) {
                    continue;
                }
                let setup = keys.get_or_insert_with(|| Setup::new(bits));
                let link =
                    link.get_or_insert_with(|| self.options.server("paillier_peers.py", threads));
                let mut peers = ours::paillier::others(setup, operation, pool);
                peers.extend(peers::paillier::contenders(
                    link,
                    operation.name(),
                    bits as usize,
                    threads,
                ));
                let ours = ours::paillier::contender(setup, operation, pool);
                self.run(Comparison {
                    name,
                    threads,
                    ours,
                    peers,
                    work: Work::default(),
                });
            }
        }
    }

    fn linear_algebra(&mut self, threads: usize, pool: &Arc<ThreadPool>) {
        use ours::linalg::Product;
        type Make = fn() -> Result<Product, String>;
        let products: [(&str, &str, Make); 3] = [
            ("ckks/dot/4096", "ckks/dot", || Ok(Product::dot(4096))),
            (
                "linalg/vec64_plain_64x64",
                "linalg/vec64_plain_64x64",
                || Product::vecmat(64, 64),
            ),
            (
                "linalg/vec256_plain_256x128",
                "linalg/vec256_plain_256x128",
                || Product::vecmat(256, 128),
            ),
        ];
        for (name, operation, make) in products {
            if self.wanted(name) {
                let ours = ours::linalg::contender(&make(), pool);
                let peers = vec![seal::tenseal(&self.link, operation, threads)];
                self.run(Comparison {
                    name: name.into(),
                    threads,
                    ours,
                    peers,
                    work: Work::default(),
                });
            }
        }
    }

    /// Sizes of square matrices that are timed.
    fn sizes(&self) -> impl Iterator<Item = usize> + use<> {
        let largest = if self.options.deep { 12 } else { 11 };
        (6..=largest).map(|log| 1 << log)
    }

    /// Encrypted matrices of any size beside plain products.
    fn matrices(&mut self, threads: usize, pool: &Arc<ThreadPool>) {
        use ours::matrices::{Kind, Scheme, contender};
        let mut link = None;
        let mut jobs = Vec::new();
        for kind in [Kind::PlainEncrypted, Kind::Encrypted] {
            for size in self.sizes() {
                let name = format!("linalg/{}/{size}", kind.name());
                jobs.push((name, Scheme::Ckks, kind, Shape::square(size)));
            }
        }
        for kind in [Kind::PlainEncrypted, Kind::Encrypted] {
            for size in EXACT {
                let name = format!("linalg/bfv_{}/{size}", kind.name());
                jobs.push((name, Scheme::Bfv, kind, Shape::square(size)));
            }
        }
        for (rows, cols) in GRAM {
            let name = format!("linalg/gram/{rows}x{cols}");
            let shape = Shape {
                rows: cols,
                inner: rows,
                cols,
            };
            jobs.push((name, Scheme::Ckks, Kind::Gram, shape));
        }
        for (name, scheme, kind, shape) in jobs {
            if !self.wanted(&name) {
                continue;
            }
            let link = link.get_or_insert_with(|| self.options.server("linalg.py", threads));
            let (ours, work) = contender(scheme, kind, shape, pool);
            let peers = match kind {
                Kind::Gram => vec![blas::numpy_gram(link, shape)],
                Kind::PlainEncrypted | Kind::Encrypted => {
                    vec![blas::numpy(link, shape), blas::faer(shape, pool)]
                }
            };
            let comparison = Comparison {
                name,
                threads,
                ours,
                peers,
                work,
            };
            self.run(comparison);
        }
    }

    /// Products modulo one narrow prime beside those of doubles.
    fn narrow(&mut self, threads: usize, pool: &Arc<ThreadPool>) {
        let mut link = None;
        for size in self.sizes() {
            let name = format!("math/gemm/{size}");
            if !self.wanted(&name) {
                continue;
            }
            let link = link.get_or_insert_with(|| self.options.server("linalg.py", threads));
            let shape = Shape::square(size);
            let comparison = Comparison {
                name,
                threads,
                ours: ours::gemm::contender(size, pool),
                peers: vec![blas::numpy(link, shape), blas::faer(shape, pool)],
                work: Work {
                    macs: Some(shape.macs()),
                    ..Work::default()
                },
            };
            self.run(comparison);
        }
    }

    /// Matrices that fit a ciphertext, and a row of integers.
    fn small_matrices(&mut self, threads: usize, pool: &Arc<ThreadPool>) {
        let mut link = None;
        let mut linalg = |summary: &Self| {
            link.get_or_insert_with(|| summary.options.server("linalg.py", threads))
                .clone()
        };
        for size in [16, 64] {
            let name = format!("linalg/enc{size}_enc{size}");
            if !self.wanted(&name) {
                continue;
            }
            let link = linalg(self);
            let mut peers = vec![];
            if size == 16 {
                peers.push(seal::tenseal(&self.link, &name, threads));
                peers.push(blas::desilofhe(&link));
            }
            peers.push(blas::openfhe_numpy(&link));
            self.run(Comparison {
                name,
                threads,
                ours: ours::small::contender(size, pool),
                peers,
                work: Work {
                    macs: Some(Shape::square(size).macs()),
                    ..Work::default()
                },
            });
        }
        let (name, inner, cols) = ("linalg/vec2048_plain_2048x2048", 2048, 2048);
        if self.wanted(name) {
            let link = linalg(self);
            let (ours, encoded) = ours::integers::contenders(inner, cols, pool);
            self.run(Comparison {
                name: name.into(),
                threads,
                ours,
                peers: vec![encoded, blas::concrete_ml(&link, inner, cols)],
                work: Work {
                    macs: Some((inner * cols) as u64),
                    ..Work::default()
                },
            });
        }
    }

    /// The Python package beside other packages, and beside Rust.
    fn package(&mut self, threads: usize, pool: &Arc<ThreadPool>) {
        let jobs = package::jobs();
        let jobs: Vec<_> = jobs.iter().filter(|job| self.wanted(&job.name)).collect();
        if jobs.is_empty() {
            return;
        }
        let ours = self.options.server("python", threads);
        let peers = self.options.server("python", threads);
        for job in jobs {
            let links = package::Links {
                ours: &ours,
                peers: &peers,
                pool,
            };
            self.run(job.comparison(&links, threads));
        }
    }

    fn write(&self) -> Result<(), String> {
        let rows: Vec<_> = self.rows.iter().map(Row::to_json).collect();
        let text = serde_json::to_string_pretty(&rows).map_err(|error| error.to_string())?;
        let path = &self.options.json;
        if let Some(folder) = path.parent() {
            std::fs::create_dir_all(folder)
                .map_err(|error| format!("{}: {error}", folder.display()))?;
        }
        std::fs::write(path, text + "\n").map_err(|error| format!("{}: {error}", path.display()))
    }

    /// Goals met, goals missed, operations of ours without a time. A goal relative to several peers is met if all are.
    fn verdict(&self) -> (usize, usize, usize) {
        let mut operations: BTreeMap<(&str, usize), (bool, Option<bool>)> = BTreeMap::new();
        for row in &self.rows {
            let (lost, met) = operations.entry((&row.name, row.threads)).or_default();
            *lost |= row.ours_ms.is_none();
            *met = match (*met, row.met()) {
                (Some(before), Some(now)) => Some(before && now),
                (before, now) => before.or(now),
            };
        }
        let count = |what: fn(&(bool, Option<bool>)) -> bool| {
            operations.values().filter(|state| what(state)).count()
        };
        (
            count(|state| state.1 == Some(true)),
            count(|state| state.1 == Some(false)),
            count(|state| state.0),
        )
    }
}

/// Processes that want to run, averaged over the last minute, where the system tells. Operations shorter than a slice of
/// time suffer less from others than longer ones, so that not even ratios hold on a busy machine.
fn load() -> Option<f64> {
    let text = std::fs::read_to_string("/proc/loadavg").ok()?;
    text.split_whitespace().next()?.parse().ok()
}

fn run() -> Result<bool, String> {
    let options = Options::parse(std::env::args().skip(1))?;
    let link = options.server("seal.py", 1);
    let all = std::thread::available_parallelism().map_or(1, usize::from);
    let mut numbers = options
        .threads
        .map_or(vec![1, all], |threads| vec![threads]);
    numbers.dedup();
    if let Some(load) = load().filter(|&load| load > 0.5 && options.clock == Clock::Wall) {
        println!(
            "load {load} at the start: others use this machine, neither times nor ratios hold (--clock processor)"
        );
    }
    let mut summary = Summary {
        options,
        link,
        rows: Vec::new(),
    };
    if let Ok(backend) = std::env::var("CIPHERBLAS_BACKEND") {
        println!("ours with CIPHERBLAS_BACKEND={backend}");
    }
    for threads in numbers {
        let pool = pool(threads)?;
        println!("\n{}", heading());
        summary.transforms(threads, &pool)?;
        summary.ring(threads, &pool);
        summary.exact(threads, &pool);
        summary.paillier(threads, &pool);
        summary.linear_algebra(threads, &pool);
        summary.small_matrices(threads, &pool);
        summary.narrow(threads, &pool);
        summary.matrices(threads, &pool);
        summary.package(threads, &pool);
    }
    summary.write()?;
    let (met, missed, lost) = summary.verdict();
    println!(
        "\n{} rows in {}",
        summary.rows.len(),
        summary.options.json.display()
    );
    println!("{met} goals met, {missed} missed, {lost} operations without a time");
    Ok(lost == 0 && !summary.rows.is_empty())
}

fn main() -> ExitCode {
    match run() {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(message) => {
            eprintln!("summary: {message}");
            ExitCode::FAILURE
        }
    }
}
