//! The grammar of `Sec-WebSocket-Extensions` (RFC 6455, 9.1): what a header offers or grants, before anybody judges it.

use std::borrow::Cow;

use thiserror::Error;

/// One extension of a header, with its parameters in order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Extension<'h> {
    /// The extension's name, such as `permessage-deflate`.
    pub name: &'h str,
    /// Its parameters, repeated ones included.
    pub params: Vec<Param<'h>>,
}

/// A parameter of an extension.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Param<'h> {
    /// Its name.
    pub name: &'h str,
    /// What stands behind `=`, without quotes and escapes; a token in either case.
    pub value: Option<Cow<'h, str>>,
}

/// A header that does not follow the grammar, on which the handshake must fail (RFC 6455, 9.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[error("Sec-WebSocket-Extensions is malformed at byte {at}: expected {expected}")]
pub struct Malformed {
    /// The offset within the header's value.
    pub at: usize,
    /// What the grammar wants there.
    pub expected: &'static str,
}

/// Reads the value of one `Sec-WebSocket-Extensions` header. Several headers are one list in several pieces: read them
/// one after the other. Empty elements count for nothing, as lists of HTTP have it (RFC 9110, 5.6.1).
///
/// # Errors
/// [`Malformed`] at the first byte that the grammar does not allow.
pub fn parse_extensions(value: &[u8]) -> Result<Vec<Extension<'_>>, Malformed> {
    let mut reader = Reader { value, at: 0 };
    let mut extensions = Vec::new();
    loop {
        reader.skip_space();
        if reader.at == value.len() {
            return Ok(extensions);
        }
        if reader.take(b',') {
            continue;
        }
        extensions.push(reader.extension()?);
        reader.skip_space();
        if reader.at < value.len() && !reader.take(b',') {
            return Err(reader.malformed("',' or ';'"));
        }
    }
}

/// `bytes` as text, if they are a token: one byte at least, and none that separates (RFC 9110, 5.6.2). Subprotocols are
/// tokens too.
pub fn token(bytes: &[u8]) -> Option<&str> {
    let is_token = !bytes.is_empty() && bytes.iter().all(|&byte| is_token_byte(byte));
    str::from_utf8(bytes).ok().filter(|_| is_token)
}

struct Reader<'h> {
    value: &'h [u8],
    at: usize,
}

impl<'h> Reader<'h> {
    fn extension(&mut self) -> Result<Extension<'h>, Malformed> {
        let name = self.token()?;
        let mut params = Vec::new();
        loop {
            self.skip_space();
            if !self.take(b';') {
                return Ok(Extension { name, params });
            }
            self.skip_space();
            let name = self.token()?;
            self.skip_space();
            let value = if self.take(b'=') {
                self.skip_space();
                Some(self.param_value()?)
            } else {
                None
            };
            params.push(Param { name, value });
        }
    }

    fn param_value(&mut self) -> Result<Cow<'h, str>, Malformed> {
        if !self.take(b'"') {
            return self.token().map(Cow::Borrowed);
        }
        let mut unquoted = String::new();
        loop {
            match self.value.get(self.at) {
                Some(b'"') if !unquoted.is_empty() => {
                    self.at += 1;
                    return Ok(Cow::Owned(unquoted));
                }
                Some(b'\\') => self.at += 1,
                _ => {}
            }
            // What the quotes hold must be a token once it is unescaped, so that no other byte can stand here.
            match self.value.get(self.at) {
                Some(&byte) if is_token_byte(byte) => unquoted.push(char::from(byte)),
                _ => return Err(self.malformed("a token in quotes")),
            }
            self.at += 1;
        }
    }

    fn token(&mut self) -> Result<&'h str, Malformed> {
        let rest = &self.value[self.at..];
        let len = rest.iter().take_while(|&&byte| is_token_byte(byte)).count();
        match str::from_utf8(&rest[..len]) {
            Ok(token) if len > 0 => {
                self.at += len;
                Ok(token)
            }
            _ => Err(self.malformed("a token")),
        }
    }

    fn take(&mut self, byte: u8) -> bool {
        let there = self.value.get(self.at) == Some(&byte);
        self.at += usize::from(there);
        there
    }

    fn skip_space(&mut self) {
        self.at += self.value[self.at..].iter().take_while(|byte| matches!(byte, b' ' | b'\t')).count();
    }

    fn malformed(&self, expected: &'static str) -> Malformed {
        Malformed { at: self.at, expected }
    }
}

/// The bytes of a token (RFC 9110, 5.6.2).
const fn is_token_byte(byte: u8) -> bool {
    byte.is_ascii_alphanumeric()
        || matches!(
            byte,
            b'!' | b'#' | b'$' | b'%' | b'&' | b'\'' | b'*' | b'+' | b'-' | b'.' | b'^' | b'_' | b'`' | b'|' | b'~'
        )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tokens_are_told_from_other_text() {
        assert_eq!(token(b"v1.chat+x"), Some("v1.chat+x"));
        for bad in [&b""[..], b"a b", b"\"a\"", b"a/b", b"a,b", b"a=b", b"\xc3\xa4", b"a\x7f"] {
            assert_eq!(token(bad), None, "{bad:?}");
        }
    }

    type Read<'h> = (&'h str, Vec<(&'h str, Option<String>)>);

    fn read(value: &str) -> Result<Vec<Read<'_>>, usize> {
        let extensions = parse_extensions(value.as_bytes()).map_err(|malformed| malformed.at)?;
        let read = extensions.into_iter().map(|Extension { name, params }| {
            (name, params.into_iter().map(|param| (param.name, param.value.map(Cow::into_owned))).collect())
        });
        Ok(read.collect())
    }

    #[test]
    fn lists_parameters_and_quotes_are_read() {
        let value = |value: &str| Some(value.to_owned());
        assert_eq!(read(""), Ok(vec![]));
        assert_eq!(read(" , ,\t"), Ok(vec![]));
        assert_eq!(read("foo"), Ok(vec![("foo", vec![])]));
        assert_eq!(
            read("foo ; a=1;b ;c = \"2\\3\" , bar;a;a, foo"),
            Ok(vec![
                ("foo", vec![("a", value("1")), ("b", None), ("c", value("23"))]),
                ("bar", vec![("a", None), ("a", None)]),
                ("foo", vec![])
            ])
        );
    }

    #[test]
    fn malformed_headers_say_where() {
        let cases = [
            (";a", 0),
            ("foo bar", 4),
            ("foo;", 4),
            ("foo;=1", 4),
            ("foo;a=", 6),
            ("foo;a=\"", 7),
            ("foo;a=\"\"", 7),
            ("foo;a=\"1", 8),
            ("foo;a=\"1 2\"", 8),
            ("foo;a=\"1\"2", 9),
            ("foo;a=\"\\", 8),
            ("foo;a=1,b\u{e9}", 9),
            ("foo=1", 3),
        ];
        for (value, at) in cases {
            assert_eq!(read(value), Err(at), "{value:?}");
        }
    }
}
