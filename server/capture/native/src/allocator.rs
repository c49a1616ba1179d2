//! Memory for a child that was cloned while other threads of its parent ran.
//!
//! Such a child must not ask `malloc`: another thread may have had its lock at the moment of the clone, and there is no such thread in
//! the child to give it back. So all that this library allocates comes straight from the system, in classes of sizes.

use std::alloc::{GlobalAlloc, Layout};
use std::cell::UnsafeCell;
use std::ptr::null_mut;
use std::sync::atomic::{AtomicBool, Ordering};

const LEAST_SHIFT: u32 = 4;
/// Blocks up to this are cut from larger ones; above it each has a mapping of its own.
const MOST_SHIFT: u32 = 16;
const CLASSES: usize = (MOST_SHIFT - LEAST_SHIFT + 1) as usize;
const REGION: usize = 2 << 20;
const PAGE: usize = 4096;

/// The allocator of this library.
pub(crate) struct OwnMemory {
    is_locked: AtomicBool,
    pool: UnsafeCell<Pool>,
}

struct Pool {
    /// Of each class the first free block, which has the address of the next.
    free: [*mut u8; CLASSES],
    /// What is left of the region that blocks are cut from.
    at: *mut u8,
    left: usize,
}

// SAFETY: the pool is reached under the lock only.
unsafe impl Sync for OwnMemory {}

impl OwnMemory {
    pub(crate) const fn new() -> Self {
        Self {
            is_locked: AtomicBool::new(false),
            pool: UnsafeCell::new(Pool {
                free: [null_mut(); CLASSES],
                at: null_mut(),
                left: 0,
            }),
        }
    }

    /// Sees to it that a megabyte of small blocks can be had: where memory runs out it is better known before anything is begun, for
    /// an allocation that fails ends the process.
    pub(crate) fn prepare(&self) -> bool {
        self.with_pool(|pool| {
            if pool.left < REGION / 2 {
                let region = map(REGION);
                if region.is_null() {
                    return false;
                }
                (pool.at, pool.left) = (region, REGION);
            }
            true
        })
    }

    /// Keeps the pool as it is: a child that is cloned meanwhile has it whole, and its lock free once it lets this go. Whoever holds it
    /// must not allocate.
    pub(crate) fn hold(&self) -> Held<'_> {
        while self.is_locked.swap(true, Ordering::Acquire) {
            std::hint::spin_loop();
        }
        Held(self)
    }

    fn with_pool<T>(&self, work: impl FnOnce(&mut Pool) -> T) -> T {
        let _held = self.hold();
        // SAFETY: the lock is held, so nobody else has the pool.
        work(unsafe { &mut *self.pool.get() })
    }
}

/// The pool's lock, while it lives.
pub(crate) struct Held<'a>(&'a OwnMemory);

impl Drop for Held<'_> {
    fn drop(&mut self) {
        self.0.is_locked.store(false, Ordering::Release);
    }
}

/// The class of a block, or None when it gets a mapping of its own.
fn class_of(layout: Layout) -> Option<usize> {
    let size = layout.size().max(layout.align()).max(1 << LEAST_SHIFT);
    (size <= 1 << MOST_SHIFT)
        .then(|| (size.next_power_of_two().trailing_zeros() - LEAST_SHIFT) as usize)
}

fn map(length: usize) -> *mut u8 {
    // SAFETY: an anonymous mapping at a place of the system's choice touches nothing that exists.
    let found = unsafe {
        libc::mmap(
            null_mut(),
            length,
            libc::PROT_READ | libc::PROT_WRITE,
            libc::MAP_PRIVATE | libc::MAP_ANONYMOUS,
            -1,
            0,
        )
    };
    if found == libc::MAP_FAILED {
        null_mut()
    } else {
        found.cast()
    }
}

fn whole_pages(length: usize) -> usize {
    length.next_multiple_of(PAGE)
}

