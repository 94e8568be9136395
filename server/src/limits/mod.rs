//! What bounds the connections of a worker: how many there are ([`admission`]), how many bytes they hold ([`budget`]),
//! when they are to end ([`drain`]), and how memory that they have freed gets back to the kernel ([`allocator`]).

pub(crate) mod admission;
pub(crate) mod allocator;
pub(crate) mod budget;
pub(crate) mod drain;
