//! Sites while the text is edited. In both texts `«` and `»` stand around the site: in the older where it is, in the
//! newer where it must be found. No marks in the newer: it must be lost.

use std::time::Instant;

use heldby_source::Anchored::{Changed, Exact, Moved};
use heldby_source::{Anchored, Anchors, Drift, Site, decode_source};
use proptest::prelude::*;

/// The text without its marks, and the site they stand around.
fn unmarked(marked: &str) -> (String, Option<Site>) {
    let mut text = String::new();
    let (mut line, mut column) = (1, 1);
    let mut ends = Vec::new();
    let mut before = ' ';
    for letter in marked.chars() {
        match letter {
            '«' | '»' => {
                ends.push((line, column));
                continue;
            }
            '\n' if before == '\r' => {}
            '\n' | '\r' => (line, column) = (line + 1, 1),
            '\u{feff}' if text.is_empty() => {}
            _ => column += 1,
        }
        before = letter;
        text.push(letter);
    }
    let site = match ends[..] {
        [] => None,
        [(line, column), (end_line, end_column)] => Some(Site {
            path: "m.py".into(),
            line,
            column,
            end_line,
            end_column,
        }),
        _ => panic!("one pair of marks: {marked}"),
    };
    (text, site)
}

fn place(old: &str, new: &str, site: &Site) -> Anchored {
    let (old, new) = (Anchors::of(old.as_bytes()), Anchors::of(new.as_bytes()));
    Drift::between(&old, &new).place(site)
}

#[track_caller]
fn check(old: &str, new: &str, verdict: fn(Site) -> Anchored) {
    let (old, site) = unmarked(old);
    let (new, expected) = unmarked(new);
    let site = site.expect("the older text has marks");
    let expected = expected.map_or(Anchored::Lost, verdict);
    assert_eq!(place(&old, &new, &site), expected, "{old}\n->\n{new}");
}

#[track_caller]
fn lost(old: &str, new: &str) {
    check(old, new, Anchored::Exact);
}

const UPLOAD: &str = "\
import os
UPLOADS = []

def upload(data):
    size = len(data)
    «UPLOADS.append(data)»
    return size
";

#[test]
fn untouched() {
    check(UPLOAD, UPLOAD, Exact);
}

#[test]
fn edits_below_and_beside_leave_it() {
    check(UPLOAD, &format!("{UPLOAD}\nX = 1\n"), Exact);
    check(UPLOAD, &UPLOAD.replace("import os", "import sys"), Exact);
    check(UPLOAD, &UPLOAD.replace("»", "»  # why?"), Exact);
    check(UPLOAD, &UPLOAD.replace("»", "»; size += 1"), Exact);
    check(
        UPLOAD,
        &UPLOAD.replace("size = len(data)", "size = (0)"),
        Exact,
    );
}

#[test]
fn lines_above_move_it() {
    check(UPLOAD, &format!("# new\n\n{UPLOAD}"), Moved);
    check(
        UPLOAD,
        &UPLOAD.replace("    size =", "    # why\n    size ="),
        Moved,
    );
    check(UPLOAD, &UPLOAD.replace("import os\n", ""), Moved);
}

#[test]
fn indented_into_a_block() {
    let inside = "    if data:\n        «UPLOADS.append(data)»";
    check(
        UPLOAD,
        &UPLOAD.replace("    «UPLOADS.append(data)»", inside),
        Moved,
    );
    let again = UPLOAD.replace("    «UPLOADS.append(data)»", inside);
    check(&again, UPLOAD, Moved);
    check(&again, &again.replace("data:", "data and size:"), Exact);
    check(UPLOAD, &UPLOAD.replace("    «", "    with lock: «"), Moved);
}

