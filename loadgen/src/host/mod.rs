//! The machine and the servers on it: where a server is found or how it is started, which cores there are, which limits
//! the kernel sets, what processes use, and the signals that end a run.

pub mod addresses;
pub mod cores;
pub(crate) mod descendants;
pub mod environment;
pub mod exchange;
pub mod footprint;
pub mod interrupt;
pub(crate) mod leftovers;
pub mod limits;
pub(crate) mod listening;
pub mod proxy;
pub mod relay_losses;
pub mod resident;
pub mod resources;
pub mod running;
pub(crate) mod server_config;
pub mod target;
pub mod tls;
pub mod withheld;
