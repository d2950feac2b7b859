//! Matrix products `[batch.., M, K] x [batch.., K, N]`, float and 8-bit.

use crate::buffer::{Buffer, bytes, bytes_mut};
use crate::onednn::{Activation, BIAS, DST, Desc, Primitive, SRC, Type, WEIGHTS, Workspace, row_major_strides};
use crate::requant::Requant;
use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use crate::{Int8, Ints, IntsMut, KernelError, cpu, expect_length};

/// Shapes of a matrix product; batch dimensions broadcast.
#[derive(Debug, Clone, PartialEq)]
pub struct MatMulShape {
    /// As in memory: `[.., M, K]`, or `[.., K, M]` if transposed.
    pub left: Vec<usize>,
    /// As in memory: `[.., K, N]`, or `[.., N, K]` if transposed.
    pub right: Vec<usize>,
    pub left_transpose: bool,
    pub right_transpose: bool,
    /// `[.., M, N]`
    pub output: Vec<usize>,
    depth: usize,
}

impl MatMulShape {
    pub fn new(left: &[usize], right: &[usize], left_transpose: bool, right_transpose: bool) -> Result<MatMulShape, KernelError> {
        let fail = |reason: &str| Err(KernelError::Geometry(format!("matrix product of {left:?} and {right:?}: {reason}")));
        let rank = left.len().max(right.len());
        if left.len() < 2 || right.len() < 2 || rank > 12 {
            return fail("needs operands of 2 to 12 dimensions");
        }
        let stretch = |shape: &[usize]| [vec![1; rank - shape.len()], shape.to_vec()].concat();
        let (left, right) = (stretch(left), stretch(right));
        let matrix = |shape: &[usize], transposed: bool| if transposed { (shape[rank - 1], shape[rank - 2]) } else { (shape[rank - 2], shape[rank - 1]) };
        let ((rows, depth), (right_depth, columns)) = (matrix(&left, left_transpose), matrix(&right, right_transpose));
        if depth != right_depth {
            return fail("the summed dimensions differ");
        }
        let mut output = Vec::with_capacity(rank);
        for (&a, &b) in left.iter().zip(&right).take(rank - 2) {
            match (a, b) {
                (a, b) if a == b => output.push(a),
                (1, n) | (n, 1) => output.push(n),
                _ => return fail("the batch dimensions do not broadcast"),
            }
        }
        output.extend([rows, columns]);
        Ok(MatMulShape { left, right, left_transpose, right_transpose, output, depth })
    }

    pub fn columns(&self) -> usize {
        self.output[self.output.len() - 1]
    }

    /// The operand as oneDNN sees it: never transposed, but with strides.
    fn described(shape: &[usize], transposed: bool, ty: Type) -> Result<Desc, KernelError> {
        let (mut dims, rank) = (integers(shape), shape.len());
        let mut strides = row_major_strides(&dims);
        if transposed {
            dims.swap(rank - 2, rank - 1);
            strides.swap(rank - 2, rank - 1);
        }
        Desc::strided(&dims, &strides, ty)
    }

    fn primitive(&self, types: [Type; 3], constant: bool, bias: bool, activation: Activation) -> Result<Primitive, KernelError> {
        let [src, weights, dst] = types;
        let rank = self.output.len();
        let right = if constant {
            let mut dims = integers(&self.right);
            if self.right_transpose {
                dims.swap(rank - 2, rank - 1);
            }
            Desc::any(&dims, weights)?
        } else {
            Self::described(&self.right, self.right_transpose, weights)?
        };
        let bias = if bias {
            let mut shape = vec![1; rank];
            shape[rank - 1] = self.columns() as i64;
            Some(Desc::dense(&shape, Type::F32)?)
        } else {
            None
        };
        Primitive::matmul(Self::described(&self.left, self.left_transpose, src)?, right, bias, Desc::dense(&integers(&self.output), dst)?, activation)
    }
}

fn integers(shape: &[usize]) -> Vec<i64> {
    shape.iter().map(|&d| d as i64).collect()
}

fn count(shape: &[usize]) -> usize {
    shape.iter().product()
}

/// A prepared float matrix product with bias `[N]` and activation.
pub struct FloatMatMul {
    shape: MatMulShape,
    primitive: Primitive,
    /// The right operand, if it is constant.
    right: Option<Buffer>,
    bias: Option<Vec<f32>>,
    activation: Activation,
    /// By number of left operands that run together; with a right operand of their own where theirs is packed otherwise.
    together: Mutex<HashMap<usize, Arc<(Primitive, Option<Buffer>)>>>,
}

