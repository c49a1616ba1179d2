//! The program's source as a whole: the way in.

use rustc_hash::FxHashSet;

use crate::inserts::{self, Verbs};
use crate::project::{At, FileId, Project};
use crate::python::ScopeKind;
use crate::reach::{Place, Root, Tracer};
use crate::stores::Found;
use crate::{
    Answer, Binding, ClassName, FunctionName, Growth, Module, Question, Role, Site, SourceFiles,
    Store,
};
use crate::{
    callers, definitions, keepers, keyed, limits, private_names, ranking, roots, scopes, stores,
};

/// Something about a file that makes an answer less sure.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Problem {
    /// The file, as the module names it.
    pub path: String,
    /// 1-based line, 0 for the file as a whole.
    pub line: u32,
    /// What is wrong with it.
    pub message: String,
}

/// The source of a program. Files are read when a question first needs them, and kept.
pub struct Sources<'a> {
    project: Project<'a>,
}

impl<'a> Sources<'a> {
    /// The source of the program whose modules are these. Nothing is read yet.
    #[must_use]
    pub fn new(files: &'a dyn SourceFiles, modules: Vec<Module>) -> Self {
        Self {
            project: Project::new(files, modules),
        }
    }

    /// Where the bindings of the question are defined, and where things are stored in them.
    #[must_use]
    pub fn answer(&self, question: &Question<'_>) -> Answer {
        let bindings: Vec<Binding> = question
            .bindings
            .iter()
            .map(private_names::as_written)
            .collect();
        let question = &Question {
            bindings: &bindings,
            ..*question
        };
        let definitions = question
            .bindings
            .iter()
            .map(|binding| self.definition(binding, question.growth))
            .collect();
        let mut answer = Answer {
            definitions,
            ..Answer::default()
        };
        self.find_stores(question, &mut answer);
        answer
    }

    /// The header of a class: `class Name(...)`.
    #[must_use]
    pub fn class_line(&self, class: &ClassName) -> Option<Site> {
        self.header(scopes::class(&self.project, class)?)
    }

    /// The header of a function: `def name(...)`.
    #[must_use]
    pub fn function_line(&self, function: &FunctionName) -> Option<Site> {
        self.header(scopes::function(&self.project, function)?)
    }

    /// What could not be read, or not wholly, so far: by file and line.
    #[must_use]
    pub fn problems(&self) -> Vec<Problem> {
        self.project.problems()
    }

    fn header(&self, at: At) -> Option<Site> {
        self.project
            .site(at.file, self.project.tree(at.file)?.scope(at.scope).header)
    }

    fn definition(&self, binding: &Binding, growth: Growth) -> Option<Site> {
        let (file, span) = definitions::definition(&self.project, binding, growth)?;
        self.project.site(file, span)
    }

