//! Messages as they are shown: their beginnings, or parts of them.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::plan::Kind;
use crate::units;

/// The beginning of a message, or a part of it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Glimpse {
    /// Text or binary.
    #[serde(rename = "type")]
    pub kind: Kind,
    /// Its length in bytes before compression; null where it came compressed and was not inflated.
    pub bytes: Option<u64>,
    /// At most 32 bytes of its payload. Text is shown as it is; what is not printable, and other bytes, are escaped as in Rust:
    /// `\n`, `\xff`, `\"`.
    #[schemars(length(max = EXCERPT_CHARACTERS))]
    pub excerpt: String,
}

impl Glimpse {
    /// A message of this type and length, of which `part` is shown, as far as there is room.
    pub fn new(kind: Kind, bytes: Option<u64>, part: &[u8]) -> Self {
        let shown = &part[..part.len().min(EXCERPT_BYTES)];
        let (mut excerpt, mut characters) = (String::new(), 0);
        let mut add = |escaped: String| {
            characters += escaped.chars().count();
            if characters <= EXCERPT_CHARACTERS {
                excerpt += &escaped;
            }
        };
        let mut rest = shown.len();
        for chunk in shown.utf8_chunks() {
            for character in chunk.valid().chars() {
                add(match character.is_ascii() || kind == Kind::Binary {
                    true => character.to_string().as_bytes().escape_ascii().to_string(),
                    false => character.escape_debug().to_string(),
                });
            }
            rest -= chunk.valid().len() + chunk.invalid().len();
            // A character that the end of the excerpt has cut is left out.
            if kind == Kind::Binary || rest > 0 || shown.len() == part.len() {
                chunk.invalid().iter().for_each(|byte| add(byte.escape_ascii().to_string()));
            }
        }
        Self { kind, bytes, excerpt }
    }

    /// A message that is held against no other one.
    pub(super) fn alone(&self, offset: u64) -> String {
        let mut text = name(self.kind).to_owned();
        if let Some(bytes) = self.bytes {
            text += &format!(", {}", length(bytes));
        }
        match (self.excerpt.is_empty(), offset) {
            (true, _) => {}
            (false, 0) => text += &format!(", beginning \"{}\"", self.excerpt),
            (false, offset) => text += &format!(", with \"{}\" after {}", self.excerpt, length(offset)),
        }
        text
    }
}

/// The word for it.
pub(super) fn name(kind: Kind) -> &'static str {
    match kind {
        Kind::Text => "text",
        Kind::Binary => "binary",
    }
}

/// So many bytes.
pub(super) fn length(bytes: u64) -> String {
    if bytes == 1 { "1 byte".to_owned() } else { format!("{} bytes", units::count(bytes)) }
}

/// Bytes of a message that are shown: enough for the beginning of a sentence or of a JSON object.
pub const EXCERPT_BYTES: usize = 32;

/// Characters that they may take once they are escaped: two of them and some words are two lines of a terminal.
const EXCERPT_CHARACTERS: usize = 48;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_is_shown_as_it_is() {
        let text = |bytes: &[u8]| Glimpse::new(Kind::Text, None, bytes).excerpt;
        assert_eq!(text("服务端\n\"\0".as_bytes()), "服务端\\n\\\"\\x00");
        assert_eq!(text("一二三四五六七八九十十一".as_bytes()), "一二三四五六七八九十", "no half of a character");
        assert_eq!(text(b"a\xffb"), "a\\xffb");
        assert_eq!(Glimpse::new(Kind::Binary, None, "é".as_bytes()).excerpt, "\\xc3\\xa9");
    }

    #[test]
    fn an_excerpt_is_bounded_in_bytes_and_once_it_is_escaped() {
        assert_eq!(Glimpse::new(Kind::Text, None, &[b'x'; 1000]).excerpt, "x".repeat(EXCERPT_BYTES));
        assert_eq!(Glimpse::new(Kind::Text, None, &[0; 1000]).excerpt, r"\x00".repeat(EXCERPT_CHARACTERS / 4));
    }
}
