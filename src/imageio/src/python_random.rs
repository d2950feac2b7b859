//! CPython's `random.seed(int)` and `random.shuffle`, so that the same files are chosen as calibration samples as by tools
//! that shuffle in Python.
//!
//! The generator is MT19937 (Matsumoto and Nishimura, 1998) with `init_by_array`; `shuffle` is Fisher-Yates from the
//! end, each index drawn by rejection from just enough random bits.

const N: usize = 624;
const M: usize = 397;

/// The state of one generator.
pub struct PythonRandom {
    state: [u32; N],
    index: usize,
}

impl PythonRandom {
    /// As `random.seed(seed)`.
    pub fn new(seed: u64) -> PythonRandom {
        let (low, high) = (seed as u32, (seed >> 32) as u32);
        let key: &[u32] = if high == 0 { &[low] } else { &[low, high] };
        let mut random = PythonRandom {
            state: [0; N],
            index: N,
        };
        random.init(19650218);
        random.init_by_array(key);
        random
    }

    fn init(&mut self, seed: u32) {
        self.state[0] = seed;
        for i in 1..N {
            let previous = self.state[i - 1];
            self.state[i] = 1812433253u32
                .wrapping_mul(previous ^ (previous >> 30))
                .wrapping_add(i as u32);
        }
    }

    fn init_by_array(&mut self, key: &[u32]) {
        let s = &mut self.state;
        let (mut i, mut j) = (1, 0);
        for _ in 0..N.max(key.len()) {
            let mixed = (s[i - 1] ^ (s[i - 1] >> 30)).wrapping_mul(1664525);
            s[i] = (s[i] ^ mixed).wrapping_add(key[j]).wrapping_add(j as u32);
            i += 1;
            j = (j + 1) % key.len();
            if i == N {
                s[0] = s[N - 1];
                i = 1;
            }
        }
        for _ in 0..N - 1 {
            let mixed = (s[i - 1] ^ (s[i - 1] >> 30)).wrapping_mul(1566083941);
            s[i] = (s[i] ^ mixed).wrapping_sub(i as u32);
            i += 1;
            if i == N {
                s[0] = s[N - 1];
                i = 1;
            }
        }
        s[0] = 0x8000_0000;
        self.index = N;
    }

    fn next_u32(&mut self) -> u32 {
        if self.index == N {
            for i in 0..N {
                let y = (self.state[i] & 0x8000_0000) | (self.state[(i + 1) % N] & 0x7fff_ffff);
                let twist = if y & 1 == 1 { 0x9908_b0df } else { 0 };
                self.state[i] = self.state[(i + M) % N] ^ (y >> 1) ^ twist;
            }
            self.index = 0;
        }
        let mut y = self.state[self.index];
        self.index += 1;
        y ^= y >> 11;
        y ^= (y << 7) & 0x9d2c_5680;
        y ^= (y << 15) & 0xefc6_0000;
        y ^ (y >> 18)
    }

    /// As `getrandbits(bits)` for 1 to 32 bits.
    pub fn bits(&mut self, bits: u32) -> u32 {
        self.next_u32() >> (32 - bits)
    }

    /// A number below `n`, which is from 1 to 2^32 - 1.
    pub fn below(&mut self, n: u32) -> u32 {
        let bits = 32 - n.leading_zeros();
        loop {
            let number = self.bits(bits);
            if number < n {
                return number;
            }
        }
    }

    /// As `random.shuffle(items)`.
    pub fn shuffle<T>(&mut self, items: &mut [T]) {
        for i in (1..items.len()).rev() {
            let j = self.below(i as u32 + 1) as usize;
            items.swap(i, j);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_of_cpython() {
        // random.seed(1684); [random.getrandbits(32) for _ in range(3)]
        let mut random = PythonRandom::new(1684);
        assert_eq!(
            [random.bits(32), random.bits(32), random.bits(32)],
            SEED_1684
        );
        // random.seed(2**40 + 7); random.getrandbits(32)
        assert_eq!(PythonRandom::new((1 << 40) + 7).bits(32), SEED_2_40_7);
    }

    #[test]
    fn shuffle_of_cpython() {
        // l = list(range(10)); random.seed(1684); random.shuffle(l)
        let mut items: Vec<u32> = (0..10).collect();
        PythonRandom::new(1684).shuffle(&mut items);
        assert_eq!(items, SHUFFLE_10);
        // The sum of i * l[i] of 1000 shuffled numbers.
        let mut items: Vec<u64> = (0..1000).collect();
        PythonRandom::new(1684).shuffle(&mut items);
        assert_eq!(
            items
                .iter()
                .enumerate()
                .map(|(i, v)| i as u64 * v)
                .sum::<u64>(),
            SHUFFLE_1000
        );
    }

    const SEED_1684: [u32; 3] = [2067858712, 61194221, 2215618579];
    const SEED_2_40_7: u32 = 2635837658;
    const SHUFFLE_10: [u32; 10] = [1, 8, 9, 6, 5, 3, 2, 4, 0, 7];
    const SHUFFLE_1000: u64 = 248100220;
}
