//! What a child says of its dump: a page that both processes see, which needs no file and no pipe.

use std::ptr::{NonNull, null_mut};

const BYTES: usize = 4096;
const LENGTH_BYTES: usize = 8;

/// The page. It goes with this value.
pub(crate) struct SharedReport(NonNull<u8>);

impl SharedReport {
    pub(crate) fn new() -> Option<Self> {
        // SAFETY: an anonymous mapping at a place of the system's choice touches nothing that exists.
        let page = unsafe {
            libc::mmap(
                null_mut(),
                BYTES,
                libc::PROT_READ | libc::PROT_WRITE,
                libc::MAP_SHARED | libc::MAP_ANONYMOUS,
                -1,
                0,
            )
        };
        if page == libc::MAP_FAILED {
            return None;
        }
        NonNull::new(page.cast()).map(Self)
    }

    /// Says something in place of what was said before.
    pub(crate) fn say(&self, text: &str) {
        let length = text.floor_char_boundary(BYTES - LENGTH_BYTES);
        // SAFETY: it fits into the page, which only the child writes and only while the parent does not read: it waits for its end.
        unsafe {
            let page = self.0.as_ptr();
            page.add(LENGTH_BYTES)
                .copy_from_nonoverlapping(text.as_ptr(), length);
            page.cast::<u64>().write(length as u64);
        }
    }

    /// What was said last.
    pub(crate) fn text(&self) -> String {
        // SAFETY: as in `say`; the length is checked, for a child that went astray may have written anything.
        let bytes = unsafe {
            let page = self.0.as_ptr();
            let length = page.cast::<u64>().read().min((BYTES - LENGTH_BYTES) as u64);
            std::slice::from_raw_parts(page.add(LENGTH_BYTES), length as usize)
        };
        String::from_utf8_lossy(bytes).into_owned()
    }
}

impl Drop for SharedReport {
    fn drop(&mut self) {
        // SAFETY: the mapping of this value, which nobody uses any more.
        unsafe { libc::munmap(self.0.as_ptr().cast(), BYTES) };
    }
}
