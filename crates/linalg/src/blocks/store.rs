//! Where blocks are kept: in memory, or beyond a budget in files.

use cipherblas_scheme::matrix::{Lines, MatrixScheme};
use cipherblas_scheme::wire::Fingerprint;
use cipherblas_scheme::{Error, Result};
use std::borrow::Cow;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};

/// Where the blocks of matrices are kept: all in memory ([`Store::memory`]), or in files beyond a budget
/// ([`Store::with_budget`]). A handle: cloning shares the budget, and products keep their results where their left
/// factor is.
///
/// What a file holds is what would be sent over the network: ciphertexts, which need no secrecy. They do need integrity,
/// and get it: the hash of every file stays in memory, and a file that was altered is refused. Files are removed when the
/// last matrix that uses them is dropped, the directory with the last handle.
#[derive(Clone, Debug)]
pub struct Store(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    limit: usize,
    /// `None`: nothing is ever written.
    directory: Option<PathBuf>,
    /// Bytes of blocks that are kept in memory.
    resident: AtomicUsize,
    /// Number of the next file.
    next: AtomicU64,
    /// Files written, and read, so far.
    written: AtomicU64,
    read: AtomicU64,
}

impl Drop for Inner {
    fn drop(&mut self) {
        // Files hold a handle, so that all are gone. What cannot be removed now was removed by somebody else.
        if let Some(directory) = &self.directory {
            let _ = fs::remove_dir(directory);
        }
    }
}

impl Default for Store {
    fn default() -> Self {
        Self::memory()
    }
}

/// Numbers the directories of one process.
static DIRECTORIES: AtomicU64 = AtomicU64::new(0);

impl Store {
    /// Everything in memory, without a limit.
    pub fn memory() -> Self {
        Self::new(usize::MAX, None)
    }

    /// No more than `bytes` of blocks in memory: half of them kept by matrices, the rest for what operations work on (blocks
    /// read back, the result, and its serialized form while it is written). What does not fit is written to files in a new
    /// directory inside `parent`, one for each block. Products take their terms in as many parts as the budget asks for; each
    /// part costs one more change of format, and adds its error. What a scheme itself needs during a product comes on top
    /// (the plan tells how much). A result that the budget holds, but not together with its serialized form, stays in memory.
    ///
    /// # Errors
    /// `Parameter` for a budget of 0, for a `parent` that is not there (it is not made: a path with a slip would be), and if
    /// the directory cannot be made inside it.
    pub fn with_budget(bytes: usize, parent: impl AsRef<Path>) -> Result<Self> {
        if bytes == 0 {
            return Err(Error::Parameter {
                what: "memory budget",
                got: "0 bytes".into(),
                expected: "room for the blocks of one term of a product".into(),
                hint: "ask the plan what a product takes; `Store::memory` has no limit",
            });
        }
        let directory = create(parent.as_ref()).map_err(|e| Error::Parameter {
            what: "spill directory",
            got: format!("{}: {e}", parent.as_ref().display()),
            expected: "a directory that is there and can be written to".into(),
            hint: "make it, or name one on a disk with room for the blocks",
        })?;
        Ok(Self::new(bytes, Some(directory)))
    }

    fn new(limit: usize, directory: Option<PathBuf>) -> Self {
        Self(Arc::new(Inner {
            limit,
            directory,
            resident: AtomicUsize::new(0),
            next: AtomicU64::new(0),
            written: AtomicU64::new(0),
            read: AtomicU64::new(0),
        }))
    }

    /// The budget in bytes; `usize::MAX` without one.
    pub fn limit(&self) -> usize {
        self.0.limit
    }

    /// Bytes of blocks kept in memory.
    pub fn resident(&self) -> usize {
        self.0.resident.load(Ordering::Relaxed)
    }

    /// Files written and read so far.
    pub fn files(&self) -> (u64, u64) {
        (
            self.0.written.load(Ordering::Relaxed),
            self.0.read.load(Ordering::Relaxed),
        )
    }

    /// Bytes that blocks of fresh matrices should stay below, so that products have some to work with.
    pub(super) fn block_limit(&self) -> usize {
        Self::limit_of_blocks(self.0.limit)
    }

