//! Whether a holding is worth telling.

use super::{DUMPS_THAT_PROVE, Holding, How};
use crate::known::{
    ALL_NAMES, CONTEXTS, FINALIZERS, KEPT_BY_DESIGN, KEPT_FOR_THE_ASKING, MODULE_BOOKKEEPING,
    RUNNING_THREADS, TABLE_OF_MODULES, TOOLS, WRITERS,
};
use crate::{BindingKind, NamedBinding, Territory};

/// What gains less in each interval may do so by chance.
const LEAST_STEADY_GAIN: u64 = 4;

/// Who gained fewer plain values, and fewer bytes, than these over all dumps has not grown: a program that starts sets a few late.
const LEAST_GAIN_OBJECTS: u64 = 8;

const LEAST_GAIN_BYTES: u64 = 512;

/// Whether a holding is to be told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Worth {
    Telling,
    /// The standard library's own bookkeeping.
    TellingIfAlone,
    Nothing,
}

/// Whether each interval gained the same: what is done once for each piece of work does, a cache that fills up does not. Of a
/// longer series the first interval does not count: the first dump brings something itself.
pub(super) fn gains_steadily(counts: &[u64]) -> bool {
    let counts = if counts.len() > DUMPS_THAT_PROVE {
        &counts[1..]
    } else {
        counts
    };
    let mut gains = counts
        .windows(2)
        .map(|pair| pair[1].saturating_sub(pair[0]));
    let first = gains.next().unwrap_or_default();
    first >= LEAST_STEADY_GAIN && gains.all(|gain| gain == first)
}

/// A thread that runs brings frames of its own, and a context that is kept the values in it: who keeps the thread, or the
/// context, is told.
pub(super) fn drop_what_others_tell(holdings: &mut Vec<Holding>) {
    // A finalizer goes with what it watches: where something else keeps that, this is told; where nothing else grows, what it
    // watches lives for ever.
    let is_finalizer = |holding: &Holding| {
        holding.bindings.first().is_some_and(|innermost| {
            innermost.module == "weakref" && innermost.name == FINALIZERS && !holding.holds_foreign
        })
    };
    if !holdings.iter().all(is_finalizer) {
        holdings.retain(|holding| !is_finalizer(holding));
    }
    let innermost = |holding: &Holding| holding.bindings.first().cloned();
    let of_threads = holdings.iter().any(|holding| {
        innermost(holding)
            .is_some_and(|one| one.module == "threading" && one.name == RUNNING_THREADS)
    });
    let of_contexts = holdings
        .iter()
        .any(|holding| CONTEXTS.contains(&holding.held_type.as_str()));
    holdings.retain(|holding| {
        let runs =
            holding.bindings.is_empty() && matches!(holding.held_type.as_str(), "frame" | "method");
        !(runs && of_threads || holding.how == How::Set && of_contexts)
    });
}

/// Whether the binding is the one of a known name: a global of a module, or an attribute of a class or of its subclasses.
pub(super) fn is_known(binding: &NamedBinding, known: &(&str, &str, &str)) -> bool {
    let &(module, class, name) = known;
    let is_owner = if class.is_empty() {
        binding.classes.is_empty() && binding.module == module
    } else {
        let mut classes = binding.classes.iter();
        classes.any(|known| known.module == module && known.qualname == class)
    };
    binding.name == name && is_owner
}

impl Holding {
    pub(super) fn gained_little(&self) -> bool {
        let gain = |numbers: &[u64]| match (numbers.first(), numbers.last()) {
            (Some(first), Some(last)) => last.saturating_sub(*first),
            _ => 0,
        };
        !self.holds_foreign
            && gain(&self.counts) < LEAST_GAIN_OBJECTS
            && gain(&self.retained_bytes) < LEAST_GAIN_BYTES
    }

    pub(super) fn worth(&self) -> Worth {
        let Some(holder) = self.bindings.get(self.holder) else {
            return if self.holds_foreign {
                Worth::Telling
            } else {
                Worth::Nothing
            };
        };
        if self.is_empty_shells {
            return Worth::Nothing;
        }
        let innermost_is_in = |known: &[(&str, &str, &str)]| {
            let innermost = self.bindings.first();
            innermost.is_some_and(|innermost| known.iter().any(|known| is_known(innermost, known)))
        };
        if innermost_is_in(KEPT_BY_DESIGN) {
            return Worth::Nothing;
        }
        let is_writer = |binding: &NamedBinding| WRITERS.contains(&binding.type_name.as_str());
        if self.bindings.first().is_some_and(is_writer) {
            return Worth::Nothing;
        }
        let kept_for_the_asking = innermost_is_in(KEPT_FOR_THE_ASKING);
        let is_tool = |binding: &NamedBinding| {
            let package = binding.module.split('.').next().unwrap_or_default();
            TOOLS.contains(&package)
        };
        if self.bindings.iter().any(is_tool) {
            return Worth::Nothing;
        }
        if holder.kind == BindingKind::ModuleGlobal
            && MODULE_BOOKKEEPING.contains(&holder.name.as_str())
        {
            return Worth::TellingIfAlone;
        }
        if (holder.module.as_str(), holder.name.as_str()) == TABLE_OF_MODULES {
            // Of what is imported late there is an end.
            return Worth::TellingIfAlone;
        }
        if holder.kind == BindingKind::ModuleGlobal
            && holder.name == ALL_NAMES
            && self.territory != Territory::User
        {
            // A library that gets its names when they are asked for, to an end.
            return Worth::TellingIfAlone;
        }
        if self.territory != Territory::StandardLibrary || self.holds_foreign || kept_for_the_asking
        {
            Worth::Telling
        } else {
            Worth::TellingIfAlone
        }
    }
}
