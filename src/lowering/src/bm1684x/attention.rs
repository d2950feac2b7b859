//! Attention: an op a head, whose results are summed. Integers for INT8, else half floats.

use crate::chip::Mode;
use crate::error::LowerError;
use crate::float::{float_type, float_weight, operand};
use crate::lowered::{Lowered, NewWeight, OpContext, OperandRef};
use crate::quantize::{max_abs, quantized_elem, weight};
use tpuc_ops::{Elem, TensorType, top, tpu};
use tpuc_tensor::round::{MultiplierShift, fit_any};
use tpuc_tensor::{DType, Data};

/// `name`, shape and values of a weight, or of a head's part of it.
#[derive(Clone)]
struct Matrix {
    name: String,
    shape: Vec<i64>,
    values: Vec<f32>,
}

/// Operands of the Top op: what is projected, and the projections as (weight, bias).
const SOURCES: [usize; 3] = [0, 1, 2];
const PROJECTIONS: [(usize, usize); 3] = [(3, 4), (5, 6), (7, 8)];
const OUT: (usize, usize) = (9, 10);
const MASK: usize = 11;

/// What all heads share.
struct Parts<'a> {
    context: &'a OpContext<'a>,
    heads: i64,
    /// Columns of a head.
    dim: i64,
    /// By operand: the constants.
    constants: Vec<Option<Matrix>>,
}

impl<'a> Parts<'a> {
    fn of(context: &'a OpContext<'a>, op: &top::Attention) -> Result<Parts<'a>, LowerError> {
        let width = context.tensor(PROJECTIONS[0].0)?.shape.last().copied().unwrap_or(0);
        if op.head < 1 || width < 1 || width % op.head != 0 {
            return Err(context.unsupported(format!("{width} columns are not divisible into {} heads", op.head)));
        }
        let mut constants = Vec::with_capacity(12);
        for index in 0..12 {
            let values = context.weight(index).transpose()?;
            if values.is_none() && !context.is_absent(index) && (3..MASK).contains(&index) {
                return Err(context.unsupported(format!("operand {index} is not a weight")));
            }
            constants.push(match values {
                Some(values) => Some(Matrix { name: context.operands[index].name.clone(), shape: context.tensor(index)?.shape.clone(), values: values.into_owned() }),
                None => None,
            });
        }
        Ok(Parts { context, heads: op.head, dim: width / op.head, constants })
    }

    fn name(&self, head: i64) -> String {
        format!("{}_head_{head}", self.context.name)
    }

    /// A constant operand; `None` if it is absent or computed.
    fn whole(&self, index: usize) -> Option<&Matrix> {
        self.constants.get(index)?.as_ref()
    }

    /// The columns of a projection, or of its bias, that are a head's.
    fn columns(&self, index: usize, head: i64, suffix: &str) -> Result<Option<Matrix>, LowerError> {
        let Some(matrix) = self.whole(index) else { return Ok(None) };
        let (dim, width) = (self.dim as usize, (self.dim * self.heads) as usize);
        let rows = matrix.values.chunks_exact(width);
        if !rows.remainder().is_empty() {
            return Err(self.context.unsupported(format!("'{}' has {} elements, expected rows of {width}", matrix.name, matrix.values.len())));
        }
        let first = head as usize * dim;
        let mut shape = matrix.shape.clone();
        if let Some(last) = shape.last_mut() {
            *last = self.dim;
        }
        let values = rows.flat_map(|row| row[first..first + dim].iter().copied()).collect();
        Ok(Some(Matrix { name: format!("{}_{suffix}_head_{head}", matrix.name), shape, values }))
    }

    /// The rows of the output projection that are a head's, as `[1, dim, columns]`.
    fn rows(&self, head: i64) -> Result<Matrix, LowerError> {
        let matrix = self.whole(OUT.0).ok_or_else(|| self.context.unsupported("has no output weight"))?;
        let columns = matrix.shape.last().copied().unwrap_or(0).max(0);
        let size = (self.dim * columns) as usize;
        if matrix.values.len() != size * self.heads as usize {
            return Err(self.context.unsupported(format!("'{}' has {} elements, expected {} x {columns}", matrix.name, matrix.values.len(), self.dim * self.heads)));
        }
        let values = matrix.values[head as usize * size..][..size].to_vec();
        Ok(Matrix { name: format!("{}_weight_head_{head}", matrix.name), shape: vec![1, self.dim, columns], values })
    }

    /// Which sources the op reads: keys that are the input, and values that are the keys, are left out.
    fn reads(&self) -> [bool; 3] {
        let name = |i: usize| &self.context.operands[i].name;
        [true, name(1) != name(0), name(2) != name(1)]
    }

    /// Bits 0 to 3: biases of queries, keys, values, and in the first head of the result.
    fn has_bias(&self, head: i64) -> i64 {
        let bit = |at: usize, present: bool| if present { 1 << at } else { 0 };
        let projected = |i: usize| !self.context.is_absent(PROJECTIONS[i].1) || self.zero_point(SOURCES[i]) != 0;
        (0..3).map(|i| bit(i, projected(i))).sum::<i64>() + bit(3, head == 0 && !self.context.is_absent(OUT.1))
    }

    /// The integer of zero at an operand, where the attention is one of integers; its projection's bias takes it away.
    fn zero_point(&self, index: usize) -> i64 {
        if self.context.mode == Mode::Int8 { self.context.operand_elem(index).map_or(0, |elem| elem.zero_point()) } else { 0 }
    }
}

