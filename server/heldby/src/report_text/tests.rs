use std::fs;

use heldby_finding::{Evidence, Growth, Held, Hop, Role};
use tempfile::TempDir;

use super::*;

const MIB: u64 = 1 << 20;
const VIEWS: &str = "\
UPLOADS = []


def upload(request):
    data = request.read()
    UPLOADS.append(data)
";

/// A folder with source files, and what is reported of them.
struct Fixture {
    folder: TempDir,
}

impl Fixture {
    fn new(files: &[(&str, &str)]) -> Self {
        let folder = TempDir::new().expect("a temporary folder");
        for (name, text) in files {
            fs::write(folder.path().join(name), text).expect("a writable file");
        }
        Self { folder }
    }

    fn place(&self, file: &str, numbers: [u32; 4]) -> Place {
        let [line, column, end_line, end_column] = numbers;
        Place {
            file: self.folder.path().join(file).display().to_string(),
            range: Some(Range {
                line,
                column,
                end_line,
                end_column,
            }),
            evidence: Evidence::Inferred,
            placement: Placement::Exact,
        }
    }

    fn store(&self, file: &str, numbers: [u32; 4]) -> StorePlace {
        StorePlace {
            place: self.place(file, numbers),
            role: Role::Store,
            enclosing: "upload".to_owned(),
            user: true,
            runs_once: false,
            ran_at: None,
            runs: None,
        }
    }

    /// What leaks in [`VIEWS`].
    fn finding(&self) -> Finding {
        let holder = Holder {
            kind: "module-global",
            path: "gallery.views.UPLOADS".to_owned(),
            type_name: "list".to_owned(),
            definition: Some(self.place("views.py", [1, 1, 1, 13])),
        };
        let hop = |object: &str, reference: &str| Hop {
            object: object.to_owned(),
            reference: reference.to_owned(),
        };
        Finding {
            also_held_by: Vec::new(),
            limits: Default::default(),
            id: "1".to_owned(),
            severity: Severity::Warning,
            holder: holder.clone(),
            holders: vec![holder],
            access_path: "gallery.views.UPLOADS[*]".to_owned(),
            held: Held {
                type_name: "bytes".to_owned(),
                count: 12,
                retained_bytes: 48 * MIB,
            },
            growth: Growth {
                proven: true,
                counts: vec![4, 8, 12],
                retained_bytes: vec![16 * MIB, 32 * MIB, 48 * MIB],
            },
            stores: vec![self.store("views.py", [6, 5, 6, 25])],
            chain: vec![hop("list", "[11]"), hop("module gallery.views", ".UPLOADS")],
        }
    }

    fn information(&self) -> Finding {
        let mut finding = self.finding();
        finding.severity = Severity::Information;
        finding.growth = Growth {
            proven: false,
            counts: vec![12],
            retained_bytes: vec![48 * MIB],
        };
        finding
    }

    fn text(&self, reports: &[ProcessReport]) -> String {
        let text = to_text_below(Some(self.folder.path().to_owned()), reports);
        anstream::adapter::strip_str(&text).to_string()
    }

    /// The text on one warning, without the last lines of the report.
    fn warning(&self, finding: Finding) -> String {
        let text = self.text(&[report(3, vec![finding])]);
        match text.split_once("\n\n1 warning, 0 for information") {
            Some((warning, _)) => warning.to_owned(),
            None => panic!("no sum at the end of:\n{text}"),
        }
    }
}

fn report(dumps: u64, findings: Vec<Finding>) -> ProcessReport {
    let dump = |number| DumpSummary {
        path: format!("{number}.heldby"),
        objects: number * 1000,
        references: number * 2000,
        bytes: number * MIB,
        agent: "heldby_native 0.1.0".to_owned(),
        fallback: String::new(),
        problems: Vec::new(),
    };
    ProcessReport {
        pid: 4711,
        dumps: (1..=dumps).map(dump).collect(),
        findings,
    }
}

