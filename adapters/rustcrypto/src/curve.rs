//! Points of P-256 and P-384 as TLS and certificates carry them: uncompressed, and only so
//! (RFC 8446 §4.2.8.2; nobody compresses them in certificates). Code for square roots is not
//! linked.

use alloc::vec::Vec;

use elliptic_curve::point::AffineCoordinates;
use elliptic_curve::{AffinePoint, CurveArithmetic, FieldBytes, PublicKey};

const UNCOMPRESSED: u8 = 4;

/// The point of these octets; none if they are anything else, or it is not on the curve.
pub(crate) fn decode<C: CurveArithmetic>(octets: &[u8]) -> Option<PublicKey<C>> {
    let [UNCOMPRESSED, coordinates @ ..] = octets else {
        return None;
    };
    let (x, y) = coordinates.split_at(coordinates.len() / 2);
    let coordinate = |octets| <&FieldBytes<C>>::try_from(octets).ok();
    let point = AffinePoint::<C>::from_coordinates(coordinate(x)?, coordinate(y)?);
    PublicKey::from_affine(point.into_option()?).ok()
}

/// The octets of a point.
pub(crate) fn encode<C: CurveArithmetic>(point: &AffinePoint<C>) -> Vec<u8> {
    [&[UNCOMPRESSED][..], &point.x(), &point.y()].concat()
}
