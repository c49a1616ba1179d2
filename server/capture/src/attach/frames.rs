//! What is written on a thread's stack so that it calls functions and then goes on as if nothing had been: frames as the kernel writes
//! them for a signal's handler (`struct rt_sigframe`, arch/x86/include/asm/sigframe.h).

use std::arch::x86_64::__cpuid_count;

use libc::user_regs_struct;

use super::call::{Argument, Call, LEAST_STACK, RED_ZONE};

/// What a thread's state is besides its general registers.
pub(super) struct State {
    /// Of the floating point and vector units, as `ptrace` hands it out.
    pub(super) extended: Vec<u8>,
    pub(super) blocked_signals: u64,
}

/// What is written on the thread's stack, and the registers with which it begins the first call.
pub(super) struct Frames {
    pub(super) address: u64,
    pub(super) bytes: Vec<u8>,
    pub(super) registers: user_regs_struct,
    lowest: u64,
}

/// A frame as the kernel writes it (`struct rt_sigframe`): where to return to, a context, no information about a signal.
const FRAME_BYTES: u64 = 8 + 304;
/// Where parts of the context are, from the frame's begin (`struct ucontext`, `struct sigcontext`).
const FLAGS: u64 = 8;
const ALTERNATE_STACK_FLAGS: u64 = 8 + 24;
const REGISTERS: u64 = 8 + 40;
const EXTENDED_AT: u64 = REGISTERS + 184;
const BLOCKED_SIGNALS: u64 = REGISTERS + 256;

impl Frames {
    /// Frames for a thread that then goes on with `resumed`; one for each call, in which the registers for what comes after it stand.
    pub(super) fn new(
        calls: &[Call],
        resumed: &user_regs_struct,
        state: &State,
        sigreturn: u64,
    ) -> Self {
        // From high to low: the texts, the state of the units, the frames.
        let top = resumed.rsp.saturating_sub(RED_ZONE);
        let texts = |call: &Call| {
            let bytes = |argument: &Argument| match argument {
                Argument::Text(text) => text.len() as u64 + 1,
                Argument::Number(_) => 0,
            };
            call.arguments.iter().map(bytes).sum::<u64>()
        };
        let text_bytes: u64 = calls.iter().map(texts).sum();
        let texts_at = top.saturating_sub(text_bytes);
        let extended = signal_frame_state(&state.extended);
        let extended_at = texts_at.saturating_sub(extended.len() as u64) & !63;
        // A function begins eight below a multiple of sixteen.
        let step = FRAME_BYTES.next_multiple_of(16);
        let first = (extended_at.saturating_sub(step * calls.len() as u64) & !15).saturating_sub(8);
        let mut frames = Self {
            address: first,
            bytes: vec![0; usize::try_from(top.saturating_sub(first)).unwrap_or(0)],
            registers: *resumed,
            lowest: first.saturating_sub(LEAST_STACK),
        };
        frames.put(extended_at, &extended);
        let mut text_at = texts_at;
        let mut begins = Vec::new();
        for (number, call) in (0u64..).zip(calls) {
            let mut registers = *resumed;
            let mut given = [0; 2];
            for (value, argument) in given.iter_mut().zip(&call.arguments) {
                *value = match argument {
                    Argument::Number(number) => *number,
                    Argument::Text(text) => {
                        frames.put(text_at, text.as_bytes());
                        let at = text_at;
                        text_at += text.len() as u64 + 1;
                        at
                    }
                };
            }
            [registers.rdi, registers.rsi] = given;
            // No vector registers are arguments; no system call is made again; the direction is upwards.
            registers.rax = 0;
            registers.orig_rax = u64::MAX;
            registers.eflags &= !0x400;
            registers.rip = call.function;
            registers.rsp = first + number * step;
            begins.push(registers);
        }
        let after = begins.iter().skip(1).chain([resumed]);
        for (begin, after) in begins.iter().zip(after) {
            frames.put_frame(begin.rsp, after, extended_at, state, sigreturn);
        }
        frames.registers = begins.first().copied().unwrap_or(*resumed);
        frames
    }

