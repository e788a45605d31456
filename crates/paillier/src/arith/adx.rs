//! Products with `mulx` and two carry chains (`adcx`, `adox`), eight limbs at a time.
//!
//! A block multiplies eight limbs, read from memory, by a column of others. Eight accumulators stay in registers and
//! move up by one limb in each row: a word multiplication costs a `mulx` and two additions, and memory is written once
//! for every eight of them. Montgomery reduction makes eight digits of the quotient at once.

#![allow(unsafe_code)]

use super::table;
use std::arch::naked_asm;

const BLOCK: usize = 8;

/// Proof that the processor has BMI2, ADX and AVX2.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Adx(());

impl Adx {
    pub(crate) fn detect() -> Option<Self> {
        (std::arch::is_x86_feature_detected!("bmi2")
            && std::arch::is_x86_feature_detected!("adx")
            && std::arch::is_x86_feature_detected!("avx2"))
        .then_some(Self(()))
    }

    /// [`table::gather`] in AVX2.
    pub(crate) fn gather(self, entries: &[u64], width: usize, masks: &[u64], out: &mut [u64]) {
        #[target_feature(enable = "avx2")]
        fn gather(entries: &[u64], width: usize, masks: &[u64], out: &mut [u64]) {
            table::gather(entries, width, masks, out);
        }
        // SAFETY: the processor has AVX2 (`self`).
        unsafe { gather(entries, width, masks, out) }
    }

    /// `out += a * b`, returns the carry; lengths are multiples of 8 and `out.len() == a.len() + b.len()`.
    #[inline]
    pub(crate) fn mul_add(self, out: &mut [u64], a: &[u64], b: &[u64]) -> u64 {
        assert!(a.len().is_multiple_of(BLOCK) && b.len().is_multiple_of(BLOCK));
        assert!(out.len() == a.len() + b.len());
        let mut carry = 0;
        for i in (0..a.len()).step_by(BLOCK) {
            // SAFETY: the processor has BMI2 and ADX (`self`); `out` has `b.len() + 8` limbs from `i` on, since
            // `out.len() == a.len() + b.len()`; `a` has 8 from `i` on; `b.len()` is a multiple of 8.
            carry = unsafe {
                mul_add_block(
                    out.as_mut_ptr().add(i),
                    a.as_ptr().add(i),
                    b.as_ptr(),
                    b.len(),
                    carry,
                )
            };
        }
        carry
    }

    /// `out = a * a`; lengths as in [`mul_add`](Self::mul_add).
    #[inline]
    pub(crate) fn square(self, out: &mut [u64], a: &[u64]) {
        let len = a.len();
        assert!(len.is_multiple_of(BLOCK) && out.len() == 2 * len);
        out.fill(0);
        for i in (0..len).step_by(BLOCK) {
            let next = i + BLOCK;
            if next == len {
                break;
            }
            // SAFETY: the processor has BMI2 and ADX (`self`); `out` has at least `len - next + 8` limbs from `i + next`
            // on, since `i + len + 8 <= 2 len`; `a` has 8 from `i` and `len - next`, a multiple of 8, from `next` on.
            unsafe {
                mul_add_block(
                    out.as_mut_ptr().add(i + next),
                    a.as_ptr().add(i),
                    a.as_ptr().add(next),
                    len - next,
                    0,
                );
            }
        }
        self.double(out);
        let mut addend = [0; BLOCK];
        for i in (0..len).step_by(BLOCK) {
            // SAFETY: the processor has BMI2 and ADX (`self`); `out` has 16 limbs from `2 i` on, `a` 8 from `i` on.
            addend[0] = unsafe {
                mul_add_block_with(
                    out.as_mut_ptr().add(2 * i),
                    a.as_ptr().add(i),
                    a.as_ptr().add(i),
                    BLOCK,
                    0,
                    addend.as_ptr(),
                )
            };
        }
    }