/// In f16 or bf16; the chip has no other form, so f32 is f16 too. What is added up is rounded after each head.
pub(super) fn float(context: &OpContext, op: &top::Attention, dtype: DType) -> Result<Lowered, LowerError> {
    let parts = Parts::of(context, op)?;
    let mut lowered = Lowered::default();
    let reads = parts.reads();
    let ty = float_type(context, dtype);
    let mut sum = None;
    for head in 0..parts.heads {
        let name = if parts.heads == 1 { context.name.to_owned() } else { parts.name(head) };
        let mut operands = Vec::with_capacity(13);
        for (source, read) in SOURCES.into_iter().zip(reads) {
            operands.push(if read { operand(context, &mut lowered, source, dtype)? } else { OperandRef::None });
        }
        let mut constant = |matrix: Option<Matrix>| matrix.map_or(OperandRef::None, |m| lowered.weight(float_weight(&m.name, &m.shape, &m.values, dtype)));
        for (weight, bias) in PROJECTIONS {
            operands.push(constant(parts.columns(weight, head, "weight")?));
            operands.push(constant(parts.columns(bias, head, "bias")?));
        }
        operands.push(constant(Some(parts.rows(head)?)));
        let own = |m: &Matrix| Matrix { name: format!("{}{}", parts.name(head), m.name), ..m.clone() };
        operands.push(constant(parts.whole(OUT.1).filter(|_| head == 0).map(own)));
        operands.push(match context.is_weight(MASK) {
            true => constant(parts.whole(MASK).map(own)),
            false => operand(context, &mut lowered, MASK, dtype)?,
        });
        operands.push(OperandRef::None);
        let attention = tpu::Attention {
            scale_param: Some(op.scale_param.clone()),
            zp_param: Some(op.zp_param.clone()),
            scale: op.scale,
            head: 1,
            dim: parts.dim,
            has_bias: parts.has_bias(head),
            ..Default::default()
        };
        let result = lowered.push(attention, operands, name, ty.clone());
        sum = Some(match sum {
            None => result,
            Some(sum) => {
                let last = head == parts.heads - 1;
                let name = if last { context.name.to_owned() } else { format!("{}_attention_out_fuse_{head}", context.name) };
                lowered.push(tpu::Add::default(), vec![sum, result], name, ty.clone())
            }
        });
    }
    Ok(lowered.finish())
}

/// Scales of the integers inside an attention, from `scale_param`.
struct Scales {
    /// Results of the projections.
    projected: [f64; 3],
    product: f64,
    scaled: f64,
    probability: f64,
    result: f64,
}

