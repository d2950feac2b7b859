//! What an op *is*, without MLIR: a struct for every Top and Tpu op (generated from `dialects/*.td`), shape inference and
//! verification as pure functions, value types, and [`program::Program`], a function as a flat list of ops.

mod attention;
pub mod attr;
mod check;
pub mod choice;
mod conv;
mod deconv;
mod elementwise;
mod family;
mod matmul;
mod movement;
mod norm;
mod pool;
pub mod preprocess;
pub mod program;
pub mod reduce;
pub mod resize;
mod shape;
mod tpu_elementwise;
mod tpu_structure;
pub mod types;

pub use attr::{Attr, AttrError, AttrKind, AttrSpec, EnumAttribute, OpSpec, ValueSpec};
pub use family::Family;
pub use movement::SliceRange;
pub use program::{Node, Program, Source, Value, ValueId};
pub use types::{Elem, TensorType, ValueType};

include!(concat!(env!("OUT_DIR"), "/generated.rs"));

/// Something about an op is wrong.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum OpError {
    #[error("unknown op '{name}'")]
    Unknown { name: String },
    #[error("{name}: {source}")]
    Attribute { name: String, source: AttrError },
    #[error("{name}: {reason}")]
    Invalid { name: String, reason: String },
    #[error("layer '{layer}': {source}")]
    AtLayer { layer: String, source: Box<OpError> },
}

impl OpError {
    /// The same error with the layer that it concerns.
    pub fn at(self, layer: &str) -> OpError {
        match self {
            located @ OpError::AtLayer { .. } => located,
            source => OpError::AtLayer { layer: layer.to_owned(), source: Box::new(source) },
        }
    }
}

