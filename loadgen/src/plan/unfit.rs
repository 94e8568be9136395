//! Which plans are not for what is spoken with a server.

use std::ops::RangeInclusive;

use crate::plan::url::Scheme;
use crate::plan::{Expect, Payload, Plan, Sizes, default_udp_offload, default_udp_timeout};

impl Plan {
    /// Why this is no plan for what is spoken with the server; `None` if it is one. TCP alone has neither a handshake nor
    /// messages; UDP has messages of some size.
    pub fn unfit_for(&self, scheme: Scheme) -> Option<String> {
        let alone = match scheme {
            Scheme::Ws | Scheme::Wss => return None,
            Scheme::Tcp => "TCP alone (tcp://)",
            Scheme::Udp => "UDP alone (udp://)",
        };
        let for_websocket = [
            ("--header", !self.connect.headers.is_empty()),
            ("--subprotocol", !self.connect.subprotocols.is_empty()),
            ("--permessage-deflate", self.connect.permessage_deflate.is_some()),
            ("--expect template or order", self.expect != Expect::Echo),
            ("--skip-messages", self.skip_messages > 0),
        ];
        if let Some((flag, _)) = for_websocket.iter().find(|(_, given)| *given) {
            return Some(format!("{flag} is for WebSocket, and the server is for {alone}"));
        }
        let sized = !matches!(self.message.payload, Payload::File(_));
        if scheme == Scheme::Udp {
            if self.connect.proxy.is_some() {
                return Some(
                    "--proxy is for TCP, and the server is for UDP alone (udp://): an HTTP proxy passes no datagrams on; expected no \
                     --proxy, or a server at ws://, wss:// or tcp://"
                        .to_owned(),
                );
            }
            return if sized { too_small_or_large("--size", self.message.size) } else { None };
        }
        (sized && self.message.size.min() == 0).then(|| {
            "--size 0: nothing comes back for a message without bytes where the server is for TCP alone (tcp://); expected 1 byte at \
             least"
                .to_owned()
        })
    }

    /// Why this is nothing for a server that no datagrams are sent to; `None` where nothing was said of them.
    pub fn unfit_without_udp(&self) -> Option<String> {
        let given = [
            ("--udp-timeout", self.udp_timeout != default_udp_timeout()),
            ("--udp-offload", self.udp_offload != default_udp_offload()),
        ];
        let (flag, _) = given.into_iter().find(|(_, given)| *given)?;
        Some(format!(
            "{flag} is for UDP, and the server's URL is not udp://; expected udp://HOST:PORT, or no such flag"
        ))
    }
}

/// Why messages of these sizes, which `flag` has asked for, are no datagrams; `None` if they are.
pub fn too_small_or_large(flag: &str, size: Sizes) -> Option<String> {
    let (least, most) = (DATAGRAM_BYTES.start(), DATAGRAM_BYTES.end());
    let fits = [size.min(), size.max()].iter().all(|bytes| DATAGRAM_BYTES.contains(bytes));
    (!fits).then(|| {
        format!(
            "{flag}: {size} for UDP (udp://), where a message has from {least} bytes, its number, to {most}, the most that a \
             datagram of IPv4 has room for"
        )
    })
}

/// Bytes of a message that is a datagram: at least its number, and at most what IPv4 has room for (65,535 bytes less the
/// headers of IP and UDP; RFC 791, RFC 768).
const DATAGRAM_BYTES: RangeInclusive<usize> = 8..=65_507;
