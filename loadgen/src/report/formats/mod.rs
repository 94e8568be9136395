//! The formats that documents are rendered in. A format is one module, named in one line of [`FORMATS`]; it matches on
//! [`Document`], so that a new kind of document does not compile until every format renders it or refuses it in words.

mod action_benchmark;
mod benchfmt;
mod bmf;
pub mod csv;
pub mod hgrm;
pub mod hlog;
mod html;
pub mod json;
mod junit;
mod markdown;
mod openmetrics;
mod sketch;
pub mod text;

use std::fmt;

use super::saved::Document;
use crate::measure::encoded::DecodeError;

/// A format, by what it is called and how it renders.
pub struct Format {
    /// What `--to` calls it.
    pub name: &'static str,
    /// What it is for, in a line of help.
    pub help: &'static str,
    /// Whether runs of several files stay apart: its readers take their own statistics of them.
    pub keeps_runs_apart: bool,
    /// Whether it is two files, each of a name of its own.
    pub is_two_files: bool,
    render: fn(&Document) -> Result<Vec<Part>, FormatError>,
}

/// One file of a format.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Part {
    /// Its name in a directory, where the format is several files; else empty.
    pub name: &'static str,
    /// What it holds.
    pub content: Vec<u8>,
}

/// Why a document has no rendering in a format.
#[derive(Debug, thiserror::Error)]
pub enum FormatError {
    /// A histogram in the document cannot be read.
    #[error(transparent)]
    Decode(#[from] DecodeError),
    /// The format cannot hold such a document; says why.
    #[error("{0}")]
    Refused(String),
}

impl Format {
    /// The document in this format: one part, or one for each file.
    ///
    /// # Errors
    /// When the format cannot hold the document, or a histogram in it cannot be read.
    pub fn render(&self, document: &Document) -> Result<Vec<Part>, FormatError> {
        (self.render)(document)
    }

    /// The format of this name.
    pub fn named(name: &str) -> Option<&'static Self> {
        FORMATS.iter().copied().find(|format| format.name == name)
    }
}

impl fmt::Debug for Format {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name)
    }
}

impl PartialEq for Format {
    fn eq(&self, other: &Self) -> bool {
        self.name == other.name
    }
}

impl Eq for Format {}

/// A format that is one file.
fn one(content: impl Into<Vec<u8>>) -> Result<Vec<Part>, FormatError> {
    Ok(vec![Part { name: "", content: content.into() }])
}

/// All of them, in the order that the help lists them.
pub static FORMATS: &[&Format] = &[
    &text::FORMAT,
    &json::FORMAT,
    &markdown::FORMAT,
    &html::FORMAT,
    &csv::FORMAT,
    &hgrm::FORMAT,
    &junit::FORMAT,
    &benchfmt::FORMAT,
    &bmf::FORMAT,
    &action_benchmark::FORMAT,
    &openmetrics::FORMAT,
];
