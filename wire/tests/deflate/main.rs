//! permessage-deflate as bytes: RFC 7692's examples, every trap that others fell into, and random messages both ways.

mod codec;
mod compressor;
mod decompressor;
mod echo;
mod negotiation;
mod sample;
