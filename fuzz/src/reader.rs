//! Reads a fuzzer's octets as steps, and writes seeds that read back as they were meant.

use arbitrary::Unstructured;

/// What is left of an input. Where nothing is left, all numbers are 0.
pub(crate) struct Reader<'a>(Unstructured<'a>);

impl<'a> Reader<'a> {
    pub(crate) fn new(data: &'a [u8]) -> Self {
        Self(Unstructured::new(data))
    }

    pub(crate) fn is_over(&self) -> bool {
        self.0.is_empty()
    }

    pub(crate) fn octet(&mut self) -> u8 {
        self.0.arbitrary().unwrap_or(0)
    }

    /// One octet, as a number.
    pub(crate) fn number(&mut self) -> usize {
        self.octet().into()
    }

    /// Two octets, as a number.
    pub(crate) fn long(&mut self) -> usize {
        self.number() << 8 | self.number()
    }

    /// Octets behind their count, as many as there are.
    pub(crate) fn octets(&mut self) -> &'a [u8] {
        let n = self.number().min(self.0.len());
        self.0.bytes(n).unwrap_or_default()
    }

    /// Up to fifteen sizes behind their count; or `none`.
    pub(crate) fn sizes(&mut self, none: usize) -> Vec<usize> {
        let n = (self.number() % 16).min(self.0.len());
        match self.0.bytes(n) {
            Ok(sizes @ [_, ..]) => sizes.iter().map(|&size| size.into()).collect(),
            _ => vec![none],
        }
    }

    /// All that is left.
    pub(crate) fn rest(mut self) -> &'a [u8] {
        self.0.bytes(self.0.len()).unwrap_or_default()
    }
}
