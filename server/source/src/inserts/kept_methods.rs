//! Methods that store, kept under another name: `push = items.append`, `self._push = self._items.append`, `def add(o, push=ITEMS.append)`.

use super::Scan;
use crate::Role;
use crate::imports::Receiver;
use crate::project::FileId;
use crate::python::{Act, Binder, Node, NodeId, ScopeId};
use crate::reach::Reach;
use crate::scopes::owner;
use crate::stores::Kind;

/// Values of one name that are looked at, at most.
const MOST_VALUES: usize = 8;

impl Scan<'_, '_, '_> {
    /// What a call of `callee` stores into, where that is a name for a method which stores.
    pub(super) fn kept_method(&self, callee: NodeId, act: &Act) -> Option<(Reach, Kind, Role)> {
        let tree = self.tree;
        match tree.node(callee) {
            Node::Name(name) => {
                let (scope, binders) = owner(tree, act.scope, name)?;
                self.among(self.file, scope, binders)
            }
            Node::Attribute { of, name } => {
                let project = self.tracer.project;
                let (Receiver::SelfOf(class)
                | Receiver::InstanceOf(class)
                | Receiver::ClassItself(class)) = project.receiver(self.file, of, act.scope)
                else {
                    return None;
                };
                let tree_of_class = project.tree(class.file)?;
                let sym = tree_of_class.sym(tree.name(name))?;
                let is_given = |act: &&Act| {
                    let target = act.assigned().map(|(target, _)| tree_of_class.node(target));
                    matches!(target, Some(Node::Attribute { of, .. })
                        if project.receiver(class.file, of, act.scope) == Receiver::SelfOf(class))
                };
                let given = tree_of_class.attribute_binds(sym).take(MOST_VALUES);
                let mut given = given
                    .filter(is_given)
                    .filter_map(|act| Some((act.assigned()?.1, act.scope)));
                given
                    .find_map(|(value, scope)| self.as_method(class.file, value, scope))
                    .or_else(|| {
                        self.among(
                            class.file,
                            class.scope,
                            tree_of_class.binders(class.scope, sym),
                        )
                    })
            }
            _ => None,
        }
    }

    /// What binds a name in a scope.
    fn among(
        &self,
        file: FileId,
        scope: ScopeId,
        binders: &[Binder],
    ) -> Option<(Reach, Kind, Role)> {
        let tree = self.tracer.project.tree(file)?;
        binders
            .iter()
            .take(MOST_VALUES)
            .find_map(|binder| match *binder {
                Binder::Act(index) => {
                    let given = tree.act(index)?;
                    let (_, value) = given.assigned()?;
                    self.as_method(file, value, given.scope)
                }
                Binder::Parameter(index) => {
                    let function = tree.scope(scope);
                    let default = function.parameters.get(index as usize)?.default?;
                    self.as_method(file, default, function.parent?)
                }
                Binder::Definition(_) | Binder::Import(_) => None,
            })
    }

    /// `items.append`, not called.
    fn as_method(
        &self,
        file: FileId,
        value: NodeId,
        scope: ScopeId,
    ) -> Option<(Reach, Kind, Role)> {
        let tree = self.tracer.project.tree(file)?;
        let Node::Attribute { of, name } = tree.node(value) else {
            return None;
        };
        let (kind, role) = self.verbs.store(tree.name(name))?;
        Some((self.tracer.reach(file, of, scope)?, kind, role))
    }
}
