//! The named bindings on a referrer chain: which names of the program hold.

use heldby_heap::{CodeName, Heap, Label, ObjectId, ReferenceKind, StringId};

use crate::Chains;
use crate::known::{ALL_NAMES, NAMESPACES, TABLE_OF_MODULES, WRITTEN_IN_C};

/// The kind of a named binding. The words are those of the JSON report.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum BindingKind {
    /// A global of a module.
    ModuleGlobal,
    /// An attribute of a class.
    ClassAttribute,
    /// An attribute of an instance.
    InstanceAttribute,
    /// A slot of an instance.
    Slot,
    /// The default value of a parameter.
    DefaultArgument,
    /// A free variable of a function.
    Closure,
    /// A local variable of a frame.
    Local,
    /// A local variable of a generator that waits.
    GeneratorFrame,
    /// A local variable of a coroutine that waits.
    CoroutineFrame,
    /// The entries of a caching function.
    FunctionCache,
    /// An attribute of a function.
    FunctionAttribute,
    /// An attribute of a thread-local object, in one thread.
    ThreadLocal,
    /// Values of context variables that have no name of the program, in one context.
    ContextVariable,
}

impl BindingKind {
    /// The report's word.
    pub fn word(self) -> &'static str {
        match self {
            Self::ModuleGlobal => "module-global",
            Self::ClassAttribute => "class-attribute",
            Self::InstanceAttribute => "instance-attribute",
            Self::Slot => "slot",
            Self::DefaultArgument => "default-argument",
            Self::Closure => "closure",
            Self::Local => "local",
            Self::GeneratorFrame => "generator-frame",
            Self::CoroutineFrame => "coroutine-frame",
            Self::FunctionCache => "function-cache",
            Self::FunctionAttribute => "function-attribute",
            Self::ThreadLocal => "thread-local",
            Self::ContextVariable => "context-variable",
        }
    }
}

/// A class, by module and qualified name.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct NamedClass {
    /// Dotted name of its module.
    pub module: String,
    /// Qualified name.
    pub qualname: String,
}

/// A function: what it is called, and where its code stands.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct NamedFunction {
    /// Module it says it comes from.
    pub module: String,
    /// Qualified name. A decorator may have given it the name of the function that it wraps.
    pub qualname: String,
    /// Path of its code's source file.
    pub file: String,
    /// Qualified name of its code: as the source has it. Before CPython 3.11 the last name only.
    pub code_qualname: String,
    /// First line of its code (1-based, 0 if unknown).
    pub line: u32,
}

/// One named binding.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NamedBinding {
    /// What kind of name it is.
    pub kind: BindingKind,
    /// The name: of the global, attribute, parameter or variable; empty for a cache.
    pub name: String,
    /// The module of a global or of the class; of the function otherwise.
    pub module: String,
    /// For attributes and slots: the class, its other bases in resolution order, then (for an attribute of a class) its
    /// metaclass and that one's bases.
    pub classes: Vec<NamedClass>,
    /// For what belongs to a function.
    pub function: Option<NamedFunction>,
    /// The object that has the name bound to it.
    pub object: ObjectId,
    /// Type of that object, `list`.
    pub type_name: String,
    /// Who has the name: module, class, instance, function, frame.
    pub owner: ObjectId,
    /// Access path.
    pub path: String,
    /// A context variable without a name of the program: whether it was given a default.
    pub has_default: Option<bool>,
    /// Other module globals bound to the same object, as an import makes them: module and name.
    pub aliases: Vec<(String, String)>,
    /// The classes of that object: its own and the rest of its method resolution order, without `object`.
    pub object_classes: Vec<NamedClass>,
    /// For an attribute of a function: the very function that has it, a wrapper of `function` perhaps.
    pub wrapper: Option<NamedFunction>,
    /// A free variable of the wrapper which is bound to the same object.
    pub free_variable: Option<String>,
}

impl NamedBinding {
    /// Whether the object cannot be changed: when there is more of it, it is another one.
    pub fn is_remade(&self) -> bool {
        is_immutable(&self.type_name)
    }
}

/// Whether objects of this type keep their size for life.
pub(crate) fn is_immutable(type_name: &str) -> bool {
    matches!(type_name, "str" | "bytes" | "int" | "tuple" | "frozenset")
}

