//! What messages say, made from the plan's seed.

use rand::RngExt as _;
use rand::rngs::SmallRng;

use crate::plan::{Kind, Message, Payload};

/// One payload of the plan's kind and size.
pub(super) fn payload(message: &Message, rng: &mut SmallRng) -> Vec<u8> {
    let size = rng.random_range(message.size.min()..=message.size.max());
    match (&message.payload, message.kind) {
        (Payload::Json, _) => json(size, rng),
        (_, Kind::Text) => (0..size).map(|_| rng.random_range(b' '..=b'~')).collect(),
        (_, Kind::Binary) => {
            let mut bytes = vec![0; size];
            rng.fill(&mut bytes[..]);
            bytes
        }
    }
}

/// Trades as an exchange streams them, cut to `size` bytes: it compresses about as well as such traffic does.
fn json(size: usize, rng: &mut SmallRng) -> Vec<u8> {
    let mut text = String::with_capacity(size + 128);
    while text.len() < size {
        let side = if rng.random() { "buy" } else { "sell" };
        let (id, cents, quantity) =
            (rng.random_range(0..1u32 << 24), rng.random_range(0..99_700), rng.random_range(0..50));
        let (price, cents) = (60_000 + cents / 100, cents % 100);
        text += &format!(
            r#"{{"id":{id},"symbol":"BTC-USD","side":"{side}","price":{price}.{cents:02},"qty":{quantity}}},"#
        );
    }
    text.truncate(size);
    text.into_bytes()
}
