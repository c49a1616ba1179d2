//! `textDocument/hover`: what is held, by whom, since when; on a store site, on a holder, and on the name of a class.

use heldby_finding::words;
use tower_lsp::ls_types::{Hover, HoverContents, HoverParams, MarkupContent, MarkupKind, Range};

use super::Moment;
use crate::lsp::age;
use crate::lsp::places::Located;
use crate::lsp::session::Session;
use crate::lsp::shown::{ClassCount, ShownFinding, Standing, View, text_of};

/// Findings in one hover.
const MOST_FINDINGS: usize = 3;

pub(crate) fn hover(session: &Session, params: HoverParams) -> Option<Hover> {
    let moment = Moment::now(session)?;
    let at = params.text_document_position_params;
    let uri = &at.text_document.uri;
    let writer = Writer {
        markdown: session.abilities().markdown,
    };
    let mut covering: Vec<(&ShownFinding, Located)> = Vec::new();
    for (shown, located) in moment.all_in(uri) {
        let is_known = covering
            .iter()
            .any(|(known, _)| known.finding.id == shown.finding.id);
        if located.covers(at.position) && !is_known {
            covering.push((shown, located));
        }
    }
    // The innermost place is the one that is meant.
    covering.sort_by_key(|(_, located)| {
        let Range { start, end } = located.range;
        (
            end.line - start.line,
            end.character.abs_diff(start.character),
        )
    });
    let class = moment.document(uri).and_then(|document| {
        let lines = &document.text.lines;
        let word = lines.word_at(at.position, session.documents.encoding())?;
        of_class(&moment.view, word)
    });
    // Over several lines a class that is named there is what is meant.
    let is_one_line = |located: &Located| located.range.start.line == located.range.end.line;
    let (text, range) = match (covering.first(), class) {
        (Some((_, located)), class) if class.is_none() || is_one_line(located) => {
            let told: Vec<String> = covering
                .iter()
                .take(MOST_FINDINGS)
                .map(|(shown, located)| writer.finding(&moment, shown, located))
                .collect();
            (told.join(writer.rule()), Some(located.range))
        }
        (_, Some(class)) => (writer.class(&moment.view, class), None),
        (_, None) => return None,
    };
    Some(Hover {
        contents: HoverContents::Markup(MarkupContent {
            kind: if writer.markdown {
                MarkupKind::Markdown
            } else {
                MarkupKind::PlainText
            },
            value: text,
        }),
        range,
    })
}

/// The class of a name, where only one class of the program is called that.
fn of_class<'a>(view: &'a View, word: &str) -> Option<&'a ClassCount> {
    match view.classes.get(word)?.as_slice() {
        [only] => Some(only),
        _ => None,
    }
}

struct Writer {
    markdown: bool,
}