/// A link of a chain: `object` is referenced by `referrer` under `label`.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Link {
    pub(crate) object: ObjectId,
    pub(crate) referrer: ObjectId,
    pub(crate) kind: ReferenceKind,
    pub(crate) name: StringId,
}

impl Link {
    pub(crate) fn new(object: ObjectId, referrer: ObjectId, label: Label) -> Self {
        Self {
            object,
            referrer,
            kind: label.kind(),
            name: StringId(label.value()),
        }
    }
}

/// The links from `object` up to the root.
pub(crate) fn links(chains: &Chains, object: ObjectId) -> Vec<Link> {
    let mut links = Vec::new();
    let mut object = object;
    while let Some((referrer, label)) = chains.referrer(object) {
        links.push(Link::new(object, referrer, label));
        object = referrer;
    }
    links
}

/// The binding that the link at `at` makes, if it makes one.
pub(crate) fn binding_at(heap: &Heap, links: &[Link], at: usize) -> Option<NamedBinding> {
    let link = links[at];
    let names = heap.names();
    let (kind, owner) = match link.kind {
        ReferenceKind::DictValue => namespace_owner(heap, link.referrer, links.get(at + 1))?,
        ReferenceKind::Attribute => (BindingKind::InstanceAttribute, link.referrer),
        ReferenceKind::Slot if is_python_slot(heap, link) => (BindingKind::Slot, link.referrer),
        ReferenceKind::Default | ReferenceKind::KeywordDefault => {
            (BindingKind::DefaultArgument, link.referrer)
        }
        ReferenceKind::FreeVariable => (BindingKind::Closure, link.referrer),
        ReferenceKind::Local => (local_of(heap, links, at), link.referrer),
        ReferenceKind::Other | ReferenceKind::Slot if is_of_unnamed_context(heap, links, at) => {
            (BindingKind::ContextVariable, link.referrer)
        }
        ReferenceKind::Cache => (BindingKind::FunctionCache, link.referrer),
        _ => return None,
    };
    // What a cell contains is what the name is bound to.
    let is_cell = at > 0 && links[at - 1].kind == ReferenceKind::CellContents;
    let object = if is_cell {
        links[at - 1].object
    } else {
        link.object
    };
    if kind == BindingKind::ModuleGlobal || kind == BindingKind::ClassAttribute {
        // The name of a module, a class or a function is no holder: what hangs on them has names of its own.
        let is_definition = names.type_objects.contains_key(&object)
            || names.functions.contains_key(&object)
            || names.module_of.contains_key(&object);
        if is_definition && at > 0 {
            return None;
        }
    }
    Some(named(heap, kind, owner, object, heap.text(link.name)))
}

/// All the names of a namespace, which is the object of the first of the links, as one binding.
pub(crate) fn names_of_namespace(heap: &Heap, links: &[Link]) -> Option<NamedBinding> {
    let to_it = links.first()?;
    let (kind, owner) = namespace_owner(heap, to_it.object, Some(to_it))?;
    Some(named(heap, kind, owner, to_it.object, ALL_NAMES))
}

/// What `owner` has bound to `object` by that name.
fn named(
    heap: &Heap,
    kind: BindingKind,
    owner: ObjectId,
    object: ObjectId,
    name: &str,
) -> NamedBinding {
    let names = heap.names();
    let mut classes = Vec::new();
    let mut function = None;
    let mut name = name.to_owned();
    match kind {
        BindingKind::ClassAttribute => {
            classes = resolution_order(heap, owner);
            classes.extend(resolution_order_of_type(heap, heap.type_index(owner)));
        }
        BindingKind::InstanceAttribute | BindingKind::Slot | BindingKind::ThreadLocal => {
            classes = resolution_order_of_type(heap, heap.type_index(owner))
        }
        BindingKind::ModuleGlobal => {}
        BindingKind::ContextVariable => name = String::new(),
        BindingKind::FunctionCache => {
            function = wrapped_function(heap, owner);
            name = String::new();
        }
        BindingKind::Local | BindingKind::GeneratorFrame | BindingKind::CoroutineFrame => {
            function = frame_function(heap, owner)
        }
        // What is set on a wrapper belongs to the function that it stands for.
        BindingKind::FunctionAttribute => {
            function = function_of_wrapper(heap, owner).or_else(|| named_function(heap, owner))
        }
        _ => function = named_function(heap, owner),
    }
    let module = match (&function, classes.first(), names.module_of.get(&owner)) {
        (Some(function), ..) => function.module.clone(),
        (_, Some(class), _) => class.module.clone(),
        (_, _, Some(&row)) => heap.text(names.modules[row as usize].name).to_owned(),
        _ => String::new(),
    };
    let (wrapper, free_variable) = if kind == BindingKind::FunctionAttribute {
        let variable = free_variable_of(heap, owner, object);
        (named_function(heap, owner), variable)
    } else {
        (None, None)
    };
    let aliases = if kind == BindingKind::ModuleGlobal {
        aliases(heap, object, (&module, &name))
    } else {
        Vec::new()
    };
    let type_name = heap.type_name(heap.type_index(object));
    NamedBinding {
        kind,
        name,
        module,
        classes,
        function,
        object,
        type_name,
        owner,
        path: String::new(),
        has_default: None,
        aliases,
        object_classes: resolution_order_of_type(heap, heap.type_index(object)),
        wrapper,
        free_variable,
    }
}

