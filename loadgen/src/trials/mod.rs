//! Experiments made of many short runs of several servers in turn: a comparison of two, a sweep over flags. Also the
//! one of many connections, held by one session, and the one of messages that a few send to many.

pub mod capacity;
mod climbing;
pub mod compare;
mod compared;
pub mod connections;
pub mod contrast;
pub mod course;
pub mod design;
mod failure;
pub mod fanout;
mod lengths;
mod notes;
mod pace;
pub mod probe;
pub mod question;
pub mod repetition;
pub mod resumed;
mod start;
pub mod sweep;
mod tempo;
mod up;
pub mod warming;
