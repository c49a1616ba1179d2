//! How a chain's references become steps, and how the tree of access paths grows.

use std::hash::Hasher;

use heldby_heap::{Heap, Label, ObjectId, ReferenceKind, RootKind, StringId};
use rustc_hash::FxHasher;

use crate::Chains;
use crate::binding::{is_inside_context, is_type_of_contexts, links};
use crate::known::NAMESPACES;
use crate::patterns::{Pattern, PatternId, Patterns, Step};

/// Paths are not followed up farther than this when a recursion is looked for.
pub(crate) const DEEPEST_RECURSION: usize = 64;

impl Pattern {
    pub(crate) fn root() -> Self {
        Self {
            parent: PatternId::ROOT,
            step: Step::Root,
            first_type: u32::MAX,
            sample: ObjectId::ROOT,
            sample_address: 0,
            count: 0,
            entries: 0,
            shallow_bytes: 0,
            retained_bytes: 0,
            identity: 0,
            recurs: false,
        }
    }
}

/// The step from `referrer`, which hangs at `above`, to `object`.
pub(crate) fn step_of(
    heap: &Heap,
    above: &Pattern,
    object: ObjectId,
    referrer: ObjectId,
    label: Label,
) -> Step {
    use ReferenceKind::*;
    let names = heap.names();
    if let Some(&row) = names.module_of.get(&object) {
        let module = &names.modules[row as usize];
        let is_own_namespace = label.kind() == Namespace && module.object == Some(referrer);
        if !is_own_namespace {
            return Step::Module(module.name);
        }
    }
    if let Some(frame) = names.frames.get(&object) {
        let code = frame.code.and_then(|code| names.codes.get(&code));
        return Step::Frame(code.map_or(StringId::NONE, |code| code.qualname));
    }
    let name = StringId(label.value());
    match label.kind() {
        Root => match RootKind::from_code(label.value()) {
            Some(RootKind::Native) | None => {
                // Nothing but their type tells such objects apart.
                let row = names.types.get(heap.type_index(object) as usize);
                Step::Native(row.map_or(StringId::NONE, |row| row.qualname))
            }
            Some(RootKind::Modules) => Step::Table,
            Some(_) => Step::State,
        },
        Namespace | CellContents => Step::Through,
        Attribute => Step::Name(name),
        Slot => Step::Slot(name),
        // A dictionary that was reached as a namespace holds names; any other holds entries.
        DictValue
            if matches!(
                above.step,
                Step::Through | Step::Module(_) | Step::ThreadLocal
            ) =>
        {
            Step::Name(name)
        }
        DictValue if is_namespace(heap, above.step) => Step::Name(name),
        // Out of what C code holds comes all sorts of things: nothing but their type tells them apart either.
        ListItem | TupleItem | DequeItem | SetMember | DictValue | DictValueOfInteger
        | DictValueOfOther
            if matches!(above.step, Step::Native(_)) =>
        {
            let row = names.types.get(heap.type_index(object) as usize);
            Step::ItemOfNative(row.map_or(StringId::NONE, |row| row.qualname))
        }
        ListItem | TupleItem | DequeItem | SetMember | DictValue | DictValueOfInteger
        | DictValueOfOther => Step::Item,
        DictKey => Step::Key,
        FreeVariable => Step::FreeVariable(name),
        Default | KeywordDefault => Step::Default(name),
        Local => Step::Local(name),
        Cache => Step::Cache,
        Iterates => Step::Next,
        View => Step::View,
        ThreadLocal => Step::ThreadLocal,
        Context => Step::Context,
        Type => Step::Machinery(StringId::NONE),
        Machinery => Step::Machinery(name),
        // A context has its variables and their values as a dictionary has keys and values.
        Other if is_type_of_contexts(heap, heap.type_index(object)) => Step::ToContext,
        Other if is_type_of_contexts(heap, above.first_type) => {
            let row = names.types.get(heap.type_index(object) as usize);
            match row.map(|row| heap.text(row.qualname)) {
                Some("ContextVar") => Step::Key,
                _ => Step::Context,
            }
        }
        Stack | Other => Step::Other,
    }
}

/// Whether what the step leads to has names as a `__dict__` has.
fn is_namespace(heap: &Heap, step: Step) -> bool {
    matches!(step, Step::Name(name) | Step::Slot(name) if NAMESPACES.contains(&heap.text(name)))
}

impl Step {
    /// A step that a data structure can repeat without end.
    fn can_recur(self) -> bool {
        matches!(
            self,
            Self::Name(_)
                | Self::Slot(_)
                | Self::Item
                | Self::Key
                | Self::FreeVariable(_)
                | Self::Local(_)
                | Self::Next
                | Self::View
                | Self::Other
        ) || matches!(self, Self::Machinery(_) | Self::Frame(_))
    }

