//! Mends that are mechanical and keep what the program does: a default value that each call makes anew, the result of a method kept on
//! its instance, a bound for a cache. Where one of these would not be safe there is none.

use ruff_python_ast::name::Name;
use ruff_python_ast::visitor::{Visitor, walk_body, walk_expr, walk_stmt};
use ruff_python_ast::{Expr, Stmt, StmtClassDef, StmtFunctionDef};
use ruff_text_size::{Ranged as _, TextRange, TextSize};

use crate::{Edit, Mend};

/// What `functools.lru_cache` takes when it is not told otherwise.
const BOUND: u32 = 128;

/// Of the parameter at an offset: `None` for its default value, which the function then makes in each call.
pub(super) fn default_argument(suite: &[Stmt], text: &str, offset: u32) -> Option<Mend> {
    let offset = TextSize::from(offset);
    let function = enclosing(suite, |function| {
        function.parameters.range().contains_inclusive(offset)
    })?
    .function;
    let mut parameters = function.parameters.iter_non_variadic_params();
    let parameter = parameters.find(|one| one.range().contains_inclusive(offset))?;
    let default = parameter.default()?;
    let name = &parameter.parameter.name;
    if !makes_a_container(default, function) || asks_for_none(&function.body, &name.id) {
        return None;
    }
    let first = first_statement(&function.body)?;
    let layout = Layout::of(text, function, first)?;
    let Layout { inner, unit, end } = &layout;
    let value = &text[default.range()];
    let mut edits = vec![Edit::replacement(default.range(), "None")];
    if let Some(annotation) = &parameter.parameter.annotation
        && annotations_are_never_evaluated(suite)
        && !text[annotation.range()].contains("None")
        && !text[annotation.range()].contains("Optional")
    {
        edits.insert(0, Edit::insertion(annotation.range().end(), " | None"));
    }
    let made = format!("{inner}if {name} is None:{end}{inner}{unit}{name} = {value}{end}");
    let before = above_comments(text, first.range().start(), function.parameters.end());
    edits.push(Edit::insertion(before, made));
    Some(Mend {
        title: format!("Make the default of `{name}` anew in each call"),
        edits,
    })
}

/// Of the caching decorator at an offset: keeps the result on the instance, for a method without arguments; else bounds the cache.
pub(super) fn function_cache(suite: &[Stmt], text: &str, offset: u32) -> Option<Mend> {
    let offset = TextSize::from(offset);
    let is_at = |decorator: &ruff_python_ast::Decorator| decorator.range.contains_inclusive(offset);
    let found = enclosing(suite, |function| function.decorator_list.iter().any(is_at))?;
    let mut decorators = found.function.decorator_list.iter();
    let decorator = Caching::of(&decorators.find(|one| is_at(one))?.expression)?;
    match found.class {
        Some(class) => kept_on_instance(suite, text, class, found.function, &decorator)
            .or_else(|| bounded(suite, found.function, &decorator)),
        None => bounded(suite, found.function, &decorator),
    }
}

/// A function, and the class whose body it stands in.
struct Found<'a> {
    function: &'a StmtFunctionDef,
    class: Option<&'a StmtClassDef>,
}

/// The innermost function that is wanted.
fn enclosing<'a>(
    suite: &'a [Stmt],
    is_wanted: impl Fn(&StmtFunctionDef) -> bool,
) -> Option<Found<'a>> {
    struct Finder<'a, Wanted> {
        is_wanted: Wanted,
        class: Option<&'a StmtClassDef>,
        found: Option<Found<'a>>,
    }
    impl<'a, Wanted: Fn(&StmtFunctionDef) -> bool> Visitor<'a> for Finder<'a, Wanted> {
        fn visit_stmt(&mut self, statement: &'a Stmt) {
            let outer = self.class;
            match statement {
                Stmt::FunctionDef(function) => {
                    if (self.is_wanted)(function) {
                        let class = self.class;
                        self.found = Some(Found { function, class });
                    }
                    self.class = None;
                }
                Stmt::ClassDef(class) => self.class = Some(class),
                _ => {}
            }
            walk_stmt(self, statement);
            self.class = outer;
        }
    }
    let mut finder = Finder {
        is_wanted,
        class: None,
        found: None,
    };
    walk_body(&mut finder, suite);
    finder.found
}

