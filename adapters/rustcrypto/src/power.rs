//! Powers modulo an odd number, by Montgomery's multiplication (P. L. Montgomery, "Modular
//! Multiplication Without Trial Division", 1985).
//!
//! For public numbers only: it takes a time that depends on them. A library of big numbers would
//! be ten times as much code in flash, for the sake of secrets and of sizes that do not occur.

/// The longest modulus: 4096 bits.
const MAX_LIMBS: usize = 128;

/// A number below 2^4096, the least significant limb first.
type Number = [u32; MAX_LIMBS];

const ONE: Number = {
    let mut one = [0; MAX_LIMBS];
    one[0] = 1;
    one
};

/// An odd number above one, and `R`, the power of 2^32 that is next above it.
pub(crate) struct Modulus {
    number: Number,
    /// How many limbs of a number count.
    len: usize,
    /// That by which `number` gives −1 modulo 2^32.
    inverse: u32,
}

impl Modulus {
    /// None if these octets, the most significant first and not zero, are not such a number.
    pub(crate) fn new(octets: &[u8]) -> Option<Self> {
        let len = octets.len().div_ceil(4);
        let number = (len <= MAX_LIMBS).then(|| number(octets))?;
        if number[0].is_multiple_of(2) || number == ONE || *octets.first()? == 0 {
            return None;
        }
        // An odd number is its own inverse modulo 8, and each step doubles the bits that are right.
        let mut inverse = number[0];
        for _ in 0..4 {
            let product = number[0].wrapping_mul(inverse);
            inverse = inverse.wrapping_mul(2_u32.wrapping_sub(product));
        }
        Some(Self { number, len, inverse: inverse.wrapping_neg() })
    }

    /// Replaces a number below the modulus by its power. The exponent is one at least.
    pub(crate) fn power(&self, octets: &mut [u8], exponent: u64) {
        // Exponents have few bits set, so that nothing is gained by windows.
        let base = self.multiply(&number(octets), &self.square_of_r());
        let mut power = base;
        for bit in (0..exponent.ilog2()).rev() {
            power = self.multiply(&power, &power);
            if exponent >> bit & 1 == 1 {
                power = self.multiply(&power, &base);
            }
        }
        let power = self.multiply(&power, &ONE);
        for (part, limb) in octets.rchunks_mut(4).zip(power) {
            part.copy_from_slice(&limb.to_be_bytes()[4 - part.len()..]);
        }
    }

    /// `R² mod n`: multiplied with it, a number becomes `R` times itself.
    fn square_of_r(&self) -> Number {
        // From the highest bit of n, the largest power of two below n, doubled up to 2R.
        let unused = self.number[self.len - 1].leading_zeros();
        let mut x = [0; MAX_LIMBS];
        x[self.len - 1] = 1 << (31 - unused);
        for _ in 0..unused + 2 {
            self.double(&mut x);
        }
        // 2^k R squared is 2^2k R. R² is what k reaches when its bits are those of R's exponent.
        let exponent = 32 * self.len;
        for bit in (0..exponent.ilog2()).rev() {
            x = self.multiply(&x, &x);
            if exponent >> bit & 1 == 1 {
                self.double(&mut x);
            }
        }
        x
    }

    fn double(&self, x: &mut Number) {
        let mut carry = 0;
        for limb in &mut x[..self.len] {
            (*limb, carry) = (*limb << 1 | carry, *limb >> 31);
        }
        self.reduce(x, carry);
    }

    /// `a b / R mod n`, of numbers below the modulus.
    fn multiply(&self, a: &Number, b: &Number) -> Number {
        let mut sum = [0; MAX_LIMBS];
        let mut above = 0;
        for &digit in &b[..self.len] {
            // The multiple of n that makes the lowest limb zero, which then falls off. No step
            // overflows: (2^32 − 1)² + 2 (2^32 − 1) is 2^64 − 1.
            let first = wide(sum[0]) + wide(a[0]) * wide(digit);
            let multiple = (first as u32).wrapping_mul(self.inverse);
            let zero = wide(first as u32) + wide(self.number[0]) * wide(multiple);
            let (mut of_a, mut of_n) = (first >> 32, zero >> 32);
            for at in 1..self.len {
                let with_a = wide(sum[at]) + wide(a[at]) * wide(digit) + of_a;
                of_a = with_a >> 32;
                let with_n = wide(with_a as u32) + wide(self.number[at]) * wide(multiple) + of_n;
                of_n = with_n >> 32;
                sum[at - 1] = with_n as u32;
            }
            let last = wide(above) + of_a + of_n;
            sum[self.len - 1] = last as u32;
            above = (last >> 32) as u32;
        }
        self.reduce(&mut sum, above);
        sum
    }

