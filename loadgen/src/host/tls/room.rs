//! Room for what rustls writes: buffers that grow where it says that they are too small.

use std::fmt;
use std::io;

use rustls::unbuffered::{EncodeError, EncryptError, InsufficientSizeError};

use super::Failure;

/// What needs more room than it was given.
pub(super) trait Wants {
    /// How much, if that is what is wrong.
    fn wanted(&self) -> Option<usize>;
}

impl Wants for EncodeError {
    fn wanted(&self) -> Option<usize> {
        match self {
            Self::InsufficientSize(InsufficientSizeError { required_size }) => Some(*required_size),
            Self::AlreadyEncoded => None,
        }
    }
}

impl Wants for EncryptError {
    fn wanted(&self) -> Option<usize> {
        match self {
            Self::InsufficientSize(InsufficientSizeError { required_size }) => Some(*required_size),
            Self::EncryptExhausted => None,
        }
    }
}

/// Has `write` fill `buffer` from `from` on, which grows where there is not enough room; returns how much it took.
pub(super) fn fill<E: Wants + fmt::Display>(
    buffer: &mut Vec<u8>,
    from: usize,
    mut write: impl FnMut(&mut [u8]) -> Result<usize, E>,
) -> io::Result<usize> {
    loop {
        match write(&mut buffer[from..]) {
            Ok(written) => return Ok(written),
            Err(error) => match error.wanted() {
                Some(wanted) if from + wanted > buffer.len() => buffer.resize(from + wanted, 0),
                _ => return Err(io::Error::other(Failure(error.to_string()))),
            },
        }
    }
}

/// Has `write` append to `buffer`.
pub(super) fn append<E: Wants + fmt::Display>(
    buffer: &mut Vec<u8>,
    write: impl FnMut(&mut [u8]) -> Result<usize, E>,
) -> io::Result<()> {
    let from = buffer.len();
    let written = fill(buffer, from, write)?;
    buffer.truncate(from + written);
    Ok(())
}