#[track_caller]
fn assert_text(found: &str, expected: &str) {
    assert!(
        found == expected,
        "found:\n{found}\n\nexpected:\n{expected}"
    );
}

#[test]
fn warning_shows_store_and_holder_in_one_snippet() {
    let fixture = Fixture::new(&[("views.py", VIEWS)]);
    let text = fixture.text(&[report(3, vec![fixture.finding()])]);
    assert_text(
        &text,
        "\
warning[module-global]: keeps 12 bytes objects (48.0 MiB) alive through gallery.views.UPLOADS: +4 a dump
 --> views.py:6:5
  |
1 | UPLOADS = []
  | ------------ the holder: a list, module global `gallery.views.UPLOADS`
...
6 |     UPLOADS.append(data)
  |     ^^^^^^^^^^^^^^^^^^^^ creates the references; inferred from the source
  |
  = held: 12 bytes objects, 48.0 MiB
  = growth: 4 → 8 → 12 objects, 16.0 → 32.0 → 48.0 MiB
  = chain: bytes ← list[11] ← module gallery.views.UPLOADS
  = help: `gallery.views.UPLOADS` lives as long as the program: drop entries when their work is done \
(`remove`, `clear`), or bound it: a `deque(maxlen=…)` keeps the newest

1 warning, 0 for information in 3 dumps of process 4711 (3000 objects, 3.0 MiB in the last)
",
    );
}

#[test]
fn styles_are_written_for_whoever_prints() {
    let fixture = Fixture::new(&[("views.py", VIEWS)]);
    let text = to_text(&[report(3, vec![fixture.finding()])]);
    assert!(text.starts_with("\u{1b}["), "{text}");
}

#[test]
fn holder_of_another_file_has_a_snippet_of_its_own() {
    let fixture = Fixture::new(&[("views.py", VIEWS), ("state.py", "# state\nUPLOADS = []\n")]);
    let mut finding = fixture.finding();
    finding.holder.definition = Some(fixture.place("state.py", [2, 1, 2, 13]));
    finding.holders = vec![finding.holder.clone()];
    let warning = fixture.warning(finding);
    let (snippets, _) = warning.split_once("  = held").expect("facts");
    assert_text(
        snippets,
        "\
warning[module-global]: keeps 12 bytes objects (48.0 MiB) alive through gallery.views.UPLOADS: +4 a dump
 --> views.py:6:5
  |
6 |     UPLOADS.append(data)
  |     ^^^^^^^^^^^^^^^^^^^^ creates the references; inferred from the source
  |
 ::: state.py:2:1
  |
2 | UPLOADS = []
  | ------------ the holder: a list, module global `gallery.views.UPLOADS`
  |
",
    );
}

#[test]
fn line_of_the_user_comes_before_the_line_of_the_library() {
    let fixture = Fixture::new(&[
        ("views.py", VIEWS),
        ("signals.py", "class Signal:\n    pass\n"),
    ]);
    let mut finding = fixture.finding();
    let mut library = fixture.store("signals.py", [2, 5, 2, 9]);
    library.user = false;
    finding.stores[0].role = Role::Caller;
    finding.stores.insert(0, library);
    let warning = fixture.warning(finding);
    let user = warning.find(" --> views.py:6:5").expect("the user's line");
    let library = warning
        .find(" ::: signals.py:2:5")
        .expect("the library's line");
    assert!(user < library, "{warning}");
    assert!(
        warning.contains("^^^^ creates the references, in what it calls"),
        "{warning}"
    );
    assert!(
        warning.contains("---- also creates such references"),
        "{warning}"
    );
}

