//! Both ends of a connection, with context takeover in each direction and without.

use wire::Peer;
use wire::deflate::{Agreed, Codec, Direction, Effort, Shared};

use crate::sample::{bits, json, noise};

#[test]
fn what_one_end_compresses_the_other_reads() {
    let mut shared = Shared::new(Effort::default());
    for (from_server, from_client, window) in
        [(false, false, 15), (true, false, 15), (false, true, 9), (true, true, 8), (true, true, 15)]
    {
        let agreed = Agreed {
            server: Direction { context_takeover: from_server, window: bits(window) },
            client: Direction { context_takeover: from_client, window: bits(window) },
        };
        // Two connections on one thread, whose messages alternate.
        let mut pairs: [(Codec, Codec); 2] =
            std::array::from_fn(|_| (Codec::new(agreed, Peer::Client), Codec::new(agreed, Peer::Server)));
        for round in 0..40 {
            for (server, client) in &mut pairs {
                for from_client in [true, false] {
                    let (from, to) =
                        if from_client { (&mut *client, &mut *server) } else { (&mut *server, &mut *client) };
                    for message in [json(round, 700), noise(round, 90), Vec::new(), json(round, 70_000)] {
                        let mut payload = Vec::new();
                        from.compress(&mut shared, &message, &mut payload);
                        let read = to.decompress(&mut shared, &payload, 1 << 20).unwrap();
                        assert!(*read == *message, "{agreed:?}, round {round}");
                    }
                }
            }
        }
    }
}