#[test]
fn other_spacing_is_the_same_statement() {
    check(UPLOAD, &UPLOAD.replace("(data)»", "( data )»"), Moved);
    check(
        UPLOAD,
        &UPLOAD.replace("(data)»", "(\n        data\n    )»"),
        Moved,
    );
    check("x = [«f(a)»,  b]\n", "x = [«f( a )», b]\n", Moved);
    check("x = [a,  «f(a, b)»]\n", "x = [a, «f(a, b)»]\n", Moved);
    check(
        "def f():\n    return «not x»\n",
        "def f():\n    return  «not  x»\n",
        Moved,
    );
    check(
        "def f(x):\n    «return x»\n",
        "«def f(x)»:\n    returnx\n",
        Changed,
    );
}

#[test]
fn parts_of_a_statement() {
    check("f(«a», a)\n", "\nf(«a»,a)\n", Moved);
    check("f(a, «a»)\n", "\nf(a,\n  «a»)\n", Moved);
    check("f(a, a«»)\n", "\nf(a,\n  a«»)\n", Moved);
    check("f(«a,\n  b»)\n", "f(«a, b»)\n", Moved);
}

#[test]
fn blocks_are_no_part_of_their_head() {
    let old = "def f(a):\n    for «x in g(a)»:\n        print(x)\n    else:\n        a = 1\n";
    check(old, &old.replace("print(x)", "return x"), Exact);
    for head in [
        "while «g()»",
        "if «g()»",
        "with «g() as a»",
        "with «g()» as a, b as c",
        "match «g()»",
        "with (a as b, «c as d»)",
    ] {
        let text = |head: &str, block: &str| format!("{head}:\n    {block}\n");
        let block = if head.starts_with("match") {
            ["case 1: a()", "case 1: b()"]
        } else {
            ["a()", "b()"]
        };
        check(&text(head, block[0]), &text(head, block[1]), Exact);
    }
    let old = "try:\n    a()\nexcept «E as e»:\n    b()\n";
    check(old, &old.replace("()", "(1)"), Exact);
    let old = "if a:\n    a()\nelif «b()»:\n    b()\n";
    check(old, &old.replace("a()", "a(1)"), Exact);
    let old = "match a:\n    case «{'b': c}» if d:\n        b()\n";
    check(old, &old.replace("b()", "b(1)"), Exact);
}

#[test]
fn a_whole_block_moves_with_its_lines() {
    let old = "A = 1\n«def f():\n    A.append(1)\n    return 1»\n";
    check(old, &format!("import a\n{old}"), Moved);
    check(old, old, Exact);
    lost(
        old,
        &unmarked(&old.replace("append(1)", "append(2)"))
            .0
            .replace("def f", "def g"),
    );
}

#[test]
fn renamed_function() {
    let new = UPLOAD.replace("def upload", "def store");
    check(UPLOAD, &new, Exact);
    check(UPLOAD, &format!("\n{new}"), Moved);
    let one = "A = []\ndef f(x):\n    «A.append(x)»\n";
    check(one, &one.replace("def f", "def stored"), Exact);
    let edited = "A = []\n«def stored(x)»:\n    if x: return\n    y = x\n    A.append(y)\n";
    let long = "A = []\ndef f(x):\n    if x: return\n    y = x\n    «A.append(x)»\n";
    check(long, edited, Changed);
    let class = "class C:\n    def a(self):\n        «self.x = 1»\n    def b(self): pass\n";
    check(class, &class.replace("class C", "class D"), Exact);
    check(
        class,
        &format!("import a\n{}", class.replace("def a", "def put")),
        Moved,
    );
}

#[test]
fn another_function_is_not_a_renamed_one() {
    let old = "def f():\n    a = 1\n    b = 2\n    «A.append(1)»\n    return a\n";
    let new = "def g():\n    c()\n    A.append(1)\n    for x in y: print(x)\n    return 2\n";
    lost(old, new);
    let old = format!("def g():\n    c()\n\n{old}");
    lost(&old, new);
}

#[test]
fn taken_out_into_another_function() {
    let old = "def f(x):\n    a = 1\n    «A.append(x)»\n    return a\n";
    let new =
        "«def f(x)»:\n    a = 1\n    store(x)\n    return a\n\ndef store(x):\n    A.append(x)\n";
    check(old, new, Changed);
}

