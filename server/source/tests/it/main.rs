//! What the crate answers, on small programs with marks. See [`fixture`] for how to read them.

#![allow(clippy::unwrap_used, clippy::expect_used)]

mod aliases;
mod callers;
mod definitions;
mod drift;
mod fixture;
mod placement;
mod ranking;
mod robustness;
mod stores;
