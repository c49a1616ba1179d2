//! Definition sites.

use heldby_source::{Binding, Growth, Question, Sources};

use crate::fixture::{
    Files, attribute, bound, check, class_attribute, class_name, function, global, items,
};

#[test]
fn global_made_in_a_function() {
    check(
        &items(global("m.POOL")),
        "
#- m.py
POOL: list | None = None
def setup():
    global POOL
    POOL = []
#   ^^^^^^^^^ definition
",
    );
}

#[test]
fn global_in_try_and_if() {
    check(
        &items(global("m.DATA")),
        "
#- m.py
try:
    from fast import DATA
except ImportError:
    DATA = {}
#   ^^^^^^^^^ definition
def go(k):
    DATA[k] = k
#   ^^^^^^^^^^^ store
",
    );
}

#[test]
fn lazily_made_attribute() {
    check(
        &items(attribute(&["m:Lazy"], "_all")),
        "
#- m.py
class Lazy:
    def __init__(self):
        self._all = None
    def add(self, x):
        if self._all is None:
            self._all = []
#           ^^^^^^^^^^^^^^ definition
        self._all.append(x)
#       ^^^^^^^^^^^^^^^^^^^ store
",
    );
}

#[test]
fn dataclass_field_and_slot() {
    check(
        &items(attribute(&["m:Row"], "cells")),
        "
#- m.py
@dataclass
class Row:
    cells: list = field(default_factory=list)
#   ^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^ definition
    def add(self, cell):
        self.cells.append(cell)
#       ^^^^^^^^^^^^^^^^^^^^^^^ store
",
    );
    check(
        &bound(attribute(&["m:Slim"], "next")),
        "
#- m.py
class Slim:
    __slots__ = ('value', 'next')
#   ^^^^^^^^^^^^^^^^^^^^^^^^^^^^^ definition
",
    );
}

#[test]
fn attribute_set_in_new_and_outside() {
    check(
        &items(attribute(&["m:Made"], "parts")),
        "
#- m.py
class Made:
    def __new__(cls):
        made = object.__new__(cls)
        made.parts = []
#       ^^^^^^^^^^^^^^^ definition
        return made
",
    );
    check(
        &items(attribute(&["m:Bare"], "extra")),
        "
#- m.py
class Bare:
    pass
def dress(bare):
    bare.extra = []
#   ^^^^^^^^^^^^^^^ definition
",
    );
}

#[test]
fn class_attribute_of_a_base() {
    check(
        &items(class_attribute(&["b:Child", "a:Parent"], "registry")),
        "
#- a.py
class Parent:
    registry = []
#   ^^^^^^^^^^^^^ definition
    def __init_subclass__(cls):
        cls.registry.append(cls)
#       ^^^^^^^^^^^^^^^^^^^^^^^^ store
#- b.py
from a import Parent
class Child(Parent):
    pass
",
    );
}

#[test]
fn default_of_a_method_by_line() {
    let binding = |line| Binding::Default {
        function: heldby_source::FunctionName {
            path: "m.py".into(),
            qualname: "go".into(),
            line,
        },
        parameter: "seen".into(),
    };
    let text = "
#- m.py
class A:
    def go(self, seen=[]):
        seen.append(1)
class B:
    @deco
    def go(self, *, seen: list = []):
#                   ^^^^^^^^^^^^^^^ definition
        seen.append(1)
#       ^^^^^^^^^^^^^^ store
";
    check(&items(binding(5)), text);
    check(&items(binding(6)), text);
}

#[test]
fn columns_count_code_points() {
    check(
        &items(global("m.ÉTÉ")),
        "
#- m.py
ÉTÉ = []
#^^^^^^^ definition
def go():
    'ééé'; ÉTÉ.append('😀')
#          ^^^^^^^^^^^^^^^ store
",
    );
}

#[test]
fn headers() {
    let files = Files::parse(
        "#- m.py\n@deco\n@deco(1)\nclass A(B,\n        C):\n    async  def f(self) -> int:\n        pass\n    class In: pass\n",
    );
    let sources = Sources::new(&files, files.modules());
    let at = |site: heldby_source::Site| (site.line, site.column, site.end_line, site.end_column);
    assert_eq!(
        sources.class_line(&class_name("m:A")).map(at),
        Some((3, 1, 4, 11))
    );
    assert_eq!(
        sources.class_line(&class_name("m:A.In")).map(at),
        Some((7, 5, 7, 13))
    );
    assert_eq!(sources.class_line(&class_name("m:B")), None);
    let method = sources
        .function_line(&function("m.py", "A.f"))
        .map(at)
        .unwrap();
    assert_eq!((method.0, method.2, method.3), (5, 5, 30));
}

#[test]
fn nothing_known_is_no_answer() {
    let files = Files::parse("#- m.py\nx = 1\n");
    let sources = Sources::new(&files, files.modules());
    let bindings = [global("gone.NAME"), attribute(&["gone:A"], "b")];
    let question = Question {
        bindings: &bindings,
        holder: 5,
        growth: Growth::Bound,
        held: &[],
        container: &[],
        key: None,
        makes_what_is_read: false,
        is_remade: false,
    };
    let answer = sources.answer(&question);
    assert_eq!(answer.definitions, [None, None]);
    assert_eq!(answer.stores, []);
}