    /// Takes the modulus away once if the number, with what is above its limbs, is not below it.
    fn reduce(&self, x: &mut Number, above: u32) {
        let (x, modulus) = (&mut x[..self.len], &self.number[..self.len]);
        if above == 0 && x.iter().rev().lt(modulus.iter().rev()) {
            return;
        }
        let mut borrow = false;
        for (limb, &less) in x.iter_mut().zip(modulus) {
            let (difference, first) = limb.overflowing_sub(less);
            let (difference, second) = difference.overflowing_sub(borrow.into());
            (*limb, borrow) = (difference, first || second);
        }
    }
}

fn wide(limb: u32) -> u64 {
    limb.into()
}

/// At most as many octets as a number has, the most significant first.
fn number(octets: &[u8]) -> Number {
    let mut number = [0; MAX_LIMBS];
    for (limb, part) in number.iter_mut().zip(octets.rchunks(4)) {
        *limb = part.iter().fold(0, |limb, &octet| limb << 8 | u32::from(octet));
    }
    number
}

#[cfg(test)]
mod tests {
    use std::vec;
    use std::vec::Vec;

    use crypto_bigint::modular::{BoxedMontyForm, BoxedMontyParams};
    use crypto_bigint::{BoxedUint, Odd};
    use sha2::Digest;

    use super::*;

    /// What a library of big numbers says.
    fn expected(modulus: &[u8], base: &[u8], exponent: u64) -> Vec<u8> {
        let number = BoxedUint::from_be_slice_vartime;
        let params = BoxedMontyParams::new_vartime(Odd::new(number(modulus)).unwrap());
        let power = BoxedMontyForm::new(number(base), &params).pow(&BoxedUint::from(exponent));
        let octets = power.retrieve().to_be_bytes();
        octets[octets.len() - modulus.len()..].into()
    }

    fn assert_power(modulus: &[u8], base: &[u8], exponent: u64) {
        let mut power = Vec::from(base);
        Modulus::new(modulus).unwrap().power(&mut power, exponent);
        assert_eq!(
            power,
            expected(modulus, base, exponent),
            "{modulus:02x?} {base:02x?} {exponent}"
        );
    }

    /// Octets that have no pattern, but are the same each time.
    fn octets(len: usize, seed: usize) -> Vec<u8> {
        let blocks = (0_u64..).flat_map(|at| {
            let digest =
                sha2::Sha256::digest([at.to_be_bytes(), (seed as u64).to_be_bytes()].concat());
            <[u8; 32]>::from(digest)
        });
        blocks.take(len).collect()
    }

    #[test]
    fn powers_are_those_of_a_library() {
        let mut compared = 0;
        for len in (1..=40).chain([127, 128, 129, 255, 256, 257, 383, 384, 509, 510, 511, 512]) {
            for seed in 0..8 {
                let mut modulus = octets(len, seed);
                // With its highest bit set or not, and in one case with all of them.
                match seed {
                    0 => modulus.fill(0xff),
                    1..4 => modulus[0] |= 0x80,
                    _ => modulus[0] = modulus[0] >> 4 | 1,
                }
                modulus[len - 1] |= 3;
                let mut base = octets(len, seed + 100);
                base[0] %= modulus[0];
                let mut largest = modulus.clone();
                largest[len - 1] -= 1;
                for exponent in [1, 2, 3, 17, 65537, 0x1_ffff_ffff] {
                    for base in [&base, &largest, &vec![0; len], &octets_of(1, len)] {
                        assert_power(&modulus, base, exponent);
                        compared += 1;
                    }
                }
            }
        }
        std::println!("{compared} powers compared");
        assert_eq!(compared, 52 * 8 * 6 * 4);
    }

    fn octets_of(value: u8, len: usize) -> Vec<u8> {
        let mut octets = vec![0; len];
        octets[len - 1] = value;
        octets
    }

    #[test]
    fn moduli_are_odd_and_of_4096_bits_at_most() {
        assert!(Modulus::new(&[0xff; 512]).is_some());
        assert!(Modulus::new(&[0xff; 513]).is_none());
        assert!(Modulus::new(&[3]).is_some());
        for refused in [&[][..], &[0], &[1], &[2], &[0, 3], &[0xff, 0xfe]] {
            assert!(Modulus::new(refused).is_none(), "{refused:?}");
        }
    }
}
