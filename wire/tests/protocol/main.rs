//! The protocol as bytes: the RFC's examples, every split, and random streams against a naive model.

mod cursor;
mod echo;
mod header;
mod mask;
mod model;
mod receive;
mod reply;
