//! f32 sums in numpy's order, so that means and thresholds made from them are numpy's to the bit.
//!
//! numpy adds up an array in pieces of 8192. It halves a piece (the first half a multiple of 8 long) until 128 elements or
//! fewer are left, and adds these in eight interleaved partial sums. In: elements in row-major order.

/// Elements that one call of numpy's inner loop gets.
pub const PIECE: usize = 8192;

/// Arrays of up to this many elements are not halved.
const BLOCK: usize = 128;

/// The sum of `f(x)` over all elements.
#[inline(always)]
pub fn sum_of(x: &[f32], f: impl Fn(f32) -> f32 + Copy) -> f32 {
    let (pieces, rest) = x.as_chunks::<PIECE>();
    // Loops rather than closures, which would not be compiled for the caller's vector unit.
    let mut sum = 0.0;
    for piece in pieces {
        sum += sum_of_piece(piece, f);
    }
    if rest.is_empty() { sum } else { sum + sum_of_halves(rest, f) }
}

/// A whole piece, whose halves all have equal lengths: the sums of its blocks, then of pairs of these.
#[inline(always)]
fn sum_of_piece(x: &[f32; PIECE], f: impl Fn(f32) -> f32 + Copy) -> f32 {
    let mut sums: [f32; PIECE / BLOCK] = [0.0; PIECE / BLOCK];
    for (sum, block) in sums.iter_mut().zip(x.as_chunks::<BLOCK>().0) {
        *sum = sum_of_block(block, f);
    }
    let mut count = sums.len();
    while count > 1 {
        count /= 2;
        for i in 0..count {
            sums[i] = sums[2 * i] + sums[2 * i + 1];
        }
    }
    sums[0]
}

fn sum_of_halves(x: &[f32], f: impl Fn(f32) -> f32 + Copy) -> f32 {
    if x.len() <= BLOCK {
        return sum_of_block(x, f);
    }
    let half = x.len() / 2;
    let (first, second) = x.split_at(half - half % 8);
    sum_of_halves(first, f) + sum_of_halves(second, f)
}

#[inline(always)]
fn sum_of_block(x: &[f32], f: impl Fn(f32) -> f32 + Copy) -> f32 {
    let (eights, rest) = x.as_chunks::<8>();
    let mut sum = 0.0;
    if let Some((first, others)) = eights.split_first() {
        let mut r = *first;
        for r in &mut r {
            *r = f(*r);
        }
        for eight in others {
            for lane in 0..8 {
                r[lane] += f(eight[lane]);
            }
        }
        sum = ((r[0] + r[1]) + (r[2] + r[3])) + ((r[4] + r[5]) + (r[6] + r[7]));
    }
    for &v in rest {
        sum += f(v);
    }
    sum
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