impl Writer {
    fn rule(&self) -> &'static str {
        if self.markdown { "\n\n---\n\n" } else { "\n\n" }
    }

    fn strong(&self, text: &str) -> String {
        if self.markdown {
            format!("**{}**", escaped(text))
        } else {
            text.to_owned()
        }
    }

    fn code(&self, text: &str) -> String {
        if self.markdown {
            // A fence longer than any in the text.
            format!("```text\n{}\n```", text.replace("```", "'''"))
        } else {
            text.to_owned()
        }
    }

    fn text(&self, text: &str) -> String {
        if self.markdown {
            escaped(text)
        } else {
            text.to_owned()
        }
    }

    fn link(&self, text: &str, located: Option<&Located>) -> String {
        match located {
            Some(located) if self.markdown => format!(
                "[{}](<{}#L{}>)",
                escaped(text),
                located.uri.as_str(),
                located.range.start.line + 1
            ),
            _ => self.text(text),
        }
    }

    fn finding(&self, moment: &Moment<'_>, shown: &ShownFinding, here: &Located) -> String {
        let finding = &shown.finding;
        let view = &moment.view;
        let mut parts = vec![self.strong(&words::title(finding))];
        let mut facts = Vec::new();
        if let Some(growth) = words::growth(finding) {
            facts.push(format!("grew: {growth}"));
        }
        if let Some(chain) = words::chain(finding) {
            facts.push(format!("chain: {chain}"));
        }
        let mut lines: Vec<String> = facts.iter().map(|fact| self.text(fact)).collect();
        for holder in &finding.holders {
            let located = holder
                .definition
                .as_ref()
                .and_then(|definition| moment.locate(definition));
            let label = if holder.path == finding.holder.path {
                "holder"
            } else {
                "also on the chain"
            };
            let words = words::holder(holder);
            lines.push(format!("{label}: {}", self.link(&words, located.as_ref())));
        }
        for (at, store) in finding.stores.iter().take(3).enumerate() {
            let located = moment.locate(&store.place);
            if located
                .as_ref()
                .is_some_and(|located| located.location() == here.location())
            {
                lines.push(self.text(&format!("this line {}", words::store_label(store, at == 0))));
            } else if located.is_some() {
                let file = store.place.file.rsplit(['/', '\\']).next();
                let line = located
                    .as_ref()
                    .map_or(0, |located| located.range.start.line + 1);
                let words = format!(
                    "{} {}:{line}",
                    words::store_words(store, at == 0),
                    file.unwrap_or_default()
                );
                lines.push(format!(
                    "{}, {}",
                    self.link(&words, located.as_ref()),
                    words::evidence_of(store)
                ));
            }
        }
        parts.push(self.list(&lines));
        if let Some(referrers) = &shown.referrers {
            parts.push(self.text("One of the objects held:"));
            parts.push(self.code(referrers));
        }
        parts.push(self.text(&words::help(finding)));
        if let Some(note) = words::placement_note(here.placement) {
            parts.push(self.text(&format!("This line {note}.")));
        }
        parts.push(self.foot(view, shown.standing));
        parts.join("\n\n")
    }

    fn list(&self, lines: &[String]) -> String {
        if self.markdown {
            let items: Vec<String> = lines.iter().map(|line| format!("- {line}")).collect();
            items.join("\n")
        } else {
            lines.join("\n")
        }
    }

    fn class(&self, view: &View, class: &ClassCount) -> String {
        let mut parts = vec![self.strong(&format!(
            "{}, {}",
            words::objects(&class.name, class.count),
            words::bytes(class.bytes)
        ))];
        let holding: Vec<String> = view
            .findings
            .iter()
            .filter(|shown| shown.finding.held.type_name == class.name)
            .map(|shown| self.text(&words::title(&shown.finding)))
            .collect();
        if !holding.is_empty() {
            parts.push(self.list(&holding));
        }
        let sample = view.asked.as_ref().and_then(|asked| {
            let heap = asked.heap();
            let object = heap
                .objects()
                .find(|object| heap.type_index(*object) == class.type_index)?;
            Some(text_of(asked, object))
        });
        if let Some(sample) = sample {
            parts.push(self.text("One of them:"));
            parts.push(self.code(&sample));
        }
        parts.push(self.foot(view, Standing::Unknown));
        parts.join("\n\n")
    }

    fn foot(&self, view: &View, standing: Standing) -> String {
        let age = age::words(age::since(view.taken_at_nanoseconds()));
        let dumps = if view.dumps.len() == 1 {
            "dump"
        } else {
            "dumps"
        };
        let standing = match standing {
            Standing::Unknown => "",
            Standing::New => "; new since the session before",
            Standing::StillThere => "; still there since the session before",
            Standing::Before => "; seen in the session before",
        };
        let text = format!(
            "{} (pid {}), {} {dumps}, the newest {age}{standing}",
            view.program,
            view.pid,
            view.dumps.len()
        );
        if self.markdown {
            format!("*{}*", escaped(&text))
        } else {
            text
        }
    }
}

/// Text that Markdown leaves as it is.
fn escaped(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    let mut in_code = false;
    for character in text.chars() {
        if character == '`' {
            in_code = !in_code;
        } else if !in_code && matches!(character, '*' | '_' | '[' | ']' | '<' | '>' | '\\' | '#') {
            escaped.push('\\');
        }
        escaped.push(character);
    }
    escaped
}