#[test]
fn carried_into_another_function_along_with_its_neighbours() {
    let old = "def f(x):\n    a = 1\n    «A.append(x)»\n    B.append(x)\n    c = 2\n    return a\n";
    let new = "def f(x):\n    a = 1\n    store(x)\n    c = 2\n    return a\n\ndef store(x):\n    «A.append(x)»\n    B.append(x)\n";
    check(old, new, Moved);
    check(new, old, Moved);
    // Most of it is in the other now; what has changed is still looked for in its own.
    let old = "def f(x):\n    «a = 1»\n    A.append(x)\n    B.append(x)\n";
    let new =
        "«def f(x)»:\n    a = 2\n    store(x)\n\ndef store(x):\n    A.append(x)\n    B.append(x)\n";
    check(old, new, Changed);
    // Out of a class.
    let old = "class C:\n    a = 1\n    «b = []»\n";
    check(old, "class C:\n    a = 1\n«b = []»\n", Moved);
}

#[test]
fn moved_past_others() {
    let old = "class C:\n    def a(self):\n        «self.x = 1»\n\n    def b(self):\n        self.y = 2\n        f()\n        return 1\n";
    let new = "class C:\n    def b(self):\n        self.y = 2\n        f()\n        return 1\n\n    def a(self):\n        «self.x = 1»\n";
    check(old, new, Moved);
    check(
        "def f():\n    «a()»\n    b()\n    c()\n",
        "def f():\n    b()\n    c()\n    «a()»\n",
        Moved,
    );
}

#[test]
fn deleted_line() {
    check(
        UPLOAD,
        &UPLOAD
            .replace("    «UPLOADS.append(data)»\n", "")
            .replace("def upload(data)", "«def upload(data)»"),
        Changed,
    );
    lost("«A = []»\nB = 1\n", "B = 1\n");
    lost(UPLOAD, "import os\nUPLOADS = []\n");
    check(
        "class C:\n    def f(self):\n        «A.append(1)»\n",
        "«class C»:\n    pass\n",
        Changed,
    );
}

#[test]
fn edited_statement() {
    let header = |text: &str| text.replace("def upload(data)", "«def upload(data)»");
    check(
        UPLOAD,
        &header(&UPLOAD.replace("«UPLOADS.append(data)»", "UPLOADS.append(size)")),
        Changed,
    );
    check(
        UPLOAD,
        &header(&UPLOAD.replace("«UPLOADS.append(data)»", "UPLOADS.extend(data)")),
        Changed,
    );
    lost("A = 1\n«B = []»\nC = 1\n", "A = 1\nB = {}\nC = 1\n");
    check(
        "class C:\n    «x = []»\n    y = 1\n",
        "@final\n«class C(B)»:\n    x = {}\n    y = 1\n",
        Changed,
    );
}

#[test]
fn headers_and_decorators() {
    check(
        "@a\n@«cache»\ndef f(): pass\n",
        "@a\n@b\n@«cache»\ndef f(): return\n",
        Moved,
    );
    check(
        "@a\n«def f()»:\n    pass\n",
        "@a\n# why\n\n«def f()»:\n    return 1\n",
        Moved,
    );
    check(
        "def f(a, «b=[]»):\n    pass\n",
        "«def f(a, b=[], c=1)»:\n    pass\n",
        Changed,
    );
    check("@«cache»\ndef f(): pass\n", "«def f()»: pass\n", Changed);
    check("class C(«A»): pass\n", "\nclass C(«A»): x = 1\n", Moved);
    check(
        "async  def f(«a=1»): pass\n",
        "async def f(«a=1»): pass\n",
        Moved,
    );
}

