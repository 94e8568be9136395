//! Whatever a header says, both sides of the negotiation judge it alike every time, and what a server grants a client that
//! asked for it accepts.

#![no_main]

use libfuzzer_sys::fuzz_target;

use wire::deflate::{ClientWindow, Direction, Offer, Policy, WindowBits};
use wire::extension::parse_extensions;

fuzz_target!(|input: &[u8]| {
    let [choice, headers @ ..] = input else { return };
    let window = |shift: u8| WindowBits::new(8 + (choice >> shift & 7)).expect("8 to 15");
    let policy = Policy {
        server: Direction { context_takeover: choice & 1 != 0, window: window(2) },
        client: Direction { context_takeover: choice & 2 != 0, window: window(5) },
    };
    let headers: Vec<&[u8]> = headers.split(|&byte| byte == b'\n').collect();
    let malformed = headers.iter().any(|header| parse_extensions(header).is_err());
    match policy.grant(headers.iter().copied()) {
        Err(error) => {
            assert!(malformed);
            assert!(headers.iter().any(|header| error.at <= header.len()));
        }
        Ok(None) => assert!(!malformed),
        Ok(Some((agreed, response))) => {
            assert!(!malformed);
            assert!(agreed.server.window <= policy.server.window);
            assert!(!agreed.server.context_takeover || policy.server.context_takeover);
            assert!(!agreed.client.context_takeover || policy.client.context_takeover);
            // A client that allows all that a response may say.
            let offer = Offer {
                server_no_context_takeover: false,
                client_no_context_takeover: false,
                server_max_window: None,
                client_max_window: ClientWindow::Bounded,
            };
            assert_eq!(offer.judge([response.as_bytes()]), Ok(Some(agreed)));
        }
    }
    let offer = Offer {
        server_no_context_takeover: choice & 4 != 0,
        client_no_context_takeover: choice & 8 != 0,
        server_max_window: (choice & 16 != 0).then(|| window(5)),
        client_max_window: if choice & 32 != 0 { ClientWindow::Silent } else { ClientWindow::AtMost(window(2)) },
    };
    if let Ok(Some(agreed)) = offer.judge(headers) {
        assert!(!offer.server_no_context_takeover || !agreed.server.context_takeover);
        assert!(offer.server_max_window.is_none_or(|most| agreed.server.window <= most));
    }
});
