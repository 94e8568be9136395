//! The program around the library: the command line ([`cli`], `args`, `values`, `addresses`, [`numbers`]), what it prints ([`printing`]), what it sets
//! up in its process (`logging`, `huge_pages`, `signals`), and what it asks the machine (`machine_memory`).

mod addresses;
mod args;
pub mod cli;
mod huge_pages;
mod limit_args;
mod logging;
mod machine_memory;
mod manual;
pub mod numbers;
pub mod printing;
mod relay_args;
mod signals;
mod tls_args;
mod values;
