//! Functions of f32 elements in local memory, as sequences of instructions: exponentials, logarithms, erf, sines. What builds on
//! them is in `active.rs`.
//!
//! Errors are absolute unless said otherwise, for arguments of a magnitude that their f32 steps allow (docs/numerics.md); NaN are
//! not kept.

use crate::coeff::Coeff;
use crate::emit::{Arithmetic as A, Ddr, Emitter};
use crate::local::{LANES, Local};
use tpuc_isa::bm1684x::Rounding;
use tpuc_tensor::DType;

/// ln 2 and pi in parts: products of all but the last with a small whole number are exact.
const LN2: [f32; 2] = [0.693_359_4, -2.121_944_4e-4];
const PI: [f32; 3] = [3.140_625, 9.670_257_6e-4, 6.277_114e-7];
/// Below the first, exp is no normal number; above the second it is none of f32 at all.
const EXPONENTS: [f32; 2] = [-87.0, 89.0];
/// What the mantissa of a number begins with where its logarithm's polynomial is centred: sqrt(1/2).
const ROOT_HALF: i32 = 0x3f35_04f3;
const ONE: i32 = 0x3f80_0000;

/// A polynomial's coefficients, lowest order first.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Table {
    /// (exp(r) - 1) / r for |r| <= ln 2 / 2.
    Exponential,
    /// log((1 + s) / (1 - s)) / s by s^2.
    Logarithm,
    /// Abramowitz and Stegun, Handbook of Mathematical Functions, 7.1.26, without the factor t.
    Erf,
    /// sin(r) / r by r^2, |r| <= pi / 2.
    Sine,
}

impl Table {
    fn coefficients(self) -> Vec<f32> {
        let factorial = |n: i32| (1..=n).map(f64::from).product::<f64>();
        match self {
            Table::Exponential => (1..10).map(|n| (1.0 / factorial(n)) as f32).collect(),
            Table::Logarithm => (0..6).map(|n| (2.0 / f64::from(2 * n + 1)) as f32).collect(),
            Table::Erf => vec![0.254_829_6, -0.284_496_74, 1.421_413_7, -1.453_152, 1.061_405_4],
            Table::Sine => (0..8).map(|n| (if n % 2 == 0 { 1.0 } else { -1.0 } / factorial(2 * n + 1)) as f32).collect(),
        }
    }
}

/// Coefficients in every lane, and room for the steps of a function.
pub struct Functions<'a> {
    pub emit: &'a mut Emitter,
    tables: Vec<(Table, Local)>,
    /// Tensors of the elements' shape, in f32.
    pub scratch: Vec<Local>,
}

/// Bytes a lane of one table.
const TABLE_BYTES: u64 = 64;

/// Bytes a lane that `count` tables take.
pub fn table_bytes(count: usize) -> u64 {
    count as u64 * TABLE_BYTES
}

/// Loads tables to the start of local memory, once for a layer.
pub fn load_tables(emit: &mut Emitter, coeff: &mut Coeff, tables: &[Table]) -> Vec<(Table, Local)> {
    let load = |(i, &table): (usize, &Table)| {
        let list = table.coefficients();
        let at = coeff.add(list.iter().flat_map(|v| v.to_le_bytes()).collect());
        let local = Local::aligned(i as u64 * TABLE_BYTES, [1, LANES, 1, list.len() as u64], DType::F32);
        emit.load(local, Ddr::coefficients(at, [0, 0, 0, 1]));
        (table, local)
    };
    tables.iter().enumerate().map(load).collect()
}

