//! Runs the steps of a command one after the other and keeps the books.

use std::io::{BufRead, BufReader};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

/// Numbers of tests.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Counts {
    pub(crate) passed: usize,
    pub(crate) failed: usize,
    pub(crate) skipped: usize,
}

impl Counts {
    /// Adds what a line of libtest's output reports, e.g. `test result: ok. 3 passed; 0 failed; 1 ignored; ...`. Ignored tests are
    /// for other runs, and not counted.
    fn libtest(&mut self, line: &str) {
        let Some((_, report)) = line.split_once("test result: ") else {
            return;
        };
        let number = |word: &str| {
            report
                .split([';', '.'])
                .find_map(|part| part.trim().strip_suffix(word)?.trim().parse::<usize>().ok())
                .unwrap_or(0)
        };
        self.passed += number("passed");
        self.failed += number("failed");
    }

    /// Adds what the closing line of pytest reports, e.g. `=== 1 failed, 3 passed, 2 skipped, 1 error in 0.12s ===`. An error in a
    /// fixture or a file is a failure; an expected failure is skipped.
    pub(crate) fn pytest(&mut self, line: &str) {
        let line = line.trim_matches(|c| c == '=' || c == ' ');
        let Some((report, time)) = line.rsplit_once(" in ") else {
            return;
        };
        let seconds = time
            .split(' ')
            .next()
            .and_then(|time| time.strip_suffix('s'));
        if seconds.is_none_or(|seconds| seconds.parse::<f64>().is_err()) {
            return;
        }
        let mut found = Self::default();
        for part in report.split(", ") {
            let Some((number, word)) = part.split_once(' ') else {
                return;
            };
            let Ok(number) = number.parse::<usize>() else {
                return;
            };
            match word {
                "passed" => found.passed += number,
                "failed" | "error" | "errors" => found.failed += number,
                "skipped" | "xfailed" => found.skipped += number,
                _ => {}
            }
        }
        self.passed += found.passed;
        self.failed += found.failed;
        self.skipped += found.skipped;
    }
}

/// How a step ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Outcome {
    /// It did what it should.
    Passed(Counts),
    /// It did not; the reason.
    Failed(Counts, String),
    /// It could not run here; the reason.
    Skipped(String),
}

struct Step {
    name: String,
    outcome: Outcome,
    time: Duration,
}

/// The steps so far.
#[derive(Default)]
pub(crate) struct Runner {
    steps: Vec<Step>,
}

impl Runner {
    /// Runs one step. A failure does not stop the ones that follow.
    pub(crate) fn step(&mut self, name: &str, action: impl FnOnce() -> Outcome) {
        println!("\n=== {name}");
        let start = Instant::now();
        let outcome = action();
        let time = start.elapsed();
        match &outcome {
            Outcome::Passed(_) => println!("--- {name}: passed in {:.1} s", time.as_secs_f64()),
            Outcome::Failed(_, reason) => println!(
                "--- {name}: FAILED in {:.1} s: {reason}",
                time.as_secs_f64()
            ),
            Outcome::Skipped(reason) => println!("--- {name}: skipped: {reason}"),
        }
        self.steps.push(Step {
            name: name.to_owned(),
            outcome,
            time,
        });
    }

    /// Tests of all steps; a step that failed without a failing test counts as one failure.
    fn totals(&self) -> Counts {
        let mut total = Counts::default();
        for step in &self.steps {
            match &step.outcome {
                Outcome::Passed(counts) => {
                    total.passed += counts.passed;
                    total.skipped += counts.skipped;
                }
                Outcome::Failed(counts, _) => {
                    total.passed += counts.passed;
                    total.failed += counts.failed.max(1);
                    total.skipped += counts.skipped;
                }
                Outcome::Skipped(_) => {}
            }
        }
        total
    }

    /// Prints the summary, the totals alone on the last line; `true` if nothing failed.
    pub(crate) fn finish(&self) -> bool {
        println!("\n=== summary");
        let mut time = Duration::ZERO;
        for step in &self.steps {
            time += step.time;
            let (word, detail) = match &step.outcome {
                Outcome::Passed(c) if c.skipped > 0 => (
                    "passed",
                    format!("{} tests, {} skipped", c.passed, c.skipped),
                ),
                Outcome::Passed(c) if c.passed > 0 => ("passed", format!("{} tests", c.passed)),
                Outcome::Passed(_) => ("passed", String::new()),
                Outcome::Failed(_, reason) => ("FAILED", reason.clone()),
                Outcome::Skipped(reason) => ("skipped", reason.clone()),
            };
            println!(
                "{:<44} {word:<8} {:>7.1} s  {detail}",
                step.name,
                step.time.as_secs_f64()
            );
        }
        println!("{:<44} {:<8} {:>7.1} s", "total", "", time.as_secs_f64());
        let total = self.totals();
        match total.skipped {
            0 => println!("{} passed, {} failed", total.passed, total.failed),
            skipped => println!(
                "{} passed, {} failed, {skipped} skipped",
                total.passed, total.failed
            ),
        }
        total.failed == 0
    }
}

/// Runs a program that passes when it exits with zero.
pub(crate) fn check(command: &mut Command) -> Outcome {
    println!("$ {}", shown(command));
    match command.status() {
        Ok(status) if status.success() => Outcome::Passed(Counts::default()),
        Ok(status) => Outcome::Failed(Counts::default(), status.to_string()),
        Err(error) => Outcome::Failed(Counts::default(), format!("cannot run it: {error}")),
    }
}

/// Runs several programs, all of them even if one fails; passes when all of them do.
pub(crate) fn check_all(commands: &mut [Command]) -> Outcome {
    let mut failures = Vec::new();
    for command in commands {
        if let Outcome::Failed(_, reason) = check(command) {
            failures.push(format!("{}: {reason}", name(command)));
        }
    }
    if failures.is_empty() {
        Outcome::Passed(Counts::default())
    } else {
        Outcome::Failed(Counts::default(), failures.join("; "))
    }
}

