//! Output of the negotiation and of TLS that waits for room in the send buffer.

use alloc::vec::Vec;

use crate::wire::Out;

/// Messages longer than the room there was: of the negotiation, handshake flights, alerts and key
/// updates; never application data.
#[derive(Debug, Default)]
pub(crate) struct Spill {
    octets: Vec<u8>,
    drained: usize,
}

impl Spill {
    pub(crate) fn is_empty(&self) -> bool {
        self.octets.is_empty()
    }

    /// Appends what `fill` writes into `length` octets.
    pub(crate) fn append<E>(
        &mut self,
        length: usize,
        fill: impl FnOnce(&mut [u8]) -> Result<usize, E>,
    ) -> Result<(), E> {
        let end = self.octets.len();
        self.octets.resize(end + length, 0);
        let written = self.octets.get_mut(end..).map_or(Ok(0), fill);
        self.octets.truncate(end + written.as_ref().map_or(0, |&n| n.min(length)));
        written.map(|_| ())
    }

    /// Moves as much as fits to `out`, and frees the memory once all of it did.
    pub(crate) fn drain(&mut self, out: &mut Out<'_>) {
        let waiting = self.octets.get(self.drained..).unwrap_or_default();
        self.drained += out.put_some(waiting);
        if self.drained == self.octets.len() {
            *self = Self::default();
        }
    }
}
