//! What the targets share: the naive model that the property tests use too.

#[path = "../../tests/protocol/model.rs"]
pub mod model;
