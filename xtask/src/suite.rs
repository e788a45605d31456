//! `cargo xtask test`: everything that must hold before a change is delivered.

use crate::runner::{Counts, Outcome, Runner, check, tests};
use crate::workspace::{Workspace, cargo};
use crate::{deny, direction, python};
use std::process::Command;

/// How much of the property tests runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Extent {
    /// A moderate number of cases.
    Ordinary,
    /// Many cases, and the tests marked `#[ignore]`: for the night.
    Deep,
}

impl Extent {
    /// Cases for each property (the variable `PROPTEST_CASES` wins), on the default and on the scalar backend.
    fn cases(self, backend: Backend) -> String {
        std::env::var("PROPTEST_CASES").unwrap_or_else(|_| {
            match (self, backend) {
                (Self::Ordinary, Backend::Detected) => "64",
                (Self::Ordinary, Backend::Scalar) => "16",
                (Self::Deep, Backend::Detected) => "4096",
                (Self::Deep, Backend::Scalar) => "1024",
            }
            .to_owned()
        })
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Backend {
    Detected,
    Scalar,
}

/// Whose steps run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Languages {
    All,
    Rust,
    Python,
}

/// What to run.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Options {
    extent: Extent,
    languages: Languages,
}

impl Options {
    /// Reads the arguments after `test`.
    pub(crate) fn parse(arguments: &[&str]) -> Result<Self, String> {
        let mut options = Self {
            extent: Extent::Ordinary,
            languages: Languages::All,
        };
        for argument in arguments {
            match (*argument, options.languages) {
                ("--deep", _) => options.extent = Extent::Deep,
                ("--rust", Languages::All) => options.languages = Languages::Rust,
                ("--python", Languages::All) => options.languages = Languages::Python,
                ("--rust" | "--python", _) => {
                    return Err("test: got a second language; none runs all".into());
                }
                (other, _) => return Err(format!("test: unknown option {other:?}")),
            }
        }
        Ok(options)
    }
}

/// Runs the steps; `true` if nothing failed.
pub(crate) fn run(options: &Options) -> Result<bool, String> {
    let mut runner = Runner::default();
    if options.languages != Languages::Python {
        rust(options.extent, &mut runner)?;
    }
    if options.languages != Languages::Rust {
        python::steps(options.extent, &mut runner);
    }
    Ok(runner.finish())
}

fn rust(extent: Extent, runner: &mut Runner) -> Result<(), String> {
    let workspace = Workspace::load()?;
    runner.step("format", || {
        check(cargo().args(["fmt", "--all", "--", "--check"]))
    });
    runner.step("dependency direction, unsafe code", || {
        directions(&workspace)
    });
    runner.step("clippy", || {
        check(cargo().args([
            "clippy",
            "--quiet",
            "--workspace",
            "--all-targets",
            "--all-features",
            "--",
            "-D",
            "warnings",
        ]))
    });
    runner.step("tests, detected backend", || {
        backend_tests(extent, Backend::Detected)
    });
    runner.step("tests, scalar backend", || {
        backend_tests(extent, Backend::Scalar)
    });
    runner.step("doctests", || tests(&mut cargo_test("--doc")));
    runner.step("documentation", || {
        check(
            cargo()
                .args([
                    "doc",
                    "--quiet",
                    "--workspace",
                    "--no-deps",
                    "--all-features",
                ])
                .env("RUSTDOCFLAGS", "-D warnings"),
        )
    });
    examples(&workspace, runner);
    runner.step("licences, bans, sources", deny::offline_checks);
    runner.step("advisories", deny::advisories);
    Ok(())
}

fn directions(workspace: &Workspace) -> Outcome {
    match direction::violations(workspace) {
        Ok(found) if found.is_empty() => {
            println!(
                "{} packages, every edge as the architecture has it",
                workspace.packages.len()
            );
            Outcome::Passed(Counts::default())
        }
        Ok(found) => {
            found.iter().for_each(|violation| println!("{violation}"));
            Outcome::Failed(Counts::default(), format!("{} violation(s)", found.len()))
        }
        Err(reason) => Outcome::Failed(Counts::default(), reason),
    }
}

/// `cargo test` on the whole workspace: the selection must be the same for every run, or cargo unifies other features
/// and compiles everything again.
fn cargo_test(targets: &str) -> Command {
    let mut command = cargo();
    command.args([
        "test",
        "--quiet",
        "--workspace",
        "--all-features",
        "--no-fail-fast",
        targets,
    ]);
    command
}

fn backend_tests(extent: Extent, backend: Backend) -> Outcome {
    let mut command = cargo_test("--tests");
    if backend == Backend::Scalar {
        command.env("CIPHERBLAS_BACKEND", "scalar");
    } else {
        command.env_remove("CIPHERBLAS_BACKEND");
    }
    // Tests that count their own cases read this.
    if extent == Extent::Deep {
        command.env("CIPHERBLAS_DEEP", "1");
        command.args(["--", "--include-ignored"]);
    } else {
        command.env_remove("CIPHERBLAS_DEEP");
    }
    tests(command.env("PROPTEST_CASES", extent.cases(backend)))
}

/// Each example runs as a user runs it, and must exit with zero.
fn examples(workspace: &Workspace, runner: &mut Runner) {
    let all = || {
        workspace
            .packages
            .iter()
            .flat_map(|p| p.examples.iter().map(move |example| (p, example)))
    };
    if all().next().is_none() {
        runner.step("examples", || {
            Outcome::Failed(Counts::default(), "there is none".into())
        });
        return;
    }
    for package in workspace
        .packages
        .iter()
        .filter(|package| !package.examples.is_empty())
    {
        runner.step(&format!("examples of {}: build", package.name), || {
            check(cargo().args([
                "build",
                "--quiet",
                "--release",
                "--package",
                &package.name,
                "--examples",
            ]))
        });
    }
    for (package, example) in all() {
        runner.step(&format!("example {example}"), || {
            let run = [
                "run",
                "--quiet",
                "--release",
                "--package",
                &package.name,
                "--example",
                example,
            ];
            match check(cargo().args(run)) {
                Outcome::Passed(_) => Outcome::Passed(Counts {
                    passed: 1,
                    ..Counts::default()
                }),
                other => other,
            }
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn options_are_read_and_checked() {
        let options = |extent, languages| Ok(Options { extent, languages });
        assert_eq!(
            Options::parse(&[]),
            options(Extent::Ordinary, Languages::All)
        );
        assert_eq!(
            Options::parse(&["--python"]),
            options(Extent::Ordinary, Languages::Python)
        );
        assert_eq!(
            Options::parse(&["--rust", "--deep"]),
            options(Extent::Deep, Languages::Rust)
        );
        for bad in [&["--fast"][..], &["--rust", "--python"], &["deep"]] {
            assert!(Options::parse(bad).is_err(), "{bad:?}");
        }
    }
}
