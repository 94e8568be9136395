//! The handshake, parameter by parameter (RFC 7692, 5 and 7.1).

use proptest::prelude::*;
use wire::deflate::{Agreed, ClientWindow, Direction, Offer, Policy, Refused, WindowBits};

use crate::sample::bits;

fn direction(context_takeover: bool, window: u8) -> Direction {
    Direction { context_takeover, window: bits(window) }
}

fn policy(server: (bool, u8), client: (bool, u8)) -> Policy {
    Policy { server: direction(server.0, server.1), client: direction(client.0, client.1) }
}

const OFFER: Offer = Offer {
    server_no_context_takeover: false,
    client_no_context_takeover: false,
    server_max_window: None,
    client_max_window: ClientWindow::Silent,
};

fn grant(policy: &Policy, headers: &[&str]) -> Option<String> {
    policy.grant(headers.iter().map(|header| header.as_bytes())).unwrap().map(|(_, response)| response)
}

#[test]
fn what_is_granted_is_what_both_can_keep_to() {
    let all = policy((true, 15), (true, 15));
    let none = policy((false, 15), (false, 15));
    let small = policy((true, 10), (true, 11));
    let cases = [
        (&all, "permessage-deflate", "permessage-deflate"),
        (&all, "permessage-deflate; client_max_window_bits", "permessage-deflate"),
        (&all, "permessage-deflate; client_max_window_bits=15", "permessage-deflate"),
        (&all, "permessage-deflate; client_max_window_bits=9", "permessage-deflate; client_max_window_bits=9"),
        (&all, "permessage-deflate; server_max_window_bits=9", "permessage-deflate; server_max_window_bits=9"),
        (&all, "permessage-deflate; server_max_window_bits=\"8\"", "permessage-deflate; server_max_window_bits=8"),
        (&all, "permessage-deflate; server_max_window_bits=15", "permessage-deflate; server_max_window_bits=15"),
        (&all, "permessage-deflate; server_no_context_takeover", "permessage-deflate; server_no_context_takeover"),
        (&all, "permessage-deflate; client_no_context_takeover", "permessage-deflate; client_no_context_takeover"),
        (
            &none,
            "permessage-deflate; client_max_window_bits",
            "permessage-deflate; server_no_context_takeover; client_no_context_takeover",
        ),
        (&small, "permessage-deflate", "permessage-deflate; server_max_window_bits=10"),
        (
            &small,
            "permessage-deflate; client_max_window_bits; server_max_window_bits=12",
            "permessage-deflate; server_max_window_bits=10; client_max_window_bits=11",
        ),
    ];
    for (policy, offered, response) in cases {
        assert_eq!(grant(policy, &[offered]).as_deref(), Some(response), "{offered}");
    }
}

#[test]
fn an_offer_that_cannot_be_kept_to_is_passed_over_for_the_next() {
    let all = policy((true, 15), (true, 15));
    let declined = [
        "unknown",
        "server_no_context_takeover=1",
        "client_no_context_takeover=true",
        "server_no_context_takeover; server_no_context_takeover",
        "client_no_context_takeover; client_no_context_takeover",
        "server_max_window_bits",
        "server_max_window_bits=7",
        "server_max_window_bits=16",
        "server_max_window_bits=010",
        "server_max_window_bits=1e1",
        "server_max_window_bits=99999999999999999999",
        "server_max_window_bits=10; server_max_window_bits=10",
        "client_max_window_bits=7",
        "client_max_window_bits=16",
        "client_max_window_bits=\"x\"",
        "client_max_window_bits; client_max_window_bits=10",
        "Server_no_context_takeover",
    ];
    for params in declined {
        let offered = format!("permessage-deflate; {params}");
        assert_eq!(grant(&all, &[&offered]), None, "{params}");
        let fallback = format!("{offered}, permessage-deflate; server_max_window_bits=12");
        let granted = Some("permessage-deflate; server_max_window_bits=12".to_owned());
        assert_eq!(grant(&all, &[&fallback]), granted, "{params}, in one header");
        assert_eq!(grant(&all, &["x-webkit; a=b", &offered, &fallback]), granted, "{params}, in several");
    }
    assert_eq!(grant(&all, &[]), None);
    assert_eq!(grant(&all, &["", "permessage-bzip2, deflate-frame"]), None);
    // The first that can be kept to wins, though a later one would allow more.
    let both = ["permessage-deflate; server_no_context_takeover, permessage-deflate"];
    assert_eq!(grant(&all, &both).unwrap(), "permessage-deflate; server_no_context_takeover");
}

