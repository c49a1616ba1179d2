//! Chains in words: access paths in the grammar of the report, and the hops of a chain.

use heldby_heap::{Heap, ObjectId, ReferenceKind};

use crate::access_path::{Step, python_text, without_locals, written};
use crate::binding::{Link, binding_at, is_context, is_inside_context, named_function};
use crate::{Hop, PatternId, Patterns};

/// Whether what the link leads to is a dictionary of names.
fn is_to_a_namespace(link: &Link) -> bool {
    matches!(
        link.kind,
        ReferenceKind::Namespace | ReferenceKind::ThreadLocal
    )
}

/// Writes chains of one heap.
#[derive(Clone, Copy)]
pub(crate) struct Writer<'a> {
    pub(crate) heap: &'a Heap,
    pub(crate) patterns: &'a Patterns,
}

impl Writer<'_> {
    /// The access path of `links[from].object`, written from its root anchor. `id` is the pattern of `links[0].object`. Where a
    /// path leads through one object only, its key is written as it is; else `[*]`.
    pub(crate) fn path(&self, links: &[Link], from: usize, id: PatternId) -> String {
        let is_single = self.singles(links, id);
        let mut steps: Vec<Step> = Vec::new();
        for (at, link) in links.iter().enumerate().skip(from) {
            if let Some(anchor) = self.anchor(link) {
                return written(&anchor, steps.iter().rev());
            }
            let above = links.get(at + 1);
            let exact = at > 0 && is_single.get(at).copied().unwrap_or_default();
            if at == from && is_inside_context(self.heap, link.object) {
                steps.push(".<context>".to_owned().into());
                continue;
            }
            steps.push(match link.kind {
                ReferenceKind::ThreadLocal => Step::OfThread,
                _ => self.step(link, above, exact).into(),
            });
        }
        written("<native>", steps.iter().rev())
    }

    /// For each link whether it is the only one at its access path.
    fn singles(&self, links: &[Link], id: PatternId) -> Vec<bool> {
        let counts: Vec<u64> = self
            .patterns
            .ancestors(id)
            .map(|(_, pattern)| pattern.count)
            .collect();
        // A recursion makes the chain longer than the path: then nothing is said to be single.
        if counts.len() != links.len() + 1 {
            return vec![false; links.len()];
        }
        counts
            .iter()
            .take(links.len())
            .map(|&count| count == 1)
            .collect()
    }

    /// Where a written path starts: a module; or the function, frame or cache that the link names by itself.
    fn anchor(&self, link: &Link) -> Option<String> {
        let heap = self.heap;
        let names = heap.names();
        if let Some(&row) = names.module_of.get(&link.object) {
            let module = heap.text(names.modules[row as usize].name);
            return Some(module.to_owned());
        }
        let binding = match link.kind {
            ReferenceKind::Default | ReferenceKind::KeywordDefault => "<default>",
            ReferenceKind::FreeVariable => "<closure>",
            ReferenceKind::Local => "<local>",
            ReferenceKind::Cache => "<cache>",
            _ => return None,
        };
        let bound = binding_at(heap, std::slice::from_ref(link), 0)?;
        let function = bound.function?;
        let qualname = without_locals(&function.qualname);
        let anchor = format!("{}.{qualname}.{binding}", function.module);
        Some(if bound.name.is_empty() {
            anchor
        } else {
            format!("{anchor}.{}", bound.name)
        })
    }

    fn step(&self, link: &Link, above: Option<&Link>, exact: bool) -> String {
        use ReferenceKind::*;
        let name = self.heap.text(link.name);
        let referrer_is_namespace = above.is_some_and(is_to_a_namespace)
            || self.heap.names().module_of.contains_key(&link.referrer);
        match link.kind {
            Namespace | ThreadLocal | CellContents | Root => String::new(),
            Other if is_context(self.heap, link.object) => String::new(),
            Other if is_inside_context(self.heap, link.object) => String::new(),
            Other
                if is_context(self.heap, link.referrer)
                    || is_inside_context(self.heap, link.referrer) =>
            {
                ".<context>".to_owned()
            }
            DictValue if referrer_is_namespace => format!(".{name}"),
            Attribute | Machinery => format!(".{name}"),
            Slot => match name {
                "__self__" => ".<self>".to_owned(),
                "__traceback__" => ".<traceback>".to_owned(),
                "tb_next" | "tb_frame" => String::new(),
                "args"
                    if self.heap.type_name(self.heap.type_index(link.referrer))
                        == "functools.partial" =>
                {
                    ".<args>".to_owned()
                }
                name => format!(".{name}"),
            },
            DictKey => ".<key>".to_owned(),
            SetMember => ".<set>".to_owned(),
            ListItem | TupleItem | DequeItem | DictValue | DictValueOfInteger
            | DictValueOfOther
                if !exact =>
            {
                "[*]".to_owned()
            }
            _ => self.reference(link, above),
        }
    }

    /// A reference as it is.
    fn reference(&self, link: &Link, above: Option<&Link>) -> String {
        use ReferenceKind::*;
        let name = self.heap.text(link.name);
        match link.kind {
            ListItem | TupleItem | DequeItem => format!("[{}]", link.name.0),
            DictValueOfInteger => format!("[{name}]"),
            DictValue
                if !above.is_some_and(is_to_a_namespace)
                    && !self.heap.names().module_of.contains_key(&link.referrer) =>
            {
                format!("[{}]", python_text(name))
            }
            DictValueOfOther => match self.heap.type_name(link.name.0).as_str() {
                "?" => "[*]".to_owned(),
                type_name => format!("[<{type_name}>]"),
            },
            DictValue | Attribute | Slot | Machinery => format!(".{name}"),
            DictKey => ".<key>".to_owned(),
            SetMember => ".<set>".to_owned(),
            FreeVariable => format!(".<closure>.{name}"),
            Default | KeywordDefault => format!(".<default>.{name}"),
            Local => format!(".<local>.{name}"),
            Cache => ".<cache>".to_owned(),
            Type => ".__class__".to_owned(),
            Iterates => ".<next>".to_owned(),
            View => ".<view>".to_owned(),
            Context => ".<context>".to_owned(),
            Other | Stack => ".?".to_owned(),
            Namespace | ThreadLocal | CellContents | Root => String::new(),
        }
    }

    /// The chain as it is shown: namespaces and cells stand for what they belong to.
    pub(crate) fn hops(&self, links: &[Link]) -> Vec<Hop> {
        let names = self.heap.names();
        let mut hops = Vec::new();
        let mut at = 0;
        while let Some(link) = links.get(at) {
            let is_module = names
                .module_of
                .get(&link.object)
                .is_some_and(|row| names.modules[*row as usize].object == Some(link.object));
            if is_module && at > 0 {
                break;
            }
            let above = links.get(at + 1);
            // A context is shown as one, whatever it is made of.
            if is_inside_context(self.heap, link.object) {
                at += 1;
                continue;
            }
            if is_inside_context(self.heap, link.referrer) {
                hops.push(Hop {
                    object: "_contextvars.Context".to_owned(),
                    reference: ".<context>".to_owned(),
                });
                at += 1;
                continue;
            }
            let reference = self.reference(link, above);
            if reference.is_empty() {
                at += 1;
                continue;
            }
            let through = above
                .filter(|above| is_to_a_namespace(above) && link.kind == ReferenceKind::DictValue);
            let referrer = through.map_or(link.referrer, |above| above.referrer);
            hops.push(Hop {
                object: self.object(referrer),
                reference,
            });
            at += if through.is_some() { 2 } else { 1 };
        }
        hops
    }

    /// What an object is called in a chain.
    fn object(&self, object: ObjectId) -> String {
        let names = self.heap.names();
        if let Some(&row) = names.module_of.get(&object) {
            return format!(
                "module {}",
                self.heap.text(names.modules[row as usize].name)
            );
        }
        if let Some(function) = named_function(self.heap, object) {
            return format!("function {}.{}", function.module, function.qualname);
        }
        if let Some(&type_index) = names.type_objects.get(&object) {
            return format!("class {}", self.heap.type_name(type_index));
        }
        if let Some(code) = names
            .frames
            .get(&object)
            .and_then(|frame| frame.code)
            .and_then(|code| names.codes.get(&code))
        {
            return format!("frame {}", self.heap.text(code.qualname));
        }
        self.heap.type_name(self.heap.type_index(object))
    }
}
