//! The question to [`lower_op`](crate::lower_op) and its answer.

use crate::ahead::Prepared;
use crate::chip::{Chip, Mode};
use crate::error::{LowerError, UnsupportedOp};
use crate::quantize::{asymmetric_elem, quantized_elem};
use crate::ranges::Range;
use std::borrow::Cow;
use std::sync::Arc;
use tpuc_kernels::quantize::all_finite;
use tpuc_ops::{Attr, Elem, Op, Program, Source, TensorType, ValueType};
use tpuc_tensor::{DType, Tensor, WeightStore};

/// An operand of a Top op.
#[derive(Debug, Clone)]
pub struct Operand {
    /// Name of the value.
    pub name: String,
    pub ty: ValueType,
    /// The data, if the operand is a weight.
    pub weight: Option<Arc<Tensor>>,
    /// The element type in which the value is computed below Top; that of `ty` where it is not lowered yet.
    pub computed: Elem,
    /// Whether it is an input of the network, which is quantized where it is read.
    pub is_input: bool,
}

/// One Top op and all that decides what it becomes: its operands (types with ranges, weights), its result's range, the
/// chip and the mode.
#[derive(Debug, Clone)]
pub struct OpContext<'a> {
    pub op: &'a Op,
    /// Layer name.
    pub name: &'a str,
    pub operands: Vec<Operand>,
    /// Type of the result; `!quant.calibrated` where a range is known.
    pub result: TensorType,
    pub chip: &'a Chip,
    pub mode: Mode,
    /// How weights alone are quantized.
    pub groups: WeightGroups,
    /// Whether integers have zero points, so that they cover ranges which are not the same on both sides of zero.
    pub asymmetric: bool,
    pub prepared: Prepared,
}

/// Whether a module is quantized with zero points (`module.asymmetric`).
pub fn is_asymmetric(program: &Program) -> bool {
    program.attrs.get("module.asymmetric") == Some(&Attr::Bool(true))
}

/// How weights are quantized where activations stay floats: a scale for each group of so many neighbours along the summed
/// dimension.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct WeightGroups {
    pub size: i64,
    /// The zero point is the middle of the integers.
    pub symmetric: bool,
}

impl Default for WeightGroups {
    fn default() -> WeightGroups {
        WeightGroups { size: 64, symmetric: false }
    }
}

impl WeightGroups {
    /// As the attributes `module.q_group_size` (0: the default) and `module.q_symmetric` say.
    pub fn of(program: &Program) -> WeightGroups {
        let size = match program.attrs.get("module.q_group_size") {
            Some(&Attr::I64(size)) if size > 0 => size,
            _ => WeightGroups::default().size,
        };
        WeightGroups { size, symmetric: program.attrs.get("module.q_symmetric") == Some(&Attr::Bool(true)) }
    }
}

/// Where a new node's operand comes from.
#[derive(Debug, Clone, PartialEq)]
pub enum OperandRef {
    /// An operand of the Top op, wanted with this element type; the driver inserts a cast where it has another.
    Operand { index: usize, elem: Elem },
    /// The result of an earlier new node.
    Node(usize),
    /// A new weight.
    Weight(usize),
    /// An absent operand.
    None,
}

/// An op of the Tpu dialect (or `top.Input`) with one result.
#[derive(Debug, Clone, PartialEq)]
pub struct NewNode {
    pub op: Op,
    pub operands: Vec<OperandRef>,
    pub name: String,
    pub ty: TensorType,
    /// Stands right behind this operand of the Top op (and its casts) instead of in front of the layer; it reads that
    /// operand alone.
    pub behind: Option<usize>,
}

/// A weight in the form that the chip reads. `data` is flat; `ty` has the shape.
#[derive(Debug, Clone, PartialEq)]
pub struct NewWeight {
    pub name: String,
    pub ty: TensorType,
    pub data: Tensor,
}

/// What an op becomes.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Lowered {
    /// In execution order.
    pub nodes: Vec<NewNode>,
    pub weights: Vec<NewWeight>,
    /// For each result of the Top op the new node that computes it.
    pub results: Vec<usize>,
}

