//! `heldby lsp`, spoken to over its pipes as an editor does.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "a test fails by panicking"
)]

mod documents;
mod dumps;
mod edits;
mod features;
mod gallery;
mod wire;
