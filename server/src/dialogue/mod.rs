//! How a message is answered, wherever its connection is served: compressed or not ([`deflate`]), and at what cost ([`cost`]).

pub(crate) mod cost;
pub(crate) mod deflate;