impl Scales {
    fn of(context: &OpContext, list: &[f64]) -> Result<Scales, LowerError> {
        match *list {
            [q, k, v, product, scaled, probability, result] if list.iter().all(|s| *s > 0.0 && s.is_finite()) => Ok(Scales { projected: [q, k, v], product, scaled, probability, result }),
            [_] => Err(LowerError::MissingThresholds { layers: vec![context.name.to_owned()] }),
            _ => Err(context.unsupported(format!("has scale_param {list:?}, expected seven positive numbers"))),
        }
    }
}

/// The step of 8-bit weights; any will do where all are zero.
fn step(values: &[f32]) -> f64 {
    match f64::from(max_abs(values)) {
        0.0 => 1e-5,
        largest => largest / 127.0,
    }
}

/// `round_half_away(value / scale)` in f32, as the reference divides.
fn integers(matrix: Matrix, scale: f64) -> NewWeight {
    let data = matrix.values.iter().map(|&v| (v / scale as f32).round() as i8).collect();
    weight(format!("{}_int8", matrix.name), &matrix.shape, Data::I8(data))
}

fn sums(matrix: Matrix, scale: f64) -> NewWeight {
    let data = matrix.values.iter().map(|&v| (v / scale as f32).round() as i32).collect();
    weight(format!("{}_int32", matrix.name), &matrix.shape, Data::I32(data))
}

/// What a zero point of the input adds to each of so many columns of a product; `None` of zero point 0.
fn folded(matrix: &NewWeight, columns: usize, zero_point: i64) -> Option<Vec<i32>> {
    let data = matrix.data.as_i8().filter(|_| zero_point != 0)?;
    let mut sums = vec![0i64; columns];
    data.chunks(columns.max(1)).for_each(|row| sums.iter_mut().zip(row).for_each(|(sum, &w)| *sum += i64::from(w)));
    Some(sums.into_iter().map(|sum| (sum * zero_point) as i32).collect())
}

/// A bias without what is folded into it.
fn less(bias: NewWeight, folded: &[i32]) -> NewWeight {
    let data = bias.data.as_i32().unwrap_or_default().iter().zip(folded).map(|(b, f)| b.wrapping_sub(*f)).collect();
    weight(bias.name, &bias.ty.shape, Data::I32(data))
}

fn fitted(scale: f64) -> MultiplierShift {
    fit_any(scale as f32, 32)
}

/// Everything inside and the result in 8 bits with zero point 0 (that of an input goes into the biases): each head has a weight scale of its own for queries, keys and values, and all share that
/// of the output projection, whose 32-bit sums are added and scaled once.
///
/// Probabilities come from a table of `exp(-s d)`, d the distance from 127 in steps of the scaled product.
pub(super) fn int8(context: &OpContext, op: &top::Attention) -> Result<Lowered, LowerError> {
    let parts = Parts::of(context, op)?;
    let scales = Scales::of(context, &op.scale_param)?;
    let output = quantized_elem(&context.result.elem).ok_or_else(|| LowerError::MissingThresholds { layers: vec![context.name.to_owned()] })?;
    let out_step = step(parts.whole(OUT.0).map_or(&[], |m| &m.values));
    let sums_type = context.result_type(Elem::Plain(DType::I32));
    let mut lowered = Lowered::default();
    // The reference's order: what the output projection needs stands in front.
    let out: Vec<OperandRef> = (0..parts.heads).map(|head| Ok(lowered.weight(integers(parts.rows(head)?, out_step)))).collect::<Result<_, LowerError>>()?;
    let out_bias = parts.whole(OUT.1).map(|m| lowered.weight(sums(m.clone(), out_step * scales.result)));
    let mut sum = None;
    for head in 0..parts.heads {
        let (mut operands, quant_param) = head_operands(&parts, &scales, head, &mut lowered)?;
        operands.push(out[head as usize].clone());
        operands.push(out_bias.clone().filter(|_| head == 0).unwrap_or(OperandRef::None));
        operands.push(mask(&parts, &mut lowered));
        let table = (0..256).map(|d| (-f64::from(scales.scaled as f32) * f64::from(d)).exp() as f32).collect();
        operands.push(lowered.weight(weight(format!("{}_table", parts.name(head)), &[1, 1, 1, 256], Data::F32(table))));
        let attention = tpu::Attention { quant_param, scale: scales.probability, head: 1, dim: parts.dim, has_bias: parts.has_bias(head), relu_limit: Some(-1.0), ..Default::default() };
        let result = lowered.push(attention, operands, parts.name(head), sums_type.clone());
        sum = Some(match sum {
            None => result,
            Some(sum) => lowered.push(tpu::Add::default(), vec![sum, result], format!("{}_attention_out_fuse_{head}", context.name), sums_type.clone()),
        });
    }
    let requant = fitted(scales.result * out_step / output.scale().unwrap_or(1.0));
    let requant = tpu::RequantInt {
        multiplier: requant.multiplier,
        rshift: requant.shift,
        quant_mode: tpu::RequantMode::MultiplierShift,
        round_mode: tpu::RoundMode::HalfAwayFromZero,
    };
    lowered.push(requant, sum.into_iter().collect(), context.name, TensorType::new(&context.result.shape, output));
    Ok(lowered.finish())
}

