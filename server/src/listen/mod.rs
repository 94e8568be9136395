//! From the listening sockets to the workers: [`listener`] binds them, [`accept`] takes connections from them, [`placement`]
//! chooses the worker of each, and [`fleet`] runs the threads of all this until they have drained.

mod accept;
pub(crate) mod cpus;
pub(crate) mod fleet;
mod housekeeping;
mod int_option;
pub(crate) mod listener;
mod placement;