    /// Montgomery reduction, as [`portable::reduce`](super::portable::reduce); lengths are multiples of 8.
    #[inline]
    pub(crate) fn reduce(self, t: &mut [u64], n: &[u64], n0: u64, quotient: &mut [u64]) -> u64 {
        let len = n.len();
        assert!(len.is_multiple_of(BLOCK) && len > 0);
        assert!(t.len() == 2 * len && quotient.len() == len);
        let mut carry = 0;
        for i in (0..len).step_by(BLOCK) {
            // SAFETY: the processor has BMI2 and ADX (`self`); 8 limbs are there from `i` on in `t` and `quotient`, and
            // in `n`; then `t` has `len` from `i + 8` on, since `i + 8 + len <= 2 len`, and `n` has `len - 8` from 8 on.
            carry = unsafe {
                let digits = quotient.as_mut_ptr().add(i);
                let low = t.as_mut_ptr().add(i);
                reduce_block(low, n.as_ptr(), n0, digits);
                mul_add_block_with(
                    low.add(BLOCK),
                    digits,
                    n.as_ptr().add(BLOCK),
                    len - BLOCK,
                    carry,
                    low,
                )
            };
        }
        carry
    }

    /// `out = a - b`, returns the borrow; one length, a multiple of 8.
    #[inline]
    pub(crate) fn sub(self, out: &mut [u64], a: &[u64], b: &[u64]) -> u64 {
        let len = out.len();
        assert!(len.is_multiple_of(BLOCK) && len > 0 && a.len() == len && b.len() == len);
        // SAFETY: all three have `len` limbs, a positive multiple of 8.
        unsafe { sub_limbs(out.as_mut_ptr(), a.as_ptr(), b.as_ptr(), len / BLOCK) }
    }
    /// `out -= a`, returns the borrow; one length, a multiple of 8.
    #[inline]
    pub(crate) fn sub_assign(self, out: &mut [u64], a: &[u64]) -> u64 {
        let len = out.len();
        assert!(len.is_multiple_of(BLOCK) && len > 0 && a.len() == len);
        let out = out.as_mut_ptr();
        // SAFETY: both have `len` limbs, a positive multiple of 8; each limb is read before it is written.
        unsafe { sub_limbs(out, out, a.as_ptr(), len / BLOCK) }
    }
    /// `out *= 2`, returns the bit that leaves at the top; a multiple of 8 limbs.
    #[inline]
    pub(crate) fn double(self, out: &mut [u64]) -> u64 {
        let len = out.len();
        assert!(len.is_multiple_of(BLOCK) && len > 0);
        let out = out.as_mut_ptr();
        // SAFETY: there are `len` limbs, a positive multiple of 8; each is read before it is written.
        unsafe { add_limbs(out, out, out, len / BLOCK) }
    }
}

/// `accumulators += a[0..8] * rdx`, eight limbs from `[rsi]`; `$first` is complete, and stored by `$store`; then the new
/// top is made in it. CF and OF are used, `rax` and `rcx` lost.
macro_rules! row {
    ($r0:literal, $r1:literal, $r2:literal, $r3:literal, $r4:literal, $r5:literal, $r6:literal, $r7:literal, $store:expr) => {
        concat!(
            "xor eax, eax\n",
            "mulx rcx, rax, [rsi]\n",
            concat!("adcx ", $r0, ", rax\n"),
            concat!("adox ", $r1, ", rcx\n"),
            $store,
            "mulx rcx, rax, [rsi + 8]\n",
            concat!("adcx ", $r1, ", rax\n"),
            concat!("adox ", $r2, ", rcx\n"),
            "mulx rcx, rax, [rsi + 16]\n",
            concat!("adcx ", $r2, ", rax\n"),
            concat!("adox ", $r3, ", rcx\n"),
            "mulx rcx, rax, [rsi + 24]\n",
            concat!("adcx ", $r3, ", rax\n"),
            concat!("adox ", $r4, ", rcx\n"),
            "mulx rcx, rax, [rsi + 32]\n",
            concat!("adcx ", $r4, ", rax\n"),
            concat!("adox ", $r5, ", rcx\n"),
            "mulx rcx, rax, [rsi + 40]\n",
            concat!("adcx ", $r5, ", rax\n"),
            concat!("adox ", $r6, ", rcx\n"),
            "mulx rcx, rax, [rsi + 48]\n",
            concat!("adcx ", $r6, ", rax\n"),
            concat!("adox ", $r7, ", rcx\n"),
            concat!("mulx ", $r0, ", rax, [rsi + 56]\n"),
            concat!("adcx ", $r7, ", rax\n"),
            "mov eax, 0\n",
            concat!("adcx ", $r0, ", rax\n"),
            concat!("adox ", $r0, ", rax\n"),
        )
    };
}