impl<'a> OpContext<'a> {
    /// The context of a node of a program. Weights are looked up, and must have as many elements as their type says.
    pub fn of(program: &'a Program, weights: &WeightStore, node: usize, chip: &'a Chip, mode: Mode) -> Result<OpContext<'a>, LowerError> {
        let name = program.node_name(node);
        let operand = |&id: &tpuc_ops::ValueId| {
            let value = program.value(id);
            let weight = match value.source {
                Source::Weight => Some(find_weight(weights, name, &value.name, &value.ty)?),
                Source::Argument(_) | Source::None | Source::Op { .. } => None,
            };
            let is_input = program.producer(id).is_none_or(|p| matches!(program.nodes[p].op, Op::TopInput(_)));
            Ok(Operand { name: value.name.clone(), ty: value.ty.clone(), weight, computed: value.ty.tensor().map_or(Elem::F32, |t| t.elem), is_input })
        };
        let operands = program.nodes[node].operands.iter().map(operand).collect::<Result<_, LowerError>>()?;
        let result = program.nodes[node].results.first().and_then(|&r| program.tensor_type(r));
        let result = result.cloned().unwrap_or_else(|| TensorType::f32(&[]));
        Ok(OpContext { op: &program.nodes[node].op, name, operands, result, chip, mode, groups: WeightGroups::of(program), asymmetric: is_asymmetric(program), prepared: Prepared::default() })
    }

    /// An error value that says why this op is not supported.
    pub fn unsupported(&self, reason: impl Into<String>) -> LowerError {
        let op = UnsupportedOp { layer: self.name.to_owned(), op: self.op.name(), reason: reason.into() };
        LowerError::Unsupported { chip: self.chip.name, mode: self.mode, ops: vec![op] }
    }

    /// The tensor type of an operand.
    pub fn tensor(&self, index: usize) -> Result<&TensorType, LowerError> {
        let ty = self.operands.get(index).and_then(|o| o.ty.tensor());
        ty.ok_or_else(|| self.unsupported(format!("operand {index} is absent")))
    }

    /// The data of an operand that is a weight, as finite f32.
    pub(crate) fn weight(&self, index: usize) -> Option<Result<Cow<'_, [f32]>, LowerError>> {
        let data = self.floats(index)?;
        Some(if all_finite(&data) { Ok(data) } else { Err(self.not_finite(index, &data)) })
    }

    /// The data of an operand that is a weight, as f32 of any kind.
    pub(crate) fn floats(&self, index: usize) -> Option<Cow<'_, [f32]>> {
        let tensor = self.operands.get(index)?.weight.as_ref()?;
        Some(tensor.as_f32().map_or_else(|| Cow::Owned(tensor.to_f32()), Cow::Borrowed))
    }

    /// The error for a weight with an element that is no number.
    pub(crate) fn not_finite(&self, index: usize, data: &[f32]) -> LowerError {
        let at = data.iter().position(|v| !v.is_finite()).unwrap_or(0);
        LowerError::NotFinite { layer: self.name.to_owned(), weight: self.operands[index].name.clone(), index: at, value: data.get(at).copied().unwrap_or(f32::NAN) }
    }

    pub(crate) fn is_weight(&self, index: usize) -> bool {
        self.operands.get(index).is_some_and(|o| o.weight.is_some())
    }

    pub(crate) fn is_absent(&self, index: usize) -> bool {
        self.operands.get(index).is_none_or(|o| o.ty.is_none())
    }

    /// The 8-bit type of a calibrated one.
    fn quantized(&self, elem: &Elem) -> Option<Elem> {
        if self.asymmetric { asymmetric_elem(elem) } else { quantized_elem(elem) }
    }

    /// The quantized element type of an operand.
    pub(crate) fn operand_elem(&self, index: usize) -> Result<Elem, LowerError> {
        let operand = &self.operands[index];
        // What is an integer already is taken as it is; a float keeps its type as that which the integer stands for.
        let expressed = match operand.computed {
            quantized @ Elem::Uniform { .. } => return Ok(quantized),
            Elem::Plain(dtype @ (DType::F16 | DType::BF16)) | Elem::Calibrated { expressed: dtype @ (DType::F16 | DType::BF16), .. } => dtype,
            Elem::Plain(_) | Elem::Calibrated { .. } => DType::F32,
        };
        match self.quantized(&self.tensor(index)?.elem) {
            Some(Elem::Uniform { storage, scale, zero_point, .. }) => Ok(Elem::Uniform { storage, expressed, scale, zero_point }),
            Some(Elem::Plain(_) | Elem::Calibrated { .. }) | None => Err(LowerError::MissingThresholds { layers: vec![operand.name.clone()] }),
        }
    }

    /// The quantized element type of the result.
    pub(crate) fn result_elem(&self) -> Result<Elem, LowerError> {
        self.quantized(&self.result.elem).ok_or_else(|| LowerError::MissingThresholds { layers: vec![self.name.to_owned()] })
    }

    /// The element type of the result where its integers are those of operand 0; `None` where their ranges differ.
    pub(crate) fn shared_elem(&self) -> Result<Option<Elem>, LowerError> {
        let (input, result) = (self.operand_elem(0)?, self.result_elem()?);
        if (input.storage(), input.scale(), input.zero_point()) == (result.storage(), result.scale(), result.zero_point()) {
            return Ok(Some(result));
        }
        let range = |elem: &Elem| Range::of_elem(elem).map_or((0.0, 0.0), |r| (r.min, r.max));
        // Of one range, but kept by its producer as another integer (signed, or standing for a half float): so is the result.
        Ok((range(&self.tensor(0)?.elem) == range(&self.result.elem)).then_some(input))
    }

    /// The result's shape with another element type.
    pub(crate) fn result_type(&self, elem: Elem) -> TensorType {
        TensorType::new(&self.result.shape, elem)
    }
}

