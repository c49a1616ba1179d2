//! Reads this process's memory: the one place where an address becomes a value.

use std::ffi::CStr;

/// The address of an object or of a part of one; 0 is none.
pub(crate) type Address = u64;

/// This process's memory, while nothing of the interpreter's in it changes.
///
/// Whoever made one has promised, by [`Memory::standing_still`], what makes each read below sound.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Memory(());

impl Memory {
    /// # Safety
    /// As long as the value or a copy of it is used, no other thread changes or frees objects of the interpreter, and the value is
    /// asked only for words of live objects, at the places where the layout of this interpreter has them. In a forked child the first
    /// holds by itself, and a wrong layout ends nothing but the child.
    pub(crate) unsafe fn standing_still() -> Self {
        Self(())
    }

    #[inline]
    pub(crate) fn word(self, address: Address) -> u64 {
        // SAFETY: by the promise given to `standing_still`.
        unsafe { (address as *const u64).read_unaligned() }
    }

    #[inline]
    pub(crate) fn signed(self, address: Address) -> i64 {
        self.word(address).cast_signed()
    }

    #[inline]
    pub(crate) fn u32(self, address: Address) -> u32 {
        // SAFETY: by the promise given to `standing_still`.
        unsafe { (address as *const u32).read_unaligned() }
    }

    #[inline]
    pub(crate) fn i32(self, address: Address) -> i32 {
        self.u32(address).cast_signed()
    }

    #[inline]
    pub(crate) fn u8(self, address: Address) -> u8 {
        // SAFETY: by the promise given to `standing_still`.
        unsafe { (address as *const u8).read() }
    }

    /// `length` bytes. They must not outlive the moment: nothing says so but the promise.
    #[inline]
    pub(crate) fn bytes<'a>(self, address: Address, length: usize) -> &'a [u8] {
        if length == 0 {
            return &[];
        }
        // SAFETY: by the promise given to `standing_still`.
        unsafe { std::slice::from_raw_parts(address as *const u8, length) }
    }

    /// The bytes of a C text, without its end.
    pub(crate) fn c_text<'a>(self, address: Address) -> &'a [u8] {
        if address == 0 {
            return &[];
        }
        // SAFETY: by the promise given to `standing_still`; C texts of the interpreter end with a zero.
        unsafe { CStr::from_ptr(address as *const libc::c_char) }.to_bytes()
    }
}
