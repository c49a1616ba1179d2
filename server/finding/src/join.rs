//! From holdings to findings: asks the source where each holder is defined and stored into, names the findings, ranks them.

use std::cmp::Reverse;

use heldby_retention::{BindingKind, Holding, How, NamedBinding, NamedClass, NamedFunction};
use heldby_source::{Binding, ClassName, FunctionName, Question, Site, SourceFiles, Sources};

use crate::observed::{Seen, with_seen};
use crate::placing::{Placing, SourceFact};
use crate::{
    Evidence, Finding, Growth, Held, Holder, Hop, Limits, Place, Placement, Severity, StorePlace,
};

/// A module of the program, as the dump knows it.
pub use heldby_source::Module;

/// What is known of the program's source.
pub struct Program<'a> {
    /// Its modules.
    pub modules: Vec<Module>,
    /// What the dump recorded of its files.
    pub facts: Vec<SourceFact>,
    /// Gives today's text by the dump's path.
    pub files: &'a dyn SourceFiles,
    /// The path on this machine of a file of the dump.
    pub local_path: &'a dyn Fn(&str) -> String,
}

/// Store sites beyond this many say nothing more.
const MOST_STORES: usize = 12;
/// Fewer dumps prove no growth.
const DUMPS_THAT_PROVE: usize = 3;

/// The findings of one process, best first.
pub fn findings(holdings: &[Holding], program: Program<'_>) -> Vec<Finding> {
    let Program {
        modules,
        facts,
        files,
        local_path,
    } = program;
    let join = Join {
        files,
        sources: Sources::new(files, modules.clone()),
        placing: Placing::new(facts, files),
        modules,
        local_path,
    };
    let mut found: Vec<Found> = holdings
        .iter()
        .map(|holding| join.finding(holding))
        .collect();
    name_other_holders(holdings, &mut found);
    let standings: Vec<Standing> = (0..found.len())
        .map(|at| Standing::of(holdings, &found, at))
        .collect();
    let findings = found.into_iter().zip(&standings).map(|(found, standing)| {
        let mut finding = found.finding;
        finding.severity = standing.severity;
        finding
    });
    let findings: Vec<Finding> = findings.collect();
    let mut findings: Vec<(Standing, Finding)> = standings.into_iter().zip(findings).collect();
    findings.sort_by(|(left, left_finding), (right, right_finding)| {
        left.cmp(right)
            .then_with(|| left_finding.access_path.cmp(&right_finding.access_path))
    });
    findings.into_iter().map(|(_, finding)| finding).collect()
}

/// A finding, and what its rank needs to know.
struct Found {
    finding: Finding,
    /// Its container is emptied now and then.
    is_emptied: bool,
}

/// What ranks a finding, the best first.
#[derive(PartialEq, Eq, PartialOrd, Ord)]
struct Standing {
    severity: Severity,
    is_bounded: bool,
    /// Nobody could go anywhere from it.
    has_no_place: bool,
    /// It is emptied now and then, while another holder of the same objects is not: it copies from that one.
    is_copy: bool,
    weight: Reverse<u64>,
}

impl Standing {
    /// Of the finding in row `at`, which stands as its holding does.
    fn of(holdings: &[Holding], found: &[Found], at: usize) -> Self {
        let Found {
            finding,
            is_emptied,
        } = &found[at];
        let mut same = holdings
            .iter()
            .zip(found)
            .filter(|(other, _)| holdings[at].together_with.contains(&other.identity));
        let stays = |(_, other): (&Holding, &Found)| !other.is_emptied;
        let is_copy = *is_emptied && same.any(stays);
        let gains = |finding: &Finding| -> Vec<u64> {
            let counts = finding.growth.counts.windows(2);
            counts.map(|pair| pair[1].saturating_sub(pair[0])).collect()
        };
        // Of what something else keeps alive, as long as that lives.
        let is_of_another =
            |finding: &Finding| has_no_place(finding) || finding.limits.keys_are_weak;
        let goes_along = is_of_another(finding)
            && found.iter().any(|other| {
                other.finding.severity == finding.severity
                    && !is_of_another(&other.finding)
                    && is_multiple(&gains(finding), &gains(&other.finding))
            });
        Self {
            // Who mends the other has mended this one too.
            severity: if is_copy || goes_along {
                Severity::Information
            } else {
                finding.severity
            },
            is_bounded: finding.limits.bound.is_some(),
            has_no_place: has_no_place(finding),
            is_copy,
            weight: Reverse(weight(&holdings[at])),
        }
    }
}

