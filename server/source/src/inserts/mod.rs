//! Stores into containers: calls, subscripts and augmented assignments whose receiver reaches the binding, here or one
//! hand further (`handed`): a parameter, an attribute or a result that holds the same object. `kept_methods`: methods under another name.

mod handed;
mod kept_methods;

use rustc_hash::FxHashSet;

use self::handed::{Handed, users_of};
use crate::Role;
use crate::namespaces::{self, ALL_NAMES};
use crate::project::FileId;
use crate::python::{Act, Argument, Deed, How, Node, NodeId, Tree};
use crate::reach::{Reach, Sureness, Tracer};
use crate::stores::{CONTAINERS, Found, Kind, decorated};

/// Which method names store.
pub(crate) enum Verbs<'v> {
    /// Those of containers.
    Container,
    /// Just these: the methods of a class that store.
    Methods(&'v FxHashSet<String>),
    /// That of context variables.
    Setting,
}

const INSERTING: &[&str] = &[
    "append",
    "add",
    "insert",
    "setdefault",
    "appendleft",
    "put",
    "put_nowait",
    "push",
    "__setitem__",
    "add_last",
    "add_first",
];
const UPDATING: &[&str] = &[
    "extend",
    "update",
    "extendleft",
    "__iadd__",
    "__ior__",
    "union_update",
    "merge",
];
const REGISTERING: &[&str] = &[
    "register",
    "connect",
    "subscribe",
    "attach",
    "listen",
    "on",
    "observe",
    "bind",
    "submit",
    "schedule",
    "enqueue",
    "store",
    "remember",
    "track",
    "watch",
    "record",
    "send",
    "write",
    "save",
    "cache",
    "add_listener",
    "add_callback",
    "add_done_callback",
    "add_handler",
    "addHandler",
    "add_observer",
    "add_hook",
    "add_job",
    "add_task",
    "addCleanup",
    "callback",
    "enter_context",
];
/// Methods whose result has no more than their receiver.
const REDUCING: &[&str] = &[
    "difference",
    "intersection",
    "filter",
    "exclude",
    "get",
    "pop",
    "replace",
    "strip",
];
/// Methods of objects that keep what they are given outside Python's sight.
const CALLING: &[&str] = &["set"];
/// Functions that insert into their first argument.
const INSERTING_FUNCTIONS: &[&str] = &[
    "heappush",
    "heappushpop",
    "heapreplace",
    "insort",
    "insort_left",
    "insort_right",
];

impl Verbs<'_> {
    fn store(&self, method: &str) -> Option<(Kind, Role)> {
        match self {
            Self::Methods(methods) => methods
                .contains(method)
                .then_some((Kind::Insert, Role::Caller)),
            Self::Setting => (method == "set").then_some((Kind::Insert, Role::Call)),
            Self::Container if INSERTING.contains(&method) => Some((Kind::Insert, Role::Store)),
            Self::Container if UPDATING.contains(&method) => Some((Kind::Update, Role::Store)),
            Self::Container if REGISTERING.contains(&method) => Some((Kind::Insert, Role::Caller)),
            Self::Container if CALLING.contains(&method) => Some((Kind::Insert, Role::Call)),
            Self::Container => None,
        }
    }

    fn has(&self, method: &str) -> bool {
        match self {
            Self::Methods(methods) => methods.contains(method),
            Self::Container => method != "__call__",
            Self::Setting => false,
        }
    }
}

/// Hands that a binding goes through, at most: `Service(ITEMS)`, and `self.items = items` there.
const MOST_HANDS: u32 = 3;

/// All places in `files` that insert into what the roots hold: directly, and one hand further; farther where there is none.
pub(crate) fn inserts(
    tracer: &mut Tracer<'_, '_>,
    files: &[FileId],
    verbs: &Verbs<'_>,
) -> Vec<Found> {
    let mut found = Vec::new();
    let mut files = files.to_vec();
    let mut calls = Vec::new();
    for hand in 0..=MOST_HANDS {
        let mut handed = Vec::new();
        found.clear();
        for &file in &files {
            scan(tracer, file, verbs, hand > 0, &mut found, &mut handed);
        }
        let before = tracer.roots.len();
        if hand == MOST_HANDS || hand > 0 && !found.is_empty() {
            break;
        }
        let mut places = Vec::new();
        for one in handed {
            let known = tracer.roots[..before]
                .iter()
                .any(|root| root.place == one.root.place && (one.root.copied || !root.copied));
            if !known {
                let place = one.root.place.clone();
                if tracer.add_root(one.root) {
                    places.push(place);
                }
                calls.extend(one.call);
            }
        }
        if places.is_empty() && (hand > 0 || !found.is_empty()) {
            break;
        }
        for place in &places {
            files.extend(users_of(tracer.project, place));
        }
        files.sort_unstable();
        files.dedup();
    }
    // A call that hands the binding on stores, if the function it calls does.
    for (call, function) in calls {
        let stores = found.iter().any(|store| {
            store.file == function.file
                && tracer.project.tree(store.file).is_some_and(|tree| {
                    std::iter::successors(Some(store.scope), |&at| tree.scope(at).parent)
                        .any(|at| at == function.scope)
                })
        });
        if stores {
            found.push(call);
        }
    }
    found
}