impl FloatMatMul {
    /// `right`: the constant right operand, or `None` if it is given at every run.
    pub fn new(shape: &MatMulShape, right: Option<&[f32]>, bias: Option<&[f32]>, activation: Activation) -> Result<FloatMatMul, KernelError> {
        if let Some(bias) = bias {
            expect_length("biases", shape.columns(), bias.len())?;
        }
        let primitive = shape.primitive([Type::F32; 3], right.is_some(), bias.is_some(), activation)?;
        let right = match right {
            Some(right) => {
                expect_length("elements of the right operand", count(&shape.right), right.len())?;
                Some(primitive.reorder_weights(MatMulShape::described(&shape.right, shape.right_transpose, Type::F32)?, bytes(right))?)
            }
            None => None,
        };
        Ok(FloatMatMul { shape: shape.clone(), primitive, right, bias: bias.map(<[f32]>::to_vec), activation, together: Mutex::default() })
    }

    /// `right` is read only if no constant one was given.
    pub fn run(&self, left: &[f32], right: &[f32], y: &mut [f32], workspace: &mut Workspace) -> Result<(), KernelError> {
        expect_length("elements of the left operand", count(&self.shape.left), left.len())?;
        expect_length("elements of the product", count(&self.shape.output), y.len())?;
        let right = match &self.right {
            Some(constant) => constant.slice::<u8>(constant.byte_count()),
            None => {
                expect_length("elements of the right operand", count(&self.shape.right), right.len())?;
                bytes(right)
            }
        };
        let bias = self.bias.as_deref().map_or(&[][..], bytes);
        self.primitive.execute(&[(SRC, bytes(left)), (WEIGHTS, right), (BIAS, bias)], (DST, bytes_mut(y)), workspace)
    }

    /// Bytes that [`FloatMatMul::run_many`] reads once: those of the right operand, where it is constant and larger than the others.
    /// 0 where several products take no less time together than one after the other.
    pub fn shared_bytes(&self) -> usize {
        let plain = self.shape.output.len() == 2 && !self.shape.left_transpose && self.right.is_some();
        let gains = plain && count(&self.shape.right) > count(&self.shape.left) + count(&self.shape.output);
        if gains { count(&self.shape.right) * size_of::<f32>() } else { 0 }
    }

    /// As [`FloatMatMul::run`] on every pair with the constant right operand, to the bit: as more rows of one product.
    pub fn run_many(&self, lefts: &[&[f32]], ys: &mut [&mut [f32]], workspace: &mut Workspace) -> Result<(), KernelError> {
        let Some(packed) = self.right.as_ref().filter(|_| self.shared_bytes() > 0 && lefts.len() > 1) else {
            return lefts.iter().zip(ys).try_for_each(|(left, y)| self.run(left, &[], y, workspace));
        };
        let (length, results) = (count(&self.shape.left), count(&self.shape.output));
        lefts.iter().try_for_each(|left| expect_length("elements of the left operand", length, left.len()))?;
        ys.iter().try_for_each(|y| expect_length("elements of the product", results, y.len()))?;
        let product = self.product(lefts.len(), packed)?;
        let right = product.1.as_ref().unwrap_or(packed);
        let mut scratch = std::mem::take(&mut workspace.scratch);
        let (left, y) = scratch.grown::<f32>(lefts.len() * (length + results)).split_at_mut(lefts.len() * length);
        left.chunks_exact_mut(length).zip(lefts).for_each(|(row, left)| row.copy_from_slice(left));
        let bias = self.bias.as_deref().map_or(&[][..], bytes);
        let done = product.0.execute(&[(SRC, bytes(left)), (WEIGHTS, right.slice::<u8>(right.byte_count())), (BIAS, bias)], (DST, bytes_mut(y)), workspace);
        y.chunks_exact(results).zip(ys).for_each(|(row, y)| y.copy_from_slice(row));
        workspace.scratch = scratch;
        done
    }

    fn product(&self, lefts: usize, packed: &Buffer) -> Result<Arc<(Primitive, Option<Buffer>)>, KernelError> {
        let mut known = self.together.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(product) = known.get(&lefts) {
            return Ok(Arc::clone(product));
        }
        let shape = MatMulShape::new(&[self.shape.left[0] * lefts, self.shape.left[1]], &self.shape.right, false, self.shape.right_transpose)?;
        let primitive = shape.primitive([Type::F32; 3], true, self.bias.is_some(), self.activation)?;
        let own = primitive.weights_from(&self.primitive, packed)?;
        let product = Arc::new((primitive, own));
        known.insert(lefts, Arc::clone(&product));
        Ok(product)
    }
}