/// Whose local the link names: that of a running frame, or of a generator or coroutine that waits.
fn local_of(heap: &Heap, links: &[Link], at: usize) -> BindingKind {
    let kind = |object: ObjectId| match heap.type_name(heap.type_index(object)).as_str() {
        "generator" | "async_generator" => Some(BindingKind::GeneratorFrame),
        "coroutine" => Some(BindingKind::CoroutineFrame),
        _ => None,
    };
    // Up to 3.10 the locals are those of a frame that the generator has.
    let owner = links.get(at).and_then(|link| kind(link.referrer));
    let above = || links.get(at + 1).and_then(|link| kind(link.referrer));
    owner.or_else(above).unwrap_or(BindingKind::Local)
}

/// Whether the link leads out of a context whose variables nobody names: those have no chain of their own.
fn is_of_unnamed_context(heap: &Heap, links: &[Link], at: usize) -> bool {
    links
        .get(at)
        .is_some_and(|link| is_context(heap, link.referrer) && is_inside_context(heap, link.object))
}

/// Whether it is a context, which has a value for each variable that was set in it.
pub(crate) fn is_context(heap: &Heap, object: ObjectId) -> bool {
    is_type_of_contexts(heap, heap.type_index(object))
}

/// Whether that is the type of contexts.
pub(crate) fn is_type_of_contexts(heap: &Heap, type_index: u32) -> bool {
    let row = heap.names().types.get(type_index as usize);
    row.is_some_and(|row| {
        heap.text(row.qualname) == "Context"
            && matches!(heap.text(row.module), "_contextvars" | "builtins")
    })
}

/// The table of modules as what the program calls it.
pub(crate) fn table_of_modules(heap: &Heap, table: ObjectId) -> NamedBinding {
    let (module, name) = TABLE_OF_MODULES;
    NamedBinding {
        kind: BindingKind::ModuleGlobal,
        name: name.to_owned(),
        module: module.to_owned(),
        classes: Vec::new(),
        function: None,
        object: table,
        type_name: heap.type_name(heap.type_index(table)),
        owner: table,
        path: format!("{module}.{name}"),
        has_default: None,
        aliases: Vec::new(),
        object_classes: Vec::new(),
        wrapper: None,
        free_variable: None,
    }
}

/// The variable that has the object as its value in some context: its name, and whether it has a default.
pub(crate) fn context_variable_of(heap: &Heap, value: ObjectId) -> Option<(String, bool)> {
    heap.referrers(value).find_map(|variable| {
        let mut references = heap.references(variable);
        let to_value = references.find(|reference| {
            reference.target == value && reference.label.kind() == ReferenceKind::Context
        })?;
        let has_default = heap.references(variable).any(|reference| {
            reference.label.kind() == ReferenceKind::Slot
                && heap.text(StringId(reference.label.value())) == "default"
        });
        let name = heap.text(StringId(to_value.label.value())).to_owned();
        Some((name, has_default))
    })
}

/// Whether it is a node of the tree in which a context keeps its values.
pub(crate) fn is_inside_context(heap: &Heap, object: ObjectId) -> bool {
    is_type_inside_contexts(heap, heap.type_index(object))
}

