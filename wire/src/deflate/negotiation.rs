//! The handshake of permessage-deflate (RFC 7692, 5 and 7.1): what a server grants of a client's offers, and what a client
//! makes of the server's response.

use std::fmt::Write;

use thiserror::Error;

use super::window::WindowBits;
use crate::extension::{Extension, Malformed, parse_extensions};

/// What both sides go by after the handshake.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Agreed {
    /// How the server's messages are compressed.
    pub server: Direction,
    /// How the client's messages are compressed.
    pub client: Direction,
}

/// How the messages of one side are compressed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Direction {
    /// Whether a message may refer to the ones before it.
    pub context_takeover: bool,
    /// How far back it may refer at the most.
    pub window: WindowBits,
}

/// What a server is willing to do, for each direction at the most.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Policy {
    /// How the server would compress.
    pub server: Direction,
    /// What the server would have the client do.
    pub client: Direction,
}

/// A client's offer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Offer {
    /// Ask the server not to refer to earlier messages (`server_no_context_takeover`).
    pub server_no_context_takeover: bool,
    /// Tell the server that the client will not (`client_no_context_takeover`).
    pub client_no_context_takeover: bool,
    /// Ask the server for a window of at most this size (`server_max_window_bits`).
    pub server_max_window: Option<WindowBits>,
    /// Tell the server that the client can bound its own window (`client_max_window_bits`).
    pub client_max_window: ClientWindow,
}

/// What a client says of its own window.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ClientWindow {
    /// Nothing, so that the server may not bound it (RFC 7692, 7.1.2.2).
    Silent,
    /// That the server may bound it.
    Bounded,
    /// That the server may bound it, and that it will not be larger than this in any case.
    AtMost(WindowBits),
}

/// Why a client fails the handshake over a server's response (RFC 7692, 5.1 and 7.1).
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum Refused {
    /// The header does not follow the grammar.
    #[error(transparent)]
    Malformed(#[from] Malformed),
    /// An extension that was not offered, or the same one twice.
    #[error("the server answered with the extension '{0}', which was not offered, or not twice")]
    Extension(String),
    /// A parameter that is unknown, repeated, out of range, or beyond what was offered.
    #[error("the server answered permessage-deflate with the parameter '{0}', which does not fit what was offered")]
    Param(String),
    /// A parameter that the offer insists on.
    #[error("the server accepted permessage-deflate without '{0}', which was asked for")]
    Missing(&'static str),
}

impl Policy {
    /// The first of the client's offers, in its order of preference, that this server can keep to, and the header that
    /// grants it; `None` if there is none. `headers` are the values of all `Sec-WebSocket-Extensions` in the request.
    ///
    /// An offer with a parameter that is unknown, repeated or out of range is passed over (RFC 7692, 7.1), and so are
    /// other extensions.
    ///
    /// # Errors
    /// [`Malformed`], on which the handshake must fail (RFC 6455, 9.1).
    pub fn grant<'h>(
        &self,
        headers: impl IntoIterator<Item = &'h [u8]>,
    ) -> Result<Option<(Agreed, String)>, Malformed> {
        let mut granted = None;
        for header in headers {
            // Even after a grant the rest is read: what is malformed fails the handshake wherever it stands.
            for extension in parse_extensions(header)? {
                if granted.is_none() && extension.name == NAME {
                    granted = Params::read(&extension).ok().map(|offered| self.answer(&offered));
                }
            }
        }
        Ok(granted)
    }

    fn answer(&self, offered: &Params) -> (Agreed, String) {
        let mut response = NAME.to_owned();
        let server = Direction {
            context_takeover: self.server.context_takeover && !offered.server_no_context_takeover,
            window: self.server.window.min(offered.server_max_window.unwrap_or_default()),
        };
        let mut client = Direction {
            context_takeover: self.client.context_takeover && !offered.client_no_context_takeover,
            window: WindowBits::MAX,
        };
        if !server.context_takeover {
            response.push_str("; ");
            response.push_str(SERVER_NO_CONTEXT_TAKEOVER);
        }
        if !client.context_takeover {
            response.push_str("; ");
            response.push_str(CLIENT_NO_CONTEXT_TAKEOVER);
        }
        // Said whenever it is bounded, so that the client may save memory, and always when it was asked for.
        if server.window < WindowBits::MAX || offered.server_max_window.is_some() {
            push_window(&mut response, SERVER_MAX_WINDOW_BITS, server.window);
        }
        // Only a client that spoke of it can be told to bound its window (RFC 7692, 7.1.2.2).
        if let Some(most) = offered.client_max_window {
            client.window = self.client.window.min(most.unwrap_or_default());
            if client.window < WindowBits::MAX {
                push_window(&mut response, CLIENT_MAX_WINDOW_BITS, client.window);
            }
        }
        (Agreed { server, client }, response)
    }
}

impl Offer {
    /// The header's value that makes this offer.
    pub fn header(&self) -> String {
        let mut header = NAME.to_owned();
        if self.server_no_context_takeover {
            header.push_str("; ");
            header.push_str(SERVER_NO_CONTEXT_TAKEOVER);
        }
        if self.client_no_context_takeover {
            header.push_str("; ");
            header.push_str(CLIENT_NO_CONTEXT_TAKEOVER);
        }
        if let Some(window) = self.server_max_window {
            push_window(&mut header, SERVER_MAX_WINDOW_BITS, window);
        }
        match self.client_max_window {
            ClientWindow::Silent => {}
            ClientWindow::Bounded => {
                header.push_str("; ");
                header.push_str(CLIENT_MAX_WINDOW_BITS);
            }
            ClientWindow::AtMost(window) => push_window(&mut header, CLIENT_MAX_WINDOW_BITS, window),
        }
        header
    }

    /// What the server's response means; `None` if it declined. `headers` are the values of all
    /// `Sec-WebSocket-Extensions` in the response.
    ///
    /// # Errors
    /// [`Refused`]: the handshake must fail (RFC 7692, 5.1).
    pub fn judge<'h>(&self, headers: impl IntoIterator<Item = &'h [u8]>) -> Result<Option<Agreed>, Refused> {
        let mut agreed = None;
        for header in headers {
            for extension in parse_extensions(header)? {
                if extension.name != NAME || agreed.is_some() {
                    return Err(Refused::Extension(extension.name.to_owned()));
                }
                agreed = Some(self.judge_one(&extension)?);
            }
        }
        Ok(agreed)
    }

    fn judge_one(&self, extension: &Extension<'_>) -> Result<Agreed, Refused> {
        let granted = Params::read(extension).map_err(|name| Refused::Param(name.to_owned()))?;
        if self.server_no_context_takeover && !granted.server_no_context_takeover {
            return Err(Refused::Missing(SERVER_NO_CONTEXT_TAKEOVER));
        }
        match (self.server_max_window, granted.server_max_window) {
            (Some(_), None) => return Err(Refused::Missing(SERVER_MAX_WINDOW_BITS)),
            (Some(asked), Some(given)) if given > asked => {
                return Err(Refused::Param(SERVER_MAX_WINDOW_BITS.to_owned()));
            }
            _ => {}
        }
        let most = match self.client_max_window {
            ClientWindow::Silent if granted.client_max_window.is_some() => {
                return Err(Refused::Param(CLIENT_MAX_WINDOW_BITS.to_owned()));
            }
            ClientWindow::Silent | ClientWindow::Bounded => WindowBits::MAX,
            ClientWindow::AtMost(window) => window,
        };
        let given = match granted.client_max_window {
            // In a response it must have a value (RFC 7692, 7.1.2.2).
            Some(None) => return Err(Refused::Param(CLIENT_MAX_WINDOW_BITS.to_owned())),
            Some(Some(window)) => window,
            None => WindowBits::MAX,
        };
        Ok(Agreed {
            server: Direction {
                context_takeover: !granted.server_no_context_takeover,
                window: granted.server_max_window.unwrap_or_default(),
            },
            client: Direction {
                context_takeover: !granted.client_no_context_takeover && !self.client_no_context_takeover,
                window: most.min(given),
            },
        })
    }
}

