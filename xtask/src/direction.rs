//! Dependencies point one way, and `unsafe` stays in one crate.

use crate::workspace::{Package, Workspace, root};
use std::path::{Path, PathBuf};

/// Which workspace crates a crate may be built on (its tests may use more).
const MAY_NEED: &[(&str, &[&str])] = &[
    ("cipherblas-math", &[]),
    ("cipherblas-scheme", &[]),
    ("cipherblas-rlwe", &["cipherblas-math", "cipherblas-scheme"]),
    (
        "cipherblas-paillier",
        &["cipherblas-math", "cipherblas-scheme"],
    ),
    (
        "cipherblas-bfv",
        &["cipherblas-math", "cipherblas-rlwe", "cipherblas-scheme"],
    ),
    (
        "cipherblas-ckks",
        &["cipherblas-math", "cipherblas-rlwe", "cipherblas-scheme"],
    ),
    ("cipherblas-tfhe", &["cipherblas-scheme"]),
    ("cipherblas-linalg", &["cipherblas-scheme"]),
    (
        "cipherblas-models",
        &["cipherblas-linalg", "cipherblas-scheme"],
    ),
    (
        "cipherblas",
        &[
            "cipherblas-bfv",
            "cipherblas-ckks",
            "cipherblas-linalg",
            "cipherblas-models",
            "cipherblas-paillier",
            "cipherblas-scheme",
            "cipherblas-tfhe",
        ],
    ),
    (
        "cipherblas-bench",
        &[
            "cipherblas",
            "cipherblas-bfv",
            "cipherblas-ckks",
            "cipherblas-linalg",
            "cipherblas-math",
            "cipherblas-models",
            "cipherblas-paillier",
            "cipherblas-rlwe",
            "cipherblas-scheme",
            "cipherblas-tfhe",
        ],
    ),
    ("cipherblas-python", &["cipherblas", "cipherblas-math"]),
    ("xtask", &[]),
];

/// Crates that nothing may need, not even a test.
const LEAVES: &[&str] = &["cipherblas-bench", "cipherblas-python", "xtask"];

/// The only crates with `unsafe` code.
const UNSAFE: &[&str] = &["cipherblas-math"];

/// The only folders with `unsafe` code in other crates: kernels of arithmetic.
const UNSAFE_FOLDERS: &[&str] = &["crates/paillier/src/arith"];

/// Oracles and peers: for tests and benchmarks, never linked into what is published.
const NEVER_LINKED: &[&str] = &[
    "concrete-ntt",
    "tfhe-ntt",
    "fhe",
    "fhe-math",
    "fhe-traits",
    "fhe-util",
];

/// All violations, one sentence each.
pub(crate) fn violations(workspace: &Workspace) -> Result<Vec<String>, String> {
    let mut found = edges(&workspace.packages);
    let manifest = read(&root().join("Cargo.toml"))?;
    if setting(&manifest, "workspace.lints.rust", "unsafe_code") != Some("\"deny\"") {
        found.push("Cargo.toml: [workspace.lints.rust] must have unsafe_code = \"deny\"".into());
    }
    for package in &workspace.packages {
        if UNSAFE.contains(&package.name.as_str()) {
            continue;
        }
        if setting(
            &read(&package.dir.join("Cargo.toml"))?,
            "lints",
            "workspace",
        ) != Some("true")
        {
            found.push(format!(
                "{}: [lints] must have workspace = true",
                package.name
            ));
        }
        for folder in ["src", "tests", "benches", "examples"] {
            for file in sources(&package.dir.join(folder)) {
                let kernels = UNSAFE_FOLDERS
                    .iter()
                    .any(|folder| file.starts_with(root().join(folder)));
                if !kernels && loosens(&read(&file)?) {
                    found.push(format!(
                        "{} loosens the lint on unsafe code; that belongs in math",
                        file.display()
                    ));
                }
            }
        }
    }
    Ok(found)
}

fn edges(packages: &[Package]) -> Vec<String> {
    let mut found = Vec::new();
    for package in packages {
        let Some((_, allowed)) = MAY_NEED.iter().find(|(name, _)| *name == package.name) else {
            found.push(format!(
                "{}: a new crate; say in xtask/src/direction.rs what it may depend on",
                package.name
            ));
            continue;
        };
        for need in &package.needs {
            if !allowed.contains(&need.as_str()) {
                found.push(format!(
                    "{} depends on {need}; allowed: {allowed:?}",
                    package.name
                ));
            }
        }
        for need in package.needs.iter().chain(&package.dev_needs) {
            if LEAVES.contains(&need.as_str()) {
                found.push(format!(
                    "{} depends on {need}, which nothing may depend on",
                    package.name
                ));
            }
        }
        if package.publishable {
            for peer in NEVER_LINKED
                .iter()
                .filter(|peer| package.closure.contains(**peer))
            {
                found.push(format!(
                    "{} links {peer}, which is for tests and benchmarks only",
                    package.name
                ));
            }
        }
    }
    found
}