impl Op {
    /// `dialect.Mnemonic`.
    pub fn name(&self) -> &'static str {
        self.spec().name
    }

    /// Result shapes from operand types. Errors say what was expected and what was found.
    pub fn infer_shapes(&self, operands: &[ValueType]) -> Result<Vec<Vec<i64>>, OpError> {
        self.check_operand_count(operands.len())?;
        let shapes = Operands { list: operands };
        let one = |r: Result<Vec<i64>, String>| r.map(|s| vec![s]);
        match self {
            Op::TopNone(_) => Ok(vec![]),
            Op::TopWeight(_) => Err("a weight's shape is that of its data".to_owned()),
            Op::TopInput(_) | Op::TopRelu(_) | Op::TopClip(_) | Op::TopBatchNorm(_) | Op::TopScale(_) | Op::TpuCast(_) | Op::TpuRelu(_) | Op::TopSoftmax(_) | Op::TpuSoftmax(_) | Op::TopPRelu(_) | top_unary!() | top_const!() | tpu_unary!() => {
                one(shapes.shape(0).map(<[i64]>::to_vec))
            }
            Op::TopPreprocess(_) => Err("how much is cropped is said by the result's type alone".to_owned()),
            Op::TpuScaleLut(_) | Op::TpuSwapChannel(_) => one(shapes.shape(0).map(<[i64]>::to_vec)),
            Op::TpuYuv2rgbFormula(op) => one(preprocess::infer_yuv(op, &shapes)),
            Op::TopConv(op) => one(conv::infer(&conv::Window::of_top(op), &shapes)),
            Op::TpuConv2D(op) => one(conv::infer(&conv::Window::of_tpu(op), &shapes)),
            Op::TopMatMul(op) => one(matmul::infer(&matmul::Layout::of_top(op), &shapes)),
            Op::TpuMatMul(op) => one(matmul::infer(&matmul::Layout::of_tpu(op), &shapes)),
            Op::TpuA16MatMul(op) => one(matmul::infer_groups(op, &shapes)),
            Op::TopAdd(_) | Op::TpuAdd(_) | top_binary!() | tpu_binary!() | Op::TpuCompare(_) | Op::TpuMaskedFill(_) => one(elementwise::infer_broadcast(&shapes)),
            Op::TopAvgPool(op) => one(pool::infer(&pool::Window::of_avg(op), &shapes)),
            Op::TopMaxPool(op) => one(pool::infer(&pool::Window::of_max(op), &shapes)),
            Op::TpuPool2D(op) => one(pool::infer(&pool::Window::of_tpu(op), &shapes)),
            Op::TopPad(op) => one(shape::infer_pad(&op.paddings, &op.mode, &shapes)),
            tpu_structure!() => tpu_structure::infer(self, operands),
            Op::TopAttention(_) | Op::TpuAttention(_) => one(attention::infer(&shapes)),
            Op::TopReshape(op) => one(shape::infer_reshape(op.shape.as_deref(), op.flatten_start_dim, &shapes)),
            Op::TpuReshape(op) => one(shape::infer_reshape(op.shape.as_deref(), op.flatten_start_dim, &shapes)),
            Op::TopPermute(op) => one(movement::permute(op, &shapes)),
            Op::TopSlice(op) => one(movement::slice(op, &shapes)),
            Op::TopSplit(op) => movement::split(op, &shapes),
            Op::TopConcat(op) => one(movement::concat(op, &shapes)),
            Op::TopSqueeze(op) => one(movement::squeeze(op, &shapes)),
            Op::TopUnsqueeze(op) => one(movement::unsqueeze(op, &shapes)),
            Op::TopTile(op) => one(movement::tile(op, &shapes)),
            Op::TopExpand(op) => one(movement::expand(op, &shapes)),
            Op::TopGather(op) => one(movement::gather(op, &shapes)),
            Op::TopDepth2Space(op) => one(movement::depth2space(op, &shapes)),
            Op::TopReverse(op) => one(movement::reverse(op, &shapes)),
            Op::TopUpsample(op) => one(resize::upsample(op, &shapes)),
            Op::TopInterp(op) => one(resize::interp(op, &shapes)),
            Op::TopReduce(op) => one(reduce::reduce(op, &shapes)),
            // The extrema, where they are a result, have the shape of the indices.
            Op::TopArg(op) => reduce::arg(op, &shapes).map(|s| vec![s.clone(), s]),
            Op::TopLayerNorm(_) | Op::TopInstanceNorm(_) | Op::TopGroupNorm(_) | Op::TopCompareConst(_) => one(shapes.shape(0).map(<[i64]>::to_vec)),
            Op::TopDeconv(op) => one(deconv::infer(op, &shapes)),
            Op::TopCompare(op) => one(choice::compare(op, &shapes)),
            Op::TopWhere(op) => one(choice::select([op.x_is_const, op.y_is_const], &shapes)),
            Op::TpuWhere(op) => one(choice::select([op.x_is_const, op.y_is_const], &shapes)),
        }
        .and_then(|list| list.iter().try_for_each(|s| bounded(s)).map(|()| list))
        .map_err(|reason| self.invalid(reason))
    }

    /// Checks operand and result types against each other and against the attributes.
    pub fn verify(&self, operands: &[ValueType], results: &[ValueType]) -> Result<(), OpError> {
        self.check_operand_count(operands.len())?;
        let variadic = self.spec().results.iter().any(|r| r.variadic);
        if !variadic && results.len() != self.spec().results.len() {
            return Err(self.invalid(format!("expected {} results, found {}", self.spec().results.len(), results.len())));
        }
        match self {
            Op::TopNone(_) | Op::TopWeight(_) => return Ok(()),
            // The lowered reshape around a softmax has an empty shape attribute: its result type says the shape.
            Op::TpuReshape(_) | Op::TopReshape(_) => return shape::verify_reshape(operands, results).map_err(|r| self.invalid(r)),
            Op::TopPreprocess(op) => return preprocess::verify(op, operands, results).map_err(|r| self.invalid(r)),
            Op::TopConv(op) => conv::verify(&conv::Window::of_top(op), operands).map_err(|r| self.invalid(r))?,
            Op::TpuConv2D(op) => {
                conv::verify(&conv::Window::of_tpu(op), operands).map_err(|r| self.invalid(r))?;
                conv::verify_requant(op, operands, results).map_err(|r| self.invalid(r))?;
            }
            Op::TpuAdd(op) => elementwise::verify_requant(op, operands).map_err(|r| self.invalid(r))?,
            _ => {}
        }
        let inferred = self.infer_shapes(operands)?;
        if variadic && results.len() != inferred.len() {
            return Err(self.invalid(format!("expected {} results, found {}", inferred.len(), results.len())));
        }
        for (shape, result) in inferred.iter().zip(results) {
            // Only the second result of Arg may be none.
            if result.is_none() && matches!(self, Op::TopArg(_) | Op::TpuArg(_)) {
                continue;
            }
            let found = result.tensor().map_or(&[][..], |t| &t.shape);
            if found != shape {
                return Err(self.invalid(format!("result shape is {found:?}, expected {shape:?}")));
            }
        }
        check::verify(self, operands, results).map_err(|r| self.invalid(r))
    }

    /// Arithmetic operations of one execution; a multiply-accumulate counts two.
    pub fn flops(&self, operands: &[ValueType], results: &[ValueType]) -> i64 {
        let count = |v: Option<&ValueType>| v.and_then(ValueType::tensor).map_or(0, TensorType::count);
        let out = count(results.first());
        let has_bias = |i: usize| i64::from(operands.get(i).is_some_and(|b| !b.is_none()));
        let conv = |do_relu: bool| {
            let filter = operands.get(1).and_then(ValueType::tensor).map_or(0, |t| t.shape.iter().skip(1).product());
            out.saturating_mul(filter * 2 + has_bias(2) + i64::from(do_relu))
        };
        let matmul = |layout: matmul::Layout, do_relu: bool| {
            out.saturating_mul(layout.depth(operands) * 2 + has_bias(2) + i64::from(do_relu))
        };
        let pool = |kernel: &[i64], do_relu: bool| out.saturating_mul(kernel.iter().fold(1i64, |a, &k| a.saturating_mul(k)).saturating_add(i64::from(do_relu)));
        let sum = |do_relu: bool| out.saturating_mul(operands.len() as i64 - 1 + i64::from(do_relu));
        match self {
            Op::TopConv(op) => conv(op.do_relu),
            Op::TpuConv2D(op) => conv(op.do_relu),
            Op::TopMatMul(op) => matmul(matmul::Layout::of_top(op), op.do_relu),
            Op::TpuMatMul(op) => matmul(matmul::Layout::of_tpu(op), op.do_relu),
            Op::TpuA16MatMul(_) => out.saturating_mul(matmul::last(operands, 0) * 2 + has_bias(4)),
            Op::TopAdd(op) => sum(op.do_relu),
            Op::TpuAdd(op) => sum(op.do_relu),
            Op::TopSub(op) => sum(op.do_relu),
            Op::TopMul(op) => sum(op.do_relu),
            Op::TopDiv(op) => sum(op.do_relu),
            Op::TopMax(_) | Op::TopMin(_) | Op::TopPow3(_) => sum(false),
            Op::TopAddConst(op) => out * (1 + i64::from(op.do_relu)),
            Op::TopSubConst(op) => out * (1 + i64::from(op.do_relu)),
            Op::TopMulConst(op) => out * (1 + i64::from(op.do_relu)),
            Op::TopMaxConst(_) | Op::TopMinConst(_) | Op::TopPRelu(_) => out,
            top_unary!() => out * elementwise::unary_cost(self),
            tpu_binary!() => sum(false),
            tpu_unary!() | tpu_choice!() => out,
            Op::TopAvgPool(op) => pool(&op.kernel_shape, op.do_relu),
            Op::TopMaxPool(op) => pool(&op.kernel_shape, op.do_relu),
            Op::TpuPool2D(op) => pool(&op.kernel_shape, op.do_relu),
            Op::TopScale(op) => out * (2 + i64::from(op.do_relu)),
            Op::TopBatchNorm(_) | Op::TopClip(_) => out * 2,
            Op::TopRelu(_) | Op::TpuRelu(_) => out,
            Op::TopSoftmax(top::Softmax { log, .. }) | Op::TpuSoftmax(tpu::Softmax { log, .. }) => out * (5 + i64::from(*log)),
            Op::TopInterp(op) => out * if op.mode == "linear" { 2 } else { 1 },
            Op::TopUpsample(op) => out * (1 + i64::from(op.do_relu)),
            Op::TopPreprocess(_) => out * 2,
            Op::TpuScaleLut(_) | Op::TpuSwapChannel(_) => 0,
            Op::TpuYuv2rgbFormula(_) => out * 4,
            Op::TopReverse(_) | Op::TopReduce(_) | Op::TopCompare(_) | Op::TopCompareConst(_) | Op::TopWhere(_) => out,
            Op::TopArg(_) => count(operands.first()),
            Op::TopLayerNorm(_) | Op::TopInstanceNorm(_) | Op::TopGroupNorm(_) => out * (10 + has_bias(1) + has_bias(2)),
            Op::TopDeconv(op) => {
                let filter = operands.get(1).and_then(ValueType::tensor).map_or(0, |t| t.count() / t.shape.get(1).copied().unwrap_or(1).max(1));
                count(operands.first()).saturating_mul(filter * 2 + has_bias(2) + i64::from(op.do_relu))
            }
            tpu_structure!() => tpu_structure::flops(self, operands, results),
            Op::TpuAttention(op) => attention::flops(op.dim, operands),
            Op::TopAttention(_) => attention::flops(matmul::last(operands, 3), operands),
            Op::TopPermute(_) | Op::TopSlice(_) | Op::TopSplit(_) | Op::TopConcat(_) | Op::TopSqueeze(_) | Op::TopUnsqueeze(_) | Op::TopTile(_) | Op::TopExpand(_) => 0,
            Op::TopGather(_) | Op::TopDepth2Space(_) => 0,
            Op::TopNone(_) | Op::TopWeight(_) | Op::TopInput(_) | Op::TopPad(_) | Op::TopReshape(_) | Op::TpuReshape(_) | Op::TpuCast(_) => 0,
        }
    }

    pub(crate) fn invalid(&self, reason: String) -> OpError {
        OpError::Invalid { name: self.name().to_owned(), reason }
    }

    fn check_operand_count(&self, found: usize) -> Result<(), OpError> {
        let spec = self.spec();
        let fixed = spec.operands.iter().filter(|o| !o.variadic).count();
        let variadic = spec.operands.len() > fixed;
        if variadic && found <= fixed {
            return Err(self.invalid(format!("expected at least {} operands, found {found}", fixed + 1)));
        }
        if !variadic && found != fixed {
            return Err(self.invalid(format!("expected {fixed} operands, found {found}")));
        }
        Ok(())
    }
}

/// The most elements of a tensor. Products of sizes within it never overflow.
const MOST_ELEMENTS: i64 = 1 << 40;

fn bounded(shape: &[i64]) -> Result<(), String> {
    let count = shape.iter().try_fold(1i64, |a, &d| a.checked_mul(d).filter(|_| d >= 0));
    if count.is_some_and(|c| c <= MOST_ELEMENTS) { Ok(()) } else { Err(format!("a result of shape {shape:?} is too large")) }
}

/// Operand types with messages that name the operand.
pub(crate) struct Operands<'a> {
    list: &'a [ValueType],
}

impl Operands<'_> {
    /// The shape of an operand that must be a tensor.
    fn shape(&self, index: usize) -> Result<&[i64], String> {
        let ty = self.list.get(index).and_then(ValueType::tensor);
        ty.map(|t| t.shape.as_slice()).ok_or_else(|| format!("operand {index} must be a tensor"))
    }

    fn len(&self) -> usize {
        self.list.len()
    }
}

#[cfg(test)]
mod tests;
