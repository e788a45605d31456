//! The Python package and the site: built, checked and tested in environments of the project's own.
//!
//! | below `target/` | what it is |
//! |---|---|
//! | `python/dev` | the environment with everything that `python/requirements-dev.txt` lists |
//! | `python/clean` | one with only the wheel and what it declares to need |
//! | `python/wheels` | the wheel |
//! | `site` | the documentation |

use crate::runner::{Counts, Outcome, Runner, check, check_all, counted};
use crate::suite::Extent;
use crate::venv::{self, pip, quiet};
use crate::workspace::root;
use std::path::{Path, PathBuf};
use std::process::Command;

/// What the wheel is for: one build for every CPython from 3.10 on.
const TAG: &str = "-cp310-abi3-";

/// How the status of a pytest ends that found no test.
const NOTHING_COLLECTED: &str = "exit status: 5";

/// The environment for developers.
struct Environment {
    python: PathBuf,
}

impl Environment {
    fn prepare() -> Result<Self, String> {
        let python = venv::pinned(
            &target().join("dev"),
            &root().join("python/requirements-dev.txt"),
        )?;
        Ok(Self { python })
    }

    /// The folder that a shell activates.
    fn folder() -> PathBuf {
        target().join("dev")
    }

    /// A program of the environment, run in the workspace's directory.
    fn program(&self, name: &str) -> Command {
        let mut command = Command::new(self.python.with_file_name(name));
        command
            .current_dir(root())
            .env_remove("PYTHONPATH")
            .env_remove("PYTHONHOME");
        command
    }

    /// The same, run in `python/`, where the tools find their settings.
    fn tool(&self, name: &str) -> Command {
        let mut command = self.program(name);
        command.current_dir(root().join("python"));
        command
    }

    /// Builds the native part with the profile of the examples, so that they share what cargo compiles.
    fn maturin(&self, verb: &str) -> Command {
        let mut command = self.program("maturin");
        command
            .args([verb, "--release", "--locked", "--quiet"])
            .args(["--manifest-path", "python/Cargo.toml"])
            .env("VIRTUAL_ENV", Self::folder());
        command
    }

    fn mkdocs(&self, verb: &str) -> Command {
        let mut command = self.program("mkdocs");
        command
            .arg(verb)
            .args(["--strict", "--config-file", "mkdocs.yml"]);
        // A banner about the plans of others is not a warning about our pages.
        command.env("NO_MKDOCS_2_WARNING", "1");
        command
    }

    fn pytest(&self, markers: &str) -> Command {
        let mut command = self.tool("pytest");
        command.args(["tests", "-W", "error", "-m", markers]);
        command.env_remove("CIPHERBLAS_BACKEND");
        command
    }
}

/// The steps of `cargo xtask test` for Python.
pub(crate) fn steps(extent: Extent, runner: &mut Runner) {
    let mut environment = Err(String::new());
    runner.step("python: environment", || {
        environment = Environment::prepare();
        match &environment {
            Ok(environment) => check(environment.program("python").arg("--version")),
            Err(reason) => Outcome::Failed(Counts::default(), reason.clone()),
        }
    });
    let mut step = |name: &str, action: &dyn Fn(&Environment) -> Outcome| {
        runner.step(name, || match &environment {
            Ok(environment) => action(environment),
            Err(_) => Outcome::Failed(
                Counts::default(),
                "there is no environment for Python".into(),
            ),
        });
    };
    step("python: wheel", &|environment| outcome(wheel(environment)));
    step("python: clean install", &|_| clean_install());
    step("python: format, lints", &|environment| {
        let mut format = environment.program("ruff");
        let mut lints = environment.program("ruff");
        format.args(["format", "--check", "."]);
        lints.args(["check", "--quiet", "."]);
        check_all(&mut [format, lints])
    });
    step("python: types", &types);
    step("python: pytest", &|environment| {
        if let Err(reason) = install(environment) {
            return Outcome::Failed(Counts::default(), reason);
        }
        tests(&mut environment.pytest(match extent {
            Extent::Ordinary => "not slow",
            Extent::Deep => "",
        }))
    });
    step("python: pytest, scalar backend", &|environment| {
        let mut command = environment.pytest(match extent {
            Extent::Ordinary => "backend and not slow",
            Extent::Deep => "backend",
        });
        command.env("CIPHERBLAS_BACKEND", "scalar");
        scalar_tests(&mut command)
    });
    step("docs site", &site);
}

/// `cargo xtask python`: the environment with the package in it, as a developer wants it.
pub(crate) fn develop() -> Result<bool, String> {
    let environment = Environment::prepare()?;
    if !succeeded(&check(&mut environment.maturin("develop"))) {
        return Ok(false);
    }
    let folder = Environment::folder();
    let folder = folder.strip_prefix(root()).unwrap_or(&folder).display();
    println!(
        "\nThe package is installed from python/python: a change there needs no new build, a change of Rust code does.\n\n    \
         source {folder}/bin/activate\n    pytest python/tests\n"
    );
    Ok(true)
}

