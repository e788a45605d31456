//! `cargo xtask bench`: Criterion benchmarks, then one program that runs ours and the peers side by side.

use crate::venv::{self, pip, quiet};
use crate::workspace::{Workspace, cargo, root};
use std::path::{Path, PathBuf};
use std::process::Command;

/// A library for Python that is compared with.
struct Peer {
    name: &'static str,
    module: &'static str,
    requirements: &'static [&'static str],
}

/// Each can be missing: its rows then say why.
const PEERS: [Peer; 8] = [
    Peer {
        name: "tenseal",
        module: "tenseal.sealapi",
        requirements: &["tenseal==0.3.18"],
    },
    Peer {
        name: "phe",
        module: "phe",
        requirements: &["phe==1.5.0", "gmpy2==2.3.2"],
    },
    // Wheels up to Python 3.11.
    Peer {
        name: "sf-heu",
        module: "heu.phe",
        requirements: &["sf-heu==0.5.2b0"],
    },
    // Wheels from Python 3.10.
    Peer {
        name: "pypaillier",
        module: "paillier",
        requirements: &["pypaillier==0.8.0"],
    },
    // Plain products, by which encrypted ones are measured.
    Peer {
        name: "numpy",
        module: "numpy",
        requirements: &["numpy==2.4.6"],
    },
    Peer {
        name: "desilofhe",
        module: "desilofhe",
        requirements: &["desilofhe==2.0.0"],
    },
    Peer {
        name: "concrete-ml-extensions",
        module: "concrete_ml_extensions",
        requirements: &["concrete-ml-extensions==0.2.0"],
    },
    // Wheels for Python 3.10 and 3.12; their versions name the system.
    Peer {
        name: "openfhe-numpy",
        module: "openfhe_numpy",
        requirements: &["openfhe-numpy"],
    },
];

/// Builds the wheel of our own package, and what that needs to be imported.
const WHEEL: Peer = Peer {
    name: "maturin",
    module: "tqdm",
    requirements: &["maturin==1.16.0", "tqdm==4.70.1"],
};

/// How the rows begin that need the wheel, and the part of their names by which they are filtered.
const WHEEL_ROWS: &str = "python/";

/// Draws the plot of matrix products.
const PLOTS: Peer = Peer {
    name: "matplotlib",
    module: "matplotlib",
    requirements: &["matplotlib==3.11.2"],
};

/// What to run.
#[derive(Debug, PartialEq)]
pub(crate) struct Options {
    criterion: bool,
    filter: Option<String>,
    threads: Option<usize>,
    processor_time: bool,
    seconds: f64,
    deep: bool,
    plot: Option<PathBuf>,
}

impl Options {
    /// Reads the arguments after `bench`.
    pub(crate) fn parse(arguments: &[&str]) -> Result<Self, String> {
        let mut options = Self {
            criterion: true,
            filter: None,
            threads: None,
            processor_time: false,
            seconds: 1.0,
            deep: false,
            plot: None,
        };
        let mut rest = arguments.iter();
        while let Some(argument) = rest.next() {
            let mut value = || {
                rest.next()
                    .ok_or_else(|| format!("{argument} needs a value"))
            };
            match *argument {
                "--summary" => options.criterion = false,
                "--deep" => options.deep = true,
                "--plot" => options.plot = Some((*value()?).into()),
                "--filter" => options.filter = Some((*value()?).to_owned()),
                "--clock" => {
                    options.processor_time = match *value()? {
                        "wall" => false,
                        "processor" => true,
                        other => {
                            return Err(format!(
                                "--clock: got {other:?}, expected wall or processor"
                            ));
                        }
                    };
                }
                "--threads" => {
                    let text = *value()?;
                    options.threads = match text.parse() {
                        Ok(threads) if threads > 0 => Some(threads),
                        _ => {
                            return Err(format!(
                                "--threads: got {text:?}, expected a number above 0"
                            ));
                        }
                    };
                }
                "--seconds" => {
                    let text = *value()?;
                    options.seconds = match text.parse() {
                        Ok(seconds) if seconds > 0.0 && seconds <= 3600.0 => seconds,
                        _ => {
                            return Err(format!(
                                "--seconds: got {text:?}, expected a number in (0, 3600]"
                            ));
                        }
                    };
                }
                other => return Err(format!("bench: unknown option {other:?}")),
            }
        }
        Ok(options)
    }
}