#[test]
fn the_same_statement_several_times() {
    let old = "def f():\n    a()\n    b()\n    «a()»\n    c()\n    a()\n";
    check(old, old, Exact);
    check(old, &format!("import x\n{old}"), Moved);
    // The first is deleted; the one that is asked for is known by what stands around it.
    check(
        old,
        "def f():\n    b()\n    «a()»\n    c()\n    a()\n",
        Moved,
    );
    // Itself is deleted: the others stay themselves.
    check(
        old,
        "«def f()»:\n    a()\n    b()\n    c()\n    a()\n",
        Changed,
    );
    // One more comes before it.
    check(
        old,
        "def f():\n    a()\n    a()\n    b()\n    «a()»\n    c()\n    a()\n",
        Moved,
    );
    let twice = "def f(): a(); «a()»\n";
    check(twice, &format!("\n{twice}"), Moved);
    let two = "class C:\n    @property\n    def x(self): return a()\n    @x.setter\n    def x(self, y): «a()»\n";
    check(two, &format!("\n{two}"), Moved);
    check(
        two,
        "class C:\n    @property\n    def x(self): return a()\n    @x.setter\n    «def x(self, y)»: b()\n",
        Changed,
    );
}

#[test]
fn in_functions_of_the_same_text() {
    let old = "def f():\n    a()\n\ndef g():\n    «a()»\n\ndef h():\n    a()\n";
    check(old, "def g():\n    «a()»\n\ndef h():\n    a()\n", Moved);
    check(
        old,
        "def f():\n    a()\n\n«def g()»:\n    b()\n\ndef h():\n    a()\n",
        Changed,
    );
    lost(old, "def f():\n    a()\n\ndef h():\n    a()\n");
}

#[test]
fn line_endings() {
    for ending in ["\r\n", "\r"] {
        let other = UPLOAD.replace('\n', ending);
        check(UPLOAD, &other, Exact);
        check(&other, UPLOAD, Exact);
        check(&other, &format!("import a{ending}{other}"), Moved);
    }
    let long = "A.append(\n    1\n)\nB.append«(\n    2,\n)»\n";
    check(long, &long.replace('\n', "\r\n"), Exact);
}

#[test]
fn tabs() {
    let tabs = UPLOAD.replace("    ", "\t");
    check(&tabs, &tabs, Exact);
    check(UPLOAD, &tabs, Moved);
    check(&tabs, UPLOAD, Moved);
}

#[test]
fn byte_order_mark_and_code_points() {
    check(UPLOAD, &format!("\u{feff}{UPLOAD}"), Exact);
    check(&format!("\u{feff}{UPLOAD}"), UPLOAD, Exact);
    check(
        "x = 'é'; «f('𝄞', a)»; b\n",
        "x = 'é𝄞' ; «f('𝄞',\ta)»; b\n",
        Moved,
    );
    check(
        "x = 'é', «f('𝄞', a)», b\n",
        "x =  'é' ,\t«f('𝄞', a)», b\n",
        Moved,
    );
}

#[test]
fn other_encodings() {
    let latin = |text: &str| -> Vec<u8> { text.chars().map(|letter| letter as u8).collect() };
    let text = "# coding: latin-1\nx = 'é'; «f(1)»\n";
    let (text, site) = unmarked(text);
    let (old, new) = (Anchors::of(&latin(&text)), Anchors::of(text.as_bytes()));
    let site = site.unwrap();
    assert_eq!(Drift::between(&old, &new).place(&site), Exact(site.clone()));
    assert_eq!(decode_source(&latin(&text)), Some(text.clone()));
    assert_eq!(decode_source(b"\xef\xbb\xbfx"), Some("x".to_owned()));
    assert_eq!(decode_source(b"# coding: shift_jis\n\x83"), None);
    let none = Anchors::of(b"# coding: shift_jis\n\x83");
    assert_eq!(Drift::between(&old, &none).place(&site), Anchored::Lost);
}