impl<'a> Functions<'a> {
    pub fn new(emit: &'a mut Emitter, tables: Vec<(Table, Local)>, scratch: Vec<Local>) -> Functions<'a> {
        Functions { emit, tables, scratch }
    }

    /// The polynomial of a table; nothing where the table was not loaded.
    fn polynomial(&mut self, table: Table, x: Local, y: Local) {
        if let Some((_, coefficients)) = self.tables.iter().find(|(t, _)| *t == table).copied() {
            self.emit.taylor(x, coefficients, coefficients.shape[3] as usize, y);
        }
    }

    /// exp(x) = 2^n (1 + p): p to `p`, 2^n to `scale`. n is x / ln 2 rounded, p the polynomial of what is left. `x` is lost.
    fn exponent(&mut self, x: Local, p: Local, scale: Local) {
        let whole = Local { dtype: DType::I32, ..scale };
        let emit = &mut self.emit;
        emit.constant_float(A::Max, x, EXPONENTS[0], x);
        emit.constant_float(A::Min, x, EXPONENTS[1], x);
        emit.multiply_float(x, std::f32::consts::LOG2_E, scale);
        emit.round_whole(scale, Rounding::HalfToEven, scale);
        for part in LN2 {
            emit.multiply_float(scale, -part, p);
            emit.binary_float(A::Add, x, p, x);
        }
        emit.cast_round_down(scale, whole);
        // 2^n: n moved to where a float has its exponent.
        emit.add_integer(whole, 127, whole);
        emit.multiply_integer(whole, 1 << 23, whole);
        self.polynomial(Table::Exponential, x, p);
        self.emit.binary_float(A::Mul, p, x, p);
    }

    /// exp(x), to a relative 2e-7; 0 below -87 and infinite above 88.3. `x` and `scratch` are lost.
    pub fn exp(&mut self, x: Local, y: Local, scratch: Local) {
        self.exponent(x, y, scratch);
        self.emit.add_float(y, 1.0, y);
        self.emit.binary_float(A::Mul, y, scratch, y);
    }

    /// exp(x) - 1, to a relative 4e-7. `x` and `scratch` are lost.
    pub fn exp_minus_one(&mut self, x: Local, y: Local, scratch: Local) {
        self.exponent(x, y, scratch);
        self.emit.binary_float(A::Mul, y, scratch, y);
        self.emit.add_float(scratch, -1.0, scratch);
        self.emit.binary_float(A::Add, y, scratch, y);
    }

    /// ln(x) of positive numbers, to a relative 3e-7. x = 2^e m, m from sqrt(1/2) to sqrt(2); ln(m) is a series in
    /// s = (m - 1) / (m + 1). `x` and the scratch tensors are lost.
    pub fn ln(&mut self, x: Local, y: Local, [s, e]: [Local; 2]) {
        let bits = |local: Local| Local { dtype: DType::I32, ..local };
        let emit = &mut self.emit;
        emit.add_integer(bits(x), ONE - ROOT_HALF, bits(x));
        emit.shift_right(bits(x), 23, bits(y));
        emit.add_integer(bits(y), -127, bits(y));
        emit.cast_exact(bits(y), e);
        emit.and_integer(bits(x), 0x007f_ffff, bits(x));
        emit.add_integer(bits(x), ROOT_HALF, bits(x));
        emit.add_float(x, 1.0, y);
        emit.add_float(x, -1.0, x);
        emit.divide(x, y, s);
        emit.binary_float(A::Mul, s, s, x);
        self.polynomial(Table::Logarithm, x, y);
        self.emit.binary_float(A::Mul, y, s, y);
        for part in [LN2[1], LN2[0]] {
            self.emit.multiply_float(e, part, x);
            self.emit.binary_float(A::Add, y, x, y);
        }
    }

    /// 1 - erf(|x|), to 2e-7 (and to a relative 1e-4 where it is small). `x` is lost.
    pub fn erfc(&mut self, x: Local, y: Local, [t, u]: [Local; 2]) {
        self.abs(x, y);
        let emit = &mut self.emit;
        emit.multiply_float(x, -1.0, y);
        emit.binary_float(A::Mul, y, x, y);
        emit.multiply_float(x, 0.327_591_1, x);
        emit.add_float(x, 1.0, x);
        emit.constant_first(A::Div, 1.0, x, t);
        self.exp(y, x, u);
        self.polynomial(Table::Erf, t, y);
        self.emit.binary_float(A::Mul, y, t, y);
        self.emit.binary_float(A::Mul, y, x, y);
    }

    /// |x| in place. `scratch` is lost.
    pub fn abs(&mut self, x: Local, scratch: Local) {
        self.emit.multiply_float(x, -1.0, scratch);
        self.emit.binary_float(A::Max, x, scratch, x);
    }

    /// -1, 0 or 1.
    pub fn sign(&mut self, x: Local, y: Local) {
        // The least normal number becomes more than one.
        self.emit.multiply_float(x, 1e38, y);
        self.emit.multiply_float(y, 1e38, y);
        self.emit.constant_float(A::Max, y, -1.0, y);
        self.emit.constant_float(A::Min, y, 1.0, y);
    }

    /// 1 / (1 + exp(-x)), to a relative 4e-7. `x` and `scratch` are lost.
    pub fn sigmoid(&mut self, x: Local, y: Local, scratch: Local) {
        self.emit.multiply_float(x, -1.0, x);
        // The chip has no quotient of an infinite number.
        self.emit.constant_float(A::Min, x, 80.0, x);
        self.exp(x, y, scratch);
        self.emit.add_float(y, 1.0, y);
        self.emit.constant_first(A::Div, 1.0, y, y);
    }

    /// tanh(x) = t / (t + 2), t = exp(2x) - 1, to a relative 6e-7. `x` and `scratch` are lost.
    pub fn tanh(&mut self, x: Local, y: Local, scratch: Local) {
        self.emit.constant_float(A::Min, x, 40.0, x);
        self.emit.multiply_float(x, 2.0, x);
        self.exp_minus_one(x, y, scratch);
        self.emit.add_float(y, 2.0, x);
        self.emit.divide(y, x, y);
    }

    /// ln(1 + exp(x)) = max(x, 0) + ln(1 + exp(-|x|)). `x` and the scratch tensors are lost.
    pub fn softplus(&mut self, x: Local, y: Local, [s, t, u]: [Local; 3]) {
        self.emit.constant_float(A::Max, x, 0.0, u);
        self.abs(x, y);
        self.emit.multiply_float(x, -1.0, x);
        self.exp(x, y, s);
        self.emit.add_float(y, 1.0, x);
        self.ln(x, y, [s, t]);
        self.emit.binary_float(A::Add, y, u, y);
    }

    /// sin(x), or cos(x), to 4e-7 and what the steps of large arguments lose: x less a whole multiple n of pi (of cos: and a half)
    /// is r; the sign is that of n's parity. `x` is lost.
    pub fn sine(&mut self, cosine: bool, x: Local, y: Local, [n, odd]: [Local; 2]) {
        let emit = &mut self.emit;
        emit.multiply_float(x, std::f32::consts::FRAC_1_PI, n);
        if cosine {
            emit.add_float(n, -0.5, n);
        }
        emit.round_whole(n, Rounding::HalfToEven, n);
        // (-1)^n, with another sign for cos: cos(r + (n + 1/2) pi) = -(-1)^n sin(r).
        emit.multiply_float(n, 0.5, odd);
        emit.round_whole(odd, Rounding::Down, odd);
        emit.multiply_float(odd, -2.0, odd);
        emit.binary_float(A::Add, n, odd, odd);
        emit.multiply_float(odd, if cosine { 2.0 } else { -2.0 }, odd);
        emit.add_float(odd, if cosine { -1.0 } else { 1.0 }, odd);
        if cosine {
            emit.add_float(n, 0.5, n);
        }
        for part in PI {
            emit.multiply_float(n, -part, y);
            emit.binary_float(A::Add, x, y, x);
        }
        emit.binary_float(A::Mul, x, x, n);
        self.polynomial(Table::Sine, n, y);
        self.emit.binary_float(A::Mul, y, x, y);
        self.emit.binary_float(A::Mul, y, odd, y);
    }
}