/// `cargo xtask docs`: the site, built into `target/site` or served while it is written.
pub(crate) fn docs(serve: bool) -> Result<bool, String> {
    let environment = Environment::prepare()?;
    let outcome = if serve {
        check(&mut environment.mkdocs("serve"))
    } else {
        site(&environment)
    };
    if succeeded(&outcome) && !serve {
        println!("{}", root().join("target/site/index.html").display());
    }
    Ok(succeeded(&outcome))
}

fn site(environment: &Environment) -> Outcome {
    let folder = root().join("target/site");
    check(
        environment
            .mkdocs("build")
            .arg("--quiet")
            .arg("--site-dir")
            .arg(folder),
    )
}

fn types(environment: &Environment) -> Outcome {
    let mut package = environment.tool("mypy");
    let mut tests = environment.tool("mypy");
    let mut again = environment.tool("pyright");
    package.arg("python/cipherblas");
    tests.arg("tests");
    again.arg("--pythonpath").arg(&environment.python);
    check_all(&mut [package, tests, again])
}

/// Builds the wheel, and looks at what is in it.
fn wheel(environment: &Environment) -> Result<(), String> {
    let folder = target().join("wheels");
    // What an earlier version left behind is not what is tested.
    let _ = std::fs::remove_dir_all(&folder);
    let mut build = environment.maturin("build");
    if let Outcome::Failed(_, reason) = check(build.arg("--out").arg(&folder)) {
        return Err(reason);
    }
    let wheel = the_wheel()?;
    let program = "import sys, zipfile; print(*zipfile.ZipFile(sys.argv[1]).namelist(), sep='\\n')";
    let listing = environment
        .program("python")
        .args(["-c", program])
        .arg(&wheel)
        .output()
        .map_err(|error| format!("python: {error}"))?;
    let listing = String::from_utf8_lossy(&listing.stdout);
    let files: Vec<&str> = listing.lines().collect();
    let name = wheel.file_name().unwrap_or_default().to_string_lossy();
    let found = faults(&name, &files);
    println!("{name}: {} files", files.len());
    found.iter().for_each(|fault| println!("{fault}"));
    if found.is_empty() {
        Ok(())
    } else {
        Err(found.join("; "))
    }
}

/// The one wheel there is.
fn the_wheel() -> Result<PathBuf, String> {
    let folder = target().join("wheels");
    let wheels: Vec<PathBuf> = std::fs::read_dir(&folder)
        .into_iter()
        .flatten()
        .flatten()
        .map(|entry| entry.path())
        .filter(|path| path.extension().is_some_and(|extension| extension == "whl"))
        .collect();
    match wheels.as_slice() {
        [wheel] => Ok(wheel.clone()),
        other => Err(format!(
            "{}: got {} wheels, expected one",
            folder.display(),
            other.len()
        )),
    }
}

/// What is wrong with a wheel of this name that has these files.
fn faults(name: &str, files: &[&str]) -> Vec<String> {
    let mut found = Vec::new();
    if !name.contains(TAG) {
        found.push(format!("got the wheel {name}, expected one for {TAG}"));
    }
    for wanted in [
        "cipherblas/__init__.py",
        "cipherblas/py.typed",
        ".dist-info/licenses/LICENSE-APACHE",
        ".dist-info/licenses/LICENSE-MIT",
    ] {
        if !files.iter().any(|file| file.ends_with(wanted)) {
            found.push(format!("the wheel lacks {wanted}"));
        }
    }
    let native = files
        .iter()
        .filter(|file| file.ends_with(".so") || file.ends_with(".pyd"));
    if native.count() != 1 {
        found.push("the wheel must have one native module".into());
    }
    for file in files {
        let ours = file.starts_with("cipherblas/") || file.contains(".dist-info/");
        let test = file.split('/').any(|part| {
            part == "tests"
                || part == "__pycache__"
                || part == "conftest.py"
                || part.starts_with("test_")
        });
        if test || !ours {
            found.push(format!("the wheel has {file}, which does not belong there"));
        }
    }
    found
}

