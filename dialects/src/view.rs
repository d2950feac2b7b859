//! Operations of living modules, seen by the names that the .td gives: `view.filter()`, `view.bias()`, `view.attrs()`;
//! and new operations from named operands. Views are copies of a reference: they own nothing and cost nothing.
//!
//! The modules [`top`] and [`tpu`] and [`AnyView`] are generated from the .td by `build.rs`.

use crate::convert;
use crate::module::ModuleError;
use melior::Context;
use melior::ir::operation::OperationLike;
use melior::ir::{Operation, OperationRef, TypeLike, Value, ValueLike};
use tpuc_ops::{Attr, AttrError, Op, OpError, OpSpec, TensorType, ValueType};

include!(concat!(env!("OUT_DIR"), "/views.rs"));

/// An operation of a living module.
#[derive(Clone, Copy)]
pub struct OpView<'c, 'a> {
    operation: OperationRef<'c, 'a>,
}

impl<'c: 'a, 'a> OpView<'c, 'a> {
    pub fn new(operation: OperationRef<'c, 'a>) -> Self {
        OpView { operation }
    }

    pub fn operation(&self) -> OperationRef<'c, 'a> {
        self.operation
    }

    /// `dialect.Mnemonic`
    pub fn name(&self) -> String {
        convert::op_name(self.operation.to_raw())
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

    /// Itself, if it has the name of `spec` and as many operands and results: what the accessors of typed views rely on.
    fn checked(self, spec: &OpSpec) -> Option<Self> {
        let fits = |list: &[tpuc_ops::ValueSpec], found: usize| {
            let fixed = list.iter().filter(|v| !v.variadic).count();
            if fixed == list.len() { found == fixed } else { found >= fixed }
        };
        let counts = fits(spec.operands, self.operand_count()) && fits(spec.results, self.result_count());
        (counts && self.name() == spec.name).then_some(self)
    }

    fn operand_count(&self) -> usize {
        self.operation.operand_count()
    }

    fn result_count(&self) -> usize {
        self.operation.result_count()
    }

    fn operand(&self, index: usize) -> Value<'c, 'a> {
        self.operation.operand(index).expect("`checked` counted the operands")
    }

    fn result(&self, index: usize) -> Value<'c, 'a> {
        self.operation.result(index).expect("`checked` counted the results").into()
    }

    fn attrs<T>(&self, spec: &OpSpec, read: fn(&[(String, Attr)]) -> Result<T, AttrError>) -> Result<T, OpError> {
        read(&convert::op_attributes(self.operation.to_raw(), spec)).map_err(|source| OpError::Attribute { name: spec.name.to_owned(), source })
    }

    /// Replaces the attributes that the op's declaration knows; others (a frontend's own) stay.
    fn set_attrs(self, op: &Op) {
        let list = op.to_attrs();
        for attribute in op.spec().attributes {
            convert::set_attribute(self.operation.to_raw(), attribute.name, list.iter().find(|(name, _)| *name == attribute.name).map(|(_, value)| value));
        }
    }
}

/// The value, unless it is the result of a `top.None`.
fn present<'c, 'a>(value: Value<'c, 'a>) -> Option<Value<'c, 'a>> {
    (!value.r#type().is_none()).then_some(value)
}

/// An operation that belongs to nobody yet, from its struct. `layers` names its results.
pub fn build_op<'c>(context: &'c Context, op: &Op, operands: &[Value<'c, '_>], results: &[ValueType], layers: &[&str]) -> Result<Operation<'c>, ModuleError> {
    let raw = context.to_raw();
    let types = results.iter().map(|t| convert::to_type(raw, t)).collect::<Result<Vec<_>, _>>().map_err(ModuleError::Structure)?;
    let operands: Vec<_> = operands.iter().map(|v| v.to_raw()).collect();
    let layers: Vec<String> = layers.iter().map(|&l| l.to_owned()).collect();
    let attributes: Vec<_> = op.to_attrs().into_iter().map(|(name, value)| (name, convert::to_attribute(raw, &value))).collect();
    let operation = convert::create(raw, op.name(), &attributes, &operands, &types, convert::to_location(raw, &layers));
    if operation.ptr.is_null() {
        return Err(ModuleError::Structure(format!("layer '{}': {} cannot be built", layers.join(", "), op.name())));
    }
    // SAFETY: new and owned by nobody else.
    Ok(unsafe { Operation::from_raw(operation) })
}
