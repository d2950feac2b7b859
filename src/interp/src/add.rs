//! Add.

use crate::binary;
use crate::error::InterpError;
use crate::kernel::{Prepared, Request, boxed, operand};
use crate::view::{ElementType, Slice, SliceMut};
use tpuc_kernels::binary::Operation;
use tpuc_kernels::elementwise::{self, Summand, broadcast};
use tpuc_kernels::{Activation, Ints, KernelError, Layout};
use tpuc_ops::{top, tpu};

pub(crate) fn prepare_top(op: &top::Add, request: &Request<'_>) -> Result<Prepared, InterpError> {
    let all: Vec<usize> = (0..request.operands.len()).collect();
    if !request.is_float(&all)? {
        return Err(request.unsupported("of a float network needs f32 tensors"));
    }
    prepare_float(op.coeff.clone(), Activation::relu(op.do_relu, op.relu_limit), request)
}

pub(crate) fn prepare_tpu(op: &tpu::Add, request: &Request<'_>) -> Result<Prepared, InterpError> {
    let all: Vec<usize> = (0..request.operands.len()).collect();
    if request.result_element()? == ElementType::I32 {
        return prepare_wide(op, request);
    }
    if request.is_float_or_biased(&all)? {
        return prepare_float(op.coeff.clone(), Activation::relu(op.do_relu, op.relu_limit), request);
    }
    prepare_int(&Sum { multipliers: &op.multipliers, rshifts: &op.rshifts, relu: op.do_relu, subtract: false, reverse: false }, request)
}

/// A sum of 32-bit integers of one shape, which wraps as accumulators do.
fn prepare_wide(op: &tpu::Add, request: &Request<'_>) -> Result<Prepared, InterpError> {
    let count = request.operands.len();
    let plain = op.multipliers.is_none() && op.rshifts.is_none() && op.coeff.is_none() && !op.do_relu;
    for index in 0..count {
        if !plain || request.element(index)? != ElementType::I32 || request.shape(index)? != request.result.dims() {
            return Err(request.unsupported("of 32-bit integers is a plain sum of one shape"));
        }
    }
    let kernel = boxed(move |operands, y, _| {
        let SliceMut::I32(y) = y else { return Err(KernelError::Geometry("a sum of 32 bits".into())) };
        y.fill(0);
        for index in 0..count {
            let Slice::I32(x) = operand(operands, index)? else { return Err(KernelError::Geometry("summands of 32 bits".into())) };
            y.iter_mut().zip(x).for_each(|(y, x)| *y = y.wrapping_add(*x));
        }
        Ok(())
    });
    Ok(Prepared { kernel, operands: vec![Some(Layout::RowMajor); count], result: Layout::RowMajor })
}

/// A sum or difference of 8-bit integers.
pub(crate) struct Sum<'a> {
    pub multipliers: &'a Option<Vec<i64>>,
    pub rshifts: &'a Option<Vec<i64>>,
    pub relu: bool,
    /// All but the first are taken away; with `reverse` the first is taken from the others.
    pub subtract: bool,
    pub reverse: bool,
}

