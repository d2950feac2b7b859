//! Where the operands and results of a kernel are in device memory.

use crate::Context;
use crate::emit::Ddr;
use tpuc_ops::ValueId;
use tpuc_tensor::DType;

/// A tensor in device memory, without strides; constants are in the coefficients.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Place {
    pub base: Ddr,
    pub dtype: DType,
    pub shape: Vec<i64>,
}

impl Place {
    /// The place of a value. A constant goes to the coefficients in the type that it has in the weight file, which `accepts` must
    /// know; `expected` names those types for the error.
    pub fn of(context: &mut Context, value: ValueId, accepts: impl Fn(DType) -> bool, expected: &str) -> Result<Place, String> {
        let ty = context.ty(value)?.clone();
        if context.program.producer(value).is_some() {
            return Ok(Place { base: Ddr::context(context.placement.offset(value)?, [0; 4]), dtype: ty.elem.storage(), shape: ty.shape });
        }
        let tensor = context.weight(value)?;
        let dtype = tensor.dtype();
        if !accepts(dtype) {
            return Err(format!("the constant is of type {dtype}, expected {expected}"));
        }
        let bytes = tensor.to_le_bytes();
        Ok(Place { base: Ddr::coefficients(context.coeff.add(bytes), [0; 4]), dtype, shape: ty.shape })
    }

    /// Of floats.
    pub fn floats(context: &mut Context, value: ValueId) -> Result<Place, String> {
        Place::of(context, value, crate::is_float_type, "a float")
    }

    /// Of 8-bit integers.
    pub fn bytes(context: &mut Context, value: ValueId) -> Result<Place, String> {
        Place::of(context, value, |t| matches!(t, DType::I8 | DType::U8), "si8 or ui8")
    }

    /// Bytes of an element.
    pub fn size(&self) -> u64 {
        self.dtype.size() as u64
    }
}