#[test]
fn changed_lines_are_named_and_not_drawn() {
    let fixture = Fixture::new(&[("views.py", VIEWS)]);
    let mut finding = fixture.finding();
    finding.stores[0].place.placement = Placement::Changed;
    if let Some(definition) = &mut finding.holder.definition {
        definition.placement = Placement::Lost;
        definition.range = None;
    }
    finding.holders = vec![finding.holder.clone()];
    assert_text(
        &fixture.warning(finding),
        "\
warning[module-global]: keeps 12 bytes objects (48.0 MiB) alive through gallery.views.UPLOADS: +4 a dump
--> views.py:6
 = held: 12 bytes objects, 48.0 MiB
 = growth: 4 → 8 → 12 objects, 16.0 → 32.0 → 48.0 MiB
 = chain: bytes ← list[11] ← module gallery.views.UPLOADS
 = note: creates the references; inferred from the source; changed since the dump
 = note: the holder: a list, module global `gallery.views.UPLOADS`, defined at views.py, no longer there: changed \
since the dump
 = help: `gallery.views.UPLOADS` lives as long as the program: drop entries when their work is done \
(`remove`, `clear`), or bound it: a `deque(maxlen=…)` keeps the newest",
    );
}

#[test]
fn files_that_are_gone_or_shorter_are_named_and_not_drawn() {
    let fixture = Fixture::new(&[("views.py", VIEWS)]);
    let mut finding = fixture.finding();
    finding.stores = vec![
        fixture.store("gone.py", [31, 5, 31, 9]),
        fixture.store("views.py", [600, 1, 600, 2]),
        fixture.store("views.py", [6, 25, 6, 99]),
        fixture.store("views.py", [1, 1, 1, 2]),
        fixture.store("views.py", [1, 1, 1, 2]),
    ];
    let warning = fixture.warning(finding);
    assert!(warning.contains("\n --> gone.py:31\n"), "{warning}");
    assert!(
        warning.contains("  = note: also stored at views.py:600\n"),
        "{warning}"
    );
    assert!(
        warning.contains("  = note: also stored at views.py:6\n"),
        "{warning}"
    );
    assert!(
        warning.contains("  = note: stored at 2 more places: `--format json` has them\n"),
        "{warning}"
    );
    assert!(warning.contains("1 | UPLOADS = []\n"), "{warning}");
}

#[test]
fn columns_are_code_points_whatever_the_line_ends_and_tabs() {
    let text = "\u{feff}GRÖSSE = '🦀'; X = []\r\n\tX.append('é', b)  # ü\rY = 1";
    let fixture = Fixture::new(&[("views.py", text)]);
    let mut finding = fixture.finding();
    finding.stores = vec![fixture.store("views.py", [2, 2, 2, 18])];
    finding.holder.definition = Some(fixture.place("views.py", [1, 15, 1, 21]));
    finding.holders = vec![finding.holder.clone()];
    let warning = fixture.warning(finding);
    let (snippets, _) = warning.split_once("  = held").expect("facts");
    let (_, snippet) = snippets.split_once('\n').expect("a title");
    assert_text(
        snippet,
        " --> views.py:2:2
  |
1 | GRÖSSE = '🦀'; X = []
  |                ------ the holder: a list, module global `gallery.views.UPLOADS`
2 |     X.append('é', b)  # ü
  |     ^^^^^^^^^^^^^^^^ creates the references; inferred from the source
  |
",
    );
    let source = Source::new(text.as_bytes());
    let span = |line, column, end_column| {
        source
            .span(Range {
                line,
                column,
                end_line: line,
                end_column,
            })
            .and_then(|span| source.text.get(span))
    };
    assert_eq!(span(1, 11, 12), Some("🦀"));
    assert_eq!(span(3, 1, 6), Some("Y = 1"));
    assert_eq!(span(3, 1, 7), None);
    assert_eq!(span(4, 1, 1), None);
    assert_eq!(span(2, 3, 2), None);
}

#[test]
fn latin_1_keeps_its_columns() {
    let source = Source::new(b"# coding: latin-1\nX = '\xe9\xe8'; Y = 1\n");
    let range = Range {
        line: 2,
        column: 11,
        end_line: 2,
        end_column: 16,
    };
    let span = source.span(range).expect("a range of the text");
    assert_eq!(&source.text[span], "Y = 1");
}

