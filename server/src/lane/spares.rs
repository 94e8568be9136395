//! Buffers of large frames that are through, kept for the next: memory new from the kernel costs as much as copying the
//! frame does.

/// Empty buffers.
#[derive(Debug, Default)]
pub(super) struct Spares {
    buffers: Vec<Vec<u8>>,
    /// Their capacities together.
    bytes: usize,
    /// One was taken since [`Spares::tidy`] last looked.
    used: bool,
}

impl Spares {
    /// An empty buffer for so many bytes at least.
    pub(super) fn take(&mut self, capacity: usize) -> Vec<u8> {
        match self.buffers.iter().rposition(|spare| spare.capacity() >= capacity) {
            Some(index) => {
                let spare = self.buffers.swap_remove(index);
                self.bytes -= spare.capacity();
                self.used = true;
                spare
            }
            None => Vec::with_capacity(capacity),
        }
    }

    /// Gives up all buffers if none was needed lately; true if it is to be called again to see to that.
    pub(super) fn tidy(&mut self) -> bool {
        let used = std::mem::take(&mut self.used);
        if !used {
            *self = Self::default();
        }
        !self.buffers.is_empty()
    }

    /// Keeps a buffer that is no longer needed, if there is room for it.
    pub(super) fn put(&mut self, mut buffer: Vec<u8>) {
        let capacity = buffer.capacity();
        if capacity >= SMALLEST && self.bytes + capacity <= KEPT_SPARES {
            buffer.clear();
            self.bytes += capacity;
            self.buffers.push(buffer);
        }
    }
}

/// Bytes: smaller buffers are as well come by anew.
const SMALLEST: usize = 16 << 10;

/// Bytes that a worker keeps: a few buffers for large messages, not the remains of a burst of them.
const KEPT_SPARES: usize = 4 << 20;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_kept_is_bounded_and_large_enough() {
        let mut spares = Spares::default();
        for _ in 0..10 {
            spares.put(vec![1; 1 << 20]);
        }
        spares.put(vec![1; SMALLEST - 1]);
        assert_eq!((spares.buffers.len(), spares.bytes), (4, KEPT_SPARES));
        let spare = spares.take(1 << 20);
        assert!(spare.is_empty() && spare.capacity() >= 1 << 20);
        assert_eq!((spares.buffers.len(), spares.bytes), (3, 3 << 20));
        assert_eq!(spares.take((1 << 20) + 1).capacity(), (1 << 20) + 1);
        assert_eq!(spares.buffers.len(), 3);
    }

    #[test]
    fn what_is_not_used_for_long_is_given_up() {
        let mut spares = Spares::default();
        spares.put(vec![1; 1 << 20]);
        let spare = spares.take(1 << 20);
        spares.put(spare);
        assert!(spares.tidy(), "it was used");
        assert!(!spares.tidy());
        assert_eq!((spares.buffers.len(), spares.bytes), (0, 0));
    }
}
