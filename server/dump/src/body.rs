//! Columns in a section's body: each is cut off the front, checked against what is left.

/// The body does not hold what its counts promise.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Short;

/// What is left of a body.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Body<'a>(pub(crate) &'a [u8]);

/// A column of `u32`.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Column32<'a>(&'a [u8]);

/// A column of `u64`.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Column64<'a>(&'a [u8]);

fn u32_of(bytes: &[u8]) -> u32 {
    bytes.try_into().map_or(0, u32::from_le_bytes)
}

fn u64_of(bytes: &[u8]) -> u64 {
    bytes.try_into().map_or(0, u64::from_le_bytes)
}

impl<'a> Body<'a> {
    pub(crate) fn bytes(&mut self, count: usize) -> Result<&'a [u8], Short> {
        let (front, rest) = self.0.split_at_checked(count).ok_or(Short)?;
        self.0 = rest;
        Ok(front)
    }

    pub(crate) fn u32(&mut self) -> Result<u32, Short> {
        self.bytes(4).map(u32_of)
    }

    pub(crate) fn u64(&mut self) -> Result<u64, Short> {
        self.bytes(8).map(u64_of)
    }

    /// A count of rows, and the four bytes behind it.
    pub(crate) fn count(&mut self) -> Result<usize, Short> {
        let count = self.u32()? as usize;
        self.u32()?;
        Ok(count)
    }

    pub(crate) fn column32(&mut self, count: usize) -> Result<Column32<'a>, Short> {
        self.bytes(count.checked_mul(4).ok_or(Short)?).map(Column32)
    }

    pub(crate) fn column64(&mut self, count: usize) -> Result<Column64<'a>, Short> {
        self.bytes(count.checked_mul(8).ok_or(Short)?).map(Column64)
    }

    /// All of the body must have been used.
    pub(crate) fn end(self) -> Result<(), Short> {
        if self.0.is_empty() {
            Ok(())
        } else {
            Err(Short)
        }
    }
}

impl<'a> Column32<'a> {
    pub(crate) fn iter(self) -> impl ExactSizeIterator<Item = u32> + 'a {
        self.0.chunks_exact(4).map(u32_of)
    }

    /// Sum of the column, `None` when it exceeds what memory can hold.
    pub(crate) fn sum(self) -> Option<usize> {
        self.iter()
            .try_fold(0usize, |sum, value| sum.checked_add(value as usize))
    }
}

impl<'a> Column64<'a> {
    pub(crate) fn iter(self) -> impl ExactSizeIterator<Item = u64> + 'a {
        self.0.chunks_exact(8).map(u64_of)
    }
}
