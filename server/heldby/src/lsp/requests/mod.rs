//! What the client asks for: one file a request.

pub(crate) mod call_hierarchy;
pub(crate) mod capture;
pub(crate) mod code_action;
pub(crate) mod code_lens;
pub(crate) mod commands;
pub(crate) mod confirm;
pub(crate) mod expression;
pub(crate) mod findings;
pub(crate) mod hover;
pub(crate) mod inlay_hint;
pub(crate) mod objects;
pub(crate) mod referrers;

use std::sync::Arc;

use heldby_finding::{Place, words};
use tower_lsp::ls_types::{Range, Uri};

use super::diagnostics::{Drawn, drawn_findings, sites};
use super::documents::{self, Document, Documents};
use super::places::{Located, Places};
use super::session::Session;
use super::shown::{ClassCount, ClassSite, ShownFinding, View};

/// What a request sees: the documents as they were when it was sent, and what was shown then.
pub(crate) struct Moment<'a> {
    pub(crate) session: &'a Session,
    pub(crate) documents: Arc<Documents>,
    pub(crate) view: Arc<View>,
}

impl<'a> Moment<'a> {
    /// `None` before a dump was loaded.
    pub(crate) fn now(session: &'a Session) -> Option<Self> {
        Some(Self {
            session,
            documents: documents::snapshot(),
            view: session.view()?,
        })
    }

    pub(crate) fn places(&self) -> Places<'_> {
        self.session.places(&self.documents, &self.view.texts)
    }

    pub(crate) fn document(&self, uri: &Uri) -> Option<&Document> {
        self.documents.get(uri)
    }

    pub(crate) fn locate(&self, place: &Place) -> Option<Located> {
        self.places().locate(place)
    }

    /// The drawn sites of a document.
    pub(crate) fn drawn_in(&self, uri: &Uri) -> Vec<Drawn<'_>> {
        let configuration = self.session.configuration();
        drawn_findings(&self.view, &self.places(), &configuration)
            .into_iter()
            .flat_map(|shown| sites(shown, &self.places()))
            .filter(|site| site.located.uri == *uri)
            .collect()
    }

    /// The classes of the user's that a document defines, with their objects.
    pub(crate) fn class_sites(&self, uri: &Uri) -> Vec<ClassHere<'_>> {
        let here = |site: &'_ ClassSite| {
            self.locate(&site.place)
                .filter(|located| located.uri == *uri)
        };
        let sites = self.view.class_sites.iter();
        sites
            .filter_map(|site| {
                Some(ClassHere {
                    class: &site.class,
                    located: here(site)?,
                })
            })
            .collect()
    }

    /// Each place of a finding that lies in a document: definitions of its holders, and its stores.
    pub(crate) fn all_in(&self, uri: &Uri) -> Vec<(&ShownFinding, Located)> {
        let configuration = self.session.configuration();
        let mut found = Vec::new();
        for shown in drawn_findings(&self.view, &self.places(), &configuration) {
            let finding = &shown.finding;
            let stores = finding.stores.iter().map(|store| &store.place);
            let definitions = finding
                .holders
                .iter()
                .filter_map(|holder| holder.definition.as_ref());
            for place in stores.chain(definitions) {
                if let Some(located) = self.locate(place).filter(|located| located.uri == *uri) {
                    found.push((shown, located));
                }
            }
        }
        found
    }
}

/// A class in a document.
pub(crate) struct ClassHere<'a> {
    pub(crate) class: &'a ClassCount,
    pub(crate) located: Located,
}

impl ClassHere<'_> {
    /// `120 photos.Photo objects, 5.6 KiB`.
    pub(crate) fn words(&self) -> String {
        format!(
            "{}, {}",
            words::objects(&self.class.name, self.class.count),
            words::bytes(self.class.bytes)
        )
    }
}

/// Whether two ranges share anything, if only an end.
pub(crate) fn touch(one: Range, other: Range) -> bool {
    one.start <= other.end && other.start <= one.end
}