/// One row of a product: the multiplier is `[rdi + rbx + offset]`, the lowest limb goes to `[rdi + offset]`, the limb that
/// was at `[rdi + offset + 64]` and the carry in `rbp` (0 or -1) join the top.
macro_rules! product_row {
    ($offset:literal, $r0:literal, $r1:literal, $r2:literal, $r3:literal, $r4:literal, $r5:literal, $r6:literal, $r7:literal) => {
        concat!(
            concat!("mov rdx, [rdi + rbx + ", $offset, "]\n"),
            row!(
                $r0,
                $r1,
                $r2,
                $r3,
                $r4,
                $r5,
                $r6,
                $r7,
                concat!("mov [rdi + ", $offset, "], ", $r0, "\n")
            ),
            "neg rbp\n",
            concat!("adc ", $r0, ", [rdi + ", $offset, " + 64]\n"),
            "sbb rbp, rbp\n",
        )
    };
}

/// One row of a reduction, `n0` at `[rsp]`: the digit that clears `$r0` goes to `[rdi + offset]`.
macro_rules! reduction_row {
    ($offset:literal, $r0:literal, $r1:literal, $r2:literal, $r3:literal, $r4:literal, $r5:literal, $r6:literal, $r7:literal) => {
        concat!(
            concat!("mov rdx, ", $r0, "\n"),
            "imul rdx, [rsp]\n",
            concat!("mov [rdi + ", $offset, "], rdx\n"),
            row!($r0, $r1, $r2, $r3, $r4, $r5, $r6, $r7, "")
        )
    };
}

macro_rules! eight_rows {
    ($row:ident) => {
        concat!(
            $row!("0", "r8", "r9", "r10", "r11", "r12", "r13", "r14", "r15"),
            $row!("8", "r9", "r10", "r11", "r12", "r13", "r14", "r15", "r8"),
            $row!("16", "r10", "r11", "r12", "r13", "r14", "r15", "r8", "r9"),
            $row!("24", "r11", "r12", "r13", "r14", "r15", "r8", "r9", "r10"),
            $row!("32", "r12", "r13", "r14", "r15", "r8", "r9", "r10", "r11"),
            $row!("40", "r13", "r14", "r15", "r8", "r9", "r10", "r11", "r12"),
            $row!("48", "r14", "r15", "r8", "r9", "r10", "r11", "r12", "r13"),
            $row!("56", "r15", "r8", "r9", "r10", "r11", "r12", "r13", "r14"),
        )
    };
}

macro_rules! save {
    () => {
        "push rbx\npush rbp\npush r12\npush r13\npush r14\npush r15\n"
    };
}
macro_rules! restore {
    () => {
        "pop r15\npop r14\npop r13\npop r12\npop rbp\npop rbx\nret\n"
    };
}
macro_rules! eight {
    ($first:literal, $rest:literal, $separator:literal, $base:literal) => {
        concat!(
            $first, " r8", $separator, "[", $base, "]\n", $rest, " r9", $separator, "[", $base,
            " + 8]\n", $rest, " r10", $separator, "[", $base, " + 16]\n", $rest, " r11",
            $separator, "[", $base, " + 24]\n", $rest, " r12", $separator, "[", $base, " + 32]\n",
            $rest, " r13", $separator, "[", $base, " + 40]\n", $rest, " r14", $separator, "[",
            $base, " + 48]\n", $rest, " r15", $separator, "[", $base, " + 56]\n",
        )
    };
}
macro_rules! store_eight {
    () => {
        "mov [rdi], r8\nmov [rdi + 8], r9\nmov [rdi + 16], r10\nmov [rdi + 24], r11\nmov [rdi + 32], r12\nmov [rdi + 40], r13\nmov [rdi + 48], r14\nmov [rdi + 56], r15\n"
    };
}

/// The loop over the rows; the window is loaded, its carry in `rbp`, `[rsp]` is the end of the rows, `[rsp + 8]` a carry
/// that joins the lowest limb of the last window.
macro_rules! rows {
    () => {
        concat!(
            "cmp rdi, [rsp]\n",
            "je 3f\n",
            "2:\n",
            eight_rows!(product_row),
            "add rdi, 64\n",
            "cmp rdi, [rsp]\n",
            "jne 2b\n",
            "3:\n",
            "xor eax, eax\n",
            "add r8, [rsp + 8]\n",
            "adc r9, 0\nadc r10, 0\nadc r11, 0\nadc r12, 0\nadc r13, 0\nadc r14, 0\nadc r15, 0\n",
            "adc rax, 0\n",
            "sub rax, rbp\n",
            store_eight!(),
            "add rsp, 16\n",
            restore!(),
        )
    };
}

