//! SEAL's own calls and TenSEAL's vectors (`peers/seal.py`).

use super::python::{self, Link};
use crate::compare::Entry;
use serde_json::json;

/// SEAL's own call for `operation` (`ntt`, `ckks/rotate`, ...) at a degree. It runs on one thread, whatever is asked.
pub fn seal(link: &Link, operation: &str, degree: usize, threads: usize) -> Entry {
    let note = if threads > 1 {
        "its calls run on one thread"
    } else {
        ""
    };
    let request = json!({"op": operation, "degree": degree});
    let name = |version: &str| format!("SEAL (tenseal.sealapi {version})");
    python::contender(link, "tenseal", name, request, note)
}

/// TenSEAL's vector call for `operation` (`ckks/dot`, `linalg/vec...`), with its own threads.
pub fn tenseal(link: &Link, operation: &str, threads: usize) -> Entry {
    let request = json!({"op": operation, "threads": threads});
    let name = |version: &str| format!("TenSEAL {version}");
    python::contender(link, "tenseal", name, request, "")
}
