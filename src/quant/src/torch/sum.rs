//! f32 sums in the order of PyTorch's CPU kernel: eight lanes, four rows side by side, and partial sums that are put away
//! level by level so that small numbers are not lost in large ones.

const LANES: usize = 8;
const ROWS: usize = 4;
const LEVELS: usize = 4;

type Lanes = [f32; LANES];

pub fn sum(x: &[f32]) -> f32 {
    let (vectors, rest) = x.as_chunks::<LANES>();
    let (groups, single) = vectors.as_chunks::<ROWS>();
    let mut rows = cascade(groups);
    single.iter().for_each(|v| add(&mut rows[0], v));
    let [mut total, others @ ..] = rows;
    others.iter().for_each(|row| add(&mut total, row));
    let rest = rest.iter().fold(0.0, |sum, v| sum + v);
    total.iter().fold(rest, |sum, v| sum + v)
}

fn add(sum: &mut Lanes, v: &Lanes) {
    sum.iter_mut().zip(v).for_each(|(sum, v)| *sum += v);
}

/// Sums of the four rows. After every `2^(power * k)` groups the sums of level `k - 1` move to level `k`.
fn cascade(groups: &[[Lanes; ROWS]]) -> [Lanes; ROWS] {
    let log2 = groups.len().next_power_of_two().trailing_zeros() as usize;
    let power = (log2 / LEVELS).max(4);
    let step = 1 << power;
    let mut levels = [[[0f32; LANES]; ROWS]; LEVELS];
    let whole = groups.len() / step * step;
    for (i, group) in groups.iter().enumerate() {
        (0..ROWS).for_each(|k| add(&mut levels[0][k], &group[k]));
        let done = i + 1;
        if done > whole || done % step != 0 {
            continue;
        }
        for level in 1..LEVELS {
            for k in 0..ROWS {
                let lower = std::mem::take(&mut levels[level - 1][k]);
                add(&mut levels[level][k], &lower);
            }
            if done & ((step - 1) << (level * power)) != 0 {
                break;
            }
        }
    }
    let [mut total, others @ ..] = levels;
    for level in &others {
        (0..ROWS).for_each(|k| add(&mut total[k], &level[k]));
    }
    total
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Numbers of PyTorch 2.14 for `1000 * u` with `u` from a linear congruential generator.
    #[test]
    fn the_order_is_pytorch_s() {
        let mut state = 7u32;
        let mut next = || {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            (state >> 8) as f32 / 16_777_216.0 * 1000.0
        };
        let x: Vec<f32> = (0..70_000).map(|_| next()).collect();
        for (n, expected) in EXPECTED {
            assert_eq!(sum(&x[..n]).to_bits(), expected, "{n}");
        }
    }

    const EXPECTED: [(usize, u32); 6] =
        [(37, 0x4693_477b), (100, 0x4745_b7d7), (1000, 0x48ef_9c21), (2048, 0x4975_3c74), (4096, 0x49f9_7c51), (70_000, 0x4c05_299e)];
}
