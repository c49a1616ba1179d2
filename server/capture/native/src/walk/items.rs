//! What containers have in them.

use std::io::Write;

use super::Walk;
use crate::classes::Container;
use crate::memory::Address;
use crate::tracing;

/// One container's items must fit into a section; a dictionary's entries are two each.
const MOST_ITEMS: usize = 33_000_000;

impl<W: Write> Walk<'_, W> {
    /// Writes the items of a container; what it is was said by its class.
    pub(crate) fn write_items(&mut self, container: Container, class: u32, object: Address) {
        let start = self.group.items.len();
        let objects = self.objects;
        match container {
            Container::Dictionary => {
                objects.each_entry(object, |key, value| {
                    let key_target = self.follow(key);
                    self.group.keys.push(key_target);
                    let target = self.follow(value);
                    self.group.items.push(target);
                    if self.order.keys {
                        self.name_key(key);
                    }
                });
            }
            Container::List => {
                for item in objects.list(object) {
                    let target = self.follow(item);
                    self.group.items.push(target);
                }
            }
            Container::Tuple => {
                for item in objects.tuple(object) {
                    let target = self.follow(item);
                    self.group.items.push(target);
                }
            }
            Container::Set => objects.each_member(object, |member| {
                let target = self.follow(member);
                self.group.items.push(target);
            }),
            Container::Deque => {
                let mut references = std::mem::take(&mut self.references);
                self.deque_items(class, object, &mut references);
                for item in &references {
                    let target = self.follow(*item);
                    self.group.items.push(target);
                }
                self.references = references;
            }
        }
        let count = self.group.items.len() - start;
        let most = if container == Container::Dictionary {
            MOST_ITEMS / 2
        } else {
            MOST_ITEMS
        };
        if count > most {
            self.notes
                .push(format!("{count} items of a large container were left out"));
            self.group.items.truncate(start);
            self.group.keys.truncate(start);
        }
        let count = self.group.items.len() - start;
        self.group.lengths.push(count as u32);
        if self.is_traced {
            self.growths
                .extend(tracing::grown_at(&objects, container, object));
        }
    }

    /// A deque's own items: the last of what it references, as many as it says.
    pub(crate) fn deque_items(&self, class: u32, object: Address, items: &mut Vec<Address>) {
        items.clear();
        let objects = self.objects;
        let type_ = self.classes[class as usize].type_;
        objects.interpreter.references(object, type_, items);
        let count = objects.size_field(object) as usize;
        items.drain(..items.len().saturating_sub(count));
    }
}