    fn hash_into(self, heap: &Heap, hasher: &mut FxHasher) {
        let (number, name) = match self {
            Self::Root => (0, StringId::NONE),
            Self::Table => (1, StringId::NONE),
            Self::Native(name) => (2, name),
            Self::Module(name) => (3, name),
            Self::Frame(name) => (4, name),
            Self::Through => (5, StringId::NONE),
            Self::Name(name) => (6, name),
            Self::Slot(name) => (7, name),
            Self::Item => (8, StringId::NONE),
            Self::Key => (9, StringId::NONE),
            Self::FreeVariable(name) => (10, name),
            Self::Default(name) => (11, name),
            Self::Local(name) => (12, name),
            Self::Cache => (13, StringId::NONE),
            Self::Machinery(name) => (14, name),
            Self::Other => (15, StringId::NONE),
            Self::Next => (16, StringId::NONE),
            Self::View => (17, StringId::NONE),
            Self::ThreadLocal => (18, StringId::NONE),
            Self::Context => (19, StringId::NONE),
            Self::ItemOfNative(name) => (20, name),
            Self::ToContext => (21, StringId::NONE),
            Self::State => (22, StringId::NONE),
        };
        hasher.write_u8(number);
        hasher.write(heap.text(name).as_bytes());
    }
}

impl Patterns {
    /// The node below `above`, made on first use. Where the same step to the same type stands twice above already (a linked
    /// list, a tree, a chain of tracebacks), the second of these is taken again: the tree stays finite, and the first
    /// level's counts stay exact.
    pub(crate) fn child(
        &mut self,
        heap: &Heap,
        above: PatternId,
        step: Step,
        type_index: u32,
    ) -> PatternId {
        // Only a recursion depends on the type: for all else the first key finds the node.
        if let Some(&known) = self.children.get(&(above, step, u32::MAX)) {
            if !step.can_recur() || self.get(known).first_type == type_index {
                return known;
            }
            if let Some(&known) = self.children.get(&(above, step, type_index)) {
                return known;
            }
        }
        let repeated = step
            .can_recur()
            .then(|| self.repeated(above, step, type_index))
            .flatten();
        if let Some(again) = repeated {
            self.mark_recursion(above, again);
        }
        let existing = repeated.or_else(|| self.children.get(&(above, step, u32::MAX)).copied());
        let node = existing.unwrap_or_else(|| {
            let mut hasher = FxHasher::default();
            hasher.write_u64(self.get(above).identity);
            step.hash_into(heap, &mut hasher);
            self.nodes.push(Pattern {
                parent: above,
                step,
                first_type: type_index,
                identity: hasher.finish(),
                ..Pattern::root()
            });
            PatternId(self.nodes.len() as u32 - 1)
        });
        self.children.entry((above, step, u32::MAX)).or_insert(node);
        self.children.insert((above, step, type_index), node);
        node
    }

    /// The node below `above` that the step to an object of the type leads to, if one was made.
    fn known_child(&self, above: PatternId, step: Step, type_index: u32) -> Option<PatternId> {
        let of_type = self.children.get(&(above, step, type_index));
        of_type
            .or_else(|| self.children.get(&(above, step, u32::MAX)))
            .copied()
    }

    /// The access path of a reachable object.
    pub(crate) fn of_object(
        &self,
        heap: &Heap,
        chains: &Chains,
        object: ObjectId,
    ) -> Option<PatternId> {
        let links = links(chains, object);
        links.iter().rev().try_fold(PatternId::ROOT, |above, link| {
            if is_inside_context(heap, link.object) {
                return Some(above);
            }
            let label = Label::new(link.kind, link.name.0);
            let step = step_of(heap, self.get(above), link.object, link.referrer, label);
            self.known_child(above, step, heap.type_index(link.object))
        })
    }

    /// From `from` the path goes on at `again`, which stands above it.
    fn mark_recursion(&mut self, from: PatternId, again: PatternId) {
        let mut at = from;
        loop {
            let node = &mut self.nodes[at.index()];
            node.recurs = true;
            if at == again || at == PatternId::ROOT {
                break;
            }
            at = node.parent;
        }
    }

    fn repeated(&self, above: PatternId, step: Step, type_index: u32) -> Option<PatternId> {
        let mut same = self
            .ancestors(above)
            .take(DEEPEST_RECURSION)
            .filter(|(_, node)| node.step == step && node.first_type == type_index)
            .map(|(id, _)| id);
        let nearest = same.next()?;
        same.next().map(|_| nearest)
    }
}
