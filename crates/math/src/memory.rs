//! Pages of large buffers.

/// Large pages of most processors.
#[cfg(all(target_os = "linux", not(miri)))]
const LARGE: usize = 2 << 20;

/// Asks the system for large pages for `len` values: a page fault each 4 KiB costs as much as clearing and filling them does.
/// Only a hint, best given before first use; where the system has no such thing, nothing happens.
pub(crate) fn large_pages<T>(start: *const T, len: usize) {
    #[cfg(all(target_os = "linux", not(miri)))]
    {
        let first = (start.addr()).next_multiple_of(LARGE);
        let end = (start.addr() + len * size_of::<T>()) / LARGE * LARGE;
        if first < end {
            let first_page = start.cast::<u8>().wrapping_add(first - start.addr());
            // SAFETY: the advice changes no contents, whatever is there. Its failure leaves small pages.
            unsafe {
                libc::madvise(
                    first_page.cast_mut().cast(),
                    end - first,
                    libc::MADV_HUGEPAGE,
                )
            };
        }
    }
    #[cfg(not(all(target_os = "linux", not(miri))))]
    let _ = (start, len);
}
