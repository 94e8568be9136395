//! `--listen`: addresses as they are written, and the addresses that names stand for.

use std::io;
use std::net::{SocketAddr, ToSocketAddrs, UdpSocket};
use std::str::FromStr;

use crate::Error;
use crate::config::{Endpoint, Scheme};

/// One `--listen`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Listen {
    scheme: Scheme,
    place: Place,
}

/// Where to listen.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Place {
    /// An address.
    Address(SocketAddr),
    /// A name, or an address in another form than ours, for the system to look up.
    Name {
        /// Without the brackets of an IPv6 address.
        host: String,
        /// The port of every address it stands for.
        port: u16,
    },
}

impl FromStr for Listen {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let Some((scheme, rest)) = text.split_once("://") else {
            return Ok(Self { scheme: Scheme::Ws, place: text.parse()? });
        };
        let known = Scheme::ALL.into_iter().find(|known| known.name().eq_ignore_ascii_case(scheme));
        let scheme = known.ok_or_else(|| {
            let known: Vec<_> = Scheme::ALL.iter().map(|known| format!("{}://", known.name())).collect();
            format!("'{scheme}://' is not served; expected {}, or HOST:PORT alone for ws://", join(&known))
        })?;
        // As the ready line shows it.
        Ok(Self { scheme, place: rest.strip_suffix('/').unwrap_or(rest).parse()? })
    }
}

impl FromStr for Place {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        if let Ok(address) = text.parse() {
            return Ok(Self::Address(address));
        }
        let expected = || "expected HOST:PORT, such as 127.0.0.1:8181, [::]:8181 or localhost:8181".to_owned();
        let (host, port) = text.rsplit_once(':').ok_or_else(expected)?;
        let bracketed = host.strip_prefix('[').and_then(|host| host.strip_suffix(']'));
        if bracketed.is_none() && host.contains(':') {
            return Err("an IPv6 address is written in brackets, such as [::1]:8181".into());
        }
        let host = bracketed.unwrap_or(host);
        let port = port.parse().map_err(|_| format!("'{port}' is no port, which is a number from 0 to 65535"))?;
        if host.is_empty() {
            return Err(expected());
        }
        Ok(Self::Name { host: host.to_owned(), port })
    }
}

/// As people list things.
fn join(names: &[String]) -> String {
    match names {
        [first @ .., last] if !first.is_empty() => format!("{} or {last}", first.join(", ")),
        names => names.concat(),
    }
}

/// Where to listen for what `asked` stand for, each address once for a scheme. A port of 0 stands for another one each time.
///
/// # Errors
/// A name that cannot be looked up.
pub(super) fn resolve(asked: &[Listen]) -> Result<Vec<Endpoint>, Error> {
    let mut endpoints: Vec<Endpoint> = Vec::new();
    for Listen { scheme, place } in asked {
        let scheme = *scheme;
        let (host, port) = match place {
            Place::Address(address) => {
                // Given twice, it is an error of the second bind.
                endpoints.push(Endpoint { scheme, address: *address });
                continue;
            }
            Place::Name { host, port } => (host, *port),
        };
        let fail = |source| Error::Name { host: host.clone(), port, source };
        let found = (host.as_str(), port).to_socket_addrs().map_err(fail)?.collect();
        for address in of_this_machine(host, found) {
            let there = endpoints.contains(&Endpoint { scheme, address })
                || asked.contains(&Listen { scheme, place: Place::Address(address) });
            if port == 0 || !there {
                endpoints.push(Endpoint { scheme, address });
            }
        }
    }
    Ok(endpoints)
}

/// Those of the addresses found for `host` that this machine has, as far as it has any: localhost often stands for ::1
/// too where IPv6 is switched off.
fn of_this_machine(host: &str, found: Vec<SocketAddr>) -> Vec<SocketAddr> {
    let (have, lack): (Vec<_>, Vec<_>) =
        found.iter().map(|&address| (address, is_here(address))).partition(|(_, here)| here.is_ok());
    if have.is_empty() {
        // Binding them says why.
        return found;
    }
    for (address, error) in lack {
        if let Err(error) = error {
            tracing::warn!("--listen {host}:{}: not listening on {address}: {error}", address.port());
        }
    }
    have.into_iter().map(|(address, _)| address).collect()
}

