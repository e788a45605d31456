//! What the tests of constant time reach: powers, tables and halves without the checks and draws around them, and words to
//! valgrind about memory. Not part of the interface.

#![allow(unsafe_code)]
#![allow(missing_docs)]

use super::table::Table;
use super::{Comb, Kernel, SquareRing};

/// Powers modulo `n^2` by three ways: windows, a comb, and one whose time depends on the exponent.
pub struct Powers {
    ring: SquareRing,
    base: Vec<u64>,
    comb: Comb,
    bits: usize,
}

impl Powers {
    pub fn new(n: &[u64], base: &[u64], bits: usize) -> Self {
        let ring = SquareRing::new(Kernel::detect(), n);
        let base = ring.reduce(base, &mut ring.scratch()).to_vec();
        Self {
            comb: ring.comb(&base, bits),
            ring,
            base,
            bits,
        }
    }
    /// What of this is secret besides the exponent.
    pub fn secrets(&self) -> Vec<&[u64]> {
        self.ring.secrets()
    }
    pub fn windows(&self, exponent: &[u64]) -> Vec<u64> {
        self.ring.pow(&self.base, exponent, self.bits).to_vec()
    }
    pub fn comb(&self, exponent: &[u64]) -> Vec<u64> {
        self.ring.comb_pow(&self.comb, exponent).to_vec()
    }
    pub fn leaking(&self, exponent: &[u64]) -> Vec<u64> {
        self.ring.pow_public(&self.base, exponent).to_vec()
    }
}

/// A table of 32 entries, read as in powers, and by a search that stops.
pub struct Entries(Table);

impl Entries {
    pub fn new(width: usize) -> Self {
        let mut table = Table::new(32, width);
        for i in 0..32 {
            table.set(i, &vec![i as u64; width]);
        }
        Self(table)
    }
    pub fn read(&self, index: u64, out: &mut [u64]) {
        self.0.read(index, out);
    }
    pub fn leaking(&self, index: u64, out: &mut [u64]) {
        for i in 0..=index {
            self.0.read(i, out);
        }
    }
}

/// Tells valgrind that memory is undefined (or defined again): a branch or an address that depends on it is then an error.
/// Without valgrind nothing happens.
pub fn mark(memory: &[u64], undefined: bool) {
    #[cfg(target_arch = "x86_64")]
    {
        // Memcheck's requests, 'M' 'C' in the upper half: make undefined 1, make defined 2.
        let request = 0x4d43_0000u64 + if undefined { 1 } else { 2 };
        let arguments = [
            request,
            memory.as_ptr() as u64,
            size_of_val(memory) as u64,
            0,
            0,
            0,
        ];
        // SAFETY: four rotations by 128 in all and an exchange of a register with itself: without valgrind they change
        // nothing; valgrind reads the six arguments and writes rdx.
        unsafe {
            std::arch::asm!(
                "rol rdi, 3",
                "rol rdi, 13",
                "rol rdi, 61",
                "rol rdi, 51",
                "xchg rbx, rbx",
                inout("rdx") 0u64 => _,
                in("rax") arguments.as_ptr(),
                inout("rdi") 0u64 => _,
                options(nostack),
            );
        }
    }
    #[cfg(not(target_arch = "x86_64"))]
    let _ = (memory, undefined);
}
