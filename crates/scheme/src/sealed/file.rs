use crate::{Error, Result};
use std::fs::{self, File, OpenOptions};
use std::io::{self, ErrorKind, Read, Write};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};

/// Far more than any key takes.
const MOST: u64 = 16 << 20;

/// What becomes of a file that is there already.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Existing {
    /// It stays, and nothing is written.
    Keep,
    /// It is replaced, as a whole.
    Replace,
}

impl Existing {
    /// Whether something may be written at `path`: early, before any work. [`write_file`] sees to it again.
    ///
    /// # Errors
    /// `Parameter` if there is something that is to stay.
    pub fn check(self, path: &Path) -> Result<()> {
        if self == Self::Keep && fs::symlink_metadata(path).is_ok() {
            return Err(occupied(path));
        }
        Ok(())
    }
}

fn occupied(path: &Path) -> Error {
    Error::Parameter {
        what: "path",
        got: format!("{}, where there is a file already", path.display()),
        expected: "a path where there is nothing".into(),
        hint: "choose another name, or replace the file by calling `save_over`",
    }
}

fn failed(operation: &'static str, path: &Path) -> impl FnOnce(io::Error) -> Error {
    let path = path.display().to_string();
    move |error| Error::Io {
        path,
        operation,
        message: error.to_string(),
    }
}

/// A file beside the one to be, removed when dropped.
struct Draft(PathBuf);

impl Drop for Draft {
    fn drop(&mut self) {
        // If it was renamed, so much the better.
        let _ = fs::remove_file(&self.0);
    }
}

/// Numbers the drafts of one process.
static DRAFTS: AtomicU64 = AtomicU64::new(0);

/// A new file in the folder of `path`, for its owner only from the moment it is there.
fn draft(path: &Path) -> io::Result<(Draft, File)> {
    let name = path
        .file_name()
        .ok_or_else(|| io::Error::new(ErrorKind::InvalidInput, "the path names no file"))?;
    loop {
        let mut draft = std::ffi::OsString::from(".");
        draft.push(name);
        let number = DRAFTS.fetch_add(1, Ordering::Relaxed);
        draft.push(format!(".{}-{number}.tmp", std::process::id()));
        let draft = path.with_file_name(draft);
        let mut options = OpenOptions::new();
        options.write(true).create_new(true);
        #[cfg(unix)]
        {
            use std::os::unix::fs::OpenOptionsExt;
            options.mode(0o600);
        }
        match options.open(&draft) {
            // Left behind by a process of the same number.
            Err(e) if e.kind() == ErrorKind::AlreadyExists => {}
            other => return other.map(|file| (Draft(draft), file)),
        }
    }
}

/// Writes a file that only its owner can read, whole or not at all: beside its place first, on the disk before it gets its
/// name.
///
/// # Errors
/// `Parameter` if there is something at `path` that is to stay; `Io`.
pub fn write_file(path: &Path, bytes: &[u8], existing: Existing) -> Result<()> {
    existing.check(path)?;
    let (draft, mut file) = draft(path).map_err(failed("write", path))?;
    file.write_all(bytes)
        .and_then(|()| file.sync_all())
        .map_err(failed("write", path))?;
    drop(file);
    match existing {
        Existing::Replace => fs::rename(&draft.0, path).map_err(failed("write", path))?,
        // A second name instead of a new one: it fails where there is something, whoever came first.
        Existing::Keep => match fs::hard_link(&draft.0, path) {
            Ok(()) => {}
            Err(e) if e.kind() == ErrorKind::AlreadyExists => return Err(occupied(path)),
            // Not every file system has second names.
            Err(_) => {
                existing.check(path)?;
                fs::rename(&draft.0, path).map_err(failed("write", path))?;
            }
        },
    }
    drop(draft);
    sync_folder(path);
    Ok(())
}

/// The name is on the disk as well, where folders can be synchronized.
fn sync_folder(path: &Path) {
    if cfg!(unix) {
        let folder = path.parent().filter(|p| !p.as_os_str().is_empty());
        // The file itself is safe; a file system that cannot do this has no better way.
        let _ = File::open(folder.unwrap_or(Path::new("."))).and_then(|f| f.sync_all());
    }
}

/// The bytes of a file of at most 16 MiB.
///
/// # Errors
/// `Io`; `Wire` for a larger file.
pub fn read_file(path: &Path) -> Result<Vec<u8>> {
    let mut bytes = Vec::new();
    File::open(path)
        .and_then(|file| file.take(MOST + 1).read_to_end(&mut bytes))
        .map_err(failed("read", path))?;
    if bytes.len() as u64 > MOST {
        return Err(Error::Wire {
            what: "sealed secret key",
            got: format!("more than {MOST} bytes in {}", path.display()),
            expected: "a file that a key was saved to".into(),
        });
    }
    Ok(bytes)
}
