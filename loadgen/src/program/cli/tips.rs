//! Tips in errors about arguments: those that would not help are replaced by the one that does.

use clap::error::{ContextKind, ContextValue, ErrorKind};

/// The error with the tip that helps. Nobody who writes `--url` means a value of that name; there is no flag for a URL.
pub(super) fn made_right(mut error: clap::Error) -> clap::Error {
    let unknown = match error.get(ContextKind::InvalidArg) {
        Some(ContextValue::String(flag)) if error.kind() == ErrorKind::UnknownArgument => flag.clone(),
        _ => return error,
    };
    if unknown == "--url" || unknown.starts_with("--url=") {
        let tip = "the server's URL is no flag: write 'loadgen run ws://HOST:PORT/'; compare takes URLs as --a and --b, sweep as \
            --server";
        error.insert(ContextKind::Suggested, ContextValue::StyledStrs(vec![tip.to_owned().into()]));
    } else if error.get(ContextKind::SuggestedArg).is_none() {
        // That it may be passed as a value is true of commands that take words, and none of ours does.
        error.remove(ContextKind::Suggested);
    }
    error
}