/// Whether that is the type of such nodes.
pub(crate) fn is_type_inside_contexts(heap: &Heap, type_index: u32) -> bool {
    let row = heap.names().types.get(type_index as usize);
    row.is_some_and(|row| {
        matches!(
            heap.text(row.qualname),
            "hamt" | "hamt_bitmap_node" | "hamt_array_node" | "hamt_collision_node"
        )
    })
}

/// The globals of all modules that are bound to the object, `known` left out.
fn aliases(heap: &Heap, object: ObjectId, known: (&str, &str)) -> Vec<(String, String)> {
    let modules = &heap.names().modules;
    let globals = heap.globals_bound_to(object).iter();
    globals
        .map(|global| {
            (
                heap.text(modules[global.module as usize].name),
                heap.text(global.name),
            )
        })
        .filter(|alias| *alias != known)
        .map(|(module, name)| (module.to_owned(), name.to_owned()))
        .collect()
}

/// Whose namespace a dictionary is that hangs on this link.
fn namespace_owner(
    heap: &Heap,
    dictionary: ObjectId,
    above: Option<&Link>,
) -> Option<(BindingKind, ObjectId)> {
    let names = heap.names();
    if names.module_of.contains_key(&dictionary) {
        return Some((BindingKind::ModuleGlobal, dictionary));
    }
    let above = above?;
    let owner = above.referrer;
    match above.kind {
        ReferenceKind::Namespace => {}
        ReferenceKind::ThreadLocal => return Some((BindingKind::ThreadLocal, owner)),
        ReferenceKind::Slot if NAMESPACES.contains(&heap.text(above.name)) => {}
        _ => return None,
    }
    let kind = if names.type_objects.contains_key(&owner) {
        BindingKind::ClassAttribute
    } else if names.functions.contains_key(&owner) {
        BindingKind::FunctionAttribute
    } else if names.frames.contains_key(&owner) {
        BindingKind::Local
    } else {
        BindingKind::InstanceAttribute
    };
    Some((kind, owner))
}

/// A slot of a class written in Python, not a member of a C structure.
fn is_python_slot(heap: &Heap, link: Link) -> bool {
    const HEAP_TYPE: u32 = 1 << 9;
    let names = heap.names();
    let Some(row) = names.types.get(heap.type_index(link.referrer) as usize) else {
        return false;
    };
    let is_dunder = heap.text(link.name).starts_with("__") && heap.text(link.name).ends_with("__");
    row.flags & HEAP_TYPE != 0
        && !is_dunder
        && !WRITTEN_IN_C.contains(&heap.type_name(heap.type_index(link.referrer)).as_str())
        && module_file(heap, heap.text(row.module)).is_some_and(|file| file.ends_with(".py"))
}

/// The file of the module with this name.
pub(crate) fn module_file<'a>(heap: &'a Heap, module: &str) -> Option<&'a str> {
    heap.module_named(module)
        .map(|row| match heap.text(row.file) {
            // What is executed without a file (`python -c`, standard input) is the user's all the same.
            "" if module == "__main__" => "<string>",
            file => file,
        })
        .filter(|file| !file.is_empty())
}

fn named_class(heap: &Heap, type_index: u32) -> Option<NamedClass> {
    let row = heap.names().types.get(type_index as usize)?;
    Some(NamedClass {
        module: heap.text(row.module).to_owned(),
        qualname: heap.text(row.qualname).to_owned(),
    })
}

fn resolution_order_of_type(heap: &Heap, type_index: u32) -> Vec<NamedClass> {
    let object = heap
        .names()
        .type_objects
        .iter()
        .find(|(_, index)| **index == type_index)
        .map(|(object, _)| *object);
    match object {
        Some(object) => resolution_order(heap, object),
        None => named_class(heap, type_index).into_iter().collect(),
    }
}

