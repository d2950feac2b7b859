//! What an op becomes: a prepared kernel and the layouts it works in.

use crate::error::InterpError;
use crate::view::{ElementType, Slice, SliceMut};
use crate::{Options, add, affine, attention, binary, cast, choice, conv, deconv, matmul, movement, norm, pad, pool, preprocess, reduce, relu, requant, reshape, resize, softmax, structure, unary};
use std::sync::Arc;
use tpuc_kernels::cast::HalfFloat;
use tpuc_kernels::requant::RequantStyle;
use tpuc_kernels::{KernelError, Layout, Workspace};
use tpuc_ops::{Elem, Op, TensorType, ValueType, tpu, top_binary, top_const, top_unary, tpu_binary, tpu_structure, tpu_unary};
use tpuc_tensor::{DType, Data, Tensor};

/// An op ready to run.
pub(crate) struct Prepared {
    pub kernel: Box<dyn Kernel>,
    /// By operand: the layout in which it is read at every run; `None` if it is absent or was taken in when preparing.
    pub operands: Vec<Option<Layout>>,
    pub result: Layout,
}

pub(crate) trait Kernel: Send + Sync {
    /// `operands` are those that [`Prepared::operands`] asks for, in its layouts.
    fn run(&self, operands: &[Option<Slice<'_>>], result: SliceMut<'_>, workspace: &mut Workspace) -> Result<(), KernelError>;

    /// Bytes of a run's scratch memory, where they may be many.
    fn scratch_bytes(&self) -> usize {
        0
    }

    /// Bytes that several runs together read once; 0 where they take no less time than one after the other.
    fn shared_bytes(&self) -> usize {
        0
    }

    /// As [`Kernel::run`] on each, to the bit.
    fn run_many(&self, operands: &[Vec<Option<Slice<'_>>>], results: Vec<SliceMut<'_>>, workspace: &mut Workspace) -> Result<(), KernelError> {
        operands.iter().zip(results).try_for_each(|(operands, result)| self.run(operands, result, workspace))
    }
}

impl<F> Kernel for F
where
    F: Fn(&[Option<Slice<'_>>], SliceMut<'_>, &mut Workspace) -> Result<(), KernelError> + Send + Sync,
{
    fn run(&self, operands: &[Option<Slice<'_>>], result: SliceMut<'_>, workspace: &mut Workspace) -> Result<(), KernelError> {
        self(operands, result, workspace)
    }
}

/// Rounds what a kernel computed in f32 to the half floats of its result type.
struct Rounded {
    kernel: Box<dyn Kernel>,
    half: HalfFloat,
}

impl Kernel for Rounded {
    fn run(&self, operands: &[Option<Slice<'_>>], result: SliceMut<'_>, workspace: &mut Workspace) -> Result<(), KernelError> {
        let values = result.floats()?;
        self.kernel.run(operands, SliceMut::F32(&mut *values), workspace)?;
        self.half.round_slice(values);
        Ok(())
    }

    fn scratch_bytes(&self) -> usize {
        self.kernel.scratch_bytes()
    }

    fn shared_bytes(&self) -> usize {
        self.kernel.shared_bytes()
    }

    fn run_many(&self, operands: &[Vec<Option<Slice<'_>>>], results: Vec<SliceMut<'_>>, workspace: &mut Workspace) -> Result<(), KernelError> {
        let mut values = results.into_iter().map(SliceMut::floats).collect::<Result<Vec<_>, _>>()?;
        self.kernel.run_many(operands, values.iter_mut().map(|v| SliceMut::F32(v)).collect(), workspace)?;
        values.into_iter().for_each(|v| self.half.round_slice(v));
        Ok(())
    }
}

/// The integer of zero, within what 16 bits hold.
pub(crate) fn zero_point(elem: &Elem) -> i32 {
    elem.zero_point().clamp(-32768, 32767) as i32
}

/// The half float type of an element type, if it is one.
pub(crate) fn half_float(elem: &Elem) -> Option<HalfFloat> {
    match elem.storage() {
        DType::F16 => Some(HalfFloat::F16),
        DType::BF16 => Some(HalfFloat::BF16),
        _ => None,
    }
}

/// A kernel from a closure, whose argument types the compiler then knows.
pub(crate) fn boxed<F>(body: F) -> Box<dyn Kernel>
where
    F: Fn(&[Option<Slice<'_>>], SliceMut<'_>, &mut Workspace) -> Result<(), KernelError> + Send + Sync + 'static,
{
    Box::new(body)
}

/// The elements of an operand that must be there.
pub(crate) fn operand<'a>(operands: &[Option<Slice<'a>>], index: usize) -> Result<Slice<'a>, KernelError> {
    operands.get(index).copied().flatten().ok_or_else(|| KernelError::Geometry(format!("operand {index} is missing")))
}

/// An op with the types and constants that it is prepared for.
pub(crate) struct Request<'a> {
    pub op: &'a Op,
    pub operands: &'a [ValueType],
    pub result: &'a TensorType,
    /// By operand: its data, if it is a weight.
    pub constants: &'a [Option<Arc<Tensor>>],
    /// By operand: the layout in which it comes.
    pub available: &'a [Layout],
    pub options: Options,
}

impl Request<'_> {
    pub fn unsupported(&self, reason: impl Into<String>) -> InterpError {
        InterpError::Unsupported { layer: String::new(), op: self.op.name(), reason: reason.into() }
    }

    pub fn tensor_type(&self, index: usize) -> Result<&TensorType, InterpError> {
        self.operands.get(index).and_then(ValueType::tensor).ok_or_else(|| self.unsupported(format!("needs a tensor as operand {index}")))
    }

    pub fn shape(&self, index: usize) -> Result<Vec<usize>, InterpError> {
        Ok(self.tensor_type(index)?.dims())
    }

    pub fn layout(&self, index: usize) -> Layout {
        self.available.get(index).copied().unwrap_or(Layout::RowMajor)
    }

    fn element_of(&self, what: &str, ty: &TensorType) -> Result<ElementType, InterpError> {
        ElementType::of(ty.elem.storage()).ok_or_else(|| self.unsupported(format!("cannot run with {what} of {}", ty.elem.storage())))
    }

    pub fn element(&self, index: usize) -> Result<ElementType, InterpError> {
        self.element_of(&format!("operand {index}"), self.tensor_type(index)?)
    }

    pub fn result_element(&self) -> Result<ElementType, InterpError> {
        self.element_of("a result", self.result)
    }

    /// Whether the activations at these operands and the result are floats (true) or all 8-bit with zero point 0 (false).
    pub fn is_float(&self, activations: &[usize]) -> Result<bool, InterpError> {
        self.all_floats(activations, false)
    }

    /// As [`Request::is_float`], for ops that compute with zero points, too.
    pub fn is_float_or_biased(&self, activations: &[usize]) -> Result<bool, InterpError> {
        self.all_floats(activations, true)
    }

    /// The integer of zero at an operand; 0 of floats.
    pub fn zero_point(&self, index: usize) -> i32 {
        self.operands.get(index).and_then(ValueType::tensor).map_or(0, |t| zero_point(&t.elem))
    }

    pub fn result_zero_point(&self) -> i32 {
        zero_point(&self.result.elem)
    }

    fn all_floats(&self, activations: &[usize], zero_points: bool) -> Result<bool, InterpError> {
        let mut types = vec![self.result];
        for &index in activations {
            types.push(self.tensor_type(index)?);
        }
        let elements = types.iter().map(|t| self.element_of("a tensor", t)).collect::<Result<Vec<_>, _>>()?;
        if elements.iter().all(|&e| e == ElementType::F32) {
            return Ok(true);
        }
        let is_8_bit = elements.iter().all(|e| matches!(e, ElementType::I8 | ElementType::U8));
        let symmetric = types.iter().all(|t| !matches!(t.elem, Elem::Uniform { zero_point, .. } if zero_point != 0));
        if is_8_bit && (symmetric || zero_points) {
            return Ok(false);
        }
        let list: Vec<&str> = types.iter().map(|t| t.elem.storage().name()).collect();
        let which = if zero_points { "" } else { " with zero point 0" };
        Err(self.unsupported(format!("runs in floats or in 8-bit integers{which}, found {}", list.join(", "))))
    }

    /// An error unless operands and result are all f32.
    pub fn need_float(&self) -> Result<(), InterpError> {
        let all: Vec<usize> = (0..self.operands.len()).collect();
        if self.is_float(&all)? { Ok(()) } else { Err(self.unsupported("of a float network needs f32 tensors")) }
    }

    /// The kernels' word for a way of scaling.
    pub fn requant_style(&self, mode: tpu::RequantMode) -> Result<RequantStyle, InterpError> {
        match mode {
            tpu::RequantMode::MultiplierShift | tpu::RequantMode::OnlyShift => Ok(RequantStyle::MultiplierShift),
            tpu::RequantMode::QDM => Ok(RequantStyle::HighProduct),
            other => Err(self.unsupported(format!("with quant_mode {other:?} does not run"))),
        }
    }

    pub fn constant(&self, index: usize) -> Option<&Tensor> {
        self.constants.get(index).and_then(Option::as_deref)
    }

    pub fn is_absent(&self, index: usize) -> bool {
        self.operands.get(index).is_none_or(ValueType::is_none)
    }

    fn weight_error(&self, index: usize, expected: &str, found: &Tensor) -> InterpError {
        InterpError::Weight { layer: String::new(), weight: format!("operand {index}"), expected: expected.into(), found: format!("{} of shape {:?}", found.dtype(), found.shape()) }
    }

    fn checked(&self, index: usize) -> Result<Option<&Tensor>, InterpError> {
        let Some(tensor) = self.constant(index) else { return Ok(None) };
        let ty = self.tensor_type(index)?;
        if tensor.len() as i64 != ty.count() {
            return Err(self.weight_error(index, &format!("{} elements", ty.count()), tensor));
        }
        Ok(Some(tensor))
    }

    /// The f32 elements of a constant operand.
    pub fn floats(&self, index: usize) -> Result<Option<&[f32]>, InterpError> {
        let Some(tensor) = self.checked(index)? else { return Ok(None) };
        tensor.as_f32().map(Some).ok_or_else(|| self.weight_error(index, "f32", tensor))
    }

    /// The elements of an 8-bit constant operand, widened.
    pub fn bytes(&self, index: usize) -> Result<Option<Vec<i16>>, InterpError> {
        let Some(tensor) = self.checked(index)? else { return Ok(None) };
        match tensor.data() {
            Data::I8(v) => Ok(Some(v.iter().map(|&x| i16::from(x)).collect())),
            Data::U8(v) => Ok(Some(v.iter().map(|&x| i16::from(x)).collect())),
            _ => Err(self.weight_error(index, "8-bit integers", tensor)),
        }
    }

    /// The elements of an integer constant operand as i32.
    pub fn integers(&self, index: usize) -> Result<Option<Vec<i32>>, InterpError> {
        let Some(tensor) = self.checked(index)? else { return Ok(None) };
        let narrow = |list: Vec<i64>| list.into_iter().map(i32::try_from).collect::<Result<Vec<i32>, _>>().ok();
        tensor.to_i64().and_then(narrow).map(Some).ok_or_else(|| self.weight_error(index, "32-bit integers", tensor))
    }

    /// A bias, which must be a constant where it is present.
    pub fn bias<T>(&self, index: usize, found: Option<T>) -> Result<Option<T>, InterpError> {
        if found.is_none() && !self.is_absent(index) {
            return Err(self.unsupported(format!("needs a weight as operand {index}")));
        }
        Ok(found)
    }
}

/// The most elements that a tensor may have: kernels count in 32 bits here and there.
const MOST_ELEMENTS: i64 = i32::MAX as i64;

/// Empty tensors compute nothing, and huge ones would not fit anywhere: both are mistakes.
pub(crate) fn check_size(op: &'static str, ty: &TensorType) -> Result<(), InterpError> {
    let count = ty.shape.iter().try_fold(1i64, |a, &d| if d < 1 { None } else { a.checked_mul(d) });
    match count {
        Some(count) if count <= MOST_ELEMENTS => Ok(()),
        _ => Err(InterpError::Unsupported { layer: String::new(), op, reason: format!("has a tensor of shape {:?}, expected 1 to {MOST_ELEMENTS} elements", ty.shape) }),
    }
}

/// Prepares an op. The result type must be that of the program; a result of half floats is computed in f32 and rounded
/// once.
pub(crate) fn prepare(request: &Request<'_>) -> Result<Prepared, InterpError> {
    let prepared = prepare_exact(request)?;
    Ok(match half_float(&request.result.elem) {
        // Casts round by themselves.
        Some(half) if !matches!(request.op, Op::TpuCast(_)) && !leaves_unrounded(request.op, half) => Prepared { kernel: Box::new(Rounded { kernel: prepared.kernel, half }), ..prepared },
        _ => prepared,
    })
}

/// Ops whose f32 results the reference hands on as they are, though their type is narrower.
fn leaves_unrounded(op: &Op, half: HalfFloat) -> bool {
    matches!(op, Op::TpuInterp(_)) || half == HalfFloat::F16 && matches!(op, Op::TpuLayerNorm(_))
}

/// Prepares an op whose result is not rounded yet.
pub(crate) fn prepare_exact(request: &Request<'_>) -> Result<Prepared, InterpError> {
    for ty in request.operands.iter().filter_map(ValueType::tensor).chain([request.result]) {
        check_size(request.op.name(), ty)?;
    }
    match request.op {
        Op::TopNone(_) | Op::TopWeight(_) => Err(request.unsupported("is a value, not a computation")),
        Op::TopInput(_) => reshape::prepare_input(request),
        Op::TopPreprocess(op) => preprocess::prepare_whole(op, request),
        Op::TpuScaleLut(_) => preprocess::prepare_table(request),
        Op::TpuSwapChannel(op) => movement::prepare_swap(op, request),
        Op::TpuYuv2rgbFormula(op) => preprocess::prepare_yuv(op, request),
        Op::TopReshape(_) | Op::TpuReshape(_) => reshape::prepare(request),
        Op::TopConv(op) => conv::prepare_top(op, request),
        Op::TpuConv2D(op) => conv::prepare_tpu(op, request),
        Op::TopMatMul(op) => matmul::prepare_top(op, request),
        Op::TpuMatMul(op) => matmul::prepare_tpu(op, request),
        Op::TpuA16MatMul(op) => matmul::prepare_groups(op, request),
        Op::TopAdd(op) => add::prepare_top(op, request),
        top_binary!() | Op::TopPRelu(_) => binary::prepare(request),
        top_unary!() | top_const!() => unary::prepare(request),
        Op::TpuAdd(op) => add::prepare_tpu(op, request),
        Op::TopAvgPool(op) => pool::prepare_avg(op, request),
        Op::TopMaxPool(op) => pool::prepare_max(op, request),
        Op::TpuPool2D(op) => pool::prepare_tpu(op, request),
        Op::TpuPool1D(op) => pool::prepare_tpu(&op.clone().into(), request),
        Op::TopRelu(op) => relu::prepare_relu(op.relu_limit, request),
        Op::TpuRelu(op) => relu::prepare_relu(op.relu_limit, request),
        Op::TopClip(op) => relu::prepare_clip(op.min, op.max, request),
        Op::TpuClip(op) => relu::prepare_clip(op.min, op.max, request),
        Op::TopBatchNorm(op) => affine::prepare_batch_norm(op, request),
        Op::TopScale(op) => affine::prepare_scale(op, request),
        Op::TopPad(op) => pad::prepare(&op.paddings, op.val, &op.mode, request),
        Op::TpuDeconv(op) if request.element(0)? != ElementType::F32 => deconv::prepare_int(op, request),
        Op::TpuLayerNorm(op) if !request.is_absent(3) || half_float(&request.result.elem) == Some(HalfFloat::BF16) => norm::prepare_bf16(op, request),
        Op::TpuReduce(op) if op.multiplier.is_some() => reduce::prepare_int(op, request),
        tpu_structure!() => structure::prepare(request),
        Op::TopAttention(op) => attention::prepare_whole(op, request),
        Op::TpuAttention(op) => attention::prepare_head(op, request),
        Op::TopSoftmax(op) => softmax::prepare_top(op, request),
        Op::TpuSoftmax(op) => softmax::prepare_tpu(op, request),
        Op::TpuCast(op) => cast::prepare(op, request),
        Op::TopSqueeze(_) | Op::TopUnsqueeze(_) => reshape::prepare(request),
        Op::TopPermute(op) => movement::prepare_permute(op, request),
        Op::TopSlice(op) => movement::prepare_slice(op, request),
        Op::TopReverse(op) => movement::prepare_reverse(op, request),
        Op::TopTile(op) => movement::prepare_tile(op, request),
        Op::TopExpand(_) => movement::prepare_expand(request),
        Op::TopDepth2Space(op) => movement::prepare_depth2space(op, request),
        Op::TopUpsample(op) => movement::prepare_upsample(op, request),
        Op::TopConcat(op) => movement::prepare_concat(op, request),
        Op::TopGather(op) => movement::prepare_gather(op, request),
        Op::TopSplit(_) => Err(request.unsupported("is no form that runs: top-split-to-slice turns it into Slices")),
        Op::TopInterp(op) => resize::prepare(op, request),
        Op::TopReduce(op) => reduce::prepare_reduce(op, request),
        Op::TopArg(op) => reduce::prepare_arg(op, request),
        Op::TopLayerNorm(op) => norm::prepare_layer(op, request),
        Op::TopInstanceNorm(op) => norm::prepare_instance(op, request),
        Op::TopGroupNorm(op) => norm::prepare_group(op, request),
        Op::TopDeconv(op) => deconv::prepare(op, request),
        Op::TopCompare(op) => choice::prepare_compare(&op.mode, request),
        Op::TopCompareConst(op) => choice::prepare_compare_const(&op.mode, op.const_val, op.inversed, request),
        Op::TopWhere(op) => choice::prepare_where(choice::Branch::new(1, op.x_is_const, op.x_const_val), choice::Branch::new(2, op.y_is_const, op.y_const_val), request),
        Op::TpuScale(op) => affine::prepare_tpu(op, request),
        Op::TpuCompareConst(op) => choice::prepare_tpu_compare_const(op, request),
        Op::TpuCompare(op) => choice::prepare_tpu_compare(op, request),
        Op::TpuWhere(op) => choice::prepare_tpu_where(op, request),
        Op::TpuMaskedFill(op) => choice::prepare_masked_fill(op, request),
        tpu_binary!() | Op::TpuPReluOp(_) => binary::prepare_tpu(request),
        Op::TpuLutBF16(op) => softmax::prepare_lut(op, request),
        Op::TpuRequantInt(op) => requant::prepare(op, request),
        Op::TpuRequantIntAxis(op) => requant::prepare_axis(op, request),
        tpu_unary!() => unary::prepare_tpu(request),
    }
}

/// A weight as kernels read it: half floats widened.
pub(crate) fn widened(tensor: &Arc<Tensor>) -> Arc<Tensor> {
    match tensor.data() {
        Data::F16(_) | Data::BF16(_) => match Tensor::f32(tensor.shape(), tensor.to_f32()) {
            Ok(wide) => Arc::new(wide),
            Err(_) => Arc::clone(tensor),
        },
        _ => Arc::clone(tensor),
    }
}

/// Whether the result is the operand's memory under another shape.
pub(crate) fn is_alias(op: &Op) -> bool {
    matches!(op, Op::TopInput(_) | Op::TopReshape(_) | Op::TopSqueeze(_) | Op::TopUnsqueeze(_) | Op::TpuReshape(_) | Op::TpuSqueeze(_) | Op::TpuUnsqueeze(_))
}