/// Whether a default value is a new container, made of what means the same inside the function.
fn makes_a_container(value: &Expr, function: &StmtFunctionDef) -> bool {
    let is_plain = |value: &Expr| value.is_literal_expr() || makes_a_container(value, function);
    match value {
        Expr::List(list) => list.elts.iter().all(is_plain),
        Expr::Set(set) => set.elts.iter().all(is_plain),
        Expr::Dict(dict) => dict
            .items
            .iter()
            .all(|item| item.key.as_ref().is_some_and(&is_plain) && is_plain(&item.value)),
        Expr::Call(call) => {
            let Expr::Name(name) = &*call.func else {
                return false;
            };
            let is_shadowed = |one: &ruff_python_ast::AnyParameterRef<'_>| one.name().id == name.id;
            call.arguments.is_empty()
                && matches!(name.id.as_str(), "list" | "dict" | "set" | "bytearray")
                && !function.parameters.iter().any(|one| is_shadowed(&one))
        }
        _ => false,
    }
}

/// Whether a name is compared with `None` somewhere: then `None` means something already.
fn asks_for_none(body: &[Stmt], name: &Name) -> bool {
    struct Asked<'a>(&'a Name, bool);
    impl Visitor<'_> for Asked<'_> {
        fn visit_expr(&mut self, expression: &Expr) {
            if let Expr::Compare(compare) = expression {
                let mut sides = std::iter::once(&*compare.left).chain(&compare.comparators);
                let is_it = |side: &Expr| matches!(side, Expr::Name(named) if named.id == *self.0);
                let mut others = sides.clone();
                self.1 |= sides.any(is_it) && others.any(Expr::is_none_literal_expr);
            }
            walk_expr(self, expression);
        }
    }
    let mut asked = Asked(name, false);
    walk_body(&mut asked, body);
    asked.1
}

/// The first statement that is no docstring.
fn first_statement(body: &[Stmt]) -> Option<&Stmt> {
    body.iter().find(|statement| {
        !matches!(statement, Stmt::Expr(expression) if expression.value.is_string_literal_expr())
    })
}

fn annotations_are_never_evaluated(suite: &[Stmt]) -> bool {
    suite.iter().any(|statement| {
        matches!(statement, Stmt::ImportFrom(import)
            if import.module.as_ref().is_some_and(|module| module.as_str() == "__future__")
            && import.names.iter().any(|alias| alias.name.as_str() == "annotations"))
    })
}

/// How a function is laid out.
struct Layout {
    /// What its body is indented by.
    inner: String,
    /// One level of it.
    unit: String,
    /// The file's line ending.
    end: &'static str,
}

impl Layout {
    /// `None` where the body stands on the line of the `def`.
    fn of(text: &str, function: &StmtFunctionDef, statement: &Stmt) -> Option<Self> {
        let outer = indentation(text, function.range().start())?;
        let inner = indentation(text, statement.range().start())?;
        let unit = inner.strip_prefix(outer).filter(|unit| !unit.is_empty())?;
        Some(Self {
            inner: inner.to_owned(),
            unit: unit.to_owned(),
            end: if text.contains("\r\n") { "\r\n" } else { "\n" },
        })
    }
}

fn line_start(text: &str, at: TextSize) -> TextSize {
    let before = &text[..at.to_usize()];
    let start = before.rfind('\n').map_or(0, |newline| newline + 1);
    at - TextSize::of(&before[start..])
}

/// What stands before it on its line, if that is white space alone.
fn indentation(text: &str, at: TextSize) -> Option<&str> {
    let before = &text[TextRange::new(line_start(text, at), at)];
    before.trim().is_empty().then_some(before)
}

/// The line of a statement, or of the comments that stand right above it.
fn above_comments(text: &str, statement: TextSize, header: TextSize) -> TextSize {
    let mut start = line_start(text, statement);
    while let Some(end) = start.checked_sub(TextSize::from(1)) {
        let above = line_start(text, end);
        let is_comment = text[TextRange::new(above, end)]
            .trim_start()
            .starts_with('#');
        if above <= header || !is_comment {
            break;
        }
        start = above;
    }
    start
}