/// Whether each number is the same multiple of the other's in its place: so many a piece of work.
fn is_multiple(numbers: &[u64], of: &[u64]) -> bool {
    let (Some(&first), Some(&of_first)) = (numbers.first(), of.first()) else {
        return false;
    };
    let is_whole = first > 0 && first.checked_rem(of_first) == Some(0);
    let times = first.checked_div(of_first).unwrap_or_default();
    let pairs = || numbers.iter().zip(of);
    is_whole && pairs().all(|(number, of)| of.checked_mul(times) == Some(*number))
}

/// Whether no line of the source has anything to do with a finding.
fn has_no_place(finding: &Finding) -> bool {
    finding.holder.definition.is_none() && finding.stores.is_empty()
}

/// Findings of the same objects name each other's holders. Findings stand as their holdings do.
fn name_other_holders(holdings: &[Holding], found: &mut [Found]) {
    let paths: Vec<String> = found
        .iter()
        .map(|found| found.finding.holder.path.clone())
        .collect();
    for (holding, Found { finding, .. }) in holdings.iter().zip(found) {
        let others = holdings
            .iter()
            .zip(&paths)
            .filter(|(other, _)| holding.together_with.contains(&other.identity))
            .map(|(_, path)| path.clone());
        finding.also_held_by = others.collect();
    }
}

/// What a holding gained, in bytes; a gained object weighs something too, for what it keeps may be shared.
fn weight(holding: &Holding) -> u64 {
    let gained = |numbers: &[u64]| match numbers {
        [first, .., last] => last.saturating_sub(*first),
        [only] => *only,
        [] => 0,
    };
    let bytes =
        gained(&holding.retained_bytes).saturating_add(gained(&holding.counts).saturating_mul(64));
    // Whose code it is decides before size does.
    if holding.holds_foreign {
        bytes.saturating_mul(4)
    } else {
        bytes
    }
}

struct Join<'a> {
    files: &'a dyn SourceFiles,
    sources: Sources<'a>,
    placing: Placing<'a>,
    modules: Vec<Module>,
    local_path: &'a dyn Fn(&str) -> String,
}