pub(crate) fn prepare_int(sum: &Sum<'_>, request: &Request<'_>) -> Result<Prepared, InterpError> {
    let count = request.operands.len();
    let list = |name: &str, list: &Option<Vec<i64>>, default: i32| match list {
        None => Ok(vec![default; count]),
        Some(list) if list.len() == count || (name == "rshifts" && list.len() == 1) => {
            let narrow = |&v: &i64| i32::try_from(v).map_err(|_| request.unsupported(format!("has {name} {v}, expected 32 bits")));
            list.iter().map(narrow).collect()
        }
        Some(list) => Err(request.unsupported(format!("has {} {name}, expected {count}", list.len()))),
    };
    let (multipliers, shifts) = (list("multipliers", sum.multipliers, 1)?, list("rshifts", sum.rshifts, 0)?);
    let (operands, result, stretch) = layouts(request)?;
    let (zero_points, zero_point): (Vec<i32>, i32) = ((0..count).map(|i| request.zero_point(i)).collect(), request.result_zero_point());
    let (relu, subtract, reverse) = (sum.relu, sum.subtract, sum.reverse);
    // One shift for more inputs is that of the sum.
    let shared = sum.rshifts.as_ref().is_some_and(|r| r.len() == 1).then(|| shifts[0]);
    if shared.is_some() && (zero_point != 0 || zero_points.iter().any(|&z| z != 0)) {
        return Err(request.unsupported("with zero points and one shift does not run"));
    }
    let kernel = boxed(move |operands, y, _| {
        let ints = (0..count).map(|i| operand(operands, i)?.ints()).collect::<Result<Vec<_>, _>>()?;
        let mut stretched: Vec<Stretched> = Vec::new();
        for (x, stretch) in ints.iter().zip(&stretch) {
            stretched.push(match (x, stretch) {
                (_, None) => Stretched::Not,
                (Ints::I8(x), Some(s)) => Stretched::I8(s.apply(x)?),
                (Ints::U8(x), Some(s)) => Stretched::U8(s.apply(x)?),
            });
        }
        let summand = |i: usize| {
            let x = match &stretched[i] {
                Stretched::Not => ints[i],
                Stretched::I8(x) => Ints::I8(x),
                Stretched::U8(x) => Ints::U8(x),
            };
            Summand { x, zero_point: zero_points[i], multiplier: multipliers[i], shift: shifts.get(i).copied().unwrap_or(0), negative: subtract && (i > 0) != reverse }
        };
        let summands: Vec<Summand<'_>> = (0..count).map(summand).collect();
        match shared {
            Some(shift) => elementwise::add_int_shared(&summands, shift, relu, y.ints()?),
            None => elementwise::add_int(&summands, relu, zero_point, y.ints()?),
        }
    });
    Ok(Prepared { kernel, operands, result })
}

enum Stretched {
    Not,
    I8(Vec<i8>),
    U8(Vec<u8>),
}

/// `activation(sum of coeff_i * x_i)`
pub(crate) fn prepare_float(coeff: Option<Vec<f64>>, activation: Activation, request: &Request<'_>) -> Result<Prepared, InterpError> {
    let count = request.operands.len();
    let (operands, result, stretch) = layouts(request)?;
    let ones = coeff.as_ref().is_none_or(|c| c.iter().all(|&v| v == 1.0));
    if count == 2 && ones && stretch.iter().any(Option::is_some) {
        return binary::prepare_operation(Operation::Add, false, activation, request);
    }
    let kernel = boxed(move |operands, y, _| {
        let floats = (0..count).map(|i| operand(operands, i).and_then(Slice::floats)).collect::<Result<Vec<_>, _>>()?;
        let stretched = floats.iter().zip(&stretch).map(|(x, s)| s.as_ref().map(|s| s.apply(x)).transpose()).collect::<Result<Vec<_>, _>>()?;
        let inputs: Vec<&[f32]> = floats.iter().zip(&stretched).map(|(x, s)| s.as_deref().unwrap_or(x)).collect();
        elementwise::add(&inputs, coeff.as_deref(), activation, y.floats()?)
    });
    Ok(Prepared { kernel, operands, result })
}

/// From which to which dimensions (in memory order) an operand broadcasts.
struct Stretch {
    from: Vec<usize>,
    to: Vec<usize>,
}

impl Stretch {
    fn apply<T: tpuc_kernels::Element>(&self, x: &[T]) -> Result<Vec<T>, KernelError> {
        let mut y = vec![T::default(); self.to.iter().product()];
        broadcast(x, &self.from, &self.to, &mut y)?;
        Ok(y)
    }
}

type Layouts = (Vec<Option<Layout>>, Layout, Vec<Option<Stretch>>);

/// One layout for all operands and the result.
fn layouts(request: &Request<'_>) -> Result<Layouts, InterpError> {
    let shapes = (0..request.operands.len()).map(|i| request.shape(i)).collect::<Result<Vec<_>, _>>()?;
    let out = request.result.dims();
    let layout = binary::common_layout(&shapes, &out, request);
    let stretch = |shape: &Vec<usize>| (*shape != out).then(|| Stretch { from: layout.physical(shape), to: layout.physical(&out) });
    Ok((vec![Some(layout); shapes.len()], layout, shapes.iter().map(stretch).collect()))
}