/// `out[0 .. rows + 8] += a[0..8] * b[0..rows] + carry 2^(64 rows)`, returns the carry.
///
/// # Safety
/// The processor has BMI2 and ADX; the lengths are as above; `rows` is a multiple of 8.
#[unsafe(naked)]
unsafe extern "sysv64" fn mul_add_block(
    out: *mut u64,
    a: *const u64,
    b: *const u64,
    rows: usize,
    carry: u64,
) -> u64 {
    naked_asm!(concat!(
        save!(),
        "push r8\n",
        "lea rax, [rdi + rcx * 8]\n",
        "push rax\n",
        "mov rbx, rdx\n",
        "sub rbx, rdi\n",
        eight!("mov", "mov", ", ", "rdi"),
        "xor ebp, ebp\n",
        rows!(),
    ))
}

/// As [`mul_add_block`], and `+ addend[0..8]`; `addend` may overlap nothing but what lies below `out`.
///
/// # Safety
/// As [`mul_add_block`].
#[unsafe(naked)]
unsafe extern "sysv64" fn mul_add_block_with(
    out: *mut u64,
    a: *const u64,
    b: *const u64,
    rows: usize,
    carry: u64,
    addend: *const u64,
) -> u64 {
    naked_asm!(concat!(
        save!(),
        "push r8\n",
        "lea rax, [rdi + rcx * 8]\n",
        "push rax\n",
        "mov rbx, rdx\n",
        "sub rbx, rdi\n",
        "mov rcx, r9\n",
        eight!("mov", "mov", ", ", "rdi"),
        eight!("add", "adc", ", ", "rcx"),
        "sbb rbp, rbp\n",
        rows!(),
    ))
}

/// `digits` such that `t[0..8] + digits * n[0..8]` is divisible by `2^512`; the quotient replaces `t[0..8]`.
///
/// # Safety
/// The processor has BMI2 and ADX; all three have 8 limbs.
#[unsafe(naked)]
unsafe extern "sysv64" fn reduce_block(t: *mut u64, n: *const u64, n0: u64, digits: *mut u64) {
    naked_asm!(concat!(
        save!(),
        "push rdi\n",
        "push rdx\n",
        eight!("mov", "mov", ", ", "rdi"),
        "mov rdi, rcx\n",
        eight_rows!(reduction_row),
        "mov rdi, [rsp + 8]\n",
        store_eight!(),
        "add rsp, 16\n",
        restore!(),
    ))
}

macro_rules! carry_step {
    ($with:literal, $offset:literal) => {
        concat!(
            "mov rax, [rsi + ",
            $offset,
            "]\n",
            $with,
            " rax, [rdx + ",
            $offset,
            "]\n",
            "mov [rdi + ",
            $offset,
            "], rax\n",
        )
    };
}
macro_rules! carry_loop {
    ($with:literal) => {
        concat!(
            "xor eax, eax\n",
            "2:\n",
            carry_step!($with, "0"),
            carry_step!($with, "8"),
            carry_step!($with, "16"),
            carry_step!($with, "24"),
            carry_step!($with, "32"),
            carry_step!($with, "40"),
            carry_step!($with, "48"),
            carry_step!($with, "56"),
            "lea rsi, [rsi + 64]\n",
            "lea rdx, [rdx + 64]\n",
            "lea rdi, [rdi + 64]\n",
            "dec rcx\n",
            "jnz 2b\n",
            "sbb rax, rax\n",
            "neg rax\n",
            "ret\n",
        )
    };
}

/// `out = a - b` over `8 blocks` limbs, `blocks > 0`; returns the borrow.
///
/// # Safety
/// All three have as many limbs; `out` is one of the others or apart from them.
#[unsafe(naked)]
unsafe extern "sysv64" fn sub_limbs(
    out: *mut u64,
    a: *const u64,
    b: *const u64,
    blocks: usize,
) -> u64 {
    naked_asm!(carry_loop!("sbb"))
}

/// `out = a + b` over `8 blocks` limbs, `blocks > 0`; returns the carry.
///
/// # Safety
/// As [`sub_limbs`].
#[unsafe(naked)]
unsafe extern "sysv64" fn add_limbs(
    out: *mut u64,
    a: *const u64,
    b: *const u64,
    blocks: usize,
) -> u64 {
    naked_asm!(carry_loop!("adc"))
}