/// Runs libtest programs through cargo, showing their output and counting their tests. That none ran is a failure.
pub(crate) fn tests(command: &mut Command) -> Outcome {
    counted(command, Counts::libtest)
}

/// Runs a program that tests, showing its output and counting its tests by what each line says. That none ran is a failure.
pub(crate) fn counted(command: &mut Command, read: impl Fn(&mut Counts, &str)) -> Outcome {
    println!("$ {}", shown(command));
    let mut child = match command.stdout(Stdio::piped()).spawn() {
        Ok(child) => child,
        Err(error) => return Outcome::Failed(Counts::default(), format!("cannot run it: {error}")),
    };
    let mut counts = Counts::default();
    if let Some(stdout) = child.stdout.take() {
        for line in BufReader::new(stdout).split(b'\n').map_while(Result::ok) {
            let line = String::from_utf8_lossy(&line);
            println!("{line}");
            read(&mut counts, &line);
        }
    }
    match child.wait() {
        Ok(status) => judge(counts, status.success(), &status.to_string()),
        Err(error) => Outcome::Failed(counts, format!("lost it: {error}")),
    }
}

fn judge(counts: Counts, success: bool, status: &str) -> Outcome {
    if counts.failed > 0 {
        Outcome::Failed(
            counts,
            format!("{} failed, {} passed", counts.failed, counts.passed),
        )
    } else if !success {
        Outcome::Failed(counts, status.to_owned())
    } else if counts.passed == 0 {
        Outcome::Failed(counts, "no test ran".to_owned())
    } else {
        Outcome::Passed(counts)
    }
}

/// The command as one would type it, with the variables set for it.
fn shown(command: &Command) -> String {
    let variables = command
        .get_envs()
        .filter_map(|(k, v)| Some(format!("{}={:?}", k.to_string_lossy(), v?)));
    let arguments = command
        .get_args()
        .map(|word| word.to_string_lossy().into_owned());
    variables
        .chain([name(command)])
        .chain(arguments)
        .collect::<Vec<_>>()
        .join(" ")
}

/// The program's name without its folder.
fn name(command: &Command) -> String {
    std::path::Path::new(command.get_program())
        .file_name()
        .unwrap_or(command.get_program())
        .to_string_lossy()
        .into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn counts(passed: usize, failed: usize) -> Counts {
        Counts {
            passed,
            failed,
            skipped: 0,
        }
    }

    #[test]
    fn counts_are_read_from_every_result_line() {
        let mut total = Counts::default();
        for line in [
            "running 3 tests",
            "test result: ok. 12 passed; 0 failed; 1 ignored; 0 measured; 0 filtered out; finished in 0.03s",
            "test result: FAILED. 3 passed; 2 failed; 0 ignored; 0 measured; 0 filtered out; finished in 1.20s",
            "7 passed; 7 failed",
        ] {
            total.libtest(line);
        }
        assert_eq!(total, counts(15, 2));
    }

    #[test]
    fn counts_are_read_from_the_closing_line_of_pytest() {
        let read = |line: &str| {
            let mut counts = Counts::default();
            counts.pytest(line);
            (counts.passed, counts.failed, counts.skipped)
        };
        assert_eq!(read("3 passed in 0.12s"), (3, 0, 0));
        assert_eq!(
            read(
                "===== 2 failed, 30 passed, 1 skipped, 4 deselected, 1 xfailed, 2 errors in 71.03s (0:01:11) ====="
            ),
            (30, 4, 2)
        );
        assert_eq!(
            read("====== 1 passed, 1 warning, 1 error in 0.50s ======"),
            (1, 1, 0)
        );
        for other in [
            "no tests ran in 0.01s",
            "tests/test_a.py ..F   [100%]",
            "E   assert 3 passed in 2 tries",
            "3 passed in time",
            "3 passed",
            "",
        ] {
            assert_eq!(read(other), (0, 0, 0), "{other:?}");
        }
    }

    #[test]
    fn all_programs_run_even_after_a_failure() {
        let shell = |text: &str| {
            let mut command = Command::new("sh");
            command.args(["-c", text]);
            command
        };
        assert_eq!(
            check_all(&mut [shell("exit 0"), shell("exit 0")]),
            Outcome::Passed(counts(0, 0))
        );
        let Outcome::Failed(_, reason) = check_all(&mut [shell("exit 3"), shell("exit 4")]) else {
            panic!("both fail")
        };
        assert!(reason.contains('3') && reason.contains('4'), "{reason}");
    }

    #[test]
    fn a_run_without_tests_or_with_a_bad_exit_fails() {
        assert!(matches!(judge(counts(0, 0), true, ""), Outcome::Failed(..)));
        assert!(matches!(
            judge(counts(4, 0), false, "exit 101"),
            Outcome::Failed(..)
        ));
        assert!(matches!(judge(counts(4, 1), true, ""), Outcome::Failed(..)));
        assert_eq!(judge(counts(4, 0), true, ""), Outcome::Passed(counts(4, 0)));
    }

    #[test]
    fn a_failed_step_without_tests_counts_as_one() {
        let mut runner = Runner::default();
        runner.step("a", || Outcome::Passed(counts(5, 0)));
        runner.step("b", || Outcome::Skipped("no network".into()));
        assert!(runner.finish());
        runner.step("c", || Outcome::Failed(counts(2, 0), "broken".into()));
        runner.step("d", || Outcome::Failed(counts(1, 3), "3 failed".into()));
        assert_eq!(runner.totals(), counts(8, 4));
        assert!(!runner.finish());
    }
}
