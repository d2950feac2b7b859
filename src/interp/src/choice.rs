//! Compare, CompareConst, Where.

use crate::error::InterpError;
use crate::integer;
use crate::kernel::{Kernel, Prepared, Request, boxed, operand};
use crate::view::ElementType;
use tpuc_kernels::binary::Broadcast;
use tpuc_kernels::integer::combine;
use tpuc_kernels::strided::{Strided, steps_of};
use tpuc_kernels::{Buffer, Ints, IntsMut, KernelError, Layout};
use tpuc_ops::tpu;

type Relation = fn(f32, f32) -> bool;

pub(crate) fn relation(mode: &str, request: &Request<'_>) -> Result<Relation, InterpError> {
    Ok(match mode {
        "Equal" => |a, b| a == b,
        "NotEqual" => |a, b| a != b,
        "Greater" => |a, b| a > b,
        "GreaterOrEqual" => |a, b| a >= b,
        "Less" => |a, b| a < b,
        "LessOrEqual" => |a, b| a <= b,
        "And" => |a, b| a != 0.0 && b != 0.0,
        "Xor" => |a, b| (a != 0.0) != (b != 0.0),
        "Not" => |a, _| a == 0.0,
        other => return Err(request.unsupported(format!("has unknown mode '{other}'"))),
    })
}

/// An operand stretched to the result's shape.
struct Stretched {
    copy: Option<Strided>,
    index: usize,
    count: usize,
}

impl Stretched {
    fn new(index: usize, request: &Request<'_>) -> Result<Stretched, InterpError> {
        let (shape, result) = (request.shape(index)?, request.result.dims());
        let count = result.iter().product();
        if shape == result {
            return Ok(Stretched { copy: None, index, count });
        }
        let new = result.len().checked_sub(shape.len()).ok_or_else(|| request.unsupported("has a result of fewer dimensions than its operands"))?;
        let natural = steps_of(&shape, Layout::RowMajor);
        let step = |d: usize| if d < new || shape[d - new] == 1 { 0 } else { natural[d - new] };
        let steps: Vec<isize> = (0..result.len()).map(step).collect();
        Ok(Stretched { copy: Some(Strided::new(&result, &steps, 0, shape.iter().product())?), index, count })
    }

    /// Runs `body` on the stretched elements.
    fn with(&self, operands: &[Option<crate::Slice<'_>>], body: &mut dyn FnMut(&[f32]) -> Result<(), KernelError>) -> Result<(), KernelError> {
        let x = operand(operands, self.index)?.floats()?;
        let Some(copy) = &self.copy else { return body(x) };
        let mut buffer = Buffer::try_with_bytes(self.count * 4)?;
        copy.run(x, buffer.slice_mut(self.count))?;
        body(buffer.slice(self.count))
    }
}

fn prepared(kernel: Box<dyn Kernel>, request: &Request<'_>) -> Prepared {
    let plain = (0..request.operands.len()).map(|i| (!request.is_absent(i)).then_some(Layout::RowMajor));
    Prepared { kernel, operands: plain.collect(), result: Layout::RowMajor }
}

fn floats_only(request: &Request<'_>) -> Result<(), InterpError> {
    let present: Vec<usize> = (0..request.operands.len()).filter(|&i| !request.is_absent(i)).collect();
    if request.is_float(&present)? { Ok(()) } else { Err(request.unsupported("of a float network needs f32 tensors")) }
}

pub(crate) fn prepare_tpu_compare(op: &tpu::Compare, request: &Request<'_>) -> Result<Prepared, InterpError> {
    if request.is_float_or_biased(&[0, 1])? { prepare_compare(&op.mode, request) } else { integer::prepare_binary(request) }
}

pub(crate) fn prepare_tpu_compare_const(op: &tpu::CompareConst, request: &Request<'_>) -> Result<Prepared, InterpError> {
    if request.is_float_or_biased(&[0])? { prepare_compare_const(&op.mode, op.const_val, op.inversed, request) } else { integer::prepare_unary(request) }
}

pub(crate) fn prepare_compare(mode: &str, request: &Request<'_>) -> Result<Prepared, InterpError> {
    floats_only(request)?;
    let holds = relation(mode, request)?;
    let (left, right) = (Stretched::new(0, request)?, Stretched::new(1, request)?);
    let kernel = boxed(move |operands, y, _| {
        let y = y.floats()?;
        left.with(operands, &mut |a| {
            right.with(operands, &mut |b| {
                y.iter_mut().zip(a.iter().zip(b)).for_each(|(y, (&a, &b))| *y = f32::from(u8::from(holds(a, b))));
                Ok(())
            })
        })
    });
    Ok(prepared(kernel, request))
}

pub(crate) fn prepare_compare_const(mode: &str, const_val: f64, inversed: bool, request: &Request<'_>) -> Result<Prepared, InterpError> {
    floats_only(request)?;
    let holds = relation(mode, request)?;
    let constant = const_val as f32;
    let kernel = boxed(move |operands, y, _| {
        let x = operand(operands, 0)?.floats()?;
        let one = |v: f32| if inversed { holds(constant, v) } else { holds(v, constant) };
        y.floats()?.iter_mut().zip(x).for_each(|(y, &v)| *y = f32::from(u8::from(one(v))));
        Ok(())
    });
    Ok(prepared(kernel, request))
}

/// A branch of a choice: an operand, or a number.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum Branch {
    Operand(usize),
    Number(f64),
}