/// Runs the benchmarks; `true` if all of them ran.
pub(crate) fn run(options: &Options) -> Result<bool, String> {
    let mut complete = true;
    if options.criterion {
        complete &= criterion(&Workspace::load()?)?;
    }
    let folder = root().join("target/bench");
    std::fs::create_dir_all(&folder).map_err(|error| format!("{}: {error}", folder.display()))?;

    let mut summary = cargo();
    summary.args([
        "run",
        "--quiet",
        "--release",
        "--package",
        "cipherblas-bench",
        "--bin",
        "summary",
        "--",
    ]);
    summary
        .arg("--json")
        .arg(folder.join("summary.json"))
        .args(["--seconds", &options.seconds.to_string()]);
    if let Some(filter) = &options.filter {
        summary.args(["--filter", filter]);
    }
    if options.deep {
        summary.arg("--deep");
    }
    if options.processor_time {
        summary.args(["--clock", "processor"]);
    }
    if let Some(threads) = options.threads {
        summary.args(["--threads", &threads.to_string()]);
    }
    let python = venv::existing(&folder.join("venv"));
    match &python {
        Ok(python) => {
            for peer in &PEERS {
                if let Err(reason) = install(python, peer) {
                    println!("{} cannot be compared with: {reason}", peer.name);
                    summary.args(["--absent", &format!("{}={reason}", peer.name)]);
                }
            }
            if let Err(reason) = wheel(python, &folder, options.filter.as_deref()) {
                println!("no Python package to time: {reason}");
                summary.args(["--absent", &format!("cipherblas={reason}")]);
            }
            summary.arg("--python").arg(python)
        }
        Err(reason) => {
            println!("libraries for Python cannot be compared with: {reason}");
            summary.args(["--no-python", reason])
        }
    };
    let status = summary
        .status()
        .map_err(|error| format!("summary: {error}"))?;
    if !status.success() {
        println!("summary: {status}");
    }
    let plot = options.plot.clone();
    let plot = plot.unwrap_or_else(|| folder.join("matrix-products.svg"));
    let drawn = python.and_then(|python| draw(&python, &folder.join("summary.json"), &plot));
    match drawn {
        Ok(()) => println!("plot of matrix products: {}", plot.display()),
        Err(reason) => println!("no plot: {reason}"),
    }
    Ok(complete && status.success())
}

/// Builds the wheel of this tree and installs it, unless `filter` leaves no row that needs it.
fn wheel(python: &Path, folder: &Path, filter: Option<&str>) -> Result<(), String> {
    if !filter.is_none_or(|filter| filter.starts_with(WHEEL_ROWS)) {
        return Err(format!(
            "built for filters that begin with {WHEEL_ROWS} only"
        ));
    }
    install(python, &WHEEL)?;
    let wheels = folder.join("wheels");
    let _ = std::fs::remove_dir_all(&wheels);
    println!("building the wheel");
    let build = [
        "-m",
        "maturin",
        "build",
        "--release",
        "--quiet",
        "--manifest-path",
    ];
    quiet(
        Command::new(python)
            .args(build)
            .arg(root().join("python/Cargo.toml"))
            .arg("--out")
            .arg(&wheels)
            .arg("--interpreter")
            .arg(python),
    )?;
    let built = std::fs::read_dir(&wheels)
        .map_err(|error| format!("{}: {error}", wheels.display()))?
        .filter_map(|entry| Some(entry.ok()?.path()))
        .find(|path| path.extension().is_some_and(|extension| extension == "whl"))
        .ok_or_else(|| format!("no wheel in {}", wheels.display()))?;
    // The version stays the same while the package changes.
    let pip = [
        "-m",
        "pip",
        "install",
        "--quiet",
        "--force-reinstall",
        "--no-deps",
    ];
    quiet(
        Command::new(python)
            .args(pip)
            .arg("--disable-pip-version-check")
            .arg(built),
    )?;
    quiet(Command::new(python).args(["-c", "import cipherblas"]))
}

