//! `cargo deny`, installed below `target/tools` where it is missing.

use crate::runner::{Counts, Outcome, check};
use crate::workspace::{cargo, root};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// The release that is installed where none is found; any of the same minor version is used as it is.
const VERSION: &str = "0.19.9";

const DATABASE: &str = "https://github.com/RustSec/advisory-db";

/// The program: from the path, from an earlier installation, or installed now.
pub(crate) fn install() -> Result<PathBuf, String> {
    let tools = root().join("target/tools");
    let own = tools.join("bin/cargo-deny");
    if let Some(found) = [PathBuf::from("cargo-deny"), own.clone()]
        .into_iter()
        .find(|program| usable(program))
    {
        return Ok(found);
    }
    println!("cargo-deny {VERSION} is not installed: building it (some minutes, once)");
    // Unoptimized: it compiles in half the time and runs for a second or two.
    let status = cargo()
        .args([
            "install",
            "--quiet",
            "--locked",
            "--debug",
            "--no-default-features",
            "cargo-deny",
            "--version",
            VERSION,
        ])
        .arg("--root")
        .arg(&tools)
        .arg("--target-dir")
        .arg(tools.join("build"))
        .env("CARGO_PROFILE_DEV_DEBUG", "0")
        .status()
        .map_err(|error| format!("cargo install: {error}"))?;
    // The build folder is half a gigabyte that nobody needs again.
    let _ = std::fs::remove_dir_all(tools.join("build"));
    if status.success() && usable(&own) {
        Ok(own)
    } else {
        Err(format!("cargo install cargo-deny: {status}"))
    }
}

fn usable(program: &Path) -> bool {
    let output = Command::new(program)
        .arg("--version")
        .stderr(Stdio::null())
        .output();
    output.is_ok_and(|output| {
        output.status.success() && same_minor(&String::from_utf8_lossy(&output.stdout))
    })
}

/// Whether `cargo-deny 0.19.3` has the minor version of [`VERSION`].
fn same_minor(output: &str) -> bool {
    let minor = |version: &str| version.splitn(3, '.').take(2).collect::<Vec<_>>().join(".");
    output
        .split_whitespace()
        .nth(1)
        .is_some_and(|version| minor(version) == minor(VERSION))
}

/// Licences, bans and sources; they need no network.
pub(crate) fn offline_checks() -> Outcome {
    match install() {
        Ok(program) => check(deny(&program).args([
            "check",
            "--hide-inclusion-graph",
            "licenses",
            "bans",
            "sources",
        ])),
        Err(reason) => Outcome::Failed(Counts::default(), reason),
    }
}

/// Known vulnerabilities, where the advisory database can be reached.
pub(crate) fn advisories() -> Outcome {
    let reachable = Command::new("git")
        .args([
            "-c",
            "http.lowSpeedLimit=1000",
            "-c",
            "http.lowSpeedTime=15",
            "ls-remote",
            "--quiet",
            DATABASE,
            "HEAD",
        ])
        .env("GIT_TERMINAL_PROMPT", "0")
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status()
        .is_ok_and(|status| status.success());
    if !reachable {
        return Outcome::Skipped(format!("offline: {DATABASE} cannot be reached"));
    }
    match install() {
        Ok(program) => check(deny(&program).args(["check", "advisories"])),
        Err(reason) => Outcome::Failed(Counts::default(), reason),
    }
}

fn deny(program: &Path) -> Command {
    let mut command = Command::new(program);
    // Every package of the workspace, not the facade alone.
    command.current_dir(root()).arg("--workspace");
    command
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_minor_version_counts() {
        assert!(same_minor(&format!("cargo-deny {VERSION}\n")));
        assert!(same_minor("cargo-deny 0.19.0"));
        assert!(!same_minor("cargo-deny 0.1.9"));
        assert!(!same_minor("cargo-deny 0.18.9"));
        assert!(!same_minor(""));
    }
}