fn scan(
    tracer: &Tracer<'_, '_>,
    file: FileId,
    verbs: &Verbs<'_>,
    by_name: bool,
    found: &mut Vec<Found>,
    handed: &mut Vec<Handed>,
) {
    let Some(tree) = tracer.project.tree(file) else {
        return;
    };
    let scan = Scan {
        tracer,
        tree,
        file,
        verbs,
        by_name,
    };
    for act in &tree.acts {
        match act.deed {
            Deed::Bind { target, value, how } => {
                found.extend(scan.bind(act, target, value, how));
                handed.extend(scan.kept(act, target, value, how));
            }
            Deed::Call(call) => {
                let Node::Call { callee, arguments } = tree.node(call) else {
                    continue;
                };
                let arguments = tree.arguments(arguments);
                match scan.call(act, callee, arguments) {
                    Some(store) => found.push(store),
                    None => scan.handed(act, callee, arguments, handed),
                }
            }
            Deed::Decorate { decorator, .. } => found.extend(scan.decorate(act, decorator)),
            Deed::Return(value) => handed.extend(scan.returned(act, value)),
            Deed::Raise(_) | Deed::Item(_) => {}
        }
    }
}

struct Scan<'t, 's, 'a> {
    tracer: &'t Tracer<'s, 'a>,
    tree: &'t Tree,
    file: FileId,
    verbs: &'t Verbs<'t>,
    /// Whether attributes of that name give it, too, whatever has them: where nothing better was found.
    by_name: bool,
}