/// The plot of matrix products over their size.
fn draw(python: &Path, summary: &Path, plot: &Path) -> Result<(), String> {
    install(python, &PLOTS)?;
    let script = root().join("benches/peers/plot.py");
    quiet(Command::new(python).arg(script).arg(summary).arg(plot))
}

fn criterion(workspace: &Workspace) -> Result<bool, String> {
    let mut complete = true;
    for package in &workspace.packages {
        for bench in &package.benches {
            println!("\n=== {}: {bench}", package.name);
            let arguments = [
                "bench",
                "--quiet",
                // What users get, and already built for the examples and the summary.
                "--profile",
                "release",
                "--package",
                &package.name,
                "--bench",
                bench,
                "--",
                "--quick",
                "--noplot",
            ];
            let status = cargo()
                .args(arguments)
                .status()
                .map_err(|error| format!("cargo bench: {error}"))?;
            if !status.success() {
                println!("{bench}: {status}");
                complete = false;
            }
        }
    }
    Ok(complete)
}

/// Installs a peer where it is missing or has another version.
fn install(python: &Path, peer: &Peer) -> Result<(), String> {
    if imports(python, peer).is_ok() {
        return Ok(());
    }
    println!("installing {}", peer.requirements.join(" "));
    quiet(pip(python).args(peer.requirements))?;
    imports(python, peer)
}

/// Whether the wanted versions are there and can be imported.
fn imports(python: &Path, peer: &Peer) -> Result<(), String> {
    let mut program = format!(
        "from importlib.metadata import version; import {}",
        peer.module
    );
    for requirement in peer.requirements {
        if let Some((name, version)) = requirement.split_once("==") {
            program += &format!("; assert version({name:?}) == {version:?}, {requirement:?}");
        }
    }
    quiet(Command::new(python).args(["-c", &program]))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn options_are_read_and_checked() {
        let all = Options {
            criterion: true,
            filter: None,
            threads: None,
            processor_time: false,
            seconds: 1.0,
            deep: false,
            plot: None,
        };
        assert_eq!(Options::parse(&[]), Ok(all));
        let some = Options {
            criterion: false,
            filter: Some("ntt".into()),
            threads: Some(2),
            processor_time: true,
            seconds: 0.5,
            deep: true,
            plot: Some("a.svg".into()),
        };
        let text = "--summary --deep --plot a.svg --filter ntt --seconds 0.5 --threads 2 --clock processor";
        assert_eq!(
            Options::parse(&text.split(' ').collect::<Vec<_>>()),
            Ok(some)
        );
        for bad in [
            &["--filter"][..],
            &["--seconds", "0"],
            &["--threads", "0"],
            &["--clock", "sun"],
            &["--seconds", "NaN"],
            &["--seconds", "x"],
            &["--fast"],
        ] {
            assert!(Options::parse(bad).is_err(), "{bad:?}");
        }
    }

    #[test]
    fn a_peer_that_is_not_there_says_why() {
        let peer = Peer {
            name: "nothing",
            module: "no_such_module",
            requirements: &["no-such-module==1.0"],
        };
        let error = imports(Path::new("python3"), &peer).unwrap_err();
        assert!(error.contains("python3"), "{error}");
    }

    #[test]
    fn the_wheel_is_not_built_for_rows_that_do_not_need_it() {
        let (nowhere, filter) = (Path::new("/nonexistent/python"), Some("linalg/"));
        let error = wheel(nowhere, nowhere, filter).unwrap_err();
        assert!(error.contains(WHEEL_ROWS), "{error}");
    }
}
