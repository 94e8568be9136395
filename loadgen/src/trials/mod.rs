//! Experiments made of many short runs of several servers in turn: a comparison of two, a sweep over flags. Also the
//! one of many connections, held by one session.

pub mod compare;
pub mod connections;
pub mod contrast;
pub mod course;
pub mod design;
mod failure;
pub mod sweep;