/// A prepared 8-bit matrix product with requantization.
pub struct IntMatMul {
    shape: MatMulShape,
    signed_left: bool,
    /// `None`: in loops.
    primitive: Option<Primitive>,
    right: Option<Constant>,
    requant: Requant,
}

enum Constant {
    /// In oneDNN's order.
    Reordered(Buffer),
    Plain(Vec<i16>),
}

impl IntMatMul {
    /// `right`: the constant right operand (-128..=255), or `None` if a signed or unsigned one (`signed_right`) is given at
    /// every run.
    pub fn new(shape: &MatMulShape, signed_left: bool, right: Option<&[i16]>, signed_right: bool, requant: Requant) -> Result<IntMatMul, KernelError> {
        expect_length("channels of the requantization", shape.columns(), requant.channels())?;
        let signed_right = right.map_or(signed_right, |r| r.iter().all(|w| (-128..=127).contains(w)));
        let (primitive, right) = if cpu::has_exact_int8() && signed_right {
            let src = if signed_left { Type::S8 } else { Type::U8 };
            let primitive = shape.primitive([src, Type::S8, Type::S32], right.is_some(), false, Activation::None)?;
            let reordered = match right {
                Some(right) => {
                    expect_length("elements of the right operand", count(&shape.right), right.len())?;
                    let narrow: Vec<i8> = right.iter().map(|&w| w as i8).collect();
                    Some(Constant::Reordered(primitive.reorder_weights(MatMulShape::described(&shape.right, shape.right_transpose, Type::S8)?, bytes(&narrow))?))
                }
                None => None,
            };
            (Some(primitive), reordered)
        } else {
            if let Some(right) = right {
                expect_length("elements of the right operand", count(&shape.right), right.len())?;
            }
            (None, right.map(|r| Constant::Plain(r.to_vec())))
        };
        Ok(IntMatMul { shape: shape.clone(), signed_left, primitive, right, requant })
    }

    /// `right` is read only if no constant one was given.
    pub fn run(&self, left: Ints<'_>, right: Option<Ints<'_>>, y: IntsMut<'_>, workspace: &mut Workspace) -> Result<(), KernelError> {
        expect_length("elements of the left operand", count(&self.shape.left), left.len())?;
        expect_length("elements of the product", count(&self.shape.output), y.len())?;
        if self.right.is_none() {
            expect_length("elements of the right operand", count(&self.shape.right), right.map_or(0, |r| r.len()))?;
        }
        if matches!(left, Ints::I8(_)) != self.signed_left {
            return Err(KernelError::Geometry("a matrix product got a left operand of the other signedness than it was prepared for".into()));
        }
        let mut accumulators = std::mem::take(&mut workspace.accumulators);
        let sums = accumulators.grown::<i32>(y.len());
        let done = self.sums(left, right, sums, workspace).and_then(|()| self.requant.run(sums, y));
        workspace.accumulators = accumulators;
        done
    }

    /// The 32-bit sums of a product with a constant right operand, with their biases, not scaled.
    pub fn run_wide(&self, left: Ints<'_>, y: &mut [i32], workspace: &mut Workspace) -> Result<(), KernelError> {
        expect_length("elements of the left operand", count(&self.shape.left), left.len())?;
        expect_length("elements of the product", count(&self.shape.output), y.len())?;
        if matches!(left, Ints::I8(_)) != self.signed_left || self.right.is_none() {
            return Err(KernelError::Geometry("a matrix product got other operands than it was prepared for".into()));
        }
        self.sums(left, None, y, workspace)?;
        self.requant.add_biases(y);
        Ok(())
    }

