//! Sessions of one server that can be resumed (`--tls-resume on`). rustls's own store keeps 8 tickets of a server, which is
//! enough for a browser: here thousands of connections may come back at the same time, each with a ticket of its own.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

use rustls::NamedGroup;
use rustls::client::{ClientSessionStore, Tls12ClientSessionValue, Tls13ClientSessionValue};
use rustls::pki_types::ServerName;

/// The sessions of one server; all connections to it share them.
#[derive(Debug)]
pub(super) struct Sessions {
    kept: Mutex<Kept>,
    /// Whether they are only collected for now.
    held_back: AtomicBool,
}

#[derive(Debug)]
struct Kept {
    /// The tickets of TLS 1.3 that are kept at the most.
    most_tickets: usize,
    group: Option<NamedGroup>,
    /// With TLS 1.2 a session may be resumed any number of times.
    tls12: Option<Tls12ClientSessionValue>,
    /// With TLS 1.3 a ticket is for one connection (RFC 8446, C.4).
    tls13: VecDeque<Tls13ClientSessionValue>,
}

impl Sessions {
    /// From now on sessions are only collected and none is resumed, until they are [released](Sessions::release). So many
    /// connections are to have a ticket then.
    pub(super) fn hold_back(&self, connections: usize) {
        let mut kept = self.kept();
        kept.most_tickets = kept.most_tickets.max(connections);
        self.held_back.store(true, Ordering::Relaxed);
    }

    /// From now on sessions are resumed.
    pub(super) fn release(&self) {
        self.held_back.store(false, Ordering::Relaxed);
    }

    fn are_held_back(&self) -> bool {
        self.held_back.load(Ordering::Relaxed)
    }

    fn kept(&self) -> MutexGuard<'_, Kept> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Sessions are resumed as soon as there are any.
impl Default for Sessions {
    fn default() -> Self {
        let kept = Kept { most_tickets: MOST_TICKETS, group: None, tls12: None, tls13: VecDeque::new() };
        Self { kept: Mutex::new(kept), held_back: AtomicBool::new(false) }
    }
}

// The server's name is always the same: a store belongs to one server.
impl ClientSessionStore for Sessions {
    fn set_kx_hint(&self, _: ServerName<'static>, group: NamedGroup) {
        self.kept().group = Some(group);
    }

    fn kx_hint(&self, _: &ServerName<'_>) -> Option<NamedGroup> {
        self.kept().group
    }

    fn set_tls12_session(&self, _: ServerName<'static>, session: Tls12ClientSessionValue) {
        self.kept().tls12 = Some(session);
    }

    fn tls12_session(&self, _: &ServerName<'_>) -> Option<Tls12ClientSessionValue> {
        if self.are_held_back() { None } else { self.kept().tls12.clone() }
    }

    fn remove_tls12_session(&self, _: &ServerName<'static>) {
        self.kept().tls12 = None;
    }

    fn insert_tls13_ticket(&self, _: ServerName<'static>, ticket: Tls13ClientSessionValue) {
        let mut kept = self.kept();
        if kept.tls13.len() >= kept.most_tickets {
            kept.tls13.pop_front();
        }
        kept.tls13.push_back(ticket);
    }

    fn take_tls13_ticket(&self, _: &ServerName<'static>) -> Option<Tls13ClientSessionValue> {
        if self.are_held_back() { None } else { self.kept().tls13.pop_back() }
    }
}

/// Tickets at the most, unless more connections are to come back: several times as many as there are handshakes at the same time.
/// Each is about 1 KB, and 64 KiB where a server means ill (RFC 8446, 4.6.1), so that they never take more than 64 MiB.
const MOST_TICKETS: usize = 1 << 10;

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use rustls::pki_types::PrivatePkcs8KeyDer;
    use rustls::{Connection, ServerConfig, ServerConnection};

    use super::super::{Client, provider};
    use super::*;
    use crate::plan::tls::Tls;

    /// A handshake with a server that sends so many tickets after it, in memory.
    fn shake_hands(client: &Client, tickets: usize) {
        let rcgen::CertifiedKey { cert, signing_key } =
            rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
        let key = PrivatePkcs8KeyDer::from(signing_key.serialize_der()).into();
        let builder = ServerConfig::builder_with_provider(Arc::new(provider())).with_safe_default_protocol_versions();
        let mut config = builder.unwrap().with_no_client_auth().with_single_cert(vec![cert.into()], key).unwrap();
        config.alpn_protocols = vec![b"http/1.1".to_vec()];
        config.send_tls13_tickets = tickets;
        let server = ServerConnection::new(Arc::new(config)).unwrap();
        let mut ends: [Connection; 2] = [client.connection().unwrap().into(), server.into()];
        while ends.iter().any(|end| end.wants_write()) {
            let mut bytes = Vec::new();
            while ends[0].wants_write() {
                ends[0].write_tls(&mut bytes).unwrap();
            }
            let mut rest = &bytes[..];
            while !rest.is_empty() {
                ends[1].read_tls(&mut rest).unwrap();
                ends[1].process_new_packets().unwrap();
            }
            ends.reverse();
        }
    }

    #[test]
    fn a_server_that_sends_tickets_without_end_takes_bounded_memory() {
        let client = Client::new("localhost", &Tls { insecure: true, resume: true, ..Tls::default() }).unwrap();
        let kept = || client.sessions.as_ref().unwrap().kept().tls13.len();
        // In a single handshake there is no room for many more.
        let many = 100;
        shake_hands(&client, many);
        assert_eq!(kept(), many);
        // Each handshake takes a ticket, too.
        (0..=MOST_TICKETS / (many - 1)).for_each(|_| shake_hands(&client, many));
        assert_eq!(kept(), MOST_TICKETS);
        client.hold_sessions_back(MOST_TICKETS + many);
        (0..2).for_each(|_| shake_hands(&client, many));
        assert_eq!(kept(), MOST_TICKETS + many);
    }
}
