//! Types of values: shapes and element types, quantized ones included.

use tpuc_tensor::DType;

/// The element type of a tensor.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Elem {
    Plain(DType),
    /// A float whose range calibration has found: `!quant.calibrated<f32<min:max>>`.
    Calibrated { expressed: DType, min: f64, max: f64 },
    /// An integer that stands for `(q - zero_point) * scale`: `!quant.uniform<i8:f32, scale:zero_point>`.
    Uniform { storage: DType, expressed: DType, scale: f64, zero_point: i64 },
}

impl Elem {
    pub const F32: Elem = Elem::Plain(DType::F32);

    /// The type in which elements are held in memory.
    pub const fn storage(&self) -> DType {
        match *self {
            Elem::Plain(dtype) => dtype,
            Elem::Calibrated { expressed, .. } => expressed,
            Elem::Uniform { storage, .. } => storage,
        }
    }

    /// The quantization scale, of quantized types only.
    pub const fn scale(&self) -> Option<f64> {
        match *self {
            Elem::Uniform { scale, .. } => Some(scale),
            Elem::Plain(_) | Elem::Calibrated { .. } => None,
        }
    }

    /// The integer of zero; 0 of types that are not quantized.
    pub const fn zero_point(&self) -> i64 {
        match *self {
            Elem::Uniform { zero_point, .. } => zero_point,
            Elem::Plain(_) | Elem::Calibrated { .. } => 0,
        }
    }

    /// A symmetric quantized type with zero point 0.
    pub const fn symmetric(storage: DType, scale: f64) -> Elem {
        Elem::Uniform { storage, expressed: DType::F32, scale, zero_point: 0 }
    }
}

/// A tensor type with a static shape.
#[derive(Debug, Clone, PartialEq)]
pub struct TensorType {
    pub shape: Vec<i64>,
    pub elem: Elem,
}

impl TensorType {
    pub fn new(shape: &[i64], elem: Elem) -> TensorType {
        TensorType { shape: shape.to_vec(), elem }
    }

    pub fn f32(shape: &[i64]) -> TensorType {
        TensorType::new(shape, Elem::F32)
    }

    /// Number of elements.
    pub fn count(&self) -> i64 {
        self.shape.iter().product()
    }

    /// The shape as array sizes; dimensions are never negative in a checked program.
    pub fn dims(&self) -> Vec<usize> {
        self.shape.iter().map(|&d| d.max(0) as usize).collect()
    }
}

/// The type of a value: a tensor, or nothing where an optional operand is absent.
#[derive(Debug, Clone, PartialEq)]
pub enum ValueType {
    None,
    Tensor(TensorType),
}

impl ValueType {
    pub fn tensor(&self) -> Option<&TensorType> {
        match self {
            ValueType::None => None,
            ValueType::Tensor(t) => Some(t),
        }
    }

    pub fn tensor_mut(&mut self) -> Option<&mut TensorType> {
        match self {
            ValueType::None => None,
            ValueType::Tensor(t) => Some(t),
        }
    }

    pub fn is_none(&self) -> bool {
        matches!(self, ValueType::None)
    }
}

impl From<TensorType> for ValueType {
    fn from(t: TensorType) -> ValueType {
        ValueType::Tensor(t)
    }
}
