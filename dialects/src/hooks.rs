//! Verifier and InferenceInterface of every op: the C++ methods call these, these call `tpuc_ops`.

use crate::convert;
use crate::ffi::{self, OpHooks};
use mlir_sys::MlirOperation;
use std::os::raw::c_int;
use std::sync::Once;
use tpuc_ops::{Op, OpError, ValueType};

/// Sets the hooks, once per process.
pub fn install() {
    static ONCE: Once = Once::new();
    // SAFETY: the functions live for ever and never unwind.
    ONCE.call_once(|| unsafe { ffi::tpucSetOpHooks(OpHooks { verify, infer_shapes, get_flops }) });
}

struct View {
    op: Op,
    operands: Vec<ValueType>,
    results: Vec<ValueType>,
}

fn view(operation: MlirOperation) -> Result<View, OpError> {
    let op = convert::op_of(operation)?;
    let types = |list: Vec<mlir_sys::MlirType>| list.into_iter().map(convert::value_type).collect::<Result<Vec<_>, _>>();
    let wrong = |reason: String| OpError::Invalid { name: op.name().to_owned(), reason };
    let operands = types(convert::operand_types(operation)).map_err(wrong)?;
    let results = types(convert::result_types(operation)).map_err(wrong)?;
    Ok(View { op, operands, results })
}

/// Runs a body; an error or a panic becomes a diagnostic at the op.
fn guard(operation: MlirOperation, body: impl FnOnce() -> Result<i64, String>) -> Option<i64> {
    let result = std::panic::catch_unwind(std::panic::AssertUnwindSafe(body)).unwrap_or_else(|_| Err("internal error while looking at this op".into()));
    result.map_err(|message| convert::emit_error(operation, &message)).ok()
}

extern "C" fn verify(operation: MlirOperation) -> c_int {
    let body = || view(operation).and_then(|v| v.op.verify(&v.operands, &v.results)).map(|()| 1).map_err(short);
    c_int::from(guard(operation, body).is_some())
}

extern "C" fn infer_shapes(operation: MlirOperation) -> c_int {
    let body = || {
        let v = view(operation).map_err(short)?;
        // A lowered reshape may leave its shape to its result type.
        let shapes = match v.op.infer_shapes(&v.operands) {
            Ok(shapes) => shapes,
            Err(_) if matches!(v.op, Op::TpuReshape(_)) => return Ok(1),
            Err(e) => return Err(short(e)),
        };
        for (index, shape) in shapes.iter().enumerate() {
            if let Some(ty) = v.results[index].tensor() {
                let ty = tpuc_ops::TensorType { shape: shape.clone(), elem: ty.elem };
                convert::set_result_type(operation, index, &ty)?;
            }
        }
        Ok(1)
    };
    c_int::from(guard(operation, body).is_some())
}

extern "C" fn get_flops(operation: MlirOperation) -> i64 {
    let body = || view(operation).map(|v| v.op.flops(&v.operands, &v.results)).map_err(short);
    guard(operation, body).unwrap_or(0)
}

/// MLIR says the op's name itself.
fn short(error: OpError) -> String {
    match error {
        OpError::Invalid { reason, .. } => reason,
        OpError::Attribute { source, .. } => source.to_string(),
        other => other.to_string(),
    }
}