impl Lowered {
    /// One op under the layer's name.
    pub(crate) fn one(op: impl Into<Op>, operands: Vec<OperandRef>, name: &str, ty: TensorType) -> Lowered {
        let mut lowered = Lowered::default();
        lowered.push(op, operands, name, ty);
        lowered.finish()
    }

    pub(crate) fn push(&mut self, op: impl Into<Op>, operands: Vec<OperandRef>, name: impl Into<String>, ty: TensorType) -> OperandRef {
        self.nodes.push(NewNode { op: op.into(), operands, name: name.into(), ty, behind: None });
        OperandRef::Node(self.nodes.len() - 1)
    }

    /// An op of operand `index` alone, which stands right behind that value.
    pub(crate) fn push_behind(&mut self, index: usize, elem: Elem, op: impl Into<Op>, name: impl Into<String>, ty: TensorType) -> OperandRef {
        let node = NewNode { op: op.into(), operands: vec![OperandRef::Operand { index, elem }], name: name.into(), ty, behind: Some(index) };
        self.nodes.push(node);
        OperandRef::Node(self.nodes.len() - 1)
    }

    pub(crate) fn weight(&mut self, weight: NewWeight) -> OperandRef {
        self.weights.push(weight);
        OperandRef::Weight(self.weights.len() - 1)
    }

    /// The last node computes the result.
    pub(crate) fn finish(mut self) -> Lowered {
        self.results = vec![self.nodes.len() - 1];
        self
    }
}

pub(crate) fn find_weight(weights: &WeightStore, layer: &str, name: &str, ty: &ValueType) -> Result<Arc<Tensor>, LowerError> {
    let missing = || LowerError::MissingWeight { layer: layer.to_owned(), weight: name.to_owned() };
    let tensor = weights.get(name).ok_or_else(missing)?;
    let expected = ty.tensor().map_or(0, TensorType::count);
    if i64::try_from(tensor.len()) != Ok(expected) {
        return Err(LowerError::WeightSize { layer: layer.to_owned(), weight: name.to_owned(), expected, found: tensor.len() });
    }
    Ok(tensor.clone())
}
