//! Writes frames: their variables, what lies on their stacks, and what they run.

use std::io::Write;

use crate::layout::{FrameLayout, shared};
use crate::memory::Address;
use crate::sections::{Kind, Label};
use crate::walk::Walk;

/// What a frame runs.
struct FrameParts {
    code: Address,
    globals: Address,
    builtins: Address,
    back: Address,
}

impl<W: Write> Walk<'_, W> {
    pub(crate) fn write_frame(&mut self, class: u32, frame: Address) {
        let owned = self.references_of(class, frame);
        let thread = self.stacks.thread_of(frame);
        let parts = self.parts_of_frame(frame);
        self.labels.clear();
        self.label_variables(frame, &parts, &owned, self.stacks.is_running(frame));
        let machinery = [
            ("f_back", parts.back),
            ("f_code", parts.code),
            ("f_globals", parts.globals),
            ("f_builtins", parts.builtins),
        ];
        for (name, value) in machinery {
            if value != 0 && !self.own.contains(value) {
                let label = Label::named(Kind::Machinery, self.out.string(name.as_bytes()));
                self.labels.push((label, value));
            }
        }
        // A frame that does not run tells of its function and of what lies on its stack too.
        let known = self.labels.len();
        for reference in &owned {
            if !self.labels[..known]
                .iter()
                .any(|(_, target)| target == reference)
            {
                self.labels.push((Label::STACK, *reference));
            }
        }
        self.references = owned;
        self.write_labels();
        let line = self.objects.interpreter.line_of_frame(frame);
        self.rows.frames.push((frame, parts.code, thread, line));
    }

    fn parts_of_frame(&self, frame: Address) -> FrameParts {
        let objects = self.objects;
        match objects.layout.frame {
            FrameLayout::InObject(layout) => FrameParts {
                code: objects.field(frame, layout.code),
                globals: objects.field(frame, layout.globals),
                builtins: objects.field(frame, layout.builtins),
                back: objects.field(frame, layout.back),
            },
            FrameLayout::Apart(layout) => {
                let inner = objects.field(frame, shared::FRAME_OF_OBJECT);
                let word = |offset| objects.memory.word(inner + offset);
                let back = objects.interpreter.frame_before(frame).unwrap_or(0);
                objects.interpreter.let_go(back);
                FrameParts {
                    code: layout.without_tags(word(layout.code)),
                    globals: word(layout.globals),
                    builtins: word(layout.builtins),
                    back,
                }
            }
        }
    }

    /// Labels a frame's local variables, or the dictionary that it has in place of them, and its stack.
    fn label_variables(
        &mut self,
        frame: Address,
        parts: &FrameParts,
        owned: &[Address],
        is_running: bool,
    ) {
        let objects = self.objects;
        let memory = objects.memory;
        let flags = objects.field32(parts.code, objects.layout.code.flags);
        let is_optimized = flags & shared::CODE_IS_OPTIMIZED != 0;
        let (first, namespace) = match objects.layout.frame {
            FrameLayout::InObject(layout) => (
                frame + objects.header + layout.variables,
                objects.field(frame, layout.namespace),
            ),
            FrameLayout::Apart(layout) => {
                let inner = objects.field(frame, shared::FRAME_OF_OBJECT);
                (
                    inner + layout.variables,
                    layout.without_tags(memory.word(inner + layout.namespace)),
                )
            }
        };
        if !is_optimized && namespace != 0 {
            self.labels.push((Label::NAMESPACE, namespace));
        }
        // The frame object of a generator that waits owns nothing.
        let owns = is_running || !owned.is_empty();
        let elsewhere = self.owned_by_a_generator(frame, flags, is_running);
        objects.each_variable(parts.code, |place, name| {
            let word = memory.word(first + place as u64 * 8);
            let (value, is_owned) = match objects.layout.frame {
                FrameLayout::InObject(_) => (word, true),
                FrameLayout::Apart(layout) => (layout.without_tags(word), layout.owns(word)),
            };
            if value == 0 {
                return;
            }
            let label = Label::named(Kind::Local, self.string_of(name));
            let is_its_own = owns && is_owned && !elsewhere.contains(&value);
            self.labels
                .push((if is_its_own { label } else { label.described() }, value));
        });
        if let (true, FrameLayout::Apart(layout)) = (is_running, objects.layout.frame) {
            let inner = objects.field(frame, shared::FRAME_OF_OBJECT);
            let start = first + objects.variable_count(parts.code) * 8;
            let end = if layout.stack_end_is_an_address {
                memory.word(inner + layout.stack_end)
            } else {
                let used = memory.i32(inner + layout.stack_end);
                first + u64::try_from(used).unwrap_or(0) * 8
            };
            let most =
                start + u64::from(objects.field32(parts.code, objects.layout.code.stack_size)) * 8;
            for place in (start..end.min(most)).step_by(8) {
                let word = memory.word(place);
                let value = layout.without_tags(word);
                if value != 0 {
                    let is_its_own = layout.owns(word) && !elsewhere.contains(&value);
                    let label = Label::STACK;
                    self.labels
                        .push((if is_its_own { label } else { label.described() }, value));
                }
            }
            let function = layout.without_tags(memory.word(inner + layout.function));
            if function != 0 && objects.type_of(function) == self.types.function {
                let label = Label::named(Kind::Machinery, self.out.string(b"function"));
                self.labels.push((label, function));
            }
        }
    }

    /// What a running frame shows and its generator owns.
    fn owned_by_a_generator(&self, frame: Address, flags: u32, is_running: bool) -> Vec<Address> {
        let objects = self.objects;
        let mut found = Vec::new();
        if let FrameLayout::Apart(layout) = objects.layout.frame
            && is_running
            && flags & shared::CODE_IS_OF_A_GENERATOR != 0
        {
            let inner = objects.field(frame, shared::FRAME_OF_OBJECT);
            let generator = inner - layout.in_generator - objects.header;
            if self.is_known(generator) {
                let type_ = objects.type_of(generator);
                if self.types.generators.contains(&type_) {
                    objects.interpreter.references(generator, type_, &mut found);
                }
            }
        }
        found
    }
}