/// `functools.lru_cache(…)`, `cache`, and so on.
struct Caching<'a> {
    /// Of the whole expression.
    range: TextRange,
    /// `functools` in `functools.cache`; `None` where the name stands alone.
    module: Option<&'a str>,
    name: &'a str,
    /// Where it has its `None`: the value of `maxsize`. `cache` has none to write.
    unbounded: Option<TextRange>,
}

impl<'a> Caching<'a> {
    fn of(expression: &'a Expr) -> Option<Self> {
        let (callee, arguments) = match expression {
            Expr::Call(call) => (&*call.func, Some(&call.arguments)),
            _ => (expression, None),
        };
        let (module, name) = match callee {
            Expr::Name(name) => (None, name.id.as_str()),
            Expr::Attribute(attribute) => match &*attribute.value {
                Expr::Name(module) => (Some(module.id.as_str()), attribute.attr.as_str()),
                _ => return None,
            },
            _ => return None,
        };
        let is_known = name == "lru_cache" || name == "cache" && arguments.is_none();
        if !is_known || module.is_some_and(|module| module != "functools") {
            return None;
        }
        let maxsize = arguments.and_then(|arguments| arguments.find_argument_value("maxsize", 0));
        let unbounded = maxsize.filter(|maxsize| maxsize.is_none_literal_expr());
        Some(Self {
            range: expression.range(),
            module,
            name,
            unbounded: unbounded.map(Expr::range),
        })
    }

    /// The same module's other name in its place, and what has to be imported for that.
    fn renamed(&self, suite: &[Stmt], name: &str) -> Option<(String, Option<Edit>)> {
        match self.module {
            Some(module) => Some((format!("{module}.{name}"), None)),
            None => Some((name.to_owned(), import(suite, self.name, name)?)),
        }
    }
}

/// The edit that has `wanted` imported where `known` is; `Some(None)` where it is imported already.
fn import(suite: &[Stmt], known: &str, wanted: &str) -> Option<Option<Edit>> {
    let from_functools = suite.iter().filter_map(|statement| match statement {
        Stmt::ImportFrom(import)
            if import.level == 0
                && import
                    .module
                    .as_ref()
                    .is_some_and(|module| module.as_str() == "functools") =>
        {
            Some(import)
        }
        _ => None,
    });
    let aliases: Vec<_> = from_functools
        .flat_map(|import| &import.names)
        .filter(|alias| alias.asname.is_none())
        .collect();
    if aliases.iter().any(|alias| alias.name.as_str() == wanted) {
        return Some(None);
    }
    let alias = aliases.iter().find(|alias| alias.name.as_str() == known)?;
    let uses = count_names(suite, known);
    Some(Some(if uses == 1 {
        Edit::replacement(alias.range, wanted)
    } else {
        Edit::insertion(alias.range.end(), format!(", {wanted}"))
    }))
}

/// How often a name is read.
fn count_names(suite: &[Stmt], name: &str) -> usize {
    struct Counter<'a>(&'a str, usize);
    impl Visitor<'_> for Counter<'_> {
        fn visit_expr(&mut self, expression: &Expr) {
            if matches!(expression, Expr::Name(named) if named.id == self.0) {
                self.1 += 1;
            }
            walk_expr(self, expression);
        }
    }
    let mut counter = Counter(name, 0);
    walk_body(&mut counter, suite);
    counter.1
}

fn bounded(suite: &[Stmt], function: &StmtFunctionDef, caching: &Caching<'_>) -> Option<Mend> {
    let edits = match caching.unbounded {
        Some(none) => vec![Edit::replacement(none, BOUND.to_string())],
        None if caching.name == "cache" => {
            let (callee, import) = caching.renamed(suite, "lru_cache")?;
            let call = format!("{callee}(maxsize={BOUND})");
            let mut edits: Vec<Edit> = import.into_iter().collect();
            edits.push(Edit::replacement(caching.range, call));
            edits
        }
        None => return None,
    };
    Some(Mend {
        title: format!("Bound the cache of `{}` to {BOUND} results", function.name),
        edits,
    })
}

