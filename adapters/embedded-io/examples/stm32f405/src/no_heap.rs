//! There is no heap.

use crate::failure::Failure;

pub(crate) fn start() {}

/// Nothing is needed.
///
/// # Errors
/// None.
pub fn check() -> Result<(), Failure> {
    Ok(())
}

/// Nothing is used.
pub fn peak() -> usize {
    0
}

pub(crate) fn is_exhausted() -> bool {
    false
}
