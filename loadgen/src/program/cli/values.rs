//! How single values are read. Each error says what was expected; clap adds the flag and the value.

use std::ffi::OsString;
use std::fs::File;
use std::num::NonZeroUsize;
use std::path::Path;
use std::time::Duration;

use clap::Parser;
use clap::builder::{PossibleValuesParser, TypedValueParser};
use hyper::header::{
    CONNECTION, CONTENT_LENGTH, HOST, HeaderName, HeaderValue, SEC_WEBSOCKET_ACCEPT, SEC_WEBSOCKET_EXTENSIONS,
    SEC_WEBSOCKET_KEY, SEC_WEBSOCKET_PROTOCOL, SEC_WEBSOCKET_VERSION, TE, TRANSFER_ENCODING, UPGRADE,
};
use server::numbers;
pub(super) use server::numbers::{count, percent};
use wire::deflate::{ContextTakeover, Level, MemoryLevel, WindowBits};

use crate::plan::{MAX_MESSAGE_BYTES, Payload};

/// The whole command line, with numbers that begin with a dash read by their flags, which refuse them.
pub(super) fn command<C: Parser>(
    arguments: impl IntoIterator<Item = impl Into<OsString> + Clone>,
) -> Result<C, clap::Error> {
    C::from_arg_matches(&server::cli::read_dashes(C::command()).try_get_matches_from(arguments)?)
}

pub(super) fn duration(text: &str) -> Result<Duration, String> {
    numbers::time(text, LONGEST)
}

pub(super) fn positive_duration(text: &str) -> Result<Duration, String> {
    match duration(text)? {
        Duration::ZERO => Err("expected more than nothing".to_owned()),
        duration => Ok(duration),
    }
}

pub(super) fn positive_percent(text: &str) -> Result<f64, String> {
    match percent(text)? {
        0.0 => Err("expected more than 0%".to_owned()),
        share => Ok(share),
    }
}

pub(super) fn max_time(text: &str) -> Result<Duration, String> {
    match numbers::time(text, LONGEST_COMPARISON)? {
        Duration::ZERO => Err("expected more than nothing".to_owned()),
        time => Ok(time),
    }
}

pub(super) fn threads(text: &str) -> Result<NonZeroUsize, String> {
    numbers::count_in::<NonZeroUsize, 1, MOST_THREADS>(text)
}

/// A level of `--deflate-level`.
pub(super) fn level(text: &str) -> Result<Level, String> {
    text.parse().ok().and_then(Level::new).ok_or_else(|| "expected 1 to 9".to_owned())
}

/// Whose messages may refer to earlier ones.
pub(super) fn context_takeover() -> impl TypedValueParser<Value = ContextTakeover> {
    let names = PossibleValuesParser::new(ContextTakeover::ALL.map(ContextTakeover::name));
    names.map(|name| ContextTakeover::from_name(&name).expect("a name of the list"))
}

/// A level of `--deflate-memory`.
pub(super) fn memory_level(text: &str) -> Result<MemoryLevel, String> {
    text.parse().ok().and_then(MemoryLevel::new).ok_or_else(|| "expected 1 to 9".to_owned())
}

/// A window of `--deflate-window-bits`: zlib, and so most servers, knows none of 8 bits.
pub(super) fn window_bits(text: &str) -> Result<WindowBits, String> {
    let bits = text.parse().ok().and_then(WindowBits::new).filter(|bits| bits.get() > 8);
    bits.ok_or_else(|| "expected 9 to 15".to_owned())
}

/// A size of a message for `--deflate-threshold`.
pub(super) fn threshold(text: &str) -> Result<u32, String> {
    u32::try_from(numbers::bytes(text)?).map_err(|_| format!("expected at most {} bytes", u32::MAX))
}

pub(super) fn payload(text: &str) -> Result<Payload, String> {
    match text {
        "random" => Ok(Payload::Random),
        "json" => Ok(Payload::Json),
        path => file(Path::new(path)).map_err(|why| format!("expected random, json or a file to send: {why}")),
    }
}

fn file(path: &Path) -> Result<Payload, String> {
    let metadata = File::open(path).and_then(|file| file.metadata()).map_err(|error| error.to_string())?;
    if !metadata.is_file() {
        return Err("it is not a regular file".to_owned());
    }
    if metadata.len() > MAX_MESSAGE_BYTES.into() {
        return Err(format!("its {} bytes are more than the {MAX_MESSAGE_BYTES} of a message", metadata.len()));
    }
    Ok(Payload::File(path.to_owned()))
}

pub(super) fn header(text: &str) -> Result<(String, String), String> {
    let (name, value) = text.split_once(':').ok_or("expected 'Name: value'")?;
    let value = value.trim_matches([' ', '\t']);
    let parsed = HeaderName::from_bytes(name.as_bytes())
        .map_err(|_| format!("'{name}' is not a header's name (RFC 9110, 5.1); expected 'Name: value'"))?;
    HeaderValue::from_str(value).map_err(|_| "expected a value of visible ASCII characters".to_owned())?;
    if parsed == SEC_WEBSOCKET_PROTOCOL {
        return Err("expected another header: --subprotocol offers subprotocols".to_owned());
    }
    if parsed == SEC_WEBSOCKET_EXTENSIONS {
        return Err("expected another header: --permessage-deflate offers the extension there is".to_owned());
    }
    if HANDSHAKE.contains(&parsed) {
        return Err(format!("expected another header: {name} belongs to the handshake itself"));
    }
    Ok((name.to_owned(), value.to_owned()))
}

pub(super) fn subprotocol(text: &str) -> Result<String, String> {
    // Header names and subprotocols are both tokens (RFC 9110, 5.6.2).
    match HeaderName::from_bytes(text.as_bytes()) {
        Ok(_) => Ok(text.to_owned()),
        Err(_) => Err("expected a token, without spaces, commas or other separators (RFC 6455, 4.1)".to_owned()),
    }
}

/// Refuses what may be given once only and is given twice: a subprotocol, and the Host header.
pub(super) fn given_once(subprotocols: &[String], headers: &[(String, String)]) -> Result<(), String> {
    for (i, name) in subprotocols.iter().enumerate() {
        if subprotocols[..i].contains(name) {
            return Err(format!("--subprotocol {name} is given twice; each may be offered once"));
        }
    }
    if headers.iter().filter(|(name, _)| name.eq_ignore_ascii_case(HOST.as_str())).count() > 1 {
        return Err("--header Host is given twice; a request has one".to_owned());
    }
    Ok(())
}

/// What a user may not set, since the handshake or the message's framing stands on it. Host is not among them: virtual
/// hosts are chosen by it.
const HANDSHAKE: [HeaderName; 8] = [
    CONNECTION,
    CONTENT_LENGTH,
    SEC_WEBSOCKET_ACCEPT,
    SEC_WEBSOCKET_KEY,
    SEC_WEBSOCKET_VERSION,
    TRANSFER_ENCODING,
    UPGRADE,
    TE,
];

/// 30 days: beyond any run, and far from where instants overflow.
const LONGEST: Duration = Duration::from_secs(30 * 86_400);

/// 1 hour: every pair is kept for the report, about 5 of them a second.
const LONGEST_COMPARISON: Duration = Duration::from_secs(3_600);

/// More threads than any machine has cores for.
const MOST_THREADS: u64 = 1024;