/// `area` becomes a method that reads a cached property: who calls it notices nothing, and what is kept goes with the instance.
fn kept_on_instance(
    suite: &[Stmt],
    text: &str,
    class: &StmtClassDef,
    function: &StmtFunctionDef,
    caching: &Caching<'_>,
) -> Option<Mend> {
    let name = function.name.as_str();
    let parameters = &function.parameters;
    let is_plain = !function.is_async
        && function.decorator_list.len() == 1
        && parameters.len() == 1
        && parameters.vararg.is_none()
        && parameters.kwarg.is_none()
        && !name.starts_with("__");
    let has_room = class
        .arguments
        .as_ref()
        .is_none_or(|arguments| arguments.keywords.is_empty())
        && !text[class.range()].contains("__slots__");
    let asks_the_cache = [
        ".cache_clear",
        ".cache_info",
        ".cache_parameters",
        ".__wrapped__",
    ]
    .iter()
    .any(|attribute| text.contains(&format!("{name}{attribute}")));
    // Private to the class: what a subclass calls its own is another one.
    let property = format!("__{name}");
    if !is_plain || !has_room || asks_the_cache || text.contains(&property) {
        return None;
    }
    let owner = &parameters.iter().next()?.name().id;
    let Layout { unit, end, .. } = Layout::of(text, function, first_statement(&function.body)?)?;
    let outer = indentation(text, function.range().start())?;
    let (decorator, import) = caching.renamed(suite, "cached_property")?;
    let returns = function
        .returns
        .as_ref()
        .map_or_else(String::new, |returns| {
            format!(" -> {}", &text[returns.range()])
        });
    let last = function.range().end();
    let rest = &text[last.to_usize()..];
    let line_end = last + TextSize::of(&rest[..rest.find(['\r', '\n']).unwrap_or(rest.len())]);
    let method = format!(
        "{end}{end}{outer}def {name}({owner}){returns}:{end}{outer}{unit}return {owner}.{property}"
    );
    let mut edits: Vec<Edit> = import.into_iter().collect();
    edits.push(Edit::replacement(caching.range, decorator));
    edits.push(Edit::replacement(function.name.range, property));
    edits.push(Edit::insertion(line_end, method));
    Some(Mend {
        title: format!("Keep the result of `{name}` on its instance"),
        edits,
    })
}

#[cfg(test)]
mod tests {
    use crate::{Mendable, mend};

    /// The text after the mend for what stands at the mark `$`.
    fn mended(mendable: Mendable, marked: &str) -> Option<String> {
        let offset = marked.find('$').expect("a mark");
        let mut text = marked.replace('$', "");
        let found = mend(&text, mendable, u32::try_from(offset).expect("short"))?;
        for edit in found.edits.iter().rev() {
            text.replace_range(edit.start as usize..edit.end as usize, &edit.text);
        }
        Some(text)
    }

    fn default(marked: &str) -> Option<String> {
        mended(Mendable::DefaultArgument, marked)
    }

    fn cache(marked: &str) -> Option<String> {
        mended(Mendable::FunctionCache, marked)
    }

    #[test]
    fn a_default_is_made_in_each_call() {
        assert_eq!(
            default("def log(line, $seen=[]):\n    seen.append(line)\n").as_deref(),
            Some(
                "def log(line, seen=None):\n    if seen is None:\n        seen = []\n    seen.append(line)\n"
            )
        );
        // Behind the docstring, above the comment; tabs and line endings as they are.
        assert_eq!(
            default("class A:\r\n\tdef log(self, *, $seen = dict()):\r\n\t\t\"\"\"Logs.\"\"\"\r\n\r\n\t\t# All.\r\n\t\treturn seen\r\n")
                .as_deref(),
            Some("class A:\r\n\tdef log(self, *, seen = None):\r\n\t\t\"\"\"Logs.\"\"\"\r\n\r\n\t\tif seen is None:\r\n\t\t\tseen = dict()\r\n\t\t# All.\r\n\t\treturn seen\r\n")
        );
    }