impl Join<'_> {
    fn finding(&self, holding: &Holding) -> Found {
        let bindings: Vec<Binding> = holding.bindings.iter().map(to_source).collect();
        let growth = match holding.how {
            How::Items { depth } => heldby_source::Growth::Items { depth },
            How::CalledBack => heldby_source::Growth::Items { depth: 1 },
            How::Bound | How::Cycle => heldby_source::Growth::Bound,
            How::Set => heldby_source::Growth::Set,
            How::Raised => heldby_source::Growth::Raised,
        };
        let innermost = holding.bindings.first();
        let container: Vec<ClassName> = innermost
            .into_iter()
            .flat_map(|innermost| innermost.object_classes.iter().map(class_name))
            .collect();
        let question = Question {
            bindings: &bindings,
            holder: holding.holder,
            growth,
            held: &holding.held_names,
            container: &container,
            key: holding.key.as_deref(),
            makes_what_is_read: holding.makes_what_is_read,
            is_remade: innermost.is_some_and(NamedBinding::is_remade),
        };
        let answer = self.sources.answer(&question);

        let mut access_path = holding.access_path.clone();
        let mut holders: Vec<Holder> = Vec::new();
        for (at, binding) in holding.bindings.iter().enumerate() {
            let site = answer.definitions.get(at).cloned().flatten();
            let mut path = binding.path.clone();
            if let Some(name) = self.defining_alias(binding, site.as_ref()) {
                if let Some(rest) = access_path.strip_prefix(&path) {
                    access_path = format!("{name}{rest}");
                }
                for inner in &mut holders {
                    if let Some(rest) = inner.path.strip_prefix(&path) {
                        inner.path = format!("{name}{rest}");
                    }
                }
                path = name;
            }
            let kind = match holding.how {
                How::Raised if at == holding.holder => "exception-traceback",
                How::Set if at == holding.holder => BindingKind::ContextVariable.word(),
                How::Cycle if at == holding.holder => "reference-cycle",
                How::CalledBack if at == holding.holder => "weakref-callback",
                _ => binding.kind.word(),
            };
            let definition = site
                .map(|site| self.place(&site))
                .or_else(|| self.lost_place(binding));
            holders.push(Holder {
                kind,
                path,
                type_name: binding.type_name.clone(),
                definition,
            });
        }
        let stores = answer
            .stores
            .iter()
            .take(MOST_STORES)
            .map(|store| StorePlace {
                place: self.place(&store.site),
                role: store.role,
                enclosing: store.enclosing.clone(),
                user: self.is_user(&store.site.path),
                runs_once: store.runs_once,
                ran_at: self.placing.ran_at(&store.site),
                runs: None,
            });
        let sites: Vec<Site> = answer
            .stores
            .iter()
            .map(|store| store.site.clone())
            .collect();
        let seen = holding.grown_at.iter();
        let seen = seen.filter_map(|grown| Seen::of(grown, &self.placing, self.files));
        let stores = with_seen(
            stores.collect(),
            &sites,
            &answer.removals,
            seen.collect(),
            |path| ((self.local_path)(path), self.is_user(path)),
        );
        let holder = holders
            .get(holding.holder)
            .cloned()
            .unwrap_or_else(|| Holder {
                kind: "native",
                path: "<native>".to_owned(),
                type_name: String::new(),
                definition: None,
            });
        let proven = holding.rises && holding.counts.len() >= DUMPS_THAT_PROVE;
        // A cache that is nearly full keeps the instances in its keys all the same.
        let fills_up = holding.flattens && !holding.keys_hold_instances;
        let severity = if proven && !fills_up {
            Severity::Warning
        } else {
            Severity::Information
        };
        let tail = access_path.strip_prefix(&holder.path).unwrap_or_default();
        let finding = Finding {
            id: format!(
                "{:016x}",
                fnv1a(format!("{}{tail}", holder.path).as_bytes())
            ),
            severity,
            also_held_by: Vec::new(),
            limits: Limits {
                bound: answer.bound,
                removals: answer
                    .removals
                    .iter()
                    .map(|site| self.place(site))
                    .collect(),
                keys_hold_instances: holding.keys_hold_instances,
                keys_are_weak: holding.keys_are_weak,
            },
            held: Held {
                type_name: holding.held_type.clone(),
                count: holding.held_count,
                retained_bytes: holding.retained_bytes.last().copied().unwrap_or_default(),
            },
            growth: Growth {
                proven,
                counts: holding.counts.clone(),
                retained_bytes: holding.retained_bytes.clone(),
            },
            holder,
            holders,
            access_path,
            stores,
            chain: holding
                .chain
                .iter()
                .map(|hop| Hop {
                    object: hop.object.clone(),
                    reference: hop.reference.clone(),
                })
                .collect(),
        };
        Found {
            finding,
            is_emptied: answer.is_emptied,
        }
    }

    /// The name under which the binding is defined, where the chain went through an import of it.
    fn defining_alias(&self, binding: &NamedBinding, site: Option<&Site>) -> Option<String> {
        let site = site?;
        let is_defined_in = |module: &str| {
            self.modules
                .iter()
                .any(|known| known.name == module && known.path == site.path)
        };
        if binding.kind != BindingKind::ModuleGlobal || is_defined_in(&binding.module) {
            return None;
        }
        let (module, name) = binding
            .aliases
            .iter()
            .find(|(module, _)| is_defined_in(module))?;
        Some(format!("{module}.{name}"))
    }

    /// Where the binding was defined when it ran: the file was edited since, and the definition is not in it any more.
    fn lost_place(&self, binding: &NamedBinding) -> Option<Place> {
        let module_path = || {
            self.modules
                .iter()
                .find(|module| module.name == binding.module)
                .map(|module| &module.path)
        };
        let path = binding
            .function
            .as_ref()
            .map(|function| &function.file)
            .or_else(module_path)?;
        let place = || Place {
            file: (self.local_path)(path),
            range: None,
            evidence: Evidence::Inferred,
            placement: Placement::Lost,
        };
        self.placing.is_edited(path).then(place)
    }

    fn is_user(&self, path: &str) -> bool {
        self.modules
            .iter()
            .any(|module| module.user && module.path == path)
    }

    fn place(&self, site: &Site) -> Place {
        Place {
            file: (self.local_path)(&site.path),
            range: Some(crate::Range {
                line: site.line,
                column: site.column,
                end_line: site.end_line,
                end_column: site.end_column,
            }),
            evidence: Evidence::Inferred,
            placement: self.placing.placement(site).unwrap_or(Placement::Exact),
        }
    }
}

