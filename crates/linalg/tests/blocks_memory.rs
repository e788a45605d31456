//! Budgets of memory are kept: blocks that exist at a time are counted, and compared with the budget.

use cipherblas_linalg::blocks::Lines;
use cipherblas_linalg::{BlockMatrix, BlockOptions, Format, PlainMatrix, Store};
use cipherblas_scheme::clear::{ClearBlock, ClearMatrixKey};
use cipherblas_scheme::matrix::{DecryptMatrix, EncryptMatrix, MatrixScheme, Side};
use cipherblas_scheme::{ClearMatrices, Error, Result, WeightMatrix};
use rand::CryptoRng;
use rand_chacha::{ChaCha20Rng, rand_core::SeedableRng};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};

#[derive(Debug, Default)]
struct Meter {
    live: AtomicUsize,
    peak: AtomicUsize,
}

/// The clear scheme with blocks that are counted from their making to their end.
#[derive(Clone)]
struct Metered(ClearMatrices<i64>, Arc<Meter>);

struct Counted(ClearBlock<i64>, Arc<Meter>);

impl Counted {
    fn new(block: ClearBlock<i64>, meter: &Arc<Meter>) -> Self {
        let live =
            meter.live.fetch_add(block.values().len() * 8, Relaxed) + block.values().len() * 8;
        meter.peak.fetch_max(live, Relaxed);
        Self(block, meter.clone())
    }
}
impl Clone for Counted {
    fn clone(&self) -> Self {
        Self::new(self.0.clone(), &self.1)
    }
}
impl Drop for Counted {
    fn drop(&mut self) {
        self.1.live.fetch_sub(self.0.values().len() * 8, Relaxed);
    }
}

impl Metered {
    fn new() -> Self {
        Self(ClearMatrices::new(64, 2).unwrap(), Arc::default())
    }
    fn count(&self, block: Result<ClearBlock<i64>>) -> Result<Counted> {
        block.map(|block| Counted::new(block, &self.1))
    }
    /// The largest total since the last call.
    fn peak(&self) -> usize {
        self.1.peak.swap(self.1.live.load(Relaxed), Relaxed)
    }
    fn live(&self) -> usize {
        self.1.live.load(Relaxed)
    }
}

