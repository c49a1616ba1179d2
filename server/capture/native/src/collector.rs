//! Finds what the garbage collector tracks, the frozen objects too.
//!
//! Up to 3.15 a collector keeps its objects in rings, one for each generation, whose heads stand one after the other in the state of
//! the interpreter (Include/internal/pycore_gc.h: `struct gc_generation`; Include/internal/pycore_interp.h). Where, changes with each
//! version; what they look like does not: three heads with the thresholds that the program knows, whose rings close.

use crate::interpreter::Interpreter;
use crate::memory::{Address, Memory};
use crate::order::Order;

/// `struct gc_generation`: the ring's head of two words, threshold and count.
const GENERATION: u64 = 24;
const THRESHOLD: u64 = 16;
/// The lowest bits of a ring's addresses are the collector's notes.
const NOTES: u64 = 7;
/// Bytes of the state in which the heads must lie.
const STATE: u64 = 400_000;
/// Before 3.12 the state has fewer, and behind it may be nothing.
const SMALL_STATE: u64 = 20_000;
/// `_PyRuntime` of 3.8.
const RUNTIME: u64 = 4096;

/// The heads of the rings, of each interpreter.
#[derive(Clone, Debug)]
pub(crate) struct Rings(Vec<Address>);

impl Rings {
    /// Finds the heads by the thresholds that `gc.get_threshold()` says.
    pub(crate) fn find(
        memory: Memory,
        interpreter: &Interpreter,
        minor: u32,
        order: &Order,
    ) -> Option<Self> {
        let state = interpreter.state();
        let length = match minor {
            ..=8 => RUNTIME,
            9..=11 => SMALL_STATE,
            _ => STATE,
        };
        let first = (state..state + length)
            .step_by(8)
            .find(|first| is_first(memory, *first, order.thresholds))?;
        // Up to 3.13 the address of the first generation stands before the permanent one.
        let after = first + 3 * GENERATION;
        let permanent = if memory.word(after) == first {
            after + 8
        } else {
            after
        };
        if !is_ring(memory, permanent) {
            return None;
        }
        let offsets = [0, GENERATION, 2 * GENERATION, permanent - first];
        let of = |first: Address| offsets.map(|offset| first + offset);
        let mut rings = of(first).to_vec();
        let others = if order.other_interpreters_run {
            Vec::new()
        } else {
            interpreter.other_states()
        };
        // They have theirs at the same place.
        for other in others {
            let heads = of(other + (first - state));
            if heads.iter().all(|head| is_ring(memory, *head)) {
                rings.extend(heads);
            }
        }
        Some(Self(rings))
    }

    /// Calls `visit` with each object.
    pub(crate) fn each(
        &self,
        memory: Memory,
        collector_header: u64,
        mut visit: impl FnMut(Address),
    ) {
        for head in self.0.iter().copied() {
            let mut node = memory.word(head) & !NOTES;
            while node != head && node != 0 {
                visit(node + collector_header);
                node = memory.word(node) & !NOTES;
            }
        }
    }
}

fn is_first(memory: Memory, first: Address, thresholds: [i32; 3]) -> bool {
    let heads = || (0..3).map(|number| first + number * GENERATION);
    heads()
        .zip(thresholds)
        .all(|(head, threshold)| memory.i32(head + THRESHOLD) == threshold)
        && heads().all(|head| is_ring(memory, head))
}

fn is_ring(memory: Memory, head: Address) -> bool {
    let (next, before) = (memory.word(head) & !NOTES, memory.word(head + 8) & !NOTES);
    let is_address = |address: Address| (4096..1 << 47).contains(&address);
    is_address(next)
        && is_address(before)
        && memory.word(next + 8) & !NOTES == head
        && memory.word(before) & !NOTES == head
}