/// The wheel in an environment that has nothing else, used from an empty folder.
fn clean_install() -> Outcome {
    let install = || -> Result<PathBuf, String> {
        let wheel = the_wheel()?;
        let python = venv::fresh(&target().join("clean"))?;
        // The pins choose versions; what is installed follows from what the wheel declares.
        quiet(
            pip(&python)
                .arg("--constraint")
                .arg(root().join("python/requirements-dev.txt"))
                .arg(wheel),
        )?;
        Ok(python)
    };
    let empty = target().join("empty");
    let _ = std::fs::remove_dir_all(&empty);
    let python = match std::fs::create_dir_all(&empty)
        .map_err(|error| format!("{}: {error}", empty.display()))
        .and_then(|()| install())
    {
        Ok(python) => python,
        Err(reason) => return Outcome::Failed(Counts::default(), reason),
    };
    // Isolated: neither the folder nor the user's own packages count.
    let run = |arguments: &[&str]| {
        let mut command = Command::new(&python);
        command.current_dir(&empty).arg("-I").args(arguments);
        command
    };
    let version = "import cipherblas; print(cipherblas.__version__)";
    check_all(&mut [
        run(&["-m", "pip", "check"]),
        run(&["-W", "error", "-c", version]),
        run(&["-W", "error", "-m", "cipherblas"]),
    ])
}

/// Puts the wheel that was built into the environment for developers.
fn install(environment: &Environment) -> Result<(), String> {
    let wheel = the_wheel()?;
    quiet(
        pip(&environment.python)
            .args(["--force-reinstall", "--no-deps"])
            .arg(wheel),
    )
}

/// Runs pytest; that it found nothing to run is a failure.
fn tests(command: &mut Command) -> Outcome {
    counted(command, Counts::pytest)
}

/// The tests that depend on the backend, if there are such.
fn scalar_tests(command: &mut Command) -> Outcome {
    let outcome = tests(command);
    match &outcome {
        Outcome::Failed(counts, reason)
            if *counts == Counts::default() && reason.ends_with(NOTHING_COLLECTED) =>
        {
            Outcome::Skipped("no test is marked `backend`".into())
        }
        _ => outcome,
    }
}

fn outcome(result: Result<(), String>) -> Outcome {
    match result {
        Ok(()) => Outcome::Passed(Counts::default()),
        Err(reason) => Outcome::Failed(Counts::default(), reason),
    }
}

fn succeeded(outcome: &Outcome) -> bool {
    matches!(outcome, Outcome::Passed(_))
}

fn target() -> PathBuf {
    root().join(Path::new("target/python"))
}

#[cfg(test)]
mod tests {
    use super::*;

    const NAME: &str = "cipherblas-0.1.0-cp310-abi3-manylinux_2_28_x86_64.whl";
    const FILES: [&str; 6] = [
        "cipherblas/__init__.py",
        "cipherblas/_core.abi3.so",
        "cipherblas/py.typed",
        "cipherblas-0.1.0.dist-info/METADATA",
        "cipherblas-0.1.0.dist-info/licenses/LICENSE-APACHE",
        "cipherblas-0.1.0.dist-info/licenses/LICENSE-MIT",
    ];

    #[test]
    fn only_a_subset_may_be_empty() {
        let exits = |code: &str| {
            let mut command = Command::new("sh");
            command.args(["-c", &format!("echo '7 deselected in 0.01s'; exit {code}")]);
            command
        };
        assert!(matches!(tests(&mut exits("5")), Outcome::Failed(..)));
        assert!(matches!(scalar_tests(&mut exits("5")), Outcome::Skipped(_)));
        for code in ["0", "1", "2"] {
            assert!(matches!(
                scalar_tests(&mut exits(code)),
                Outcome::Failed(..)
            ));
        }
    }

    #[test]
    fn a_good_wheel_has_no_faults() {
        assert_eq!(faults(NAME, &FILES), Vec::<String>::new());
    }

    #[test]
    fn a_wheel_for_one_version_of_python_is_refused() {
        let found = faults("cipherblas-0.1.0-cp311-cp311-linux_x86_64.whl", &FILES);
        assert_eq!(found.len(), 1, "{found:?}");
        assert!(found[0].contains("cp311"), "{found:?}");
    }

    #[test]
    fn what_is_missing_in_a_wheel_is_named() {
        for missing in FILES.iter().filter(|file| !file.ends_with("METADATA")) {
            let rest: Vec<&str> = FILES
                .iter()
                .copied()
                .filter(|file| file != missing)
                .collect();
            let found = faults(NAME, &rest);
            assert_eq!(found.len(), 1, "{missing}: {found:?}");
        }
    }

    #[test]
    fn what_does_not_belong_in_a_wheel_is_named() {
        for stray in [
            "cipherblas/tests/test_arrays.py",
            "cipherblas/test_arrays.py",
            "cipherblas/conftest.py",
            "tests/data.npz",
            "cipherblas/__pycache__/a.pyc",
            "cipherblas/_core.so",
        ] {
            let files: Vec<&str> = FILES.iter().copied().chain([stray]).collect();
            let found = faults(NAME, &files);
            assert_eq!(found.len(), 1, "{stray}: {found:?}");
        }
    }
}
