//! Tpu programs become instruction streams. Every op is loaded tile by tile into local memory, computed and stored;
//! tiles alternate between two halves of local memory, so that the two engines overlap by themselves: dependencies are
//! computed from the memory that the instructions touch.
//!
//! In: a lowered [`Program`](tpuc_ops::Program) and its weights. Out: [`Compiled`], from which [`Compiled::model`] makes a
//! bmodel and [`report`] the cycles per layer.

mod active;
mod attention;
mod broadcast;
mod cast;
mod container;
mod conv;
mod coeff;
mod copies;
mod elementwise;
mod emit;
mod float;
mod functions;
mod global;
mod local;
mod lut;
mod matmul;
mod movement;
mod norm;
mod pad;
mod pairs;
mod place;
mod pool;
mod reduce;
mod report;
mod requant;
mod resize;
mod softmax;
mod sums;
mod tile;

pub use container::Compiled;
pub use report::{LayerCost, Timeline};

use emit::Emitter;
use global::Placement;
use tpuc_ops::{Attr, Elem, Op, Program, TensorType, ValueId};
use tpuc_tensor::{DType, WeightStore};

/// A program cannot be compiled.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum CodegenError {
    #[error("layer '{layer}' ({op}): {reason}")]
    Layer { layer: String, op: &'static str, reason: String },
    /// Every op that has no kernel, with its layer.
    #[error("no code generation yet for: {}", tpuc_tensor::text::grouped(list.iter().map(|(layer, op, reason)| (layer.as_str(), *op, reason.as_str())), |layer, op, reason| format!("{op} (layer '{layer}': {reason})")))]
    Unsupported { list: Vec<(String, &'static str, String)> },
    #[error("no code generation yet for {chip}, only for bm1684x; its lowered network runs in the interpreter")]
    Chip { chip: String },
    #[error("the program is not lowered for a chip: {reason}")]
    NotLowered { reason: String },
    #[error("weight '{name}' {reason}")]
    Weight { name: String, reason: String },
    #[error("the program is too large: {reason}")]
    TooLarge { reason: String },
    /// A mistake of the code generator, found before anybody runs it.
    #[error("the generated program is wrong: {reason}")]
    Illegal { reason: String },
}

/// What kernels see of the compilation: the program, where its tensors are, and the emitter.
struct Context<'a> {
    program: &'a Program,
    weights: &'a WeightStore,
    placement: Placement,
    coeff: coeff::Coeff,
    emit: Emitter,
}

/// Chips that instructions are made for.
pub const CHIPS: &[&str] = &["bm1684x"];

/// Compiles a program that was lowered for the BM1684X.
pub fn compile(program: &Program, weights: &WeightStore) -> Result<Compiled, CodegenError> {
    // A module for "ALL" chips is not lowered: its ops say so better.
    if let Some(Attr::Str(chip)) = program.attrs.get("module.chip").filter(|c| **c != Attr::Str("ALL".into()) && **c != Attr::Str("bm1684x".into())) {
        return Err(CodegenError::Chip { chip: chip.clone() });
    }
    check_supported(program)?;
    let mut context = Context { program, weights, placement: Placement::new(program), coeff: coeff::Coeff::default(), emit: Emitter::default() };
    for index in 0..program.nodes.len() {
        context.emit.begin_layer(index);
        context.node(index).map_err(|reason| CodegenError::Layer { layer: program.node_name(index).to_owned(), op: program.nodes[index].op.name(), reason })?;
    }
    container::finish(context)
}

impl Context<'_> {
    fn node(&mut self, index: usize) -> Result<(), String> {
        let program = self.program;
        match &program.nodes[index].op {
            // The runtime puts the input at its address; a reshape is another view of the same bytes.
            op if is_view(op) => Ok(()),
            op if movement::is_movement(op) => movement::generate(self, index),
            Op::TpuCast(op) => cast::generate(self, index, op),
            Op::TpuConv2D(op) => conv::generate(self, index, op),
            Op::TpuScaleLut(_) => lut::generate_by_channel(self, index),
            Op::TpuPool2D(op) => pool::generate(self, index, op),
            Op::TpuMatMul(op) => matmul::generate(self, index, op),
            Op::TpuPad(op) => pad::generate(self, index, op),
            Op::TpuSoftmax(op) => softmax::generate(self, index, op),
            Op::TpuActive(op) if self.is_float_node(index) => active::generate(self, index, op),
            Op::TpuDeconv(op) => conv::generate_transposed(self, index, op),
            Op::TpuRequantIntAxis(_) => requant::generate(self, index),
            Op::TpuReduce(op) => reduce::generate(self, index, op),
            Op::TpuLayerNorm(_) | Op::TpuGroupNorm(_) | Op::TpuInstanceNorm(_) => norm::generate(self, index),
            Op::TpuInterp(op) => resize::generate(self, index, op),
            Op::TpuAttention(op) => attention::generate(self, index, op),
            _ if sums::is_of_sums(program, index) => sums::generate(self, index),
            _ if self.is_float_node(index) => float::generate(self, index),
            Op::TpuAdd(op) => elementwise::generate_add(self, index, op),
            Op::TpuRelu(op) => elementwise::generate_relu(self, index, op),
            op if is_pair(op) => pairs::generate(self, index),
            _ => lut::generate(self, index),
        }
    }

    /// Whether a node's first result is of floats.
    fn is_float_node(&self, index: usize) -> bool {
        computes_floats(self.program, index)
    }

    fn operand(&self, node: usize, index: usize) -> ValueId {
        self.program.nodes[node].operands[index]
    }

    fn result(&self, node: usize) -> ValueId {
        self.program.nodes[node].results[0]
    }

    fn ty(&self, value: ValueId) -> Result<&TensorType, String> {
        self.program.tensor_type(value).ok_or_else(|| format!("'{}' is not a tensor", self.program.value(value).name))
    }

    /// The elements of a weight as integers of the store's type.
    fn weight(&self, value: ValueId) -> Result<&tpuc_tensor::Tensor, String> {
        let name = &self.program.value(value).name;
        let tensor = self.weights.get(name).ok_or_else(|| format!("weight '{name}' is not in the weight file"))?;
        let wanted = self.ty(value)?.count();
        if tensor.len() as i64 != wanted {
            return Err(format!("weight '{name}' has {} elements, its type says {wanted}", tensor.len()));
        }
        Ok(tensor)
    }
}

