//! f32 sums in numpy's order, so that means and thresholds made from them are numpy's to the bit.
//!
//! numpy adds up an array in pieces of 8192. It halves a piece (the first half a multiple of 8 long) until 128 elements or
//! fewer are left, and adds these in eight interleaved partial sums. In: elements in row-major order.

/// Elements that one call of numpy's inner loop gets.
const PIECE: usize = 8192;

/// Arrays of up to this many elements are not halved.
const BLOCK: usize = 128;

/// The sum of `f(x)` over all elements.
pub fn sum_of(x: &[f32], f: impl Fn(f32) -> f32 + Copy) -> f32 {
    x.chunks(PIECE).fold(0.0, |sum, piece| sum + sum_of_piece(piece, f))
}

fn sum_of_piece(x: &[f32], f: impl Fn(f32) -> f32 + Copy) -> f32 {
    if x.len() > BLOCK {
        let half = x.len() / 2;
        let (first, second) = x.split_at(half - half % 8);
        return sum_of_piece(first, f) + sum_of_piece(second, f);
    }
    let (eights, rest) = x.as_chunks::<8>();
    let Some((first, others)) = eights.split_first() else { return rest.iter().fold(0.0, |sum, &v| sum + f(v)) };
    let mut r = first.map(f);
    for eight in others {
        for (r, &v) in r.iter_mut().zip(eight) {
            *r += f(v);
        }
    }
    let sum = ((r[0] + r[1]) + (r[2] + r[3])) + ((r[4] + r[5]) + (r[6] + r[7]));
    rest.iter().fold(sum, |sum, &v| sum + f(v))
}

/// The mean of `f(x)`: the f32 sum, divided in f64, in f32.
pub fn mean_of(x: &[f32], f: impl Fn(f32) -> f32 + Copy) -> f32 {
    (f64::from(sum_of(x, f)) / x.len() as f64) as f32
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whole_numbers() {
        for n in [0, 1, 7, 8, 9, 127, 128, 129, 130, 1000, 1001] {
            let x: Vec<f32> = (0..n).map(|i| i as f32).collect();
            assert_eq!(sum_of(&x, |v| v), (n * n.max(1) - n) as f32 / 2.0, "{n}");
        }
    }

    /// Sums of numpy 1.24.3 for `1000 * u` with `u` from a linear congruential generator.
    #[test]
    fn the_order_is_numpy_s() {
        let mut state = 7u32;
        let mut next = || {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            (state >> 8) as f32 / 16_777_216.0 * 1000.0
        };
        let x: Vec<f32> = (0..70_000).map(|_| next()).collect();
        let expected = [(7, 0x4577_5db5), (8, 0x457a_af69), (100, 0x4745_b7d6), (129, 0x4784_8c9a), (1000, 0x48ef_9c20), (70_000, 0x4c05_299d)];
        for (n, expected) in expected {
            assert_eq!(sum_of(&x[..n], |v| v).to_bits(), expected, "{n}");
        }
    }

    #[test]
    fn means() {
        assert_eq!(mean_of(&[1.0, -2.0, 6.0], f32::abs), 3.0);
    }
}
