//! Text that is no Python, or too much of it.

use std::sync::Arc;

use heldby_source::{Binding, Growth, Module, Question, Sources};
use proptest::prelude::*;

use crate::fixture::{Files, attribute, class_attribute, function, global};

/// Asks all kinds of questions about a file.
fn ask_everything(bytes: &[u8]) -> (usize, Vec<String>) {
    let files = Files([("m.py".to_owned(), Arc::from(bytes))].into());
    let sources = Sources::new(&files, files.modules());
    let of = || function("m.py", "f");
    let bindings = [
        global("m.A"),
        attribute(&["m:B", "m:A"], "a"),
        class_attribute(&["m:B"], "a"),
        Binding::Default {
            function: of(),
            parameter: "a".into(),
        },
        Binding::Closure {
            function: of(),
            name: "A".into(),
        },
        Binding::Local {
            function: of(),
            name: "a".into(),
        },
        Binding::Cache { function: of() },
        Binding::FunctionAttribute {
            function: of(),
            name: "a".into(),
            wrapper: None,
            free_variable: None,
        },
    ];
    let mut stores = 0;
    for growth in [
        Growth::Items { depth: 1 },
        Growth::Items { depth: 0 },
        Growth::Bound,
        Growth::Raised,
    ] {
        for first in 0..bindings.len() {
            let question = Question {
                bindings: &bindings[first..],
                holder: 1,
                growth,
                held: &["A".to_owned()],
                container: &[],
                key: None,
                makes_what_is_read: false,
                is_remade: false,
            };
            stores += sources.answer(&question).stores.len();
        }
    }
    (
        stores,
        sources
            .problems()
            .into_iter()
            .map(|problem| problem.message)
            .collect(),
    )
}

/// Asks one question about a file, which parses it.
fn ask_one(bytes: &[u8]) -> Vec<String> {
    let files = Files([("m.py".to_owned(), Arc::from(bytes))].into());
    let sources = Sources::new(&files, files.modules());
    let _ = sources.answer(&Question {
        bindings: &[global("m.A")],
        holder: 0,
        growth: Growth::Items { depth: 1 },
        held: &[],
        container: &[],
        key: None,
        makes_what_is_read: false,
        is_remade: false,
    });
    sources
        .problems()
        .into_iter()
        .map(|problem| problem.message)
        .collect()
}

#[test]
fn broken_text_is_read_as_far_as_it_goes() {
    let (stores, problems) =
        ask_everything(b"A = []\ndef f(:\n    A.append(1)\n  x = (\ndef g():\n    A.append(2)\n");
    assert!(stores > 0);
    assert_eq!(problems.len(), 1);
}

#[test]
fn a_module_of_a_package_that_runs_as_main() {
    let mut files = Files::parse("#- pkg/__init__.py\n#- pkg/state.py\nSEEN = []\n");
    let main = "from .state import SEEN\ndef go(x):\n    SEEN.append(x)\n";
    files
        .0
        .insert("pkg/app.py".into(), Arc::from(main.as_bytes()));
    let mut modules = files.modules();
    for module in &mut modules {
        if module.path == "pkg/app.py" {
            module.name = "__main__".into();
        }
    }
    let sources = Sources::new(&files, modules);
    let bindings = [global("pkg.state.SEEN")];
    let growth = Growth::Items { depth: 1 };
    let answer = sources.answer(&Question {
        bindings: &bindings,
        holder: 0,
        growth,
        held: &[],
        container: &[],
        key: None,
        makes_what_is_read: false,
        is_remade: false,
    });
    assert_eq!(answer.stores[0].site.path, "pkg/app.py");
}

#[test]
fn encodings() {
    assert_eq!(
        ask_everything(b"# -*- coding: latin-1 -*-\nA = ['\xe9']\n").1,
        [] as [&str; 0]
    );
    assert_eq!(
        ask_everything(b"\xef\xbb\xbfA = ['\xc3\xa9']\n").1,
        [] as [&str; 0]
    );
    assert_eq!(
        ask_everything(b"A = ['\xe9']\n").1,
        ["not UTF-8: read with replacement characters"]
    );
    assert_eq!(
        ask_everything(b"# coding=shift_jis\nA = ['\x83\x5c']\n").1,
        ["not read: encoded in shift-jis"]
    );
    assert_eq!(
        ask_one(&vec![b'A'; (32 << 20) + 1]),
        ["not read: larger than 32 MiB"]
    );
}

#[test]
fn can_be_asked_by_several_threads() {
    fn shared<T: Send + Sync>() {}
    shared::<Sources<'static>>();
}

#[test]
fn missing_files_are_told() {
    let files = Files([].into());
    let module = Module {
        name: "m".into(),
        path: "m.py".into(),
        user: true,
    };
    let sources = Sources::new(&files, vec![module]);
    let bindings = [global("m.A")];
    let _ = sources.answer(&Question {
        bindings: &bindings,
        holder: 0,
        growth: Growth::Bound,
        held: &[],
        container: &[],
        key: None,
        makes_what_is_read: false,
        is_remade: false,
    });
    assert_eq!(sources.problems().len(), 1);
}