#[test]
fn while_somebody_types() {
    let old = "\
import os
A = []

def before(x):
    if x:
        return 1

def f(x):
    y = g(x)
    «A.append(x)»
    return y

class C:
    def m(self):
        self.a = f(1)
        return self
";
    let typed = |before: &str, after: &str| {
        assert!(old.contains(before));
        old.replace(before, after)
    };
    for after in [
        "import",
        "import os,",
        "from",
        "from a import (",
        "x = [",
        "x = {'a':",
        "def",
        "def (",
        "class",
        "@",
        "if x",
        "\"",
        "'''",
        "\"\"\"",
        "f'{",
        ")",
        "]",
    ] {
        check(old, &typed("import os", after), Exact);
        check(old, &typed("import os", &format!("{after}\n")), Moved);
    }
    for after in [
        "y = g(",
        "y = g(x",
        "y =",
        "y = g(x)(",
        "y = [",
        "y = '",
        "y = '''",
        "y.",
        "if x",
        "if x:",
        "for",
        "with (",
        "def",
        "def z(",
        "return (",
        "try:",
        "{",
    ] {
        check(old, &typed("y = g(x)", after), Exact);
        check(
            old,
            &typed("y = g(x)", &format!("y = g(x)\n    {after}")),
            Moved,
        );
    }
    for after in ["if x", "if x and (", "if", "if x: (", "while", "try:"] {
        check(old, &typed("if x:", after), Exact);
    }
    for after in [
        "def f(x",
        "def f(x, ",
        "def f(x) ->",
        "def f",
        "def fx(x)",
        "def g(x):",
        "def (x):",
        "de f(x):",
    ] {
        check(old, &typed("def f(x):", after), Exact);
    }
    for after in [
        "return",
        "return (",
        "return y.",
        "return '''",
        "retur",
        "return [x for",
    ] {
        check(old, &typed("return y", after), Exact);
    }
    for after in ["self.a = (", "self.", "@", "def", "'''"] {
        check(old, &typed("self.a = f(1)", after), Exact);
    }
    // Its own line.
    for after in [
        "A.append(",
        "A.append(x",
        "A.",
        "A.append(x).",
        "A.append(x, '''",
        "«",
    ] {
        let after = after.trim_matches('«');
        let new = old
            .replace("«A.append(x)»", after)
            .replace("def f(x)", "«def f(x)»");
        check(old, &new, Changed);
    }
    // From broken to sound.
    let broken = typed("y = g(x)", "y = g(x");
    check(&broken, old, Exact);
    check(&broken, &broken, Exact);
    check(&broken, &broken.replace("if x:", "if x and y:"), Exact);
    check(
        &broken,
        &format!("\n{}", broken.replace("if x:", "if x and y:")),
        Moved,
    );
}

#[test]
fn commented_out_is_changed() {
    let new = UPLOAD
        .replace("«UPLOADS.append(data)»", "# UPLOADS.append(data)")
        .replace("def upload(data)", "«def upload(data)»");
    check(UPLOAD, &new, Changed);
}

#[test]
fn nothing_there() {
    lost(UPLOAD, "");
    lost(UPLOAD, "\n");
    check("«»", "«»", Exact);
    lost("«a()»", "");
    let nowhere = |line, column, end_line, end_column| Site {
        path: String::new(),
        line,
        column,
        end_line,
        end_column,
    };
    let (text, _) = unmarked(UPLOAD);
    for site in [
        nowhere(0, 0, 0, 0),
        nowhere(1, 0, 1, 1),
        nowhere(99, 1, 99, 2),
        nowhere(1, 1, 99, 1),
        nowhere(5, 1, 2, 1),
    ] {
        assert_eq!(place(&text, &text, &site), Anchored::Lost);
        assert_eq!(place("", "", &site), Anchored::Lost);
    }
    let behind = nowhere(6, 1, 6, u32::MAX);
    assert_eq!(place(&text, &text, &behind), Exact(behind.clone()));
    let Moved(moved) = place(&text, &format!("\n{text}"), &behind) else {
        panic!("it has moved");
    };
    assert_eq!((moved.line, moved.column, moved.end_column), (7, 5, 25));
    let indentation = nowhere(6, 1, 6, 3);
    assert!(matches!(place(&text, &text, &indentation), Exact(_)));
    assert!(!matches!(
        place(&text, "", &indentation),
        Exact(_) | Moved(_)
    ));
}

