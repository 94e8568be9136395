//! Reports from the outside: what they hold, how they are written, and what the command line makes of its arguments.

#[path = "../binary/mod.rs"]
mod binary;
mod bounded;
mod cli;
mod comparison;
mod earlier;
mod few;
mod fixture;
mod formats;
mod json;
mod merge;
mod output;
mod over_time;
mod text;
mod trials;
