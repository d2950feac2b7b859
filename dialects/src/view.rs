//! One operation, seen as its struct; and structs as operations.

use crate::convert;
use crate::module::ModuleError;
use melior::Context;
use melior::ir::{Operation, OperationRef, Value, ValueLike};
use tpuc_ops::{Op, OpError, TensorType, ValueType};

/// An operation of a living module.
#[derive(Clone, Copy)]
pub struct OpView<'c, 'a> {
    operation: OperationRef<'c, 'a>,
}

impl<'c, 'a> OpView<'c, 'a> {
    pub fn new(operation: OperationRef<'c, 'a>) -> Self {
        OpView { operation }
    }

    pub fn operation(&self) -> OperationRef<'c, 'a> {
        self.operation
    }

    /// The layer's name.
    pub fn layer(&self) -> String {
        convert::location_names(unsafe { mlir_sys::mlirOperationGetLocation(self.operation.to_raw()) }).join(", ")
    }

    /// The op's attributes as native values.
    pub fn op(&self) -> Result<Op, OpError> {
        convert::op_of(self.operation.to_raw())
    }

    pub fn operand_types(&self) -> Result<Vec<ValueType>, String> {
        convert::operand_types(self.operation.to_raw()).into_iter().map(convert::value_type).collect()
    }

    pub fn result_types(&self) -> Result<Vec<ValueType>, String> {
        convert::result_types(self.operation.to_raw()).into_iter().map(convert::value_type).collect()
    }
}

/// An operation that belongs to nobody yet, from its struct.
pub fn build_op<'c>(context: &'c Context, op: &Op, operands: &[Value<'c, '_>], results: &[TensorType], layer: &[String]) -> Result<Operation<'c>, ModuleError> {
    let raw = context.to_raw();
    let types = results.iter().map(|t| convert::to_tensor_type(raw, t)).collect::<Result<Vec<_>, _>>().map_err(ModuleError::Structure)?;
    let operands: Vec<_> = operands.iter().map(|v| v.to_raw()).collect();
    let operation = convert::create(raw, op.name(), &op.to_attrs(), &operands, &types, convert::to_location(raw, layer));
    Ok(unsafe { Operation::from_raw(operation) })
}