#[test]
fn no_range_makes_it_panic() {
    let text = "a\t= [\r\n  é,\n\n]🦀";
    let fixture = Fixture::new(&[("views.py", text), ("empty.py", "")]);
    let mut sources = Sources::new(None);
    let mut drawn_ranges = 0;
    for (line, column) in (0..7).flat_map(|line| (0..8).map(move |column| (line, column))) {
        for (end_line, end_column) in
            (0..7).flat_map(|line| (0..8).map(move |column| (line, column)))
        {
            let numbers = [line, column, end_line, end_column];
            for file in ["views.py", "empty.py"] {
                let mut finding = fixture.finding();
                finding.stores = vec![
                    fixture.store(file, numbers),
                    fixture.store("views.py", [2, 3, 4, 2]),
                ];
                finding.holder.definition = Some(fixture.place("views.py", [1, 1, 4, 2]));
                let Drawn { elements, .. } = sources.draw(&marks(&finding));
                drawn_ranges += usize::from(sources.drawable(&finding.stores[0].place).is_some());
                Renderer::plain().render(&[Group::with_level(Level::WARNING).elements(elements)]);
            }
        }
    }
    assert!(drawn_ranges > 50, "{drawn_ranges}");
}

#[test]
fn other_holders_of_the_chain_are_named() {
    let fixture = Fixture::new(&[("views.py", VIEWS)]);
    let mut finding = fixture.finding();
    finding.holders.push(Holder {
        kind: "instance-attribute",
        path: "gallery.apps.registry".to_owned(),
        type_name: "Apps".to_owned(),
        definition: Some(fixture.place("apps.py", [7, 1, 7, 2])),
    });
    let warning = fixture.warning(finding);
    assert!(
        warning.contains(
            "\n  = through: an Apps, instance attribute `gallery.apps.registry`, apps.py:7\n"
        ),
        "{warning}"
    );
}

#[test]
fn information_has_one_line_each_and_a_count() {
    let fixture = Fixture::new(&[("views.py", VIEWS)]);
    let text = fixture.text(&[report(1, vec![fixture.information(); 13])]);
    let line = "info: keeps 12 bytes objects (48.0 MiB) alive through gallery.views.UPLOADS (views.py:6)\n";
    assert_text(
        &text,
        &format!(
            "{}info: and 3 more for information: `--format json` has them

note: take at least three dumps of the same process to tell growth from size
0 warnings, 13 for information in 1 dump of process 4711 (1000 objects, 1.0 MiB in the last)
",
            line.repeat(10)
        ),
    );
}

#[test]
fn problems_come_first_and_each_once() {
    let fixture = Fixture::new(&[]);
    let mut report = report(3, Vec::new());
    for dump in &mut report.dumps {
        dump.problems = vec!["objects of \u{1b}[31mC code\nare not seen".to_owned()];
    }
    report.dumps[2].problems.push("cut off".to_owned());
    assert_text(
        &fixture.text(&[report]),
        "\
note: 1.heldby and 2 more: objects of \u{fffd}[31mC code\u{fffd}are not seen
note: 3.heldby: cut off

nothing grows in all 3 dumps
no findings in 3 dumps of process 4711 (3000 objects, 3.0 MiB in the last)
",
    );
}

#[test]
fn processes_have_headings() {
    let fixture = Fixture::new(&[]);
    let mut other = report(1, Vec::new());
    other.pid = 4712;
    assert_text(
        &fixture.text(&[report(3, Vec::new()), other]),
        "\
process 4711 (3 dumps)

nothing grows in all 3 dumps
no findings in 3 dumps of process 4711 (3000 objects, 3.0 MiB in the last)

process 4712 (1 dump)

note: take at least three dumps of the same process to tell growth from size
no findings in 1 dump of process 4712 (1000 objects, 1.0 MiB in the last)
",
    );
}

#[test]
fn growth_that_flattens_is_not_called_nothing() {
    let fixture = Fixture::new(&[("views.py", VIEWS)]);
    let mut finding = fixture.finding();
    finding.severity = Severity::Information;
    let text = fixture.text(&[report(3, vec![finding])]);
    assert!(!text.contains("nothing grows"), "{text}");
}