impl Scan<'_, '_, '_> {
    fn reach(&self, node: NodeId, act: &Act) -> Option<Reach> {
        self.tracer.reach(self.file, node, act.scope)
    }

    fn reach_or_copy(&self, node: NodeId, act: &Act) -> Option<Reach> {
        self.tracer.reach_or_copy(self.file, node, act.scope)
    }

    fn found(&self, act: &Act, reach: Reach, kind: Kind, role: Role, values: Vec<NodeId>) -> Found {
        let role = if matches!(self.verbs, Verbs::Methods(_)) {
            Role::Caller
        } else {
            role
        };
        Found {
            file: self.file,
            scope: act.scope,
            span: act.span,
            role,
            kind,
            sureness: reach.sureness,
            depth: reach.depth,
            run: act.run,
            values,
            decorated: decorated(act),
            under_other_key: reach.under_other_key,
        }
    }

    fn bind(&self, act: &Act, target: NodeId, value: Option<NodeId>, how: How) -> Option<Found> {
        let (value, tree) = (value?, self.tree);
        match (tree.node(target), how) {
            (_, How::Delete | How::Handler) => None,
            (Node::Subscript { key, .. }, _) if tree.is_cut(key, value) => None,
            (Node::Subscript { of, key }, _) if self.verbs.has("__setitem__") => {
                let reach = self.tracer.under(self.reach(of, act)?, tree, key);
                let kind = if matches!(how, How::Augmented | How::Reduced) {
                    Kind::Update
                } else {
                    Kind::SetItem
                };
                Some(self.found(act, reach, kind, Role::Store, vec![value, key]))
            }
            (_, How::Augmented) if self.verbs.has("__iadd__") => {
                let reach = self.reach(target, act)?;
                Some(self.found(act, reach, Kind::Update, Role::Store, vec![value]))
            }
            (Node::Name(_) | Node::Attribute { .. }, How::Assign | How::Annotated)
                if matches!(self.verbs, Verbs::Container) =>
            {
                // `x = x + [y]`, `x = {**x, k: v}`, `x = (y, x)`, `x = x.new_child(y)`.
                let receiver = self.extended(value);
                if receiver.is_none()
                    && !matches!(tree.node(value), Node::Display(_) | Node::Other(_))
                {
                    return None;
                }
                let sureness = self.tracer.is_binding(self.file, target, act.scope)?;
                let same = |reach: Option<Reach>| reach.is_some_and(|reach| reach.depth == 0);
                let again = match receiver {
                    Some(receiver) => same(self.reach(receiver, act)),
                    None => tree
                        .within(value)
                        .into_iter()
                        .any(|part| part != value && same(self.reach(part, act))),
                };
                again.then(|| {
                    self.found(
                        act,
                        Reach {
                            depth: 0,
                            sureness,
                            copied: false,
                            under_other_key: false,
                        },
                        Kind::Assign,
                        Role::Store,
                        vec![value],
                    )
                })
            }
            _ => None,
        }
    }

    /// The receiver of a method that gives a larger one: `x` of `x.new_child(y)`.
    fn extended(&self, value: NodeId) -> Option<NodeId> {
        let Node::Call { callee, arguments } = self.tree.node(value) else {
            return None;
        };
        let Node::Attribute { of, name } = self.tree.node(callee) else {
            return None;
        };
        let takes_more =
            !self.tree.arguments(arguments).is_empty() && !REDUCING.contains(&self.tree.name(name));
        takes_more.then_some(of)
    }

    fn call(&self, act: &Act, callee: NodeId, arguments: &[Argument]) -> Option<Found> {
        let tree = self.tree;
        let values = || {
            arguments
                .iter()
                .map(|argument| argument.value)
                .collect::<Vec<_>>()
        };
        if let Some((reach, kind, role)) = self.storing(callee, act) {
            return Some(self.found(act, reach, kind, role, values()));
        }
        if let Some(first) = arguments.first()
            && tree
                .last_name(callee)
                .is_some_and(|name| INSERTING_FUNCTIONS.contains(&name))
            && let Some(reach) = self.reach(first.value, act)
        {
            return Some(self.found(act, reach, Kind::Insert, Role::Store, values().split_off(1)));
        }
        if self.verbs.has("__call__")
            && let Some(reach) = self.reach(callee, act)
        {
            return Some(self.found(act, reach, Kind::Insert, Role::Caller, values()));
        }
        // `setattr(x, name, value)`.
        if matches!(self.verbs, Verbs::Container)
            && let Some((of, value)) = namespaces::set(tree, callee, arguments)
            && let Some(reach) = self
                .tracer
                .named_attribute(self.file, of, ALL_NAMES, act.scope)
        {
            return Some(self.found(act, reach, Kind::SetItem, Role::Store, vec![value]));
        }
        // `dict.__setitem__(self, key, value)`.
        if let (Node::Attribute { of, name }, [first, stored @ ..]) = (tree.node(callee), arguments)
            && let Node::Name(class) = tree.node(of)
            && CONTAINERS.contains(&tree.name(class))
            && let Some((kind, role)) = self.verbs.store(tree.name(name))
            && let Some(reach) = self.reach(first.value, act)
        {
            let stored = stored.iter().map(|argument| argument.value).collect();
            return Some(self.found(act, reach, kind, role, stored));
        }
        // `stream.subscribe(SEEN.append)`.
        let bound_method = arguments
            .iter()
            .find_map(|argument| match tree.node(argument.value) {
                Node::Attribute { .. } => self.storing(argument.value, act),
                _ => None,
            });
        bound_method.map(|(reach, kind, role)| self.found(act, reach, kind, role, Vec::new()))
    }

    /// Whether a call of `callee` stores: `x.append`, or a name for it.
    fn storing(&self, callee: NodeId, act: &Act) -> Option<(Reach, Kind, Role)> {
        self.method(callee, act)
            .or_else(|| self.kept_method(callee, act))
    }

    fn method(&self, callee: NodeId, act: &Act) -> Option<(Reach, Kind, Role)> {
        let tree = self.tree;
        match tree.node(callee) {
            Node::Attribute { of, name } => {
                let (kind, role) = self.verbs.store(tree.name(name))?;
                // `render.register(…)`, where `render` is the function that has the container.
                if role == Role::Caller
                    && let Some(reach) = self.tracer.of_function(self.file, of, act.scope)
                {
                    return Some((reach, kind, role));
                }
                let reach = self.reach(of, act)?;
                // What is known by its name alone should at least be used as a container.
                let container = role == Role::Store || matches!(self.verbs, Verbs::Methods(_));
                (container || reach.sureness < Sureness::NameOnly).then_some((reach, kind, role))
            }
            _ => None,
        }
    }

    fn decorate(&self, act: &Act, decorator: NodeId) -> Option<Found> {
        let tree = self.tree;
        if let Some((reach, kind, role)) = self.storing(decorator, act) {
            return Some(self.found(act, reach, kind, role, Vec::new()));
        }
        let Node::Call { callee, arguments } = tree.node(decorator) else {
            return None;
        };
        if let Some((reach, kind, role)) = self.storing(callee, act) {
            return Some(self.found(act, reach, kind, role, Vec::new()));
        }
        if !matches!(self.verbs, Verbs::Methods(_)) {
            return None;
        }
        // `@receiver(photo_stored)`.
        let reach = tree
            .arguments(arguments)
            .iter()
            .find_map(|argument| self.reach(argument.value, act))?;
        Some(self.found(
            act,
            Reach {
                sureness: reach.sureness.max(Sureness::Subclass),
                ..reach
            },
            Kind::Update,
            Role::Caller,
            Vec::new(),
        ))
    }
}
