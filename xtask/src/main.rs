//! Project commands: `cargo xtask test`, `bench`, `python` and `docs`.
//!
//! | module | what it does |
//! |---|---|
//! | `suite` | the steps of `cargo xtask test`, in order |
//! | `runner` | runs a step, streams its output, counts its tests, keeps the time |
//! | `workspace` | what `cargo metadata` says: packages, targets, the dependency graph |
//! | `direction` | which crate may depend on which, and where `unsafe` may be |
//! | `deny` | `cargo deny`: licences, bans, sources, advisories |
//! | `python` | the Python package and the site: wheel, lints, types, tests |
//! | `venv` | virtual environments of Python |
//! | `bench` | Criterion benchmarks and the comparison with peers |

mod bench;
mod deny;
mod direction;
mod python;
mod runner;
mod suite;
mod venv;
mod workspace;

use std::process::ExitCode;

const USAGE: &str = "\
usage: cargo xtask <command>

  test [--deep] [--rust | --python]
                    format, lints, tests on both backends, doctests, docs, examples, dependency direction, licences;
                    the Python package: wheel, clean install, lints, types, tests; the site
                    --deep: many more cases for every property, and the tests marked #[ignore] or slow
                    --rust, --python: only the steps of one language
  python            an environment with the Python package in it, for developers (target/python/dev)
  docs [--serve]    the site (target/site); --serve: while it is written, on a local address
  bench [--summary] [--deep] [--filter TEXT] [--threads N] [--clock wall|processor] [--seconds S] [--plot FILE.svg]
                    Criterion benchmarks, then ours beside the peers in one run (target/bench/summary.json)
                    --summary: only the comparison; --filter: only rows whose name contains TEXT;
                    --threads: only with so many (default: one, then all); --clock processor: for machines that others use,
                    time that one thread spends on a processor;
                    --seconds: time spent on each contender of a row (default 1)
";

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let outcome = match arguments
        .iter()
        .map(String::as_str)
        .collect::<Vec<_>>()
        .as_slice()
    {
        [_, "--help" | "-h"] => {
            print!("{USAGE}");
            return ExitCode::SUCCESS;
        }
        ["test", options @ ..] => {
            suite::Options::parse(options).and_then(|options| suite::run(&options))
        }
        ["python"] => python::develop(),
        ["docs"] => python::docs(false),
        ["docs", "--serve"] => python::docs(true),
        ["bench", options @ ..] => {
            bench::Options::parse(options).and_then(|options| bench::run(&options))
        }
        ["help" | "--help" | "-h"] => {
            print!("{USAGE}");
            return ExitCode::SUCCESS;
        }
        other => Err(format!("unknown command {:?}\n\n{USAGE}", other.join(" "))),
    };
    match outcome {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(message) => {
            eprintln!("xtask: {message}");
            ExitCode::FAILURE
        }
    }
}