#[test]
fn too_deep_to_parse_goes_by_lines() {
    let deep = format!("x = {}1{}\n", "(".repeat(5_000), ")".repeat(5_000));
    let old = format!("{UPLOAD}{deep}");
    check(&old, &old, Exact);
    check(&old, &format!("# new\n{old}"), Moved);
    check(UPLOAD, &old, Exact);
}

#[test]
fn statements_of_a_text() {
    let text = "A = []\ndef f(x):\n    A.append(x)\n    class C:\n        y: int = 1\n        def m(self): self.y += 1\n    return x\n";
    let anchors = Anchors::of(text.as_bytes());
    let found: Vec<(&str, u32)> = anchors
        .statements()
        .map(|(name, site)| (name, site.line))
        .collect();
    let expected = [
        ("", 1),
        ("f", 3),
        ("f.<locals>.C", 5),
        ("f.<locals>.C.m", 6),
    ];
    assert_eq!(found, expected);
}

#[test]
fn can_be_shared_by_threads() {
    fn shared<T: Send + Sync>() {}
    shared::<Anchors>();
    shared::<Drift<'static>>();
}

#[test]
fn large_files_take_no_time() {
    let function =
        |n: usize| format!("def f{n}(x):\n    y = g(x, {n})\n    A.append(y)\n    return y\n\n");
    let old: String = (0..4_000).map(function).collect();
    let new: String = (0..4_000).rev().map(function).collect();
    let same = "A.append(1)\n".repeat(20_000);
    let begin = Instant::now();
    for (old, new) in [
        (&old, &new),
        (&old, &same),
        (&same, &old),
        (&same, &same.replace("1)\n", "1)\nB = 1\n")),
    ] {
        let (old, new) = (Anchors::of(old.as_bytes()), Anchors::of(new.as_bytes()));
        let drift = Drift::between(&old, &new);
        for (_, site) in old.statements() {
            let _ = drift.place(&site);
        }
    }
    assert!(begin.elapsed().as_secs() < 20, "{:?}", begin.elapsed());
}

/// The text of a site without whitespace, read without the crate's help.
fn bare(text: &str, site: &Site) -> String {
    let text = text.replace("\r\n", "\n").replace('\r', "\n");
    let lines: Vec<Vec<char>> = text
        .split('\n')
        .map(|line| line.chars().collect())
        .collect();
    let mut bare = String::new();
    for number in site.line..=site.end_line {
        let line = &lines[number as usize - 1];
        let from = if number == site.line {
            site.column as usize - 1
        } else {
            0
        };
        let to = if number == site.end_line {
            site.end_column as usize - 1
        } else {
            line.len()
        };
        bare.extend(
            line[from..to]
                .iter()
                .filter(|letter| !letter.is_ascii_whitespace()),
        );
    }
    bare
}

