//! Compressed messages that are longer than any reply.

use super::*;

#[test]
fn a_longer_compressed_message_is_no_reply_and_what_refers_to_it_is_still_read() {
    let corpus = corpus();
    let noise: Vec<u8> = (0..30_000u32).flat_map(|i| i.wrapping_mul(2_654_435_761).to_le_bytes()).collect();
    for takeover in TAKEOVERS {
        for content in [true, false] {
            let mut per_worker = per_worker(&corpus);
            let mut server = Server::new(takeover);
            let (mut connection, _) = flying(&corpus, &mut per_worker, &terms(takeover, content), 3);
            let mut pushes = [server.fragmented(&noise, 9_999), server.reply(&noise)].concat();
            // Where nothing is inflated, this might be a reply.
            if content || !takeover.0 {
                pushes.extend(server.reply(&vec![0; 300_000]));
            }
            let replies: Vec<u8> = (3..6).flat_map(|i| server.reply(corpus.payload(i))).collect();
            let mut told = Told::default();
            for chunk in [pushes, replies].concat().chunks(1_000) {
                connection.received(&corpus, &mut per_worker, chunk, &mut told).unwrap();
                assert!(
                    connection
                        .websocket
                        .reader
                        .as_ref()
                        .is_none_or(|r| takeover.0 && content || r.stream.capacity() < 4_000)
                );
            }
            connection.abandon(&corpus, &mut told);
            assert_eq!(told.others.len(), told.mismatches.len());
            if takeover.0 && !content {
                // Nothing is inflated: which message is answered cannot be told.
                assert_eq!(told.verified.len() + told.others.len(), 5);
                continue;
            }
            assert_eq!(told.verified, [1, 2, 3], "{takeover:?} {content}");
            assert_eq!(told.others, [("unexpected", 0); 3], "{takeover:?} {content}: {:?}", told.mismatches);
        }
    }
}
