//! Experiments made of many short runs of several servers in turn: a comparison of two, a sweep over flags.

pub mod compare;
pub mod contrast;
pub mod course;
pub mod design;
mod failure;
pub mod resumed;
pub mod sweep;