    #[test]
    fn an_annotation_says_so_where_it_is_never_evaluated() {
        let lazy = "from __future__ import annotations\n";
        let text = "def log($seen: list[int] = [1]):\n    return seen\n";
        let made = "    if seen is None:\n        seen = [1]\n    return seen\n";
        assert_eq!(
            default(&format!("{lazy}{text}")),
            Some(format!(
                "{lazy}def log(seen: list[int] | None = None):\n{made}"
            ))
        );
        assert_eq!(
            default(text),
            Some(format!("def log(seen: list[int] = None):\n{made}"))
        );
    }

    #[test]
    fn a_default_that_may_mean_something_else_stays() {
        for text in [
            "def log($seen=[]): return seen\n",
            "def log($seen=[]):\n    if seen is None:\n        return\n    seen.append(1)\n",
            "def log($seen=make()):\n    return seen\n",
            "def log($seen=[first]):\n    return seen\n",
            "def log(list, $seen=list()):\n    return seen\n",
            "log = lambda $seen=[]: seen\n",
            "def log($seen=[]):\n    return (seen\n",
        ] {
            assert_eq!(default(text), None, "{text}");
        }
    }

    #[test]
    fn a_cache_gets_a_bound() {
        assert_eq!(
            cache(
                "import functools\n@$functools.lru_cache(None)\ndef load(name):\n    return name\n"
            )
            .as_deref(),
            Some("import functools\n@functools.lru_cache(128)\ndef load(name):\n    return name\n")
        );
        assert_eq!(
            cache("import functools\n@$functools.cache\ndef load(name):\n    return name\n")
                .as_deref(),
            Some(
                "import functools\n@functools.lru_cache(maxsize=128)\ndef load(name):\n    return name\n"
            )
        );
        // What is imported by name is imported by its new name, and the old one stays where it is needed.
        let text = "from functools import cache\n@$cache\ndef load(name):\n    return name\n";
        let made = "@lru_cache(maxsize=128)\ndef load(name):\n    return name\n";
        assert_eq!(
            cache(text),
            Some(format!("from functools import lru_cache\n{made}"))
        );
        assert_eq!(
            cache(&format!("{text}other = cache(len)\n")),
            Some(format!(
                "from functools import cache, lru_cache\n{made}other = cache(len)\n"
            ))
        );
    }

    #[test]
    fn a_result_is_kept_on_its_instance() {
        assert_eq!(
            cache(
                "from functools import lru_cache\n\nclass Shape:\n    @$lru_cache(maxsize=None)\n    def area(self) -> int:\n        \
                 \"\"\"Of it.\"\"\"\n        return self.side  # of all\n\n    x = 1\n"
            )
            .as_deref(),
            Some(
                "from functools import cached_property\n\nclass Shape:\n    @cached_property\n    def __area(self) -> int:\n        \
                 \"\"\"Of it.\"\"\"\n        return self.side  # of all\n\n    def area(self) -> int:\n        return self.__area\n\n    x = 1\n"
            )
        );
    }

    #[test]
    fn a_method_that_takes_more_or_has_no_dict_gets_a_bound() {
        let method = |before: &str, parameters: &str| {
            format!(
                "import functools\nclass Shape:\n{before}    @$functools.cache\n    def area({parameters}):\n        return 1\n"
            )
        };
        for (before, parameters) in [
            ("", "self, factor"),
            ("", "self, *more"),
            ("    __slots__ = ()\n", "self"),
        ] {
            let text = cache(&method(before, parameters)).expect("a mend");
            assert!(text.contains("@functools.lru_cache(maxsize=128)"), "{text}");
        }
    }

    #[test]
    fn a_cache_of_another_kind_stays() {
        for text in [
            "from functools import lru_cache\n@$lru_cache(maxsize=10)\ndef load(name):\n    return name\n",
            "@$memoize\ndef load(name):\n    return name\n",
            "from cachetools import cache\n@$cache\ndef load(name):\n    return name\n",
            "from tools import *\n@$cache\ndef load(name):\n    return name\n",
        ] {
            assert_eq!(cache(text), None, "{text}");
        }
    }
}