#[test]
fn deep_nesting() {
    let deep = |open: &str, middle: &str, close: &str, times: usize| {
        format!(
            "A = []\nA.append(1)\nx = {}{middle}{}\n",
            open.repeat(times),
            close.repeat(times)
        )
    };
    let blocks: String = (0..2_000)
        .map(|depth| format!("{}if A:\n", " ".repeat(depth)))
        .collect();
    let texts = [
        ("(", "1", ")"),
        ("[", "", "]"),
        ("{1:", "2", "}"),
        ("not ", "1", ""),
        ("-", "1", ""),
        ("lambda: ", "1", ""),
        ("A", "", "()"),
        ("1+", "1", ""),
        ("A.", "a", ""),
        ("1 if 1 else ", "1", ""),
        ("f(", "1", ")"),
        ("2**", "1", ""),
        ("f'{", "1", "}'"),
        ("a[", "1", "]"),
        ("[x for x in ", "A", "]"),
        ("await ", "x", ""),
        ("", "A", "[0]"),
        ("", "A", "()"),
        ("a and not ", "b", ""),
        ("(yield ", "1", ")"),
    ];
    for (open, middle, close) in texts {
        for times in [30, 46, 900, 2_900, 100_000] {
            ask_one(deep(open, middle, close, times).as_bytes());
        }
    }
    ask_one(blocks.as_bytes());
    let (stores, _) = ask_everything(deep("(", "1", ")", 900).as_bytes());
    assert!(stores > 0, "900 deep is read");
    assert_eq!(
        ask_everything(deep("(", "1", ")", 100_000).as_bytes()).1,
        ["not parsed: nested too deeply"]
    );
}

#[test]
fn long_chains() {
    let aliases: String = (1..20_000)
        .map(|n| format!("A{n} = A{}\n", n - 1))
        .collect();
    let classes: String = (1..3_000)
        .map(|n| format!("class B{n}(B{}): pass\n", n - 1))
        .collect();
    let again = "    node = node.a or node.A\n    self.a.append(node.a.a(node))\n".repeat(3_000);
    let text = format!(
        "A0 = A\n{aliases}A = []\nA19999.append(1)\nA5.append(1)\nclass B0: pass\n{classes}class B(B2999):\n  def f(self, node):\n{again}"
    );
    let begin = std::time::Instant::now();
    let (stores, _) = ask_everything(text.as_bytes());
    assert!(stores > 0);
    assert!(begin.elapsed().as_secs() < 60, "{:?}", begin.elapsed());
}

#[test]
fn files_that_do_not_mention_the_name_are_not_parsed() {
    let files =
        Files::parse("#- m.py\nCACHE = {}\n#- n.py\nfrom m import CACHE\n)\n#- other.py\n)\n");
    let sources = Sources::new(&files, files.modules());
    let bindings = [global("m.CACHE")];
    let growth = Growth::Items { depth: 1 };
    let _ = sources.answer(&Question {
        bindings: &bindings,
        holder: 0,
        growth,
        held: &[],
        container: &[],
        key: None,
        makes_what_is_read: false,
        is_remade: false,
    });
    let problems: Vec<String> = sources.problems().into_iter().map(|one| one.path).collect();
    assert_eq!(problems, ["n.py"]);
}

#[test]
fn names_that_go_in_circles() {
    let text = "
from m import *
from m import A as A2, B as A
import m as m2
A = A2 = m2.A = A.a = A or A2
class A(B, A.B): a = A
class B(A, m2.B): B = A
def f(a=A, *b): return f(f) or a.a or A[a]
A.append(A); self.a = self.a.a; A = f(A); A.a[A.a] = A
for A in A: A = A.a[A]; A.a.append(A)
"
    .repeat(20);
    ask_everything(text.as_bytes());
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 200, ..ProptestConfig::default() })]

    #[test]
    fn arbitrary_bytes_never_panic(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
        ask_everything(&bytes);
    }

    #[test]
    fn arbitrary_text_never_panics(text in "\\PC{0,200}") {
        ask_everything(text.as_bytes());
    }

    #[test]
    fn python_like_text_never_panics(words in prop::collection::vec(prop::sample::select(&[
        "A", "a", "f", "self", "class B(A):", "def f(a=[], *A, **k):", "def f(self):", "lambda a:", "\n", "\n    ", "\n        ", ".", "=", "+=",
        "(", ")", "[", "]", "{", "}", ",", ":", "global A", "nonlocal A", "from m import A as a", "from m import *", "import m", "for", "in", "if", "else",
        "append", ".append(", "raise", "@", "del", "with", "as", "try:", "except A as a:", "return", "await", "yield", "match A:", "case", "f'{A}'", "'a'",
        "setattr(", "__slots__", ":=", "globals()['A']", "cls", "@property", "@classmethod", "None", "*", "super().",
    ][..]), 0..80)) {
        ask_everything(words.join(" ").replace("\n ", "\n").as_bytes());
    }
}