/// The text after `key =` in a section of a manifest, as written.
fn setting<'a>(manifest: &'a str, section: &str, key: &str) -> Option<&'a str> {
    let mut inside = false;
    for line in manifest.lines().map(str::trim) {
        if let Some(name) = line
            .strip_prefix('[')
            .and_then(|line| line.strip_suffix(']'))
        {
            inside = name.trim() == section;
        } else if inside
            && let Some((name, value)) = line.split_once('=')
            && name.trim() == key
        {
            return Some(value.split('#').next().unwrap_or_default().trim());
        }
    }
    None
}

/// Whether an attribute of this source lowers the lint.
fn loosens(source: &str) -> bool {
    let lint = concat!("unsafe", "_code");
    source
        .lines()
        .map(str::trim)
        .any(|line| line.starts_with('#') && line.contains(lint) && !line.contains("forbid"))
}

fn sources(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(folder).into_iter().flatten().flatten() {
        let path = entry.path();
        if path.is_dir() {
            found.extend(sources(&path));
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            found.push(path);
        }
    }
    found
}

fn read(path: &Path) -> Result<String, String> {
    std::fs::read_to_string(path).map_err(|error| format!("{}: {error}", path.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn package(name: &str, needs: &[&str], dev_needs: &[&str], closure: &[&str]) -> Package {
        let set = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect();
        Package {
            name: name.into(),
            publishable: true,
            needs: set(needs),
            dev_needs: set(dev_needs),
            closure: set(closure),
            ..Package::default()
        }
    }

    #[test]
    fn the_workspace_itself_is_clean() {
        assert_eq!(
            violations(&Workspace::load().unwrap()).unwrap(),
            Vec::<String>::new()
        );
    }

    #[test]
    fn the_table_has_no_cycle() {
        fn below(name: &str, depth: usize) -> bool {
            let needs = MAY_NEED
                .iter()
                .find(|(crate_name, _)| *crate_name == name)
                .expect("every name has a row")
                .1;
            depth < MAY_NEED.len() && needs.iter().all(|need| below(need, depth + 1))
        }
        assert!(MAY_NEED.iter().all(|(name, _)| below(name, 0)));
    }

    #[test]
    fn upward_edges_are_found_and_dev_edges_allowed() {
        let linalg = package(
            "cipherblas-linalg",
            &["cipherblas-scheme"],
            &["cipherblas-ckks"],
            &["cipherblas-scheme"],
        );
        assert!(edges(&[linalg]).is_empty());
        let linalg = package("cipherblas-linalg", &["cipherblas-ckks"], &[], &[]);
        assert_eq!(
            edges(&[linalg]),
            ["cipherblas-linalg depends on cipherblas-ckks; allowed: [\"cipherblas-scheme\"]"]
        );
        let math = package("cipherblas-math", &["cipherblas-rlwe"], &[], &[]);
        assert_eq!(edges(&[math]).len(), 1);
    }

    #[test]
    fn leaves_peers_and_unknown_crates_are_found() {
        assert_eq!(
            edges(&[package("cipherblas-math", &[], &["cipherblas-bench"], &[])]).len(),
            1
        );
        assert_eq!(
            edges(&[package("cipherblas-math", &[], &[], &["tfhe-ntt"])]).len(),
            1
        );
        assert_eq!(edges(&[package("cipherblas-news", &[], &[], &[])]).len(), 1);
        let bench = Package {
            publishable: false,
            ..package("cipherblas-bench", &[], &[], &["tfhe-ntt"])
        };
        assert!(edges(&[bench]).is_empty());
    }

    #[test]
    fn settings_are_read_from_their_own_section() {
        let manifest = "[a]\nworkspace = false\n[lints]\nworkspace = true # all\n[b]\nx = 1\n";
        assert_eq!(setting(manifest, "lints", "workspace"), Some("true"));
        assert_eq!(setting(manifest, "lints", "x"), None);
        assert_eq!(setting(manifest, "b", "x"), Some("1"));
    }

    #[test]
    fn loosened_lints_are_found() {
        assert!(loosens(concat!("  #[allow(unsafe", "_code)]")));
        assert!(loosens(concat!("#![expect(unsafe", "_code)]")));
        assert!(!loosens(concat!("#![forbid(unsafe", "_code)]")));
        assert!(!loosens("fn main() {}"));
    }
}