fn to_source(binding: &NamedBinding) -> Binding {
    let function = || function_name(binding.function.as_ref());
    let name = || binding.name.clone();
    let classes = || binding.classes.iter().map(class_name).collect();
    match binding.kind {
        BindingKind::ModuleGlobal => Binding::ModuleGlobal {
            module: binding.module.clone(),
            name: name(),
        },
        BindingKind::ClassAttribute => Binding::Attribute {
            classes: classes(),
            name: name(),
            on_class: true,
        },
        BindingKind::InstanceAttribute | BindingKind::Slot | BindingKind::ThreadLocal => {
            Binding::Attribute {
                classes: classes(),
                name: name(),
                on_class: false,
            }
        }
        BindingKind::DefaultArgument => Binding::Default {
            function: function(),
            parameter: name(),
        },
        BindingKind::Closure => Binding::Closure {
            function: function(),
            name: name(),
        },
        BindingKind::Local | BindingKind::GeneratorFrame | BindingKind::CoroutineFrame => {
            Binding::Local {
                function: function(),
                name: name(),
            }
        }
        BindingKind::ContextVariable => Binding::UnnamedContextVariables {
            name: name(),
            has_default: binding.has_default,
        },
        BindingKind::FunctionCache => Binding::Cache {
            function: function(),
        },
        BindingKind::FunctionAttribute => Binding::FunctionAttribute {
            function: function(),
            name: name(),
            wrapper: binding
                .wrapper
                .as_ref()
                .map(|wrapper| function_name(Some(wrapper))),
            free_variable: binding.free_variable.clone(),
        },
    }
}

fn class_name(class: &NamedClass) -> ClassName {
    ClassName {
        module: class.module.clone(),
        qualname: class.qualname.clone(),
    }
}

fn function_name(function: Option<&NamedFunction>) -> FunctionName {
    let (path, qualname, line) = function.map_or_else(Default::default, |function| {
        (
            function.file.clone(),
            if function.code_qualname.is_empty() {
                function.qualname.clone()
            } else {
                function.code_qualname.clone()
            },
            function.line,
        )
    });
    FunctionName {
        path,
        qualname,
        line,
    }
}

/// FNV-1a, 64 bits (Fowler, Noll, Vo): a hash that stays the same in every version of this program.
fn fnv1a(bytes: &[u8]) -> u64 {
    bytes.iter().fold(0xcbf2_9ce4_8422_2325, |hash, byte| {
        (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3)
    })
}

#[cfg(test)]
mod tests {
    use super::is_multiple;

    #[test]
    fn what_goes_along_grows_by_the_same_multiple_each_time() {
        assert!(is_multiple(&[30, 30], &[30, 30]));
        assert!(is_multiple(&[60, 20], &[30, 10]));
        assert!(!is_multiple(&[60, 10], &[30, 10]));
        assert!(!is_multiple(&[15, 15], &[30, 30]));
        // What grows in bytes alone has as many objects as before.
        assert!(!is_multiple(&[0, 0], &[5, 5]));
        assert!(!is_multiple(&[5, 5], &[0, 0]));
        assert!(!is_multiple(&[], &[]));
    }
}
