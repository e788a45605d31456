//! SEAL and TenSEAL, in a Python process that takes times when asked (`peers/seal.py`).

use crate::compare::{Absent, Entry};
use crate::contender::Contender;
use serde_json::{Value, json};
use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::sync::{Arc, Mutex};

/// The Python process.
pub struct Server {
    child: Child,
    requests: Option<ChildStdin>,
    answers: BufReader<ChildStdout>,
    version: String,
}

impl Server {
    /// Starts `script` with the interpreter `python`, into which `tenseal` is installed.
    ///
    /// # Errors
    /// If it does not start or does not greet.
    pub fn start(python: &Path, script: &Path) -> Result<Self, String> {
        let mut child = Command::new(python)
            .arg(script)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .map_err(|error| format!("{}: {error}", python.display()))?;
        let (Some(requests), Some(answers)) = (child.stdin.take(), child.stdout.take()) else {
            return Err("no pipe to the Python process".into());
        };
        let answers = BufReader::new(answers);
        let mut server = Self {
            child,
            requests: Some(requests),
            answers,
            version: String::new(),
        };
        let greeting = server.answer()?;
        server.version = greeting["tenseal"]
            .as_str()
            .ok_or_else(|| format!("unknown greeting {greeting}"))?
            .to_owned();
        Ok(server)
    }

    fn answer(&mut self) -> Result<Value, String> {
        let mut line = String::new();
        match self.answers.read_line(&mut line) {
            Ok(0) => Err("the Python process ended".into()),
            Ok(_) => serde_json::from_str(&line).map_err(|error| format!("{error}: {line:?}")),
            Err(error) => Err(error.to_string()),
        }
    }

    /// Times in milliseconds and a note.
    fn ask(&mut self, request: &Value) -> Result<(Vec<f64>, String), String> {
        let requests = self
            .requests
            .as_mut()
            .ok_or("the Python process is stopped")?;
        writeln!(requests, "{request}")
            .and_then(|()| requests.flush())
            .map_err(|error| error.to_string())?;
        let answer = self.answer()?;
        if let Some(error) = answer["error"].as_str() {
            return Err(error.to_owned());
        }
        let times: Option<Vec<f64>> = answer["ms"]
            .as_array()
            .and_then(|ms| ms.iter().map(Value::as_f64).collect());
        match times {
            Some(times) if !times.is_empty() => Ok((
                times,
                answer["note"].as_str().unwrap_or_default().to_owned(),
            )),
            _ => Err(format!("no times in {answer}")),
        }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // At the end of its input the script returns.
        self.requests = None;
        let _ = self.child.wait();
    }
}

/// The process, or why there is none.
pub type Link = Result<Arc<Mutex<Server>>, String>;

/// One operation of SEAL or TenSEAL.
struct Remote {
    name: String,
    note: String,
    server: Arc<Mutex<Server>>,
    request: Value,
}

impl Contender for Remote {
    fn name(&self) -> &str {
        &self.name
    }

    fn note(&self) -> &str {
        &self.note
    }

    fn sample(&mut self, seconds: f64) -> Result<Vec<f64>, String> {
        self.request["seconds"] = json!(seconds);
        let mut server = self
            .server
            .lock()
            .map_err(|_| "an earlier request failed badly".to_owned())?;
        let (times, note) = server.ask(&self.request)?;
        if !self.note.contains(&note) {
            self.note = [self.note.as_str(), &note]
                .into_iter()
                .filter(|n| !n.is_empty())
                .collect::<Vec<_>>()
                .join(", ");
        }
        Ok(times)
    }
}

/// SEAL's own call for `operation` (`ntt`, `ckks/rotate`, ...) at a degree. It runs on one thread, whatever is asked.
pub fn seal(link: &Link, operation: &str, degree: usize, threads: usize) -> Entry {
    let note = if threads > 1 {
        "its calls run on one thread"
    } else {
        ""
    };
    remote(
        link,
        "SEAL",
        json!({"op": operation, "degree": degree}),
        note,
    )
}

/// TenSEAL's vector call for `operation` (`ckks/dot`, `linalg/vec...`), with its own threads.
pub fn tenseal(link: &Link, operation: &str, threads: usize) -> Entry {
    remote(
        link,
        "TenSEAL",
        json!({"op": operation, "threads": threads}),
        "",
    )
}

fn remote(link: &Link, library: &str, request: Value, note: &str) -> Entry {
    match link {
        Ok(server) => {
            let version = server
                .lock()
                .map(|server| server.version.clone())
                .unwrap_or_default();
            let name = if library == "SEAL" {
                format!("SEAL (tenseal.sealapi {version})")
            } else {
                format!("{library} {version}")
            };
            Ok(Box::new(Remote {
                name,
                note: note.into(),
                server: Arc::clone(server),
                request,
            }))
        }
        Err(reason) => Err(Absent {
            name: library.into(),
            reason: reason.clone(),
        }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A shell in the place of Python: greets, then answers every line alike.
    fn server(answer: &str) -> Link {
        let folder = std::env::temp_dir().join(format!("cipherblas-bench-{}", std::process::id()));
        std::fs::create_dir_all(&folder).unwrap();
        let script = folder.join(format!("{}.sh", answer.len()));
        let text =
            format!("echo '{{\"tenseal\": \"9.9\"}}'\nwhile read line; do echo '{answer}'; done\n");
        std::fs::write(&script, text).unwrap();
        Server::start(Path::new("sh"), &script).map(|server| Arc::new(Mutex::new(server)))
    }

    #[test]
    fn times_errors_and_nonsense() {
        let mut good = seal(
            &server(r#"{"ms": [2.5, 3], "note": "N"}"#),
            "ckks/rotate",
            8192,
            2,
        )
        .unwrap();
        assert_eq!(good.sample(0.1), Ok(vec![2.5, 3.0]));
        assert_eq!(good.sample(0.1), Ok(vec![2.5, 3.0]));
        assert_eq!(
            (good.name(), good.note()),
            (
                "SEAL (tenseal.sealapi 9.9)",
                "its calls run on one thread, N"
            )
        );
        let mut bad = tenseal(&server(r#"{"error": "no such thing"}"#), "x", 1).unwrap();
        assert_eq!(bad.sample(0.1), Err("no such thing".into()));
        let mut odd = tenseal(&server(r#"{"ms": []}"#), "x", 1).unwrap();
        assert!(odd.sample(0.1).unwrap_err().contains("no times"));
    }

    #[test]
    fn what_does_not_start_is_absent_with_its_reason() {
        let link: Link = Server::start(Path::new("/nonexistent/python"), Path::new("x.py"))
            .map(|s| Arc::new(Mutex::new(s)));
        let absent = seal(&link, "ntt", 8192, 1).err().unwrap();
        assert!(absent.reason.contains("/nonexistent/python"));
        let link: Link =
            Server::start(Path::new("true"), Path::new("x")).map(|s| Arc::new(Mutex::new(s)));
        assert_eq!(
            tenseal(&link, "x", 1).err().unwrap().reason,
            "the Python process ended"
        );
    }
}