impl MatrixScheme for Metered {
    type Value = i64;
    type Block = Counted;
    fn name(&self) -> &'static str {
        self.0.name()
    }
    fn max_len(&self) -> usize {
        self.0.max_len()
    }
    fn max_depth(&self) -> usize {
        self.0.max_depth()
    }
    fn depth(&self, x: &Counted) -> usize {
        self.0.depth(&x.0)
    }
    fn shape(&self, x: &Counted) -> (usize, usize) {
        self.0.shape(&x.0)
    }
    fn padded_len(&self, x: &Counted) -> usize {
        self.0.padded_len(&x.0)
    }
    fn layout(&self, x: &Counted) -> Lines {
        self.0.layout(&x.0)
    }
    fn block_bytes(&self, lines: usize, len: usize, layout: Lines, depth: usize) -> Result<usize> {
        self.0.block_bytes(lines, len, layout, depth)
    }
    fn lower_to(&self, x: &Counted, depth: usize) -> Result<Counted> {
        self.count(self.0.lower_to(&x.0, depth))
    }
    fn add(&self, a: &Counted, b: &Counted) -> Result<Counted> {
        self.count(self.0.add(&a.0, &b.0))
    }
    fn sub(&self, a: &Counted, b: &Counted) -> Result<Counted> {
        self.count(self.0.sub(&a.0, &b.0))
    }
    fn negate(&self, x: &Counted) -> Result<Counted> {
        self.count(self.0.negate(&x.0))
    }
    fn scale(&self, x: &Counted, value: i64) -> Result<Counted> {
        self.count(self.0.scale(&x.0, value))
    }
    fn gemm_tn(&self, terms: &[(&Counted, &Counted)], lines: Side) -> Result<Counted> {
        let terms: Vec<_> = terms.iter().map(|(a, b)| (&a.0, &b.0)).collect();
        self.count(self.0.gemm_tn(&terms, lines))
    }
    fn syrk(&self, terms: &[&Counted]) -> Result<Counted> {
        let terms: Vec<_> = terms.iter().map(|x| &x.0).collect();
        self.count(self.0.syrk(&terms))
    }
    fn gemm_plain(&self, terms: &[(WeightMatrix<'_, i64>, &Counted)]) -> Result<Counted> {
        let terms: Vec<_> = terms.iter().map(|(w, x)| (*w, &x.0)).collect();
        self.count(self.0.gemm_plain(&terms))
    }
    fn reformat(&self, x: &Counted) -> Result<Counted> {
        self.count(self.0.reformat(&x.0))
    }
    fn check(&self, x: &Counted) -> Result<()> {
        self.0.check(&x.0)
    }
    fn error_bound(&self, x: &Counted) -> f64 {
        self.0.error_bound(&x.0)
    }
    fn magnitude_bound(&self, x: &Counted) -> f64 {
        self.0.magnitude_bound(&x.0)
    }
    fn write_block(&self, x: &Counted) -> Vec<u8> {
        self.0.write_block(&x.0)
    }
    fn read_block(&self, bytes: &[u8]) -> Result<Counted> {
        self.count(self.0.read_block(bytes))
    }
}

struct Key(ClearMatrixKey<i64>, Metered);

impl EncryptMatrix for Key {
    type Scheme = Metered;
    fn scheme(&self) -> Metered {
        self.1.clone()
    }
    fn encrypt_block<R: CryptoRng + ?Sized>(
        &self,
        values: &[i64],
        lines: usize,
        padded: Option<usize>,
        layout: Lines,
        depth: usize,
        bound: Option<f64>,
        rng: &mut R,
    ) -> Result<Counted> {
        self.1.count(
            self.0
                .encrypt_block(values, lines, padded, layout, depth, bound, rng),
        )
    }
}
impl DecryptMatrix for Key {
    type Scheme = Metered;
    fn decrypt_block(&self, x: &Counted) -> Result<Vec<i64>> {
        self.0.decrypt_block(&x.0)
    }
}

fn setup() -> (Metered, Key, ChaCha20Rng) {
    let server = Metered::new();
    let key = Key(server.0.key(), server.clone());
    (server, key, ChaCha20Rng::seed_from_u64(1))
}

/// Rows of a table that is never in memory as a whole.
fn value(row: usize, col: usize) -> i64 {
    ((row * 31 + col * 17) % 13) as i64 - 6
}

fn table(
    (server, key, rng): &mut (Metered, Key, ChaCha20Rng),
    (rows, cols): (usize, usize),
    options: &BlockOptions,
) -> BlockMatrix<Metered> {
    let options = options.clone().bound(6.0);
    let x = BlockMatrix::encrypt_from(key, rows, cols, &options, rng, |r, c| {
        Ok(r.flat_map(|row| c.clone().map(move |col| value(row, col)))
            .collect())
    });
    x.unwrap().bind(server).unwrap()
}

#[test]
fn long_sums_stay_within_the_budget() {
    let mut s = setup();
    // 20,000 x 40 integers are 10 MB on their grid of 64; the budget is a twentieth of that.
    let budget = 512 << 10;
    let store = Store::with_budget(budget, std::env::temp_dir()).unwrap();
    let x = table(&mut s, (20_000, 40), &BlockOptions::new().store(&store));
    assert!(x.bytes() > 10 * budget, "{}", x.bytes());
    assert!(s.0.peak() <= budget, "encryption");
    let (written, read) = store.files();
    assert!(written > 100 && read == 0, "{written}");
    let gram = x.gram().unwrap();
    let peak = s.0.peak();
    assert!(peak <= budget, "peak {peak}, budget {budget}");
    assert!(store.files().1 >= written);
    // In several parts: each has one change of format.
    assert!(s.0.0.counts().formats > 10);
    let got = gram.decrypt(&s.1).unwrap();
    for (i, j) in [(0, 0), (3, 39), (39, 3), (17, 20)] {
        let expected: i64 = (0..20_000).map(|r| value(r, i) * value(r, j)).sum();
        assert_eq!(got[i * 40 + j], expected);
    }
    // Everything else stays within it, too.
    let y = table(
        &mut s,
        (20_000, 3),
        &BlockOptions::new().line(64).store(&store),
    );
    let moment = x.gram_with(&y).unwrap();
    assert!(s.0.peak() <= budget);
    assert_eq!(
        moment.decrypt(&s.1).unwrap()[5],
        (0..20_000).map(|r| value(r, 1) * value(r, 2)).sum::<i64>()
    );
    let doubled = x.add(&x).unwrap();
    assert!(s.0.peak() <= budget);
    doubled
        .decrypt_with(&s.1, |r, c, values| {
            let rows = r.flat_map(|row| c.clone().map(move |col| 2 * value(row, col)));
            assert!(rows.eq(values.iter().copied()));
            Ok(())
        })
        .unwrap();
    assert!(s.0.peak() <= budget);
    drop((x, y, doubled, gram, moment));
    assert_eq!((s.0.live(), store.resident()), (0, 0));
}

#[test]
fn plain_products_stay_within_the_budget() {
    let mut s = setup();
    let budget = 256 << 10;
    let store = Store::with_budget(budget, std::env::temp_dir()).unwrap();
    let options = BlockOptions::new().layout(Lines::Single).store(&store);
    let x = table(&mut s, (3000, 50), &options);
    let weights: Vec<i64> = (0..70 * 3000).map(|i| i % 3 - 1).collect();
    let weights = PlainMatrix::new(70, 3000, weights).unwrap();
    let z = BlockMatrix::plain_matmul(&weights, &x).unwrap();
    assert!(s.0.peak() <= budget);
    let got = z.decrypt(&s.1).unwrap();
    let expected: i64 = (0..3000)
        .map(|k| weights.data()[69 * 3000 + k] * value(k, 49))
        .sum();
    assert_eq!(got[70 * 50 - 1], expected);
}

#[test]
fn a_budget_below_one_term_is_refused() {
    let mut s = setup();
    let store = Store::with_budget(40_000, std::env::temp_dir()).unwrap();
    // A block of 64 lines takes 32 kB.
    let options = BlockOptions::new().lines_per_block(64).store(&store);
    let x = table(&mut s, (640, 64), &options);
    match x.gram().unwrap_err() {
        Error::Parameter { what, expected, .. } => {
            assert_eq!(what, "memory budget");
            let least: usize = expected.trim_start_matches("at least ").parse().unwrap();
            // What is asked for is enough, beside what is kept.
            let larger = Store::with_budget(2 * least, std::env::temp_dir()).unwrap();
            x.kept_in(&larger).unwrap().gram().unwrap();
        }
        other => panic!("{other}"),
    }
}

/// Budgets that a plan accepts are enough for the product, down to the least, and are kept by it.
#[test]
fn planned_budgets_hold() {
    use cipherblas_linalg::plan::gemm::{Figures, Gemm, Kind};
    for (kind, m, k, n) in [
        (Kind::Encrypted, 60, 70, 50),
        (Kind::Encrypted, 64, 1000, 3),
        (Kind::Encrypted, 150, 10, 140),
        (Kind::Gram, 40, 2000, 40),
        (Kind::Gram, 20, 30, 20),
    ] {
        let figures = Figures::of(&Metered::new()).unwrap();
        let gemm = Gemm::new(kind, m, k, n).coefficients(&figures);
        let least = match gemm.clone().budget(1).plan().unwrap_err() {
            Error::Parameter { expected, .. } => {
                let number = expected.trim_start_matches("at least ").split(' ').next();
                number.unwrap().parse::<usize>().unwrap()
            }
            other => panic!("{other}"),
        };
        let mut budget = least;
        while budget < 3 * gemm.plan().unwrap().peak_bytes().unwrap() {
            let plan = gemm.clone().budget(budget).plan().unwrap();
            let mut s = setup();
            let store = Store::with_budget(budget, std::env::temp_dir()).unwrap();
            let (left, right) = plan.options(&store);
            let right = table(&mut s, (k, n), &right.unwrap());
            let left = left.map(|left| table(&mut s, (m, k), &left));
            let result = match &left {
                Some(left) => left.matmul(&right),
                None => right.gram(),
            };
            let result = result.unwrap_or_else(|e| panic!("{kind:?} {m} {k} {n}, {budget}: {e}"));
            let peak = s.0.peak();
            assert!(peak <= budget, "{kind:?} {m} {k} {n}: {peak} of {budget}");
            let (i, j) = (m - 1, n - 1);
            let entry = |i, x| match kind {
                Kind::Gram => value(x, i),
                _ => value(i, x),
            };
            let expected: i64 = (0..k).map(|x| entry(i, x) * value(x, j)).sum();
            assert_eq!(result.decrypt(&s.1).unwrap()[i * n + j], expected);
            budget += budget / 5 + 1;
        }
    }
}

#[test]
fn files_are_checked_and_removed() {
    let mut s = setup();
    let parent = std::env::temp_dir().join(format!("cipherblas-test-{}", std::process::id()));
    // Neither the place nor the room is made up.
    match Store::with_budget(1, &parent).unwrap_err() {
        Error::Parameter { what, .. } => assert_eq!(what, "spill directory"),
        other => panic!("{other}"),
    }
    assert!(!parent.exists());
    std::fs::create_dir(&parent).unwrap();
    match Store::with_budget(0, &parent).unwrap_err() {
        Error::Parameter { what, .. } => assert_eq!(what, "memory budget"),
        other => panic!("{other}"),
    }
    let store = Store::with_budget(1, &parent).unwrap();
    let x = table(
        &mut s,
        (100, 20),
        &BlockOptions::new().lines_per_block(50).store(&store),
    );
    assert_eq!((s.0.live(), store.files()), (0, (2, 1)), "bind reads one");
    let directory = std::fs::read_dir(&parent)
        .unwrap()
        .next()
        .unwrap()
        .unwrap()
        .path();
    let files: Vec<_> = std::fs::read_dir(&directory)
        .unwrap()
        .map(|f| f.unwrap().path())
        .collect();
    assert_eq!(files.len(), 2);
    // Its own bytes for those of another block: well-formed, under the right key, and refused.
    let other = std::fs::read(&files[1]).unwrap();
    let kept = std::fs::read(&files[0]).unwrap();
    std::fs::write(&files[0], &other).unwrap();
    match x.decrypt(&s.1).unwrap_err() {
        Error::Wire { what, expected, .. } => {
            assert_eq!(what, "spilled block");
            assert_eq!(
                expected,
                format!("the {} bytes that were written", kept.len())
            );
        }
        other => panic!("{other}"),
    }
    std::fs::write(&files[0], &kept).unwrap();
    assert!(x.decrypt(&s.1).is_ok());
    std::fs::remove_file(&files[0]).unwrap();
    assert!(matches!(x.decrypt(&s.1), Err(Error::Wire { .. })));
    let transposed = x.t();
    drop(x);
    assert!(files[1].exists(), "shared with the transpose");
    drop(transposed);
    assert!(!files[1].exists());
    drop(store);
    assert!(!directory.exists());
    std::fs::remove_dir(&parent).unwrap();
    let file = std::env::temp_dir().join(format!("cipherblas-file-{}", std::process::id()));
    std::fs::write(&file, b"no directory").unwrap();
    assert!(matches!(
        Store::with_budget(1, &file),
        Err(Error::Parameter { .. })
    ));
    std::fs::remove_file(&file).unwrap();
}

#[test]
fn formats_change_within_the_budget() {
    let mut s = setup();
    let budget = 600 << 10;
    let store = Store::with_budget(budget, std::env::temp_dir()).unwrap();
    let x = table(
        &mut s,
        (500, 300),
        &BlockOptions::new().lines_per_block(64).store(&store),
    );
    assert!(x.bytes() > 2 * budget);
    let y = x.reformat().unwrap();
    assert_eq!(y.format(), Format::Columns);
    assert!(s.0.peak() <= budget);
    assert_eq!(y.decrypt(&s.1).unwrap(), x.decrypt(&s.1).unwrap());
}