/// 8-bit integers, with whatever zero point.
fn is_quantized(ty: &TensorType) -> bool {
    matches!(ty.elem, Elem::Uniform { storage: DType::I8 | DType::U8, .. })
}

/// The byte of zero; 0 of types without zero points.
fn zero_point(ty: &TensorType) -> i16 {
    ty.elem.zero_point().clamp(-128, 255) as i16
}

/// 8-bit integers with zero point 0.
fn is_int8(ty: &TensorType) -> bool {
    matches!(ty.elem, Elem::Uniform { storage: DType::I8 | DType::U8, zero_point: 0, .. })
}

fn is_float_type(dtype: DType) -> bool {
    matches!(dtype, DType::F32 | DType::F16 | DType::BF16)
}

fn is_float(ty: &TensorType) -> bool {
    !matches!(ty.elem, Elem::Uniform { .. }) && is_float_type(ty.elem.storage())
}

/// Ops whose result is its operand's bytes under another shape.
fn is_view(op: &Op) -> bool {
    matches!(op, Op::TopInput(_) | Op::TpuReshape(_) | Op::TpuSqueeze(_) | Op::TpuUnsqueeze(_))
}

/// Arithmetic of two tensors.
fn is_pair(op: &Op) -> bool {
    matches!(op, Op::TpuMul(_) | Op::TpuSub(_) | Op::TpuMax(_) | Op::TpuMin(_) | Op::TpuPReluOp(_))
}

fn computes_floats(program: &Program, node: usize) -> bool {
    program.nodes[node].results.first().and_then(|&v| program.tensor_type(v)).is_some_and(is_float)
}

/// All ops without a kernel are reported at once.
fn check_supported(program: &Program) -> Result<(), CodegenError> {
    let mut list = Vec::new();
    for (index, node) in program.nodes.iter().enumerate() {
        let refuse = |reason: &str| Some(reason.to_owned());
        let float = computes_floats(program, index);
        // Integers or floats throughout; what a node's constants are is looked at when they are read.
        let one_kind = || {
            let values = node.operands.iter().take(1).chain(&node.results);
            let mut types = values.filter_map(|&v| program.tensor_type(v));
            match float {
                true if types.all(is_float) => None,
                false if types.all(is_quantized) => None,
                true => refuse("operands and result must all be floats"),
                false => refuse("of integers only INT8 is generated"),
            }
        };
        let reason = match &node.op {
            op if is_view(op) => None,
            op if movement::is_movement(op) => movement::refuse(program, index),
            Op::TpuCast(_) => cast::refuse(program, index),
            Op::TpuScaleLut(_) => lut::refuse_by_channel(program, index),
            Op::TpuYuv2rgbFormula(_) => refuse("conversions from YUV are not generated"),
            Op::TpuPool2D(op) => one_kind().or_else(|| pool::refuse(op, float)),
            Op::TpuPad(op) => one_kind().or_else(|| pad::refuse(program, index, op)),
            Op::TpuMatMul(op) => one_kind().or_else(|| matmul::refuse(program, index, op)),
            Op::TpuConv2D(_) => one_kind(),
            Op::TpuSoftmax(op) => one_kind().or_else(|| softmax::refuse(program, index, op)),
            Op::TpuActive(op) if float => one_kind().or_else(|| active::refuse(op)),
            Op::TpuDeconv(op) => conv::refuse_transposed(program, index, op),
            Op::TpuRequantIntAxis(op) => requant::refuse(program, index, op),
            Op::TpuReduce(op) if float => one_kind().or_else(|| reduce::refuse(program, index, op)),
            Op::TpuLayerNorm(_) | Op::TpuGroupNorm(_) | Op::TpuInstanceNorm(_) if float => one_kind().or_else(|| norm::refuse(program, index)),
            Op::TpuInterp(_) if float => one_kind().or_else(|| resize::refuse(program, index)),
            Op::TpuReduce(_) | Op::TpuInterp(_) => Some("of integers".into()),
            Op::TpuAttention(op) => attention::refuse(program, index, op),
            _ if sums::is_of_sums(program, index) => sums::refuse(program, index),
            _ if float => float::refuse(program, index),
            Op::TpuAdd(_) => elementwise::refuse_add(program, index),
            Op::TpuRelu(_) => one_kind().or_else(|| elementwise::refuse_relu(program, index)),
            op if is_pair(op) => pairs::refuse(program, index),
            _ => lut::refuse(program, index),
        };
        if let Some(reason) = reason {
            list.push((program.node_name(index).to_owned(), node.op.name(), reason));
        }
    }
    if list.is_empty() { Ok(()) } else { Err(CodegenError::Unsupported { list }) }
}