    /// Stores of the innermost binding; where its source is not there, of the next, up to the holder. And what limits them; and where the
    /// container lies under a key, where it is put there.
    fn find_stores(&self, question: &Question<'_>, answer: &mut Answer) {
        let last = question
            .holder
            .min(question.bindings.len().saturating_sub(1));
        for (index, binding) in question.bindings.iter().enumerate().take(last + 1) {
            let (mut roots, mut files) = roots::of(&self.project, binding);
            let owner = question.bindings.get(index + 1);
            roots::add_owner(&self.project, binding, owner, (&mut roots, &mut files));
            let takes_items = matches!(question.growth, Growth::Items { .. });
            // The items are the innermost object's own.
            let own_classes = if takes_items && index == 0 {
                roots::classes(&self.project, question.container)
            } else {
                Vec::new()
            };
            if !own_classes.is_empty() {
                files.extend(own_classes.iter().map(|class| class.file));
                files.sort_unstable();
                files.dedup();
                let place = Place::Instance {
                    classes: own_classes.clone(),
                };
                roots.push(Root {
                    place,
                    depth: 0,
                    copied: false,
                });
            }
            let mut tracer = Tracer::new(&self.project, roots);
            if index == 0 {
                tracer.key = question.key.map(str::to_owned);
            }
            roots::add_aliases(&mut tracer, &mut files);
            if takes_items {
                roots::add_given(&mut tracer, &mut files);
            }
            let found = match binding {
                Binding::Cache { .. } => stores::calls(&tracer, &files, Role::Call),
                Binding::ModuleGlobal { module, name } if name == keepers::WARNING_REGISTRY => {
                    keepers::warnings(&self.project, module)
                }
                Binding::UnnamedContextVariables { .. } => {
                    inserts::inserts(&mut tracer, &files, &Verbs::Setting)
                }
                _ => stores::find(&mut tracer, &files, question),
            };
            // What a library's object has is replaced with the object, mostly: `scopes = scopes.new_child()`.
            let says_nothing = found
                .iter()
                .all(|store| ranking::goes_too_deep(question, store));
            if says_nothing && (found.is_empty() || index < last) {
                continue;
            }
            let mut found = ranking::stores(&self.project, question, found);
            let is_it = |store: &Found| {
                !store.under_other_key && ranking::is_deep_enough(&self.project, question, store)
            };
            if found.iter().any(is_it) {
                found.retain(|store| !store.under_other_key);
            }
            if index == 0
                && let Some((of_key, of_key_files, deeper)) =
                    self.stores_under_key(question, binding, &found)
            {
                if let (Some((file, span)), Some(innermost)) = (
                    keyed::definition(&of_key, &of_key_files),
                    answer.definitions.first_mut(),
                ) {
                    *innermost = self.project.site(file, span);
                }
                (tracer, files, found) = (of_key, of_key_files, deeper);
            }
            // Who calls the methods of a container's own class calls them on the container.
            let stores_itself = found
                .iter()
                .any(|store| is_in_method_of(&self.project, store, &own_classes));
            let outer = index + usize::from(!stores_itself);
            let outer = question.bindings.get(outer..=last).unwrap_or_default();
            let mut callers = callers::find(&self.project, question, binding, outer, &found);
            if stores_itself && question.holder == 0 {
                // Its own class says what it does.
                for caller in &mut callers {
                    caller.of_holder = false;
                }
            }
            let (resets, removals) = if let Growth::Items { depth } = question.growth {
                let resets = limits::resets(&tracer, &files);
                let removals = limits::removals(&tracer, &files, depth.max(1) - 1, &resets);
                (resets, removals)
            } else {
                Default::default()
            };
            let bound = definitions::definition(&self.project, binding, question.growth)
                .filter(|_| takes_items)
                .and_then(|(file, span)| limits::bound(&self.project, file, span));
            answer.stores = self.listed(ranking::joined(&self.project, found, callers));
            answer.bound = bound;
            answer.is_emptied = !resets.is_empty();
            answer.removals = removals
                .into_iter()
                .filter_map(|(file, span)| self.project.site(file, span))
                .collect();
            return;
        }
        if question.is_remade {
            self.find_what_remakes(question, answer);
        }
        if question.bindings.is_empty() {
            answer.stores = self.listed(keepers::calls(&self.project, question.held));
        }
    }

    /// What cannot be changed grows as another one takes its place: with what has it, `self.state = replace(self.state, history=…)`.
    fn find_what_remakes(&self, question: &Question<'_>, answer: &mut Answer) {
        for binding in question.bindings {
            let (roots, mut files) = roots::of(&self.project, binding);
            let mut tracer = Tracer::new(&self.project, roots);
            roots::add_aliases(&mut tracer, &mut files);
            let found = stores::remakings(&tracer, &files);
            if !found.is_empty() {
                answer.stores = self.listed(ranking::stores(&self.project, question, found));
                return;
            }
        }
    }

    /// Where nothing that was found stores as deep as what is held lies: what stores into the container under the question's key.
    fn stores_under_key(
        &self,
        question: &Question<'_>,
        binding: &Binding,
        found: &[Found],
    ) -> Option<(Tracer<'_, 'a>, Vec<FileId>, Vec<Found>)> {
        let is_deep_enough =
            |store: &Found| ranking::is_deep_enough(&self.project, question, store);
        if found.iter().any(is_deep_enough) {
            return None;
        }
        let (mut tracer, files) = keyed::tracer(&self.project, binding, question.key?)?;
        let found = keyed::stores(&mut tracer, &files);
        let found = ranking::stores(&self.project, question, found);
        found
            .iter()
            .any(is_deep_enough)
            .then_some((tracer, files, found))
    }

    fn listed(&self, found: Vec<Found>) -> Vec<Store> {
        let mut seen = FxHashSet::default();
        let store = |found: Found| {
            let site = self.project.site(found.file, found.span)?;
            let tree = self.project.tree(found.file)?;
            let enclosing = tree.enclosing(found.scope, ScopeKind::Function);
            let enclosing = enclosing
                .map_or("", |function| &tree.scope(function).qualname)
                .to_owned();
            seen.insert(site.clone()).then_some(Store {
                site,
                role: found.role,
                enclosing,
                runs_once: ranking::runs_once(&self.project, &found),
            })
        };
        found.into_iter().filter_map(store).collect()
    }
}

/// Whether a store stands in a method of one of the classes.
fn is_in_method_of(project: &Project<'_>, store: &Found, classes: &[At]) -> bool {
    let class = project.tree(store.file).and_then(|tree| {
        let function = tree.outermost_function(store.scope)?;
        tree.class_of_method(function)
    });
    class.is_some_and(|scope| {
        classes.contains(&At {
            file: store.file,
            scope,
        })
    })
}