    /// Bytes that blocks should stay below under a budget.
    pub(crate) fn limit_of_blocks(budget: usize) -> usize {
        if budget == usize::MAX {
            usize::MAX
        } else {
            budget / 16
        }
    }

    /// Bytes that an operation may use for blocks that it reads and makes.
    pub(super) fn working(&self) -> usize {
        self.0.limit.saturating_sub(self.resident())
    }

    /// Whether two handles share a budget.
    pub(super) fn same(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.0, &other.0)
    }

    /// Keeps a block: in memory if half of the budget has room for it, otherwise in a file.
    pub(super) fn put<E: MatrixScheme>(&self, ev: &E, block: E::Block) -> Result<Slot<E>> {
        self.put_within(ev, block, |_| self.0.limit / 2)
    }

    /// Keeps the result of a product: as [`put`](Self::put), but in memory where the budget has room for it and none for
    /// its serialized form beside it.
    pub(super) fn put_result<E: MatrixScheme>(&self, ev: &E, block: E::Block) -> Result<Slot<E>> {
        self.put_within(ev, block, |bytes| {
            if bytes.saturating_mul(2) > self.working() {
                self.0.limit
            } else {
                self.0.limit / 2
            }
        })
    }

    fn put_within<E: MatrixScheme>(
        &self,
        ev: &E,
        block: E::Block,
        kept: impl Fn(usize) -> usize,
    ) -> Result<Slot<E>> {
        let (lines, _) = ev.shape(&block);
        let (depth, layout) = (ev.depth(&block), ev.layout(&block));
        let bytes = ev.block_bytes(lines, ev.padded_len(&block), layout, depth)?;
        let (error, magnitude) = (ev.error_bound(&block), ev.magnitude_bound(&block));
        let place = match self.reserve(bytes, kept(bytes)) {
            Some(reserved) => Place::Memory(Arc::new(Resident {
                block,
                _reserved: reserved,
            })),
            None => Place::File(Arc::new(self.write(&ev.write_block(&block))?)),
        };
        Ok(Slot {
            place,
            bytes,
            depth,
            layout,
            error,
            magnitude,
        })
    }

    /// Part of the budget for a block that is kept, of `kept` bytes for all; `None` if it is to be written.
    fn reserve(&self, bytes: usize, kept: usize) -> Option<Reserved> {
        let order = Ordering::Relaxed;
        let room = |resident: usize| {
            let sum = resident.checked_add(bytes)?;
            (self.0.directory.is_none() || sum <= kept).then_some(sum)
        };
        self.0.resident.fetch_update(order, order, room).ok()?;
        Some(Reserved {
            store: self.clone(),
            bytes,
        })
    }

    fn write(&self, serialized: &[u8]) -> Result<SpilledFile> {
        let failed = |place: String, e: io::Error| Error::Parameter {
            what: "spill directory",
            got: format!("{place}: {e}"),
            expected: format!("room for a file of {} bytes", serialized.len()),
            hint: "free the disk, or name a directory on a larger one",
        };
        let Some(directory) = &self.0.directory else {
            // A store in memory refuses only what cannot be counted.
            return Err(failed("none".into(), io::ErrorKind::OutOfMemory.into()));
        };
        let number = self.0.next.fetch_add(1, Ordering::Relaxed);
        let file = SpilledFile {
            path: directory.join(format!("{number}.block")),
            hash: hash(serialized),
            length: serialized.len(),
            store: self.clone(),
        };
        fs::write(&file.path, serialized)
            .map_err(|e| failed(file.path.display().to_string(), e))?;
        self.0.written.fetch_add(1, Ordering::Relaxed);
        Ok(file)
    }
}

/// A directory of its own, for the owner only.
fn create(parent: &Path) -> io::Result<PathBuf> {
    loop {
        let number = DIRECTORIES.fetch_add(1, Ordering::Relaxed);
        let path = parent.join(format!("cipherblas-{}-{number}", std::process::id()));
        let mut builder = fs::DirBuilder::new();
        #[cfg(unix)]
        {
            use std::os::unix::fs::DirBuilderExt;
            builder.mode(0o700);
        }
        match builder.create(&path) {
            Err(e) if e.kind() == io::ErrorKind::AlreadyExists => {}
            other => return other.map(|()| path),
        }
    }
}