/// The classes in which an attribute of `class` is looked up: the tuple that a class references and that starts with itself.
fn resolution_order(heap: &Heap, class: ObjectId) -> Vec<NamedClass> {
    let type_index = |object: &ObjectId| heap.names().type_objects.get(object).copied();
    let tuple = heap
        .references(class)
        .map(|reference| reference.target)
        .find(|&target| {
            let first = heap
                .references(target)
                .find(|reference| reference.label.kind() == ReferenceKind::TupleItem);
            first.is_some_and(|first| first.target == class)
        });
    let order: Vec<u32> = match tuple {
        Some(tuple) => heap
            .references(tuple)
            .filter_map(|reference| type_index(&reference.target))
            .collect(),
        None => type_index(&class).into_iter().collect(),
    };
    let is_object = |class: &NamedClass| class.module == "builtins";
    let mut classes: Vec<NamedClass> = order
        .into_iter()
        .filter_map(|index| named_class(heap, index))
        .collect();
    classes.retain(|class| !is_object(class));
    classes
}

/// The free variable of a function that is bound to an object.
fn free_variable_of(heap: &Heap, function: ObjectId, object: ObjectId) -> Option<String> {
    let variables = heap.references(function);
    let mut variables =
        variables.filter(|reference| reference.label.kind() == ReferenceKind::FreeVariable);
    let bound = variables.find(|variable| {
        let mut contents = heap.references(variable.target);
        contents.any(|content| {
            content.label.kind() == ReferenceKind::CellContents && content.target == object
        })
    });
    bound.map(|variable| heap.text(StringId(variable.label.value())).to_owned())
}

/// What a function is called.
pub(crate) fn named_function(heap: &Heap, function: ObjectId) -> Option<NamedFunction> {
    let names = heap.names();
    let row = names.functions.get(&function)?;
    let code = row.code.and_then(|code| names.codes.get(&code));
    Some(NamedFunction {
        module: heap.text(row.module).to_owned(),
        qualname: heap.text(row.qualname).to_owned(),
        file: code.map_or("", |code| heap.text(code.file)).to_owned(),
        code_qualname: code.map_or("", |code| heap.text(code.qualname)).to_owned(),
        line: code.map_or(0, |code| code.line),
    })
}

/// The function that a frame (or a generator, a coroutine) runs.
pub(crate) fn frame_function(heap: &Heap, frame: ObjectId) -> Option<NamedFunction> {
    let names = heap.names();
    let code_of_references = || {
        heap.references(frame)
            .map(|reference| reference.target)
            .find(|target| names.codes.contains_key(target))
    };
    let code = names
        .frames
        .get(&frame)
        .and_then(|row| row.code)
        .or_else(code_of_references)?;
    Some(named_code(heap, names.codes.get(&code)?))
}

/// A code object, as the function that runs it.
pub(crate) fn named_code(heap: &Heap, code: &CodeName) -> NamedFunction {
    let file = heap.text(code.file);
    let module = heap
        .module_of_file(file)
        .filter(|_| !file.is_empty())
        .map_or("", |row| heap.text(row.name));
    NamedFunction {
        module: module.to_owned(),
        qualname: heap.text(code.qualname).to_owned(),
        file: file.to_owned(),
        code_qualname: heap.text(code.qualname).to_owned(),
        line: code.line,
    }
}

/// The function that a caching wrapper was put around.
pub(crate) fn wrapped_function(heap: &Heap, wrapper: ObjectId) -> Option<NamedFunction> {
    let direct = heap.references(wrapper).map(|reference| reference.target);
    function_of_wrapper(heap, wrapper).or_else(|| {
        direct
            .into_iter()
            .find_map(|function| named_function_or_method(heap, function))
    })
}

/// The function of a function or a bound method: `lru_cache()(self.load)`.
fn named_function_or_method(heap: &Heap, object: ObjectId) -> Option<NamedFunction> {
    let of_method = || {
        let is_method = heap.type_name(heap.type_index(object)) == "method";
        let mut parts = heap.references(object).filter(|_| is_method);
        parts.find_map(|part| named_function(heap, part.target))
    };
    named_function(heap, object).or_else(of_method)
}

/// The function that a wrapper names as its own: `__wrapped__`.
fn function_of_wrapper(heap: &Heap, wrapper: ObjectId) -> Option<NamedFunction> {
    let is_wrapped = |name: u32| heap.text(StringId(name)) == "__wrapped__";
    heap.references(wrapper)
        .filter(|reference| reference.label.kind() == ReferenceKind::Namespace)
        .flat_map(|reference| heap.references(reference.target))
        .filter(|reference| {
            reference.label.kind() == ReferenceKind::DictValue
                && is_wrapped(reference.label.value())
        })
        .find_map(|reference| named_function_or_method(heap, reference.target))
}
