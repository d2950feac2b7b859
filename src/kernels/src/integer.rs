//! 8-bit elementwise arithmetic: functions by table, products, extrema, comparisons. Exact to the bit.

use crate::binary::Broadcast;
use crate::{Int8, Ints, IntsMut, KernelError, expect_length, threads};

/// A function of an 8-bit integer: the byte of the input is the index.
#[derive(Debug, Clone, PartialEq)]
pub enum Table {
    I8([i8; 256]),
    U8([u8; 256]),
}

impl Table {
    /// The function in the types of input and result; what it gives saturates.
    pub fn of(signed_input: bool, signed_result: bool, f: impl Fn(i64) -> i64) -> Table {
        let at = |byte: usize| f(if signed_input { i64::from(byte as u8 as i8) } else { byte as i64 });
        match signed_result {
            true => Table::I8(std::array::from_fn(|byte| at(byte).clamp(-128, 127) as i8)),
            false => Table::U8(std::array::from_fn(|byte| at(byte).clamp(0, 255) as u8)),
        }
    }

    /// `y = table[x]`
    pub fn run(&self, x: Ints<'_>, y: IntsMut<'_>) -> Result<(), KernelError> {
        expect_length("results of a table", x.len(), y.len())?;
        let x = x.bytes();
        match (self, y) {
            (Table::I8(table), IntsMut::I8(y)) => look_up(table, x, y),
            (Table::U8(table), IntsMut::U8(y)) => look_up(table, x, y),
            _ => return Err(KernelError::Geometry("a table of another type than the result".into())),
        }
        Ok(())
    }
}

fn look_up<T: Int8>(table: &[T; 256], x: &[u8], y: &mut [T]) {
    threads::for_parts(y, 1, |start, y| {
        let x = &x[start..start + y.len()];
        x.iter().zip(y).for_each(|(x, y)| *y = table[usize::from(*x)]);
    });
}

/// `y = saturate(f(a, b))`, operands broadcasting.
pub fn combine(a: Ints<'_>, b: Ints<'_>, broadcast: &Broadcast, f: impl Fn(i32, i32) -> i32 + Sync, y: IntsMut<'_>) -> Result<(), KernelError> {
    match (a, b, y) {
        (Ints::I8(a), Ints::I8(b), IntsMut::I8(y)) => combine_as(a, b, broadcast, f, y),
        (Ints::I8(a), Ints::I8(b), IntsMut::U8(y)) => combine_as(a, b, broadcast, f, y),
        (Ints::I8(a), Ints::U8(b), IntsMut::I8(y)) => combine_as(a, b, broadcast, f, y),
        (Ints::I8(a), Ints::U8(b), IntsMut::U8(y)) => combine_as(a, b, broadcast, f, y),
        (Ints::U8(a), Ints::I8(b), IntsMut::I8(y)) => combine_as(a, b, broadcast, f, y),
        (Ints::U8(a), Ints::I8(b), IntsMut::U8(y)) => combine_as(a, b, broadcast, f, y),
        (Ints::U8(a), Ints::U8(b), IntsMut::I8(y)) => combine_as(a, b, broadcast, f, y),
        (Ints::U8(a), Ints::U8(b), IntsMut::U8(y)) => combine_as(a, b, broadcast, f, y),
    }
}

fn combine_as<A: Int8, B: Int8, Y: Int8>(a: &[A], b: &[B], broadcast: &Broadcast, f: impl Fn(i32, i32) -> i32 + Sync, y: &mut [Y]) -> Result<(), KernelError> {
    broadcast.rows(a, b, y, |a, b, y| {
        for (i, y) in y.iter_mut().enumerate() {
            *y = Y::narrow(f(a.at(i).wide(), b.at(i).wide()).clamp(Y::MIN, Y::MAX));
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tables_are_indexed_by_the_byte() {
        let negated = Table::of(true, true, |x| -x);
        let mut y = [0i8; 4];
        negated.run(Ints::I8(&[-128, -1, 0, 127]), IntsMut::I8(&mut y)).unwrap();
        assert_eq!(y, [127, 1, 0, -127]);
        let halved = Table::of(false, true, |x| x / 2);
        halved.run(Ints::U8(&[255, 254, 3, 0]), IntsMut::I8(&mut y)).unwrap();
        assert_eq!(y, [127, 127, 1, 0]);
        assert!(halved.run(Ints::U8(&[1]), IntsMut::U8(&mut [0])).is_err());
        assert!(halved.run(Ints::U8(&[1]), IntsMut::I8(&mut y)).is_err());
    }

    #[test]
    fn pairs_of_all_signs_broadcast_and_saturate() {
        let (a, b) = ([-128i8, 100, 3], [200u8, 1]);
        let broadcast = Broadcast::new([&[3, 1], &[2]], &[3, 2]).unwrap();
        let mut y = [0i8; 6];
        combine(Ints::I8(&a), Ints::U8(&b), &broadcast, |a, b| a + b, IntsMut::I8(&mut y)).unwrap();
        assert_eq!(y, [72, -127, 127, 101, 127, 4]);
        let mut y = [0u8; 6];
        combine(Ints::I8(&a), Ints::U8(&b), &broadcast, i32::min, IntsMut::U8(&mut y)).unwrap();
        assert_eq!(y, [0, 0, 100, 1, 3, 1]);
        assert!(combine(Ints::I8(&a[..2]), Ints::U8(&b), &broadcast, i32::min, IntsMut::U8(&mut y)).is_err());
    }
}