fn hash(bytes: &[u8]) -> Fingerprint {
    Fingerprint::digest("cipherblas 2026 spilled block", bytes)
}

/// A block that is kept, and what is known of it without reading it.
pub(super) struct Slot<E: MatrixScheme> {
    place: Place<E::Block>,
    /// Bytes of the block in memory.
    pub(super) bytes: usize,
    pub(super) depth: usize,
    pub(super) layout: Lines,
    pub(super) error: f64,
    pub(super) magnitude: f64,
}

enum Place<B> {
    Memory(Arc<Resident<B>>),
    File(Arc<SpilledFile>),
}

impl<E: MatrixScheme> Clone for Slot<E> {
    fn clone(&self) -> Self {
        let place = match &self.place {
            Place::Memory(block) => Place::Memory(block.clone()),
            Place::File(file) => Place::File(file.clone()),
        };
        Self { place, ..*self }
    }
}

struct Resident<B> {
    block: B,
    /// Given back with the block.
    _reserved: Reserved,
}

/// Part of the budget, given back when dropped.
struct Reserved {
    store: Store,
    bytes: usize,
}

impl Drop for Reserved {
    fn drop(&mut self) {
        self.store
            .0
            .resident
            .fetch_sub(self.bytes, Ordering::Relaxed);
    }
}

/// A file that is removed when dropped.
struct SpilledFile {
    path: PathBuf,
    hash: Fingerprint,
    length: usize,
    store: Store,
}

impl Drop for SpilledFile {
    fn drop(&mut self) {
        // If it is gone already, so much the better.
        let _ = fs::remove_file(&self.path);
    }
}

/// A block at hand: borrowed from memory, or read from its file.
pub(super) enum Loaded<'a, B> {
    Borrowed(&'a B),
    Owned(B),
}

impl<B> AsRef<B> for Loaded<'_, B> {
    fn as_ref(&self) -> &B {
        match self {
            Self::Borrowed(block) => block,
            Self::Owned(block) => block,
        }
    }
}

impl<E: MatrixScheme> Slot<E> {
    /// Bytes that loading adds to memory, and those that are needed besides meanwhile: none for a block that is there.
    pub(super) fn loading(&self) -> (usize, usize) {
        match &self.place {
            Place::Memory(_) => (0, 0),
            Place::File(file) => (self.bytes, file.length),
        }
    }

    /// The block, read back if it is in a file.
    ///
    /// # Errors
    /// `Wire` for a file that cannot be read, or is not what was written.
    pub(super) fn load(&self, ev: &E) -> Result<Loaded<'_, E::Block>> {
        match &self.place {
            Place::Memory(block) => Ok(Loaded::Borrowed(&block.block)),
            Place::File(file) => ev.read_block(&file.read()?).map(Loaded::Owned),
        }
    }

    /// The block in its serialized form.
    ///
    /// # Errors
    /// As [`load`](Self::load).
    pub(super) fn serialized(&self, ev: &E) -> Result<Vec<u8>> {
        match &self.place {
            Place::Memory(block) => Ok(ev.write_block(&block.block)),
            Place::File(file) => file.read(),
        }
    }
}

impl SpilledFile {
    fn read(&self) -> Result<Vec<u8>> {
        let wire = |got: String, expected: Cow<'static, str>| Error::Wire {
            what: "spilled block",
            got,
            expected: expected.into_owned(),
        };
        let bytes = fs::read(&self.path).map_err(|e| {
            wire(
                format!("{}: {e}", self.path.display()),
                "the file that was written".into(),
            )
        })?;
        if bytes.len() != self.length || hash(&bytes) != self.hash {
            return Err(wire(
                format!(
                    "{} bytes with another hash in {}",
                    bytes.len(),
                    self.path.display()
                ),
                format!("the {} bytes that were written", self.length).into(),
            ));
        }
        self.store.0.read.fetch_add(1, Ordering::Relaxed);
        Ok(bytes)
    }
}
