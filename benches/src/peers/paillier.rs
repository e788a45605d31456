//! `phe`, `sf-heu` and `pypaillier` (`peers/paillier_peers.py`). They are run as their users run them; nothing of
//! theirs is linked or copied.

use super::python::{self, Link};
use crate::compare::Entry;
use serde_json::json;

/// A way to do Paillier with a library for Python: how the script knows it, the library, what tells it from others.
struct Way {
    id: &'static str,
    library: &'static str,
    label: &'static str,
    threads: bool,
}

const WAYS: [Way; 5] = [
    Way {
        id: "phe",
        library: "phe",
        label: ", numbers",
        threads: false,
    },
    Way {
        id: "phe, raw",
        library: "phe",
        label: ", raw",
        threads: false,
    },
    Way {
        id: "sf-heu",
        library: "sf-heu",
        label: " ZPaillier",
        threads: false,
    },
    Way {
        id: "sf-heu, IPCL",
        library: "sf-heu",
        label: " IPCL",
        threads: false,
    },
    Way {
        id: "pypaillier",
        library: "pypaillier",
        label: "",
        threads: true,
    },
];

/// Whether the row of an operation has this contender: IPCL is the fastest peer in decryption, and only there.
fn takes_part(way: &Way, operation: &str) -> bool {
    way.id != "sf-heu, IPCL" || operation == "decrypt"
}

/// What a reader must know of how a library encrypts.
fn encryption(library: &str) -> &'static str {
    match library {
        "phe" => "full r^n",
        _ => "short exponent",
    }
}

/// Everybody's `operation` (`encrypt`, ..., `matvec256`) with a key of `bits` bits.
pub fn contenders(link: &Link, operation: &str, bits: usize, threads: usize) -> Vec<Entry> {
    let contender = |way: &Way| {
        let mut notes = Vec::new();
        if operation == "encrypt" {
            notes.push(encryption(way.library));
        }
        // The rows of sf-heu's product say their threads themselves.
        let rows = way.library == "sf-heu" && operation == "matvec256";
        if threads > 1 && !way.threads && !rows {
            notes.push("one thread");
        }
        let request = json!({"op": operation, "library": way.id, "bits": bits});
        let name = |version: &str| match version {
            "" => format!("{}{}", way.library, way.label),
            version => format!("{} {version}{}", way.library, way.label),
        };
        python::contender(link, way.library, name, request, &notes.join(", "))
    };
    WAYS.iter()
        .filter(|way| takes_part(way, operation))
        .map(contender)
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nobody_is_dropped_when_there_is_no_python() {
        let link: Link = Err("no interpreter".into());
        let names = |operation| -> Vec<String> {
            contenders(&link, operation, 2048, 1)
                .into_iter()
                .map(|entry| entry.err().unwrap())
                .map(|absent| format!("{}: {}", absent.name, absent.reason))
                .collect()
        };
        assert_eq!(
            names("add"),
            [
                "phe, numbers: no interpreter",
                "phe, raw: no interpreter",
                "sf-heu ZPaillier: no interpreter",
                "pypaillier: no interpreter"
            ]
        );
        assert_eq!(names("decrypt").len(), 5);
    }
}