    /// These frames, if there is room for them, and for what is called.
    pub(super) fn fit(self, room: std::ops::Range<u64>) -> Option<Self> {
        let end = self.address + self.bytes.len() as u64;
        let fits = room.start <= self.lowest && end <= room.end && self.lowest < self.address;
        fits.then_some(self)
    }

    fn put(&mut self, address: u64, bytes: &[u8]) {
        let from = usize::try_from(address.saturating_sub(self.address)).unwrap_or(usize::MAX);
        let place = from
            .checked_add(bytes.len())
            .and_then(|to| self.bytes.get_mut(from..to));
        if let Some(place) = place {
            place.copy_from_slice(bytes);
        }
    }

    fn put_frame(
        &mut self,
        at: u64,
        after: &user_regs_struct,
        extended_at: u64,
        state: &State,
        sigreturn: u64,
    ) {
        /// The extended state is there, the stack's segment is, and is taken as it is.
        const ALL_IS_THERE: u64 = 1 | 2 | 4;
        /// A mode that no kernel knows: it leaves the alternate stack for signals as it is.
        const LEAVE: u64 = 4;

        let segments = after.cs & 0xffff | (after.ss & 0xffff) << 48;
        let registers = [
            after.r8,
            after.r9,
            after.r10,
            after.r11,
            after.r12,
            after.r13,
            after.r14,
            after.r15,
            after.rdi,
            after.rsi,
            after.rbp,
            after.rbx,
            after.rdx,
            after.rax,
            after.rcx,
            after.rsp,
            after.rip,
            after.eflags,
            segments,
        ];
        self.put(at, &sigreturn.to_le_bytes());
        self.put(at + FLAGS, &ALL_IS_THERE.to_le_bytes());
        self.put(at + ALTERNATE_STACK_FLAGS, &LEAVE.to_le_bytes());
        for (place, register) in (at + REGISTERS..).step_by(8).zip(registers) {
            self.put(place, &register.to_le_bytes());
        }
        self.put(at + EXTENDED_AT, &extended_at.to_le_bytes());
        self.put(at + BLOCKED_SIGNALS, &state.blocked_signals.to_le_bytes());
    }
}

/// The state of the units as it stands in a signal's frame: as `ptrace` hands it out, cut to what is in use, and with its size said
/// where the kernel looks for it (`struct _fpx_sw_bytes`).
fn signal_frame_state(extended: &[u8]) -> Vec<u8> {
    const SAID_AT: usize = 464;
    const IN_USE_AT: usize = 512;
    const HEADER_END: u32 = 576;
    const BEGIN: u32 = 0x4650_5853;
    const END: u32 = 0x4650_5845;
    /// The rights to memory by key: a value, in use or not.
    const KEYS: u64 = 1 << 9;

    let word_at = |at: usize| {
        let bytes = extended
            .get(at..at + 8)
            .and_then(|bytes| bytes.try_into().ok());
        bytes.map_or(0, u64::from_le_bytes)
    };
    // The kernel hands out which of the parts there are where it will look for the size.
    let in_use = word_at(IN_USE_AT) | 3 | word_at(SAID_AT) & KEYS;
    let end_of = |part: u32| {
        let place = __cpuid_count(13, part);
        place.eax.saturating_add(place.ebx)
    };
    let parts = (2..63).filter(|part| in_use >> part & 1 == 1);
    let size = parts.map(end_of).fold(HEADER_END, u32::max);
    let mut state = extended.to_vec();
    state.resize(size as usize, 0);
    let mut said = Vec::with_capacity(48);
    said.extend(BEGIN.to_le_bytes());
    said.extend((size + 4).to_le_bytes());
    said.extend(in_use.to_le_bytes());
    said.extend(size.to_le_bytes());
    said.resize(48, 0);
    state[SAID_AT..SAID_AT + 48].copy_from_slice(&said);
    state[IN_USE_AT..IN_USE_AT + 8].copy_from_slice(&in_use.to_le_bytes());
    state.extend(END.to_le_bytes());
    state
}