/// The first operands of a head, and the scaling of its five products: multiplier, shift and zero point of each, then a zero.
fn head_operands(parts: &Parts, scales: &Scales, head: i64, lowered: &mut Lowered) -> Result<(Vec<OperandRef>, Vec<i64>), LowerError> {
    let context = parts.context;
    let mut operands = Vec::with_capacity(13);
    let mut quant_param = Vec::with_capacity(16);
    let mut scaled = |scale: f64| {
        let fitted = fitted(scale);
        quant_param.extend([i64::from(fitted.multiplier), i64::from(fitted.shift), 0]);
    };
    for (index, read) in SOURCES.into_iter().zip(parts.reads()) {
        operands.push(if read { OperandRef::Operand { index, elem: context.operand_elem(index)? } } else { OperandRef::None });
    }
    for (i, part) in ["q", "k", "v"].into_iter().enumerate() {
        let missing = || context.unsupported(format!("has no weight for {part}"));
        let matrix = parts.columns(PROJECTIONS[i].0, head, "weight")?.ok_or_else(missing)?;
        let input = context.operand_elem(SOURCES[i])?.scale().unwrap_or(1.0);
        let name = format!("{}_weight_{part}", parts.name(head));
        let step = step(&matrix.values);
        let matrix = integers(Matrix { name: name.clone(), ..matrix }, step);
        let folded = folded(&matrix, parts.dim as usize, parts.zero_point(SOURCES[i]));
        operands.push(lowered.weight(matrix));
        let bias = parts.columns(PROJECTIONS[i].1, head, "bias")?.map(|m| sums(Matrix { name: name.clone(), ..m }, step * input));
        let bias = match (bias, folded) {
            (Some(bias), Some(folded)) => Some(less(bias, &folded)),
            (None, Some(folded)) => {
                let zeros = Matrix { name, shape: vec![1, 1, parts.dim], values: vec![0.0; folded.len()] };
                Some(less(sums(zeros, 1.0), &folded))
            }
            (bias, None) => bias,
        };
        operands.push(bias.map_or(OperandRef::None, |b| lowered.weight(b)));
        scaled(step * input / scales.projected[i]);
    }
    scaled(scales.projected[0] * scales.projected[1] / scales.product);
    scaled(scales.probability * scales.projected[2] / scales.result);
    quant_param.push(0);
    Ok((operands, quant_param))
}

/// Whole numbers: what is not 0 hides a key.
fn mask(parts: &Parts, lowered: &mut Lowered) -> OperandRef {
    if parts.context.is_absent(MASK) {
        return OperandRef::None;
    }
    match parts.whole(MASK) {
        Some(m) => lowered.weight(weight(m.name.clone(), &m.shape, Data::F32(m.values.clone()))),
        None => OperandRef::Operand { index: MASK, elem: Elem::Plain(DType::I32) },
    }
}
