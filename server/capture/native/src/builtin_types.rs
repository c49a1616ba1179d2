//! The built-in types that the walk treats apart, by their addresses.

use crate::memory::Address;
use crate::order::Order;

/// The built-in types that the walk treats apart.
#[derive(Clone)]
pub(crate) struct Types {
    pub(crate) object: Address,
    pub(crate) object_measure: Address,
    pub(crate) list: Address,
    pub(crate) tuple: Address,
    pub(crate) dictionary: Address,
    pub(crate) set: Address,
    pub(crate) frozenset: Address,
    pub(crate) deque: Address,
    pub(crate) text: Address,
    pub(crate) integer: Address,
    pub(crate) function: Address,
    pub(crate) code: Address,
    pub(crate) frame: Address,
    pub(crate) module: Address,
    pub(crate) cell: Address,
    pub(crate) cache: Address,
    pub(crate) context: Address,
    pub(crate) thread_local: Address,
    pub(crate) weak_reference: Address,
    pub(crate) member_descriptor: Address,
    pub(crate) getset_descriptor: Address,
    pub(crate) method_descriptor: Address,
    pub(crate) generators: [Address; 3],
    pub(crate) several_iterators: [Address; 3],
}

impl Types {
    /// By the names of the order; None when one is missing.
    pub(crate) fn of(order: &Order) -> Option<Self> {
        let get = |name: &str| order.types.get(name).copied();
        Some(Self {
            object: get("object")?,
            object_measure: get("object.__sizeof__")?,
            list: get("list")?,
            tuple: get("tuple")?,
            dictionary: get("dict")?,
            set: get("set")?,
            frozenset: get("frozenset")?,
            deque: get("deque")?,
            text: get("str")?,
            integer: get("int")?,
            function: get("function")?,
            code: get("code")?,
            frame: get("frame")?,
            module: get("module")?,
            cell: get("cell")?,
            cache: get("lru_cache")?,
            context: get("Context")?,
            thread_local: get("local")?,
            weak_reference: get("weakref")?,
            member_descriptor: get("member_descriptor")?,
            getset_descriptor: get("getset_descriptor")?,
            method_descriptor: get("method_descriptor")?,
            generators: [
                get("generator")?,
                get("coroutine")?,
                get("async_generator")?,
            ],
            several_iterators: [get("map")?, get("zip")?, get("zip_longest")?],
        })
    }
}
