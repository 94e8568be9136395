//! What errors about arguments do not repeat, since they end up in the logs of CI: queries and user names of URLs, and the
//! values of headers.

use clap::error::{ContextKind, ContextValue};

use crate::plan::url::masked;

/// The error without the secrets of the arguments that it quotes.
pub(super) fn kept_back(mut error: clap::Error) -> clap::Error {
    let is_header = text(&error, ContextKind::InvalidArg).is_some_and(|argument| argument.contains("--header"));
    for kind in [ContextKind::InvalidArg, ContextKind::InvalidSubcommand, ContextKind::InvalidValue] {
        let Some(quoted) = text(&error, kind) else { continue };
        let shown = if is_header && kind == ContextKind::InvalidValue { name_only(quoted) } else { masked(quoted) };
        error.insert(kind, ContextValue::String(shown));
    }
    error
}

fn text(error: &clap::Error, kind: ContextKind) -> Option<&str> {
    match error.get(kind)? {
        ContextValue::String(text) => Some(text),
        _ => None,
    }
}

/// What can be shown of a header: `NAME: ***`.
fn name_only(header: &str) -> String {
    match header.split_once(':') {
        Some((name, _)) => format!("{name}: ***"),
        None => "***".to_owned(),
    }
}
