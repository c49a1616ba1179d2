//! Which of the named bindings on a chain is the holder, and whose code has it.

use heldby_heap::{ObjectId, ReferenceKind};
use rustc_hash::FxHashMap;

use super::Context;
use crate::binding::module_file;
use crate::{BindingKind, NamedBinding, Territory};

impl Context<'_> {
    /// The innermost binding; but where that lies inside a reusable class, the binding of the instance.
    pub(super) fn holder(&self, bindings: &[NamedBinding]) -> usize {
        let mut holder = 0;
        while let (Some(inner), Some(outer)) = (bindings.get(holder), bindings.get(holder + 1)) {
            let is_attribute = matches!(
                inner.kind,
                BindingKind::InstanceAttribute | BindingKind::Slot
            );
            if !is_attribute || outer.object != inner.owner || !self.is_reusable(inner, outer) {
                break;
            }
            holder += 1;
        }
        holder
    }

    /// Whether the class of `inner`'s instance is one that others make instances of: a library's class bound in another
    /// package, or a class with several instances that are bound by name.
    fn is_reusable(&self, inner: &NamedBinding, outer: &NamedBinding) -> bool {
        fn package(module: &str) -> &str {
            module.split('.').next().unwrap_or_default()
        }
        if package(&inner.module) != package(&outer.module)
            && self.territory(inner) != Territory::User
        {
            return true;
        }
        if !matches!(
            outer.kind,
            BindingKind::ModuleGlobal | BindingKind::ClassAttribute
        ) {
            return false;
        }
        self.has_two_named_instances(self.heap.type_index(inner.owner))
    }

    /// Whether two objects of the class are globals of modules or attributes of classes.
    fn has_two_named_instances(&self, class: u32) -> bool {
        let classes = self.classes_with_named_instances.get_or_init(|| {
            let attributes_of = |class: &ObjectId| {
                let references = self.heap.references(*class);
                references
                    .filter(|reference| reference.label.kind() == ReferenceKind::Namespace)
                    .flat_map(|namespace| self.heap.references(namespace.target))
                    .filter(|reference| reference.label.kind() == ReferenceKind::DictValue)
                    .map(|reference| reference.target)
            };
            let of_modules = self.heap.globals().iter().map(|global| global.value);
            let of_classes = self.heap.names().type_objects.keys();
            let mut found: FxHashMap<u32, (ObjectId, bool)> = FxHashMap::default();
            for value in of_modules.chain(of_classes.flat_map(attributes_of)) {
                let class = self.heap.type_index(value);
                let (first, has_another) = found.entry(class).or_insert((value, false));
                *has_another |= *first != value;
            }
            found.retain(|_, (_, has_another)| *has_another);
            found.into_keys().collect()
        });
        classes.contains(&class)
    }

    pub(super) fn territory(&self, binding: &NamedBinding) -> Territory {
        match &binding.function {
            Some(function) => self.territories.of_file(&function.file),
            None => self
                .territories
                .of_file(module_file(self.heap, &binding.module).unwrap_or_default()),
        }
    }
}