#[test]
fn malformed_offers_fail_the_handshake_wherever_they_stand() {
    let all = policy((true, 15), (true, 15));
    for offered in [&["permessage-deflate;"][..], &["permessage-deflate", "a b"], &["permessage-deflate, b=c"]] {
        assert!(all.grant(offered.iter().map(|header| header.as_bytes())).is_err(), "{offered:?}");
    }
}

fn judge(offer: &Offer, headers: &[&str]) -> Result<Option<Agreed>, Refused> {
    offer.judge(headers.iter().map(|header| header.as_bytes()))
}

#[test]
fn a_client_accepts_only_what_it_offered() {
    let narrow = Offer {
        server_no_context_takeover: true,
        server_max_window: Some(bits(10)),
        client_max_window: ClientWindow::AtMost(bits(12)),
        ..OFFER
    };
    let fine = "permessage-deflate; server_no_context_takeover; server_max_window_bits=10";
    let agreed = |server, client| Ok(Some(Agreed { server, client }));
    assert_eq!(judge(&OFFER, &[]), Ok(None));
    assert_eq!(judge(&OFFER, &["permessage-deflate"]), agreed(direction(true, 15), direction(true, 15)));
    assert_eq!(judge(&narrow, &[fine]), agreed(direction(false, 10), direction(true, 12)));
    let smaller = "permessage-deflate; server_no_context_takeover; server_max_window_bits=9; client_max_window_bits=8";
    assert_eq!(judge(&narrow, &[smaller]), agreed(direction(false, 9), direction(true, 8)));
    // A server may bound its own window and forgo takeover unasked, and ask the client to forgo it.
    let unasked =
        "permessage-deflate; server_no_context_takeover; client_no_context_takeover; server_max_window_bits=9";
    assert_eq!(judge(&OFFER, &[unasked]), agreed(direction(false, 9), direction(false, 15)));
    let silent = Offer { client_no_context_takeover: true, ..OFFER };
    assert_eq!(judge(&silent, &["permessage-deflate"]), agreed(direction(true, 15), direction(false, 15)));

    let refused = [
        (&OFFER, "permessage-bzip2"),
        (&OFFER, "permessage-deflate, permessage-deflate"),
        (&OFFER, "permessage-deflate; unknown"),
        (&OFFER, "permessage-deflate; client_max_window_bits=15"),
        (&OFFER, "permessage-deflate; server_max_window_bits=16"),
        (&OFFER, "permessage-deflate; server_max_window_bits"),
        (&OFFER, "permessage-deflate;;"),
        (&narrow, "permessage-deflate; server_max_window_bits=10"),
        (&narrow, "permessage-deflate; server_no_context_takeover"),
        (&narrow, "permessage-deflate; server_no_context_takeover; server_max_window_bits=11"),
        (&narrow, "permessage-deflate; server_no_context_takeover; server_max_window_bits=10; client_max_window_bits"),
    ];
    for (offer, response) in refused {
        assert!(judge(offer, &[response]).is_err(), "{response}");
    }
}

fn any_bits() -> impl Strategy<Value = WindowBits> {
    (8..=15_u8).prop_map(bits)
}

proptest! {
    /// Whatever a client offers and a server is willing to do, the client accepts the answer and both understand the same.
    #[test]
    fn both_sides_agree(
        flags: [bool; 4],
        windows in prop::array::uniform4(any_bits()),
        asks: bool,
        says in 0..3_usize,
    ) {
        let offer = Offer {
            server_no_context_takeover: flags[0],
            client_no_context_takeover: flags[1],
            server_max_window: asks.then_some(windows[0]),
            client_max_window: [ClientWindow::Silent, ClientWindow::Bounded, ClientWindow::AtMost(windows[1])][says],
        };
        let policy = Policy {
            server: Direction { context_takeover: flags[2], window: windows[2] },
            client: Direction { context_takeover: flags[3], window: windows[3] },
        };
        let (agreed, response) = policy.grant([offer.header().as_bytes()]).unwrap().unwrap();
        prop_assert_eq!(offer.judge([response.as_bytes()]), Ok(Some(agreed)), "{} -> {}", offer.header(), response);
    }

    #[test]
    fn no_header_makes_it_panic(header in "(permessage-deflate|[a-z]|[;,=\" \\\\_0-9-]|client_max_window_bits|\\PC){0,20}") {
        let _ = policy((true, 15), (true, 15)).grant([header.as_bytes()]);
        let _ = OFFER.judge([header.as_bytes()]);
    }
}