impl Branch {
    pub fn new(index: usize, is_const: bool, value: f64) -> Branch {
        if is_const { Branch::Number(value) } else { Branch::Operand(index) }
    }
}

pub(crate) fn prepare_tpu_where(op: &tpu::Where, request: &Request<'_>) -> Result<Prepared, InterpError> {
    prepare_choice(Branch::new(1, op.x_is_const, op.x_const_val), Branch::new(2, op.y_is_const, op.y_const_val), request)
}

pub(crate) fn prepare_masked_fill(op: &tpu::MaskedFill, request: &Request<'_>) -> Result<Prepared, InterpError> {
    let (fill, keep) = (Branch::Number(op.const_val), Branch::Operand(1));
    if op.inversed { prepare_choice(keep, fill, request) } else { prepare_choice(fill, keep, request) }
}

/// One branch where operand 0 is not 0, the other elsewhere.
fn prepare_choice(yes: Branch, no: Branch, request: &Request<'_>) -> Result<Prepared, InterpError> {
    let present: Vec<usize> = (0..request.operands.len()).filter(|&i| !request.is_absent(i)).collect();
    if request.is_float_or_biased(&present)? { prepare_where(yes, no, request) } else { prepare_int_choice(yes, no, request) }
}

/// As [`prepare_where`], of 8-bit integers. Branches are in the type of the result, the condition in any.
fn prepare_int_choice(yes: Branch, no: Branch, request: &Request<'_>) -> Result<Prepared, InterpError> {
    let out = request.result.dims();
    let pair = |index: usize| Ok::<_, InterpError>(Broadcast::new([&request.shape(0)?, &request.shape(index)?], &out)?);
    let signed = request.result_element()? == ElementType::I8;
    let (low, high) = if signed { (-128.0, 127.0) } else { (0.0, 255.0) };
    // A branch is the condition's broadcast with the operand that it reads (of a number: the condition again), and the number.
    let part = |branch: Branch| match branch {
        Branch::Operand(index) => Ok::<_, InterpError>((index, None, pair(index)?)),
        Branch::Number(value) => Ok((0, Some(value.round().clamp(low, high) as i32), pair(0)?)),
    };
    let parts = [part(yes)?, part(no)?];
    let whole = Broadcast::new([&out, &out], &out)?;
    let count: usize = out.iter().product();
    let kernel = boxed(move |operands, y, _| {
        let condition = operand(operands, 0)?.ints()?;
        // What each branch gives where it is chosen, and 0 elsewhere: their sum is the choice.
        let give = |which: usize, y: IntsMut<'_>| {
            let (index, number, broadcast) = &parts[which];
            let chosen = |c: i32, x: i32| if (c != 0) == (which == 0) { number.unwrap_or(x) } else { 0 };
            combine(condition, operand(operands, *index)?.ints()?, broadcast, chosen, y)
        };
        match y.ints()? {
            IntsMut::I8(y) => {
                let mut given = [vec![0i8; count], vec![0i8; count]];
                given.iter_mut().enumerate().try_for_each(|(which, g)| give(which, IntsMut::I8(g)))?;
                combine(Ints::I8(&given[0]), Ints::I8(&given[1]), &whole, |a, b| a + b, IntsMut::I8(y))
            }
            IntsMut::U8(y) => {
                let mut given = [vec![0u8; count], vec![0u8; count]];
                given.iter_mut().enumerate().try_for_each(|(which, g)| give(which, IntsMut::U8(g)))?;
                combine(Ints::U8(&given[0]), Ints::U8(&given[1]), &whole, |a, b| a + b, IntsMut::U8(y))
            }
        }
    });
    Ok(prepared(kernel, request))
}

pub(crate) fn prepare_where(yes: Branch, no: Branch, request: &Request<'_>) -> Result<Prepared, InterpError> {
    floats_only(request)?;
    let condition = Stretched::new(0, request)?;
    let branch = |branch: Branch| match branch {
        Branch::Number(value) => Ok::<_, InterpError>(Err(value as f32)),
        Branch::Operand(index) => Stretched::new(index, request).map(Ok),
    };
    let (yes, no) = (branch(yes)?, branch(no)?);
    let kernel = boxed(move |operands, y, _| {
        let y = y.floats()?;
        condition.with(operands, &mut |c| {
            // First everything by one branch, then the rest by the other.
            for (branch, wanted) in [(&yes, true), (&no, false)] {
                let chosen = |c: f32| (c != 0.0) == wanted;
                match branch {
                    Err(value) => y.iter_mut().zip(c).filter(|(_, c)| chosen(**c)).for_each(|(y, _)| *y = *value),
                    Ok(tensor) => tensor.with(operands, &mut |x| {
                        y.iter_mut().zip(c.iter().zip(x)).filter(|(_, (c, _))| chosen(**c)).for_each(|(y, (_, x))| *y = *x);
                        Ok(())
                    })?,
                }
            }
            Ok(())
        })
    });
    Ok(prepared(kernel, request))
}