    fn sums(&self, left: Ints<'_>, right: Option<Ints<'_>>, sums: &mut [i32], workspace: &mut Workspace) -> Result<(), KernelError> {
        if let Some(primitive) = &self.primitive {
            let right = match (&self.right, right) {
                (Some(Constant::Reordered(constant)), _) => constant.slice::<u8>(constant.byte_count()),
                (_, Some(Ints::I8(right))) => bytes(right),
                _ => return Err(KernelError::Geometry("a matrix product got a right operand of the other signedness than it was prepared for".into())),
            };
            return primitive.execute(&[(SRC, left.bytes()), (WEIGHTS, right)], (DST, bytes_mut(sums)), workspace);
        }
        let wide = |v: Ints<'_>| match v {
            Ints::I8(v) => v.iter().map(|x| x.wide()).collect::<Vec<i32>>(),
            Ints::U8(v) => v.iter().map(|x| x.wide()).collect(),
        };
        let right = match (&self.right, right) {
            (Some(Constant::Plain(constant)), _) => constant.iter().map(|&w| i32::from(w)).collect(),
            (_, Some(right)) => wide(right),
            _ => Vec::new(),
        };
        self.loops(&wide(left), &right, sums);
        Ok(())
    }

    fn loops(&self, left: &[i32], right: &[i32], sums: &mut [i32]) {
        let s = &self.shape;
        let rank = s.output.len();
        let (rows, columns, depth) = (s.output[rank - 2], s.output[rank - 1], s.depth);
        let offset = |shape: &[usize], batch: usize| {
            let (mut rest, mut offset, mut stride) = (batch, 0, shape[rank - 2] * shape[rank - 1]);
            for d in (0..rank - 2).rev() {
                let at = rest % s.output[d];
                rest /= s.output[d];
                offset += if shape[d] == 1 { 0 } else { at * stride };
                stride *= shape[d];
            }
            offset
        };
        for (batch, sums) in sums.chunks_exact_mut((rows * columns).max(1)).enumerate() {
            let (left, right) = (&left[offset(&s.left, batch)..], &right[offset(&s.right, batch)..]);
            for (row, sums) in sums.chunks_exact_mut(columns).enumerate() {
                sums.fill(0);
                for k in 0..depth {
                    let v = if s.left_transpose { left[k * rows + row] } else { left[row * depth + k] };
                    for (column, sum) in sums.iter_mut().enumerate() {
                        let w = if s.right_transpose { right[column * depth + k] } else { right[k * columns + column] };
                        *sum = sum.wrapping_add(v * w);
                    }
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// One product at a time.
    fn definition(s: &MatMulShape, left: &[i64], right: &[i64]) -> Vec<i64> {
        let rank = s.output.len();
        let element = |shape: &[usize], data: &[i64], batch: &[usize], row: usize, column: usize| {
            let at = batch.iter().chain(&[row, column]).zip(shape).fold(0, |i, (&a, &d)| i * d + if d == 1 { 0 } else { a });
            data[at]
        };
        (0..count(&s.output))
            .map(|i| {
                let mut at = vec![0; rank];
                let mut rest = i;
                for d in (0..rank).rev() {
                    at[d] = rest % s.output[d];
                    rest /= s.output[d];
                }
                let (batch, row, column) = (&at[..rank - 2], at[rank - 2], at[rank - 1]);
                (0..s.depth)
                    .map(|k| {
                        let l = if s.left_transpose { element(&s.left, left, batch, k, row) } else { element(&s.left, left, batch, row, k) };
                        let r = if s.right_transpose { element(&s.right, right, batch, column, k) } else { element(&s.right, right, batch, k, column) };
                        l * r
                    })
                    .sum()
            })
            .collect()
    }

    #[test]
    fn products_are_the_same_bits_alone_and_together() {
        let mut state = 1u32;
        let mut next = || {
            state = state.wrapping_mul(1664525).wrapping_add(1013904223);
            (state >> 8) as f32 / (1 << 23) as f32 - 1.0
        };
        for (index, (rows, depth, columns)) in [(1, 1280, 1000), (1, 512, 10), (1, 384, 100), (1, 961, 501), (3, 300, 77), (1, 2048, 33), (2, 769, 64), (1, 64, 7)].into_iter().enumerate() {
            let transposed = index % 2 == 1;
            let right_shape = if transposed { [columns, depth] } else { [depth, columns] };
            let right: Vec<f32> = (0..depth * columns).map(|_| next()).collect();
            let bias: Vec<f32> = (0..columns).map(|_| next()).collect();
            let shape = MatMulShape::new(&[rows, depth], &right_shape, false, transposed).unwrap();
            let product = FloatMatMul::new(&shape, Some(&right), (index % 3 > 0).then_some(&bias[..]), if index > 3 { Activation::Relu } else { Activation::None }).unwrap();
            assert!(product.shared_bytes() > 0);
            let mut workspace = Workspace::new().unwrap();
            let lefts: Vec<Vec<f32>> = (0..10).map(|_| (0..rows * depth).map(|_| next()).collect()).collect();
            let mut wanted = vec![vec![0f32; rows * columns]; 10];
            lefts.iter().zip(&mut wanted).for_each(|(left, y)| product.run(left, &[], y, &mut workspace).unwrap());
            for count in [1, 2, 3, 10] {
                let mut found = vec![vec![0f32; rows * columns]; count];
                let lefts: Vec<&[f32]> = lefts[..count].iter().map(Vec::as_slice).collect();
                product.run_many(&lefts, &mut found.iter_mut().map(Vec::as_mut_slice).collect::<Vec<_>>(), &mut workspace).unwrap();
                let bits = |lists: &[Vec<f32>]| lists.iter().flatten().map(|v| v.to_bits()).collect::<Vec<_>>();
                assert!(bits(&found) == bits(&wanted[..count]), "{rows} x {depth} x {columns}, {count} together");
            }
        }
    }

    #[test]
    fn random_products_equal_the_definition() {
        let mut seed = 3u64;
        let mut random = |low: i64, high: i64| {
            seed = seed.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
            low + ((seed >> 33) as i64) % (high - low + 1)
        };
        let mut workspace = Workspace::new().unwrap();
        for round in 0..60 {
            let (m, k, n) = (random(1, 9) as usize, random(1, 70) as usize, random(1, 40) as usize);
            let (lt, rt, constant, signed) = (round % 2 == 1, round / 2 % 2 == 1, round / 4 % 2 == 1, round / 8 % 2 == 1);
            let mut left = if lt { vec![k, m] } else { vec![m, k] };
            let mut right = if rt { vec![n, k] } else { vec![k, n] };
            if round % 3 == 0 {
                left.insert(0, 3);
            }
            if round % 5 == 0 {
                right.insert(0, if round % 2 == 0 { 1 } else { 3 });
            }
            let shape = MatMulShape::new(&left, &right, lt, rt).unwrap();
            let low = if signed { -128 } else { 0 };
            let l: Vec<i64> = (0..count(&left)).map(|_| random(low, low + 255)).collect();
            let r: Vec<i64> = (0..count(&right)).map(|_| random(-128, 127)).collect();
            let expected = definition(&shape, &l, &r);
            let bias: Vec<f32> = (0..n).map(|_| random(-9, 9) as f32).collect();

            let floats = |v: &[i64]| v.iter().map(|&x| x as f32).collect::<Vec<f32>>();
            let (fl, fr) = (floats(&l), floats(&r));
            let product = FloatMatMul::new(&shape, constant.then_some(&fr[..]), Some(&bias), Activation::Relu).unwrap();
            let mut y = vec![0.0; expected.len()];
            product.run(&fl, &fr, &mut y, &mut workspace).unwrap();
            let wanted = |(i, &e): (usize, &i64)| (e as f32 + bias[i % n]).max(0.0);
            assert_eq!(y, expected.iter().enumerate().map(wanted).collect::<Vec<_>>(), "{shape:?} constant {constant}");

            let (right_wide, right_narrow): (Vec<i16>, Vec<i8>) = r.iter().map(|&v| (v as i16, v as i8)).unzip();
            let requant = Requant::new(n, None, &[1 << 20], &[28], false).unwrap();
            let product = IntMatMul::new(&shape, signed, constant.then_some(&right_wide[..]), true, requant.clone()).unwrap();
            let plain = IntMatMul { shape: shape.clone(), signed_left: signed, primitive: None, right: constant.then(|| Constant::Plain(right_wide.clone())), requant };
            for product in [product, plain] {
                let mut y = vec![0i8; expected.len()];
                let (as_i8, as_u8): (Vec<i8>, Vec<u8>) = l.iter().map(|&v| (v as i8, v as u8)).unzip();
                let left = if signed { Ints::I8(&as_i8) } else { Ints::U8(&as_u8) };
                product.run(left, Some(Ints::I8(&right_narrow)), IntsMut::I8(&mut y), &mut workspace).unwrap();
                assert_eq!(y, expected.iter().map(|e| ((e + 128) >> 8).clamp(-128, 127) as i8).collect::<Vec<_>>(), "{shape:?}");
            }
        }
        assert!(MatMulShape::new(&[2, 3], &[4, 5], false, false).is_err());
        assert!(MatMulShape::new(&[3], &[3, 5], false, false).is_err());
    }
}
