//! Compare, CompareConst, Where.

use crate::error::InterpError;
use crate::kernel::{Kernel, Prepared, Request, boxed, operand};
use tpuc_kernels::strided::{Strided, steps_of};
use tpuc_kernels::{Buffer, KernelError, Layout};
use tpuc_ops::top;

type Relation = fn(f32, f32) -> bool;

fn relation(mode: &str, request: &Request<'_>) -> Result<Relation, InterpError> {
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

pub(crate) fn prepare_compare(op: &top::Compare, request: &Request<'_>) -> Result<Prepared, InterpError> {
    floats_only(request)?;
    let holds = relation(&op.mode, request)?;
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

pub(crate) fn prepare_compare_const(op: &top::CompareConst, request: &Request<'_>) -> Result<Prepared, InterpError> {
    floats_only(request)?;
    let holds = relation(&op.mode, request)?;
    let (constant, inversed) = (op.const_val as f32, op.inversed);
    let kernel = boxed(move |operands, y, _| {
        let x = operand(operands, 0)?.floats()?;
        let one = |v: f32| if inversed { holds(constant, v) } else { holds(v, constant) };
        y.floats()?.iter_mut().zip(x).for_each(|(y, &v)| *y = f32::from(u8::from(one(v))));
        Ok(())
    });
    Ok(prepared(kernel, request))
}

pub(crate) fn prepare_where(op: &top::Where, request: &Request<'_>) -> Result<Prepared, InterpError> {
    floats_only(request)?;
    let condition = Stretched::new(0, request)?;
    let branch = |index: usize, constant: bool, value: f64| -> Result<_, InterpError> {
        if constant { Ok(Err(value as f32)) } else { Stretched::new(index, request).map(Ok) }
    };
    let (yes, no) = (branch(1, op.x_is_const, op.x_const_val)?, branch(2, op.y_is_const, op.y_const_val)?);
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