fn check_all(old: &str, new: &str, more: &[Site]) -> Result<(), TestCaseError> {
    let (old_anchors, new_anchors) = (Anchors::of(old.as_bytes()), Anchors::of(new.as_bytes()));
    let drift = Drift::between(&old_anchors, &new_anchors);
    let still = Drift::between(&old_anchors, &old_anchors);
    let mut taken = std::collections::HashSet::new();
    for (_, site) in old_anchors.statements() {
        prop_assert_eq!(still.place(&site), Exact(site.clone()));
        match drift.place(&site) {
            Exact(place) => {
                prop_assert_eq!(&place, &site);
                prop_assert_eq!(bare(old, &site), bare(new, &place));
                prop_assert!(taken.insert(place));
            }
            Moved(place) => {
                prop_assert_eq!(bare(old, &site), bare(new, &place));
                prop_assert!(taken.insert(place));
            }
            Changed(place) => {
                let header = bare(new, &place);
                prop_assert!(
                    ["def", "class", "async"]
                        .iter()
                        .any(|word| header.starts_with(word)),
                    "{}",
                    header
                );
            }
            Anchored::Lost => {}
        }
    }
    for site in more {
        if let Exact(place) | Moved(place) = drift.place(site)
            && old_anchors.statements().next().is_some()
        {
            let clipped = Site {
                end_column: site.end_column.min(width(old, site.end_line)),
                column: site.column.min(width(old, site.line)),
                ..site.clone()
            };
            let found = Site {
                end_column: place.end_column.min(width(new, place.end_line)),
                column: place.column.min(width(new, place.line)),
                ..place
            };
            prop_assert_eq!(bare(old, &clipped), bare(new, &found));
        }
    }
    Ok(())
}

/// The column behind a line.
fn width(text: &str, line: u32) -> u32 {
    let text = text.replace("\r\n", "\n").replace('\r', "\n");
    let line = text.split('\n').nth(line as usize - 1).unwrap();
    line.chars().count() as u32 + 1
}

fn program() -> impl Strategy<Value = Vec<(u8, &'static str)>> {
    let lines = prop::sample::select(
        &[
            "A.append(1)",
            "A.append(1)",
            "b = A",
            "b = A",
            "x = 'é a'",
            "def f(a):",
            "def g(a): b = 1",
            "class C:",
            "if a:",
            "else:",
            "for a in b:",
            "return a",
            "pass",
            "@a",
            "'''",
            "f(",
            ")",
            "# a",
            "",
            "try:",
            "except E as e:",
            "with a as b:",
            "f(1,\n\t2)",
            "a = 1; a = 1",
            "lambda: (",
            "match a:",
            "case 1: f(2)",
            "f'{a}'",
            "x = \\",
            "async def f(a):",
            "\u{c}b = 2",
        ][..],
    );
    prop::collection::vec((0u8..4, lines), 0..24)
}

fn text(lines: &[(u8, &str)], ending: &str) -> String {
    lines
        .iter()
        .map(|(depth, line)| format!("{}{line}{ending}", "  ".repeat(usize::from(*depth))))
        .collect()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 600, ..ProptestConfig::default() })]

    #[test]
    fn what_is_found_is_the_same_text(
        old in program(),
        inserted in program(),
        at in 0usize..24,
        removed in 0usize..6,
        ending in prop::sample::select(&["\n", "\r\n", "\r"][..]),
        sites in prop::collection::vec((1u32..30, 1u32..12, 0u32..3, 1u32..20), 0..8),
    ) {
        let mut new = old.clone();
        let at = at.min(new.len());
        let end = (at + removed).min(new.len());
        new.splice(at..end, inserted.iter().copied().take(4));
        let sites: Vec<Site> = sites
            .into_iter()
            .map(|(line, column, more, end_column)| Site { path: String::new(), line, column, end_line: line + more, end_column })
            .collect();
        check_all(&text(&old, "\n"), &text(&new, ending), &sites)?;
        check_all(&text(&old, "\n"), &text(&inserted, ending), &sites)?;
    }

    #[test]
    fn arbitrary_text_never_panics(old in "\\PC{0,80}", new in "\\PC{0,80}", line in 0u32..4, column in 0u32..90, end_column in 0u32..90) {
        let site = Site { path: String::new(), line, column, end_line: line, end_column };
        place(&old, &new, &site);
        check_all(&old, &new, &[])?;
    }

    #[test]
    fn arbitrary_bytes_never_panic(old in prop::collection::vec(any::<u8>(), 0..200), new in prop::collection::vec(any::<u8>(), 0..200)) {
        let (old, new) = (Anchors::of(&old), Anchors::of(&new));
        let drift = Drift::between(&old, &new);
        for (_, site) in old.statements() {
            let _ = drift.place(&site);
        }
    }
}
