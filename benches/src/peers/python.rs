//! Libraries for Python, in a process that takes times when asked: it greets with their versions, then answers
//! requests, one line each (`peers/*.py`, `peers/python`). Any program that does so will do.

use crate::compare::{Absent, Entry};
use crate::contender::{Clock, Contender};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::sync::{Arc, Mutex};

/// The Python process.
pub struct Server {
    child: Child,
    requests: Option<ChildStdin>,
    answers: BufReader<ChildStdout>,
    versions: BTreeMap<String, String>,
    absent: BTreeMap<String, String>,
}

impl Server {
    /// Starts `script` with the interpreter `python` for libraries that may use `threads` threads.
    ///
    /// # Errors
    /// If it does not start or does not greet.
    pub fn start(python: &Path, script: &Path, threads: usize) -> Result<Self, String> {
        let mut child = Command::new(python)
            .arg(script)
            .arg(threads.to_string())
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
            versions: BTreeMap::new(),
            absent: BTreeMap::new(),
        };
        let greeting = server.answer()?;
        server.versions =
            texts(&greeting["versions"]).ok_or_else(|| format!("unknown greeting {greeting}"))?;
        server.absent = texts(&greeting["absent"]).unwrap_or_default();
        Ok(server)
    }

    /// The same without the libraries that could not be installed, each with the reason.
    #[must_use]
    pub fn without(mut self, libraries: &BTreeMap<String, String>) -> Self {
        for (library, reason) in libraries {
            self.versions.remove(library);
            self.absent.insert(library.clone(), reason.clone());
        }
        self
    }

    /// The version of a library, or why it is not there.
    ///
    /// # Errors
    /// As the script says it.
    pub fn version(&self, library: &str) -> Result<String, String> {
        let reason = || {
            self.absent
                .get(library)
                .cloned()
                .unwrap_or_else(|| format!("the script does not know {library}"))
        };
        self.versions.get(library).cloned().ok_or_else(reason)
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

/// An object whose values are texts.
fn texts(object: &Value) -> Option<BTreeMap<String, String>> {
    let entry = |(key, value): (&String, &Value)| Some((key.clone(), value.as_str()?.to_owned()));
    object.as_object()?.iter().map(entry).collect()
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

/// One operation of a library.
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

    fn set_clock(&mut self, clock: Clock) {
        self.request["clock"] = match clock {
            Clock::Wall => json!("wall"),
            Clock::Processor => json!("processor"),
        };
    }
}

/// The operation `request` of `library`, by the name that `name` makes of its version.
pub fn contender(
    link: &Link,
    library: &str,
    name: impl Fn(&str) -> String,
    request: Value,
    note: &str,
) -> Entry {
    let absent = |reason| Absent {
        name: name("").trim_end().to_owned(),
        reason,
    };
    let server = link.as_ref().map_err(|reason| absent(reason.clone()))?;
    let version = match server.lock() {
        Ok(server) => server.version(library).map_err(absent)?,
        Err(_) => return Err(absent("an earlier request failed badly".into())),
    };
    Ok(Box::new(Remote {
        name: name(&version),
        note: note.into(),
        server: Arc::clone(server),
        request,
    }))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A shell in the place of Python: greets, then answers every line alike.
    fn server(answer: &str) -> Link {
        let folder = std::env::temp_dir().join(format!("cipherblas-bench-{}", std::process::id()));
        std::fs::create_dir_all(&folder).unwrap();
        let script = folder.join(format!("{}.sh", answer.len()));
        let greeting = r#"{"versions": {"lib": "9.9"}, "absent": {"other": "no wheel"}}"#;
        let text = format!("echo '{greeting}'\nwhile read line; do echo '{answer}'; done\n");
        std::fs::write(&script, text).unwrap();
        Server::start(Path::new("sh"), &script, 1).map(|server| Arc::new(Mutex::new(server)))
    }

    fn of(link: &Link, library: &str) -> Entry {
        let name = |version: &str| format!("{library} {version}");
        contender(link, library, name, json!({"op": "x"}), "as told")
    }

    #[test]
    fn times_errors_and_nonsense() {
        let mut good = of(&server(r#"{"ms": [2.5, 3], "note": "N"}"#), "lib").unwrap();
        assert_eq!(good.sample(0.1), Ok(vec![2.5, 3.0]));
        assert_eq!(good.sample(0.1), Ok(vec![2.5, 3.0]));
        assert_eq!((good.name(), good.note()), ("lib 9.9", "as told, N"));
        let mut bad = of(&server(r#"{"error": "no such thing"}"#), "lib").unwrap();
        assert_eq!(bad.sample(0.1), Err("no such thing".into()));
        let mut odd = of(&server(r#"{"ms": []}"#), "lib").unwrap();
        assert!(odd.sample(0.1).unwrap_err().contains("no times"));
    }

    #[test]
    fn what_is_not_there_is_absent_with_its_reason() {
        let start = |python, script| {
            Server::start(Path::new(python), Path::new(script), 1).map(|s| Arc::new(Mutex::new(s)))
        };
        let absent = of(&start("/nonexistent/python", "x.py"), "lib")
            .err()
            .unwrap();
        assert!(absent.reason.contains("/nonexistent/python"));
        let absent = of(&start("true", "x"), "lib").err().unwrap();
        assert_eq!(absent.reason, "the Python process ended");
        let link = server("{}");
        let absent = of(&link, "other").err().unwrap();
        assert_eq!(
            (absent.name.as_str(), absent.reason.as_str()),
            ("other", "no wheel")
        );
        assert!(of(&link, "third").err().unwrap().reason.contains("third"));
        let server = Arc::into_inner(link.unwrap())
            .unwrap()
            .into_inner()
            .unwrap();
        let uninstalled = [("lib".to_owned(), "no network".to_owned())].into();
        let link = Ok(Arc::new(Mutex::new(server.without(&uninstalled))));
        assert_eq!(of(&link, "lib").err().unwrap().reason, "no network");
    }
}