/// The four parameters (RFC 7692, 7.1), each at most once and in range.
#[derive(Default)]
struct Params {
    server_no_context_takeover: bool,
    client_no_context_takeover: bool,
    server_max_window: Option<WindowBits>,
    /// `Some(None)` without a value.
    client_max_window: Option<Option<WindowBits>>,
}

impl Params {
    /// Reads them, or tells the parameter that is unknown, repeated, out of range, or has a value where none belongs.
    fn read<'h>(extension: &Extension<'h>) -> Result<Self, &'h str> {
        let mut params = Self::default();
        for param in &extension.params {
            let window = || param.value.as_deref().map(|value| WindowBits::parse(value).ok_or(param.name)).transpose();
            let (seen, flag) = match param.name {
                SERVER_NO_CONTEXT_TAKEOVER => {
                    (std::mem::replace(&mut params.server_no_context_takeover, true), param.value.is_none())
                }
                CLIENT_NO_CONTEXT_TAKEOVER => {
                    (std::mem::replace(&mut params.client_no_context_takeover, true), param.value.is_none())
                }
                SERVER_MAX_WINDOW_BITS => {
                    let window = window()?;
                    // This one must have a value (RFC 7692, 7.1.2.1).
                    (std::mem::replace(&mut params.server_max_window, window).is_some(), window.is_some())
                }
                CLIENT_MAX_WINDOW_BITS => (params.client_max_window.replace(window()?).is_some(), true),
                unknown => return Err(unknown),
            };
            if seen || !flag {
                return Err(param.name);
            }
        }
        Ok(params)
    }
}

fn push_window(header: &mut String, name: &str, window: WindowBits) {
    write!(header, "; {name}={window}").expect("a string takes all");
}

/// The extension's registered name.
const NAME: &str = "permessage-deflate";
const SERVER_NO_CONTEXT_TAKEOVER: &str = "server_no_context_takeover";
const CLIENT_NO_CONTEXT_TAKEOVER: &str = "client_no_context_takeover";
const SERVER_MAX_WINDOW_BITS: &str = "server_max_window_bits";
const CLIENT_MAX_WINDOW_BITS: &str = "client_max_window_bits";
