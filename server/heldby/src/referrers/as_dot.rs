//! Referrers as a picture, in the language of Graphviz: small enough for a bug report.

use std::collections::HashMap;

use heldby_finding::words;
use heldby_heap::{Heap, ObjectId};
use heldby_retention::{Referrer, ReferrerKind};
use petgraph::dot::{Config, Dot};
use petgraph::graph::{Graph, NodeIndex};

use super::{Answer, id, retained, type_of};

/// More objects make no picture.
const MOST_OBJECTS: usize = 5;
const MOST_NODES: usize = 60;

#[derive(Debug)]
struct Node {
    label: String,
    style: &'static str,
}

/// What tells nodes apart: an object, or a name where that stands for its holder.
#[derive(PartialEq, Eq, Hash)]
enum Key {
    Object(ObjectId),
    Named(String),
}

/// Draws the answer.
pub(crate) fn to_dot(answer: &Answer<'_>) -> String {
    let heap = answer.heap;
    let mut graph: Graph<Node, String> = Graph::new();
    let mut nodes: HashMap<Key, NodeIndex> = HashMap::new();
    for of in answer.objects.iter().take(MOST_OBJECTS) {
        let label = format!(
            "{}\n{}\nretains {}",
            type_of(heap, of.object),
            id(heap, of.object),
            words::bytes(retained(heap, answer.dominators, of.object))
        );
        let style = "shape=box, style=\"filled,bold\", fillcolor=\"#ffe0b3\"";
        let target = *nodes.entry(Key::Object(of.object)).or_insert_with(|| {
            graph.add_node(Node {
                label: String::new(),
                style,
            })
        });
        graph[target] = Node { label, style };
        let mut waiting: Vec<(usize, NodeIndex)> =
            of.tree.top.iter().map(|&at| (at, target)).collect();
        waiting.reverse();
        let mut left_out = of.tree.cut;
        while let Some((at, below)) = waiting.pop() {
            let node = &of.tree.nodes[at];
            let is_known = nodes.contains_key(&key(&node.referrer));
            if !is_known && nodes.len() >= MOST_NODES {
                left_out += 1;
                continue;
            }
            let above = *nodes
                .entry(key(&node.referrer))
                .or_insert_with(|| graph.add_node(drawn(heap, answer, &node.referrer)));
            let label = edge_label(&node.referrer);
            let is_drawn = graph
                .edges_connecting(above, below)
                .any(|edge| *edge.weight() == label);
            if !is_drawn {
                graph.add_edge(above, below, label);
            }
            left_out += node.cut;
            waiting.extend(node.referrers.iter().rev().map(|&at| (at, above)));
        }
        if left_out > 0 {
            let more = graph.add_node(Node {
                label: format!("… {left_out} more"),
                style: "shape=plaintext",
            });
            graph.add_edge(more, target, String::new());
        }
    }
    let config = [Config::NodeNoLabel, Config::EdgeNoLabel];
    let edge = |_: &Graph<Node, String>, edge: petgraph::graph::EdgeReference<'_, String>| {
        format!("label={}", quoted(edge.weight()))
    };
    let node = |_: &Graph<Node, String>, (_, node): (NodeIndex, &Node)| {
        format!("label={}, {}", quoted(&node.label), node.style)
    };
    let dot = Dot::with_attr_getters(&graph, &config, &edge, &node);
    let body = format!("{dot:?}");
    body.replacen(
        "digraph {",
        "digraph referrers {\n    rankdir=LR\n    node [fontname=\"sans-serif\", fontsize=11]\n    edge [fontname=\"monospace\", fontsize=10]",
        1,
    )
}

fn key(referrer: &Referrer) -> Key {
    match (&referrer.anchor, referrer.owner) {
        (_, Some(owner)) => Key::Object(owner),
        (Some(anchor), None) => Key::Named(anchor.clone()),
        (None, None) => Key::Named(String::new()),
    }
}

fn drawn(heap: &Heap, answer: &Answer<'_>, referrer: &Referrer) -> Node {
    let named = |label: String| Node {
        label,
        style: "shape=box, style=\"filled,rounded\", fillcolor=\"#cfe8cf\"",
    };
    let anchor = referrer.anchor.as_deref().unwrap_or_default();
    let function = anchor
        .rsplit_once(".<")
        .map_or(anchor, |(function, _)| function);
    match (referrer.kind, referrer.owner) {
        (ReferrerKind::ModuleGlobal, _) => named(format!("module {anchor}")),
        (ReferrerKind::ClassAttribute, _) => named(format!("class {anchor}")),
        (ReferrerKind::Local, _) if !function.is_empty() => named(format!("locals of {function}")),
        (
            ReferrerKind::Closure
            | ReferrerKind::Default
            | ReferrerKind::KeywordDefault
            | ReferrerKind::FunctionAttribute
            | ReferrerKind::CacheEntry,
            _,
        ) if !function.is_empty() => named(format!("function {function}")),
        (_, None) => named("C code".to_owned()),
        (_, Some(owner)) => Node {
            label: format!(
                "{}\n{}\nretains {}",
                type_of(heap, owner),
                id(heap, owner),
                words::bytes(retained(heap, answer.dominators, owner))
            ),
            style: "shape=box",
        },
    }
}

fn edge_label(referrer: &Referrer) -> String {
    match referrer.kind {
        ReferrerKind::Default | ReferrerKind::KeywordDefault => {
            format!("default of {}", referrer.reference.trim_start_matches('.'))
        }
        _ => referrer.reference.clone(),
    }
}

/// A text in Graphviz's quotes.
fn quoted(text: &str) -> String {
    let escaped = text
        .replace('\\', "\\\\")
        .replace('"', "\\\"")
        .replace('\n', "\\n");
    format!("\"{escaped}\"")
}
