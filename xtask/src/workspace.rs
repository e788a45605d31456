//! The workspace as `cargo metadata` describes it.

use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::process::Command;

/// One package of the workspace.
#[derive(Debug, Clone, Default)]
pub(crate) struct Package {
    pub(crate) name: String,
    /// Directory of its manifest.
    pub(crate) dir: PathBuf,
    /// Whether it is meant for a registry.
    pub(crate) publishable: bool,
    /// Names of the workspace packages it needs to be built (normal and build dependencies).
    pub(crate) needs: BTreeSet<String>,
    /// Names of the workspace packages its tests, examples and benchmarks need on top.
    pub(crate) dev_needs: BTreeSet<String>,
    /// Everything that is linked into it: normal and build dependencies, transitively, default features.
    pub(crate) closure: BTreeSet<String>,
    /// Names of its examples.
    pub(crate) examples: Vec<String>,
    /// Names of its benchmarks.
    pub(crate) benches: Vec<String>,
}

/// The workspace.
#[derive(Debug)]
pub(crate) struct Workspace {
    pub(crate) packages: Vec<Package>,
}

/// The directory of the workspace's `Cargo.toml`.
pub(crate) fn root() -> PathBuf {
    let manifest = std::env::var_os("CARGO_MANIFEST_DIR")
        .map_or_else(|| env!("CARGO_MANIFEST_DIR").into(), PathBuf::from);
    manifest
        .parent()
        .map_or_else(|| ".".into(), Path::to_path_buf)
}

/// The cargo that runs this program.
pub(crate) fn cargo() -> Command {
    let mut command = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    command.current_dir(root());
    command
}

impl Workspace {
    /// Asks cargo.
    pub(crate) fn load() -> Result<Self, String> {
        let output = cargo()
            .args(["metadata", "--format-version=1"])
            .stderr(std::process::Stdio::inherit())
            .output()
            .map_err(|e| format!("cargo metadata: {e}"))?;
        if !output.status.success() {
            return Err(format!("cargo metadata: {}", output.status));
        }
        Self::from_json(
            &serde_json::from_slice(&output.stdout).map_err(|e| format!("cargo metadata: {e}"))?,
        )
    }

    /// Reads the output of `cargo metadata --format-version=1`.
    pub(crate) fn from_json(metadata: &Value) -> Result<Self, String> {
        let members: BTreeSet<&str> = array(metadata, "workspace_members")?
            .iter()
            .filter_map(Value::as_str)
            .collect();
        let mut names = BTreeMap::new();
        for package in array(metadata, "packages")? {
            names.insert(text(package, "id")?, text(package, "name")?);
        }
        let nodes: BTreeMap<&str, &Value> = array(&metadata["resolve"], "nodes")?
            .iter()
            .map(|node| Ok((text(node, "id")?, node)))
            .collect::<Result<_, String>>()?;

        let mut packages = Vec::new();
        for package in array(metadata, "packages")? {
            let id = text(package, "id")?;
            if !members.contains(id) {
                continue;
            }
            let in_workspace = |ids: BTreeSet<&str>| -> BTreeSet<String> {
                ids.iter()
                    .filter(|id| members.contains(*id))
                    .map(|id| names[id].to_owned())
                    .collect()
            };
            let targets = |kind: &str| -> Result<Vec<String>, String> {
                let mut found = Vec::new();
                for target in array(package, "targets")? {
                    if array(target, "kind")?.iter().any(|k| k == kind) {
                        found.push(text(target, "name")?.to_owned());
                    }
                }
                Ok(found)
            };
            packages.push(Package {
                name: text(package, "name")?.to_owned(),
                dir: Path::new(text(package, "manifest_path")?)
                    .parent()
                    .map_or_else(PathBuf::new, Path::to_path_buf),
                publishable: !package["publish"].as_array().is_some_and(Vec::is_empty),
                needs: in_workspace(dependencies(nodes[id], false)?),
                dev_needs: in_workspace(dependencies(nodes[id], true)?),
                closure: closure(id, &nodes)?
                    .iter()
                    .map(|id| names[id].to_owned())
                    .collect(),
                examples: targets("example")?,
                benches: targets("bench")?,
            });
        }
        packages.sort_by(|a, b| a.name.cmp(&b.name));
        Ok(Self { packages })
    }
}

/// The ids that a node of the resolved graph depends on: for its tests (`dev`), or to be built.
fn dependencies(node: &Value, dev: bool) -> Result<BTreeSet<&str>, String> {
    let mut found = BTreeSet::new();
    for dependency in array(node, "deps")? {
        if array(dependency, "dep_kinds")?
            .iter()
            .any(|kind| (kind["kind"] == "dev") == dev)
        {
            found.insert(text(dependency, "pkg")?);
        }
    }
    Ok(found)
}

/// All ids reachable from `id` without dev-dependencies.
fn closure<'a>(
    id: &'a str,
    nodes: &BTreeMap<&'a str, &'a Value>,
) -> Result<BTreeSet<&'a str>, String> {
    let (mut seen, mut open) = (BTreeSet::new(), vec![id]);
    while let Some(next) = open.pop() {
        for dependency in dependencies(nodes[next], false)? {
            if seen.insert(dependency) {
                open.push(dependency);
            }
        }
    }
    Ok(seen)
}

fn array<'a>(value: &'a Value, key: &str) -> Result<&'a [Value], String> {
    value[key]
        .as_array()
        .map(Vec::as_slice)
        .ok_or_else(|| format!("cargo metadata: no list {key:?}"))
}

fn text<'a>(value: &'a Value, key: &str) -> Result<&'a str, String> {
    value[key]
        .as_str()
        .ok_or_else(|| format!("cargo metadata: no text {key:?}"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn dev_dependencies_are_kept_apart_and_outside_packages_only_in_the_closure() {
        let dep = |pkg: &str, kind: Value| json!({"pkg": pkg, "dep_kinds": [{"kind": kind, "target": null}]});
        let package = |name: &str, targets: Value| json!({"id": name, "name": name, "manifest_path": format!("/w/{name}/Cargo.toml"), "publish": null, "targets": targets});
        let metadata = json!({
            "workspace_members": ["a", "b"],
            "packages": [
                package("a", json!([{"name": "demo", "kind": ["example"]}, {"name": "speed", "kind": ["bench"]}])),
                package("b", json!([])), package("x", json!([])), package("y", json!([])), package("z", json!([]))
            ],
            "resolve": {"nodes": [
                {"id": "a", "deps": [dep("b", Value::Null), dep("z", json!("dev"))]},
                {"id": "b", "deps": [dep("x", json!("build")), dep("a", json!("dev"))]},
                {"id": "x", "deps": [dep("y", Value::Null)]},
                {"id": "y", "deps": []}, {"id": "z", "deps": []}
            ]}
        });
        let workspace = Workspace::from_json(&metadata).unwrap();
        let [a, b] = workspace.packages.as_slice() else {
            panic!("two members")
        };
        assert_eq!(a.needs, BTreeSet::from(["b".to_owned()]));
        assert!(a.dev_needs.is_empty(), "z is not of the workspace");
        assert_eq!(a.closure, ["b", "x", "y"].map(str::to_owned).into());
        assert_eq!(
            (a.examples.as_slice(), a.benches.as_slice()),
            (&["demo".to_owned()][..], &["speed".to_owned()][..])
        );
        assert_eq!(b.dev_needs, BTreeSet::from(["a".to_owned()]));
        assert_eq!(b.needs, BTreeSet::new());
    }

    #[test]
    fn other_json_is_an_error() {
        assert!(Workspace::from_json(&json!({})).is_err());
    }
}
