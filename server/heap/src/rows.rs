//! Compressed sparse rows over `u32`: `targets[offsets[n]..offsets[n + 1]]` belongs to row `n`.

use std::ops::Range;

/// Rows of targets.
#[derive(Debug, Clone, Default)]
pub(crate) struct Rows {
    pub(crate) offsets: Vec<u32>,
    pub(crate) targets: Vec<u32>,
}

impl Rows {
    /// Number of rows.
    pub(crate) fn len(&self) -> usize {
        self.offsets.len().saturating_sub(1)
    }

    /// Where the row lies in `targets` (and in columns beside it).
    pub(crate) fn range(&self, row: u32) -> Range<usize> {
        self.offsets[row as usize] as usize..self.offsets[row as usize + 1] as usize
    }

    /// The targets of a row.
    pub(crate) fn row(&self, row: u32) -> &[u32] {
        &self.targets[self.range(row)]
    }

    /// The same references the other way: row `t` lists the sources whose rows name `t`, in ascending order, once each
    /// time they do.
    pub(crate) fn reversed(&self) -> Self {
        let rows = self.len();
        let mut offsets = vec![0u32; rows + 1];
        for &target in &self.targets {
            offsets[target as usize + 1] += 1;
        }
        for row in 0..rows {
            offsets[row + 1] += offsets[row];
        }
        let mut targets = vec![0u32; self.targets.len()];
        // The offsets serve as write positions, and are shifted back afterwards.
        for source in 0..rows as u32 {
            for &target in self.row(source) {
                let position = &mut offsets[target as usize];
                targets[*position as usize] = source;
                *position += 1;
            }
        }
        for row in (1..=rows).rev() {
            offsets[row] = offsets[row - 1];
        }
        if let Some(first) = offsets.first_mut() {
            *first = 0;
        }
        Self { offsets, targets }
    }
}