/// Whether this machine has the address, whatever port.
fn is_here(mut address: SocketAddr) -> io::Result<()> {
    address.set_port(0);
    UdpSocket::bind(address).map(drop)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ws(place: Place) -> Result<Listen, String> {
        Ok(Listen { scheme: Scheme::Ws, place })
    }

    fn name(host: &str, port: u16) -> Result<Listen, String> {
        ws(Place::Name { host: host.into(), port })
    }

    #[test]
    fn addresses_and_names_are_read() {
        for address in ["127.0.0.1:8181", "[::1]:0", "[fe80::1%3]:80"] {
            assert_eq!(address.parse(), ws(Place::Address(address.parse().unwrap())));
        }
        assert_eq!("localhost:8181".parse(), name("localhost", 8181));
        assert_eq!("[fe80::1%eth0]:80".parse(), name("fe80::1%eth0", 80));
        for wrong in ["", "localhost", "8181", ":8181", "[]:1", "localhost:", "localhost:70000", "localhost:http"] {
            assert!(wrong.parse::<Listen>().is_err(), "{wrong:?}");
        }
        for (text, scheme) in [
            ("ws://[::1]:80/", Scheme::Ws),
            ("wss://[::1]:80/", Scheme::Wss),
            ("tcp://[::1]:80", Scheme::Tcp),
            ("TCP://[::1]:80", Scheme::Tcp),
            ("udp://[::1]:80", Scheme::Udp),
        ] {
            let place = Place::Address("[::1]:80".parse().unwrap());
            assert_eq!(text.parse(), Ok(Listen { scheme, place }), "{text}");
        }
        for (wrong, why) in [
            ("http://a:1", "'http://' is not served; expected ws://, wss://, tcp:// or udp://"),
            ("tcp://a", "expected HOST:PORT"),
        ] {
            let error = wrong.parse::<Listen>().unwrap_err();
            assert!(error.starts_with(why), "{wrong}: {error}");
        }
        assert!("::1:8181".parse::<Listen>().unwrap_err().contains("brackets"));
    }

    #[test]
    fn a_name_adds_what_is_not_there_yet() {
        let asked = |texts: &[&str]| {
            let asked: Vec<Listen> = texts.iter().map(|text| text.parse().unwrap()).collect();
            resolve(&asked).unwrap().iter().map(Endpoint::to_string).collect::<Vec<_>>()
        };
        // A form of 127.0.0.1 that the system reads without asking anybody.
        assert_eq!(asked(&["127.1:80"]), ["127.0.0.1:80"]);
        assert_eq!(asked(&["127.1:80", "127.0.0.1:80"]), ["127.0.0.1:80"]);
        assert_eq!(asked(&["127.0.0.1:80", "127.1:80"]), ["127.0.0.1:80"]);
        let each = ["127.0.0.1:80", "tcp://127.0.0.1:80"];
        assert_eq!(asked(&["127.1:80", "tcp://127.1:80"]), each, "which is an error of the second bind");
        assert_eq!(asked(&["127.1:0", "127.0.0.1:0"]), ["127.0.0.1:0", "127.0.0.1:0"]);
    }

    #[test]
    fn addresses_of_other_machines_are_left_out_beside_ours() {
        let of = |addresses: &[&str]| {
            let found = addresses.iter().map(|address| address.parse().unwrap()).collect();
            of_this_machine("name", found).iter().map(SocketAddr::to_string).collect::<Vec<_>>()
        };
        // 192.0.2.0/24 is for documentation (RFC 5737).
        assert_eq!(of(&["192.0.2.1:80", "127.0.0.1:80"]), ["127.0.0.1:80"]);
        assert_eq!(of(&["127.0.0.1:80", "127.0.0.2:80"]), ["127.0.0.1:80", "127.0.0.2:80"]);
        assert_eq!(of(&["192.0.2.1:80"]), ["192.0.2.1:80"]);
    }
}
