//! Virtual environments for Python below `target/`: made where they are missing, made again when their pins change.

use std::path::{Path, PathBuf};
use std::process::Command;

/// The oldest Python that the package supports.
const OLDEST: (u32, u32) = (3, 10);

/// The interpreter that environments are made with: what `CIPHERBLAS_PYTHON` names, or `python3`.
fn interpreter() -> String {
    std::env::var("CIPHERBLAS_PYTHON").unwrap_or_else(|_| "python3".into())
}

/// The version of an interpreter, as it says itself; an error says what to install.
fn version(python: &str) -> Result<String, String> {
    let (major, minor) = OLDEST;
    let advice =
        format!("install Python {major}.{minor} or later, or name one in CIPHERBLAS_PYTHON");
    let output = Command::new(python)
        .args(["-c", "import sys; print(sys.executable, sys.version)"])
        .output()
        .map_err(|error| format!("{python}: {error}: {advice}"))?;
    let said = String::from_utf8_lossy(&output.stdout).trim().to_owned();
    if !output.status.success() {
        return Err(format!("{python}: {}: {advice}", output.status));
    }
    let found = said.split_whitespace().nth(1).unwrap_or_default();
    if !recent(found) {
        return Err(format!("{python}: got Python {found:?}: {advice}"));
    }
    quiet(Command::new(python).args(["-c", "import ensurepip, venv"])).map_err(|reason| {
        format!("{reason}: install the venv module (Debian and Ubuntu: apt install python3-venv)")
    })?;
    Ok(said)
}

/// Whether a version such as `3.11.7` is one that the package supports.
fn recent(version: &str) -> bool {
    let mut numbers = version.split('.').map_while(|part| part.parse().ok());
    matches!((numbers.next(), numbers.next()), (Some(major), Some(minor)) if (major, minor) >= OLDEST)
}

/// The interpreter of an environment, made where it is missing.
pub(crate) fn existing(folder: &Path) -> Result<PathBuf, String> {
    let python = folder.join("bin/python");
    if quiet(Command::new(&python).args(["-c", ""])).is_err() {
        return fresh(folder);
    }
    Ok(python)
}

/// The interpreter of an environment that has nothing but pip.
pub(crate) fn fresh(folder: &Path) -> Result<PathBuf, String> {
    let python = interpreter();
    version(&python)?;
    quiet(
        Command::new(&python)
            .args(["-m", "venv", "--clear"])
            .arg(folder),
    )?;
    Ok(folder.join("bin/python"))
}

/// The interpreter of an environment with exactly what a file of pins lists. It is made again when the pins or the interpreter
/// have changed since.
pub(crate) fn pinned(folder: &Path, pins: &Path) -> Result<PathBuf, String> {
    let python = folder.join("bin/python");
    let stamp = folder.join("pins.txt");
    let wanted =
        std::fs::read_to_string(pins).map_err(|error| format!("{}: {error}", pins.display()))?;
    let wanted = format!(
        "# {}\n{wanted}",
        version(&interpreter())?.replace('\n', " ")
    );
    let found = std::fs::read_to_string(&stamp).unwrap_or_default();
    if found == wanted && quiet(Command::new(&python).args(["-c", ""])).is_ok() {
        return Ok(python);
    }
    println!(
        "installing {} (a minute, once)",
        pins.file_name().unwrap_or_default().to_string_lossy()
    );
    fresh(folder)?;
    quiet(pip(&python).arg("--requirement").arg(pins))?;
    std::fs::write(&stamp, wanted).map_err(|error| format!("{}: {error}", stamp.display()))?;
    Ok(python)
}

/// `pip install`, of wheels only: the machine may have no compilers for what others wrote.
pub(crate) fn pip(python: &Path) -> Command {
    let mut command = Command::new(python);
    command.args([
        "-m",
        "pip",
        "install",
        "--quiet",
        "--only-binary",
        ":all:",
        "--disable-pip-version-check",
    ]);
    command
}

/// Runs a command; its last line of complaint is the error.
pub(crate) fn quiet(command: &mut Command) -> Result<(), String> {
    let name = command.get_program().to_string_lossy().into_owned();
    let output = command
        .output()
        .map_err(|error| format!("{name}: {error}"))?;
    if output.status.success() {
        return Ok(());
    }
    let complaint = String::from_utf8_lossy(&output.stderr);
    let last = complaint
        .lines()
        .rfind(|line| !line.trim().is_empty())
        .unwrap_or("no message")
        .to_owned();
    Err(format!(
        "{}: {last}",
        Path::new(&name)
            .file_name()
            .map_or(name.clone(), |n| n.to_string_lossy().into_owned())
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn old_versions_are_refused() {
        assert!(recent("3.10.0"));
        assert!(recent("3.14.0rc1"));
        assert!(recent("4.0"));
        for old in ["3.9.18", "2.7.18", "3", ""] {
            assert!(!recent(old), "{old:?}");
        }
    }

    #[test]
    fn a_missing_interpreter_says_what_to_install() {
        let error = version("/nonexistent/python3").unwrap_err();
        assert!(error.contains("install Python 3.10 or later"), "{error}");
    }

    #[test]
    fn a_failing_command_says_why() {
        let error =
            quiet(Command::new("sh").args(["-c", "echo first >&2; echo the reason >&2; exit 3"]))
                .unwrap_err();
        assert_eq!(error, "sh: the reason");
        assert!(quiet(&mut Command::new("/nonexistent/program")).is_err());
    }
}
