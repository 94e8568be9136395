//! What the users of both programs choose of permessage-deflate, with one meaning in both.

/// Whose messages may refer to earlier ones (RFC 7692, 7.1.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ContextTakeover {
    /// Nobody's: each message is compressed by itself, so that compressors and decompressors need not belong to a
    /// connection.
    Off,
    /// The server's: a compressor for every connection that has been sent a compressed reply, and a decompressor at its
    /// client.
    Server,
    /// The client's: a decompressor for every connection from which a compressed message came, and a compressor at its
    /// client.
    Client,
    /// Both.
    Both,
}

impl ContextTakeover {
    /// Every value, in the order in which help lists them.
    pub const ALL: [Self; 4] = [Self::Off, Self::Server, Self::Client, Self::Both];

    /// How it is written on the command line and in documents.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Off => "off",
            Self::Server => "server",
            Self::Client => "client",
            Self::Both => "both",
        }
    }

    /// The value of that name.
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|value| value.name() == name)
    }

    /// Whether a server's message may refer to the server's earlier ones.
    pub const fn of_server(self) -> bool {
        matches!(self, Self::Server | Self::Both)
    }

    /// Whether a client's message may refer to the client's earlier ones.
    pub const fn of_client(self) -> bool {
        matches!(self, Self::Client | Self::Both)
    }
}

/// The first flag that was given although it has no meaning without permessage-deflate, if that is not `enabled`.
/// `flags` are all flags that need it, and whether each was given.
pub fn given_without_extension(enabled: bool, flags: &[(&'static str, bool)]) -> Option<&'static str> {
    let mut given = flags.iter().filter(|(_, given)| *given && !enabled);
    given.next().map(|&(flag, _)| flag)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_value_is_found_by_its_name() {
        for value in ContextTakeover::ALL {
            assert_eq!(ContextTakeover::from_name(value.name()), Some(value));
        }
        assert_eq!(ContextTakeover::from_name("Both"), None);
        assert_eq!(ContextTakeover::ALL.map(ContextTakeover::of_server), [false, true, false, true]);
        assert_eq!(ContextTakeover::ALL.map(ContextTakeover::of_client), [false, false, true, true]);
    }

    #[test]
    fn the_first_flag_without_its_extension_is_named() {
        let flags = [("--a", false), ("--b", true), ("--c", true)];
        assert_eq!(given_without_extension(false, &flags), Some("--b"));
        assert_eq!(given_without_extension(false, &flags[..1]), None);
        assert_eq!(given_without_extension(true, &flags), None);
    }
}