impl Pool {
    fn take(&mut self, class: usize) -> *mut u8 {
        let block = self.free[class];
        if !block.is_null() {
            // SAFETY: a free block has at least 16 bytes, and the address of the next in the first eight.
            self.free[class] = unsafe { block.cast::<*mut u8>().read() };
            return block;
        }
        let size = 1 << (class as u32 + LEAST_SHIFT);
        let padding = self.at.align_offset(size);
        if padding.saturating_add(size) > self.left {
            let region = map(REGION);
            if region.is_null() {
                return null_mut();
            }
            (self.at, self.left) = (region, REGION);
            return self.take(class);
        }
        // SAFETY: padding and block lie in what is left of the region.
        let block = unsafe { self.at.add(padding) };
        // SAFETY: as before; the end of a region counts as in it.
        self.at = unsafe { block.add(size) };
        self.left -= padding + size;
        block
    }
}

// SAFETY: blocks do not overlap, are as large and aligned as asked for (classes are powers of two, cut at multiples of their size;
// mappings begin at pages), and stay until they are given back.
unsafe impl GlobalAlloc for OwnMemory {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        match class_of(layout) {
            Some(class) => self.with_pool(|pool| pool.take(class)),
            None if layout.align() > PAGE => null_mut(),
            None => map(whole_pages(layout.size())),
        }
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        // SAFETY: the caller's promise is that of `alloc`.
        let block = unsafe { self.alloc(layout) };
        // A mapping is zero, a block may have been used.
        if !block.is_null() && class_of(layout).is_some() {
            // SAFETY: it has so many bytes.
            unsafe { block.write_bytes(0, layout.size()) };
        }
        block
    }

    unsafe fn dealloc(&self, block: *mut u8, layout: Layout) {
        match class_of(layout) {
            Some(class) => self.with_pool(|pool| {
                // SAFETY: the block is free from now on, and has room for an address.
                unsafe { block.cast::<*mut u8>().write(pool.free[class]) };
                pool.free[class] = block;
            }),
            None => {
                // SAFETY: it is a mapping of this length, made by `alloc`.
                unsafe { libc::munmap(block.cast(), whole_pages(layout.size())) };
            }
        }
    }

    unsafe fn realloc(&self, block: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        // SAFETY: the caller promises that the new size makes a layout.
        let wanted = unsafe { Layout::from_size_align_unchecked(size, layout.align()) };
        match (class_of(layout), class_of(wanted)) {
            (Some(old), Some(new)) if old == new => block,
            (None, None) if layout.align() <= PAGE => {
                // SAFETY: it is a mapping of the old length, made by `alloc`; it may move.
                let moved = unsafe {
                    libc::mremap(
                        block.cast(),
                        whole_pages(layout.size()),
                        whole_pages(size),
                        libc::MREMAP_MAYMOVE,
                    )
                };
                if moved == libc::MAP_FAILED {
                    null_mut()
                } else {
                    moved.cast()
                }
            }
            _ => {
                // SAFETY: as in the default of the trait: a new block, what both have room for, the old one given back.
                unsafe {
                    let new = self.alloc(wanted);
                    if !new.is_null() {
                        new.copy_from_nonoverlapping(block, layout.size().min(size));
                        self.dealloc(block, layout);
                    }
                    new
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    /// The tests of this crate run on this allocator.
    #[test]
    fn blocks_of_all_sizes_keep_what_is_in_them() {
        let mut blocks: Vec<Vec<u8>> = Vec::new();
        for round in 0..3_u8 {
            for shift in 0..22 {
                blocks.push(vec![round ^ shift; (1 << shift) + round as usize]);
            }
            blocks.retain(|block| block.len() % 3 != 0);
        }
        for block in &mut blocks {
            let value = block[0];
            assert!(block.iter().all(|byte| *byte == value));
            block.resize(block.len() * 2, value);
            assert!(block.iter().all(|byte| *byte == value));
        }
    }
}
