//! Attributes, types, locations and ops of MLIR as plain values, and back. The only module that takes MLIR values apart.
//!
//! Safety: every handle comes from a living module of a living context; the functions only read through the C API.

use crate::ffi::{self, string_ref};
use mlir_sys::*;
use tpuc_ops::{Attr, AttrKind, Elem, Op, OpError, OpSpec, TensorType, ValueType};
use tpuc_tensor::DType;

pub fn operand_types(op: MlirOperation) -> Vec<MlirType> {
    unsafe { (0..mlirOperationGetNumOperands(op)).map(|i| mlirValueGetType(mlirOperationGetOperand(op, i))).collect() }
}

pub fn result_types(op: MlirOperation) -> Vec<MlirType> {
    unsafe { (0..mlirOperationGetNumResults(op)).map(|i| mlirValueGetType(mlirOperationGetResult(op, i))).collect() }
}

pub fn op_name(op: MlirOperation) -> String {
    unsafe { ffi::text(mlirIdentifierStr(mlirOperationGetName(op))) }
}

/// The named attributes of an op, as far as they have a plain form. `expected` decides what an empty array is.
pub fn attributes(op: MlirOperation, expected: impl Fn(&str) -> Option<AttrKind>) -> Vec<(String, Attr)> {
    unsafe {
        let named = (0..mlirOperationGetNumAttributes(op)).map(|i| mlirOperationGetAttribute(op, i));
        named
            .filter_map(|a| {
                let name = ffi::text(mlirIdentifierStr(a.name));
                let kind = expected(&name);
                attribute(a.attribute, kind).map(|value| (name, value))
            })
            .collect()
    }
}

/// An operation of our dialects as a struct.
pub fn op_of(op: MlirOperation) -> Result<Op, OpError> {
    let name = op_name(op);
    let spec = Op::spec_of(&name).ok_or_else(|| OpError::Unknown { name: name.clone() })?;
    Op::from_attrs(&name, &op_attributes(op, spec))
}

/// The attributes of an op that is known to be of this kind.
pub fn op_attributes(op: MlirOperation, spec: &OpSpec) -> Vec<(String, Attr)> {
    attributes(op, |n| spec.attributes.iter().find(|a| a.name == n).map(|a| a.kind))
}

fn attribute(a: MlirAttribute, expected: Option<AttrKind>) -> Option<Attr> {
    unsafe {
        if mlirAttributeIsABool(a) {
            return Some(Attr::Bool(mlirBoolAttrGetValue(a)));
        }
        if mlirAttributeIsAInteger(a) {
            let ty = mlirAttributeGetType(a);
            if mlirTypeIsAInteger(ty) && mlirIntegerTypeIsSigned(ty) {
                return i32::try_from(mlirIntegerAttrGetValueSInt(a)).ok().map(Attr::Si32);
            }
            if mlirTypeIsAInteger(ty) && mlirIntegerTypeIsUnsigned(ty) {
                return u32::try_from(mlirIntegerAttrGetValueUInt(a)).ok().map(Attr::Ui32);
            }
            return Some(Attr::I64(mlirIntegerAttrGetValueInt(a)));
        }
        if mlirAttributeIsAFloat(a) {
            return Some(Attr::F64(mlirFloatAttrGetValueDouble(a)));
        }
        if mlirAttributeIsAString(a) {
            return Some(Attr::Str(ffi::text(mlirStringAttrGetValue(a))));
        }
        if mlirAttributeIsAArray(a) {
            return array(a, expected);
        }
        enumeration(a)
    }
}

unsafe fn array(a: MlirAttribute, expected: Option<AttrKind>) -> Option<Attr> {
    unsafe {
        let count = mlirArrayAttrGetNumElements(a);
        let float = if count == 0 { expected == Some(AttrKind::F64Array) } else { mlirAttributeIsAFloat(mlirArrayAttrGetElement(a, 0)) };
        if float {
            let items = (0..count).map(|i| mlirArrayAttrGetElement(a, i));
            return items.map(|i| mlirAttributeIsAFloat(i).then(|| mlirFloatAttrGetValueDouble(i))).collect::<Option<_>>().map(Attr::F64Array);
        }
        let mut values = vec![0; count as usize];
        // There is room for as many values as the array has elements.
        ffi::tpucIntegerArrayGetValues(a, values.as_mut_ptr()).then_some(Attr::I64Array(values))
    }
}

/// `#tpu<round_mode HalfUp>`. MLIR's C API has no access to an enum attribute but its text.
fn enumeration(a: MlirAttribute) -> Option<Attr> {
    let text = ffi::collect(|callback, data| unsafe { mlirAttributePrint(a, callback, data) });
    let text = String::from_utf8(text).ok()?;
    let (dialect, body) = text.strip_prefix('#')?.strip_suffix('>')?.split_once('<')?;
    let (mnemonic, case) = body.split_once(' ')?;
    let known = |list: &[&'static str], word: &str| list.iter().copied().find(|w| *w == word);
    Some(Attr::Enum { dialect: known(&["top", "tpu"], dialect)?, mnemonic: known(tpuc_ops::tpu::ENUMERATIONS, mnemonic)?, case: case.trim().to_owned() })
}

/// A plain value as an attribute.
pub fn to_attribute(context: MlirContext, value: &Attr) -> MlirAttribute {
    unsafe {
        let i64_type = mlirIntegerTypeGet(context, 64);
        let f64_type = mlirF64TypeGet(context);
        match value {
            Attr::Bool(v) => mlirBoolAttrGet(context, i32::from(*v)),
            Attr::I64(v) => mlirIntegerAttrGet(i64_type, *v),
            Attr::Si32(v) => mlirIntegerAttrGet(mlirIntegerTypeSignedGet(context, 32), i64::from(*v)),
            Attr::Ui32(v) => mlirIntegerAttrGet(mlirIntegerTypeUnsignedGet(context, 32), i64::from(*v)),
            Attr::F64(v) => mlirFloatAttrDoubleGet(context, f64_type, *v),
            Attr::Str(v) => mlirStringAttrGet(context, string_ref(v)),
            Attr::I64Array(list) => {
                // Small numbers come again and again, as shifts of channels do.
                let mut small: [Option<MlirAttribute>; 64] = [None; 64];
                let items: Vec<_> = list
                    .iter()
                    .map(|&v| match usize::try_from(v).ok().and_then(|v| small.get_mut(v)) {
                        Some(known) => *known.get_or_insert_with(|| mlirIntegerAttrGet(i64_type, v)),
                        None => mlirIntegerAttrGet(i64_type, v),
                    })
                    .collect();
                mlirArrayAttrGet(context, items.len() as isize, items.as_ptr())
            }
            Attr::F64Array(list) => {
                let items: Vec<_> = list.iter().map(|&v| mlirFloatAttrDoubleGet(context, f64_type, v)).collect();
                mlirArrayAttrGet(context, items.len() as isize, items.as_ptr())
            }
            Attr::Enum { dialect, mnemonic, case } => mlirAttributeParseGet(context, string_ref(&format!("#{dialect}<{mnemonic} {case}>"))),
        }
    }
}

/// The type of a value: a ranked static tensor or none.
pub fn value_type(ty: MlirType) -> Result<ValueType, String> {
    unsafe {
        if mlirTypeIsANone(ty) {
            return Ok(ValueType::None);
        }
        if !mlirTypeIsARankedTensor(ty) {
            return Err(format!("type {} is not a ranked tensor", type_text(ty)));
        }
        let rank = mlirShapedTypeGetRank(ty);
        let mut shape = Vec::with_capacity(rank as usize);
        let mut count = 1i64;
        for d in 0..rank as isize {
            if mlirShapedTypeIsDynamicDim(ty, d) {
                return Err(format!("type {} has an open dimension", type_text(ty)));
            }
            let size = mlirShapedTypeGetDimSize(ty, d);
            count = count.checked_mul(size).filter(|&c| c <= 1 << 40).ok_or_else(|| format!("type {} is too large", type_text(ty)))?;
            shape.push(size);
        }
        let elem = element(mlirShapedTypeGetElementType(ty))?;
        Ok(ValueType::Tensor(TensorType { shape, elem }))
    }
}

unsafe fn plain(ty: MlirType) -> Option<DType> {
    unsafe {
        if mlirTypeIsAF32(ty) {
            return Some(DType::F32);
        }
        if mlirTypeIsAF16(ty) {
            return Some(DType::F16);
        }
        if mlirTypeIsABF16(ty) {
            return Some(DType::BF16);
        }
        if mlirTypeIsAF64(ty) {
            return Some(DType::F64);
        }
        if !mlirTypeIsAInteger(ty) {
            return None;
        }
        Some(match (mlirIntegerTypeGetWidth(ty), mlirIntegerTypeIsUnsigned(ty)) {
            (1, _) => DType::Bool,
            (8, false) => DType::I8,
            (8, true) => DType::U8,
            (16, false) => DType::I16,
            (16, true) => DType::U16,
            (32, false) => DType::I32,
            (32, true) => DType::U32,
            (64, false) => DType::I64,
            (64, true) => DType::U64,
            _ => return None,
        })
    }
}

unsafe fn element(ty: MlirType) -> Result<Elem, String> {
    unsafe {
        if let Some(dtype) = plain(ty) {
            return Ok(Elem::Plain(dtype));
        }
        let unknown = || format!("element type {} is not supported", type_text(ty));
        if mlirTypeIsACalibratedQuantizedType(ty) {
            let expressed = plain(mlirQuantizedTypeGetExpressedType(ty)).ok_or_else(unknown)?;
            return Ok(Elem::Calibrated { expressed, min: mlirCalibratedQuantizedTypeGetMin(ty), max: mlirCalibratedQuantizedTypeGetMax(ty) });
        }
        if mlirTypeIsAUniformQuantizedType(ty) {
            let expressed = plain(mlirQuantizedTypeGetExpressedType(ty)).ok_or_else(unknown)?;
            let storage = match (mlirQuantizedTypeGetStorageTypeIntegralWidth(ty), mlirQuantizedTypeIsSigned(ty)) {
                (8, true) => DType::I8,
                (8, false) => DType::U8,
                (16, true) => DType::I16,
                (16, false) => DType::U16,
                (32, true) => DType::I32,
                _ => return Err(unknown()),
            };
            return Ok(Elem::Uniform { storage, expressed, scale: mlirUniformQuantizedTypeGetScale(ty), zero_point: mlirUniformQuantizedTypeGetZeroPoint(ty) });
        }
        Err(unknown())
    }
}

pub fn type_text(ty: MlirType) -> String {
    String::from_utf8_lossy(&ffi::collect(|callback, data| unsafe { mlirTypePrint(ty, callback, data) })).into_owned()
}

unsafe fn plain_type(context: MlirContext, dtype: DType) -> MlirType {
    unsafe {
        match dtype {
            DType::F64 => mlirF64TypeGet(context),
            DType::F32 => mlirF32TypeGet(context),
            DType::F16 => mlirF16TypeGet(context),
            DType::BF16 => mlirBF16TypeGet(context),
            DType::I64 => mlirIntegerTypeGet(context, 64),
            DType::U64 => mlirIntegerTypeUnsignedGet(context, 64),
            DType::I32 => mlirIntegerTypeGet(context, 32),
            DType::U32 => mlirIntegerTypeUnsignedGet(context, 32),
            DType::I16 => mlirIntegerTypeGet(context, 16),
            DType::U16 => mlirIntegerTypeUnsignedGet(context, 16),
            DType::I8 => mlirIntegerTypeGet(context, 8),
            DType::U8 => mlirIntegerTypeUnsignedGet(context, 8),
            DType::Bool => mlirIntegerTypeGet(context, 1),
        }
    }
}

/// A tensor type in MLIR. An error where the quant dialect refuses the range or scale (it prints the reason as a
/// diagnostic).
pub fn to_tensor_type(context: MlirContext, ty: &TensorType) -> Result<MlirType, String> {
    unsafe {
        let elem = match ty.elem {
            Elem::Plain(dtype) => plain_type(context, dtype),
            Elem::Calibrated { expressed, min, max } => {
                if !(min.is_finite() && max.is_finite() && min <= max) {
                    return Err(format!("<{min}:{max}> is not a range"));
                }
                mlirCalibratedQuantizedTypeGet(plain_type(context, expressed), min, max)
            }
            Elem::Uniform { storage, expressed, scale, zero_point } => {
                let (low, high) = storage.integer_range().ok_or_else(|| format!("{storage} cannot hold quantized values"))?;
                if !(scale.is_finite() && scale > 0.0) {
                    return Err(format!("{scale} is not a scale"));
                }
                let storage_type = mlirIntegerTypeGet(context, 8 * storage.size() as u32);
                mlirUniformQuantizedTypeGet(u32::from(storage.is_signed()), storage_type, plain_type(context, expressed), scale, zero_point, low, high)
            }
        };
        Ok(mlirRankedTensorTypeGet(ty.shape.len() as isize, ty.shape.as_ptr(), elem, MlirAttribute { ptr: std::ptr::null() }))
    }
}

pub fn to_type(context: MlirContext, ty: &ValueType) -> Result<MlirType, String> {
    match ty {
        ValueType::None => Ok(unsafe { mlirNoneTypeGet(context) }),
        ValueType::Tensor(ty) => to_tensor_type(context, ty),
    }
}

/// Changes the type of a result in place.
pub fn set_result_type(op: MlirOperation, index: usize, ty: &TensorType) -> Result<(), String> {
    unsafe {
        let context = mlirOperationGetContext(op);
        mlirValueSetType(mlirOperationGetResult(op, index as isize), to_tensor_type(context, ty)?);
    }
    Ok(())
}

/// The names in a location: one, several (fused), or none.
pub fn location_names(location: MlirLocation) -> Vec<String> {
    unsafe {
        if mlirLocationIsAName(location) {
            return vec![ffi::text(mlirIdentifierStr(mlirLocationNameGetName(location)))];
        }
        if mlirLocationIsAFused(location) {
            let mut list = vec![MlirLocation { ptr: std::ptr::null() }; mlirLocationFusedGetNumLocations(location) as usize];
            mlirLocationFusedGetLocations(location, list.as_mut_ptr());
            return list.into_iter().flat_map(location_names).collect();
        }
        Vec::new()
    }
}

/// A location that holds these names; none gives an unknown location.
pub fn to_location(context: MlirContext, names: &[String]) -> MlirLocation {
    unsafe {
        let unknown = mlirLocationUnknownGet(context);
        let one = |name: &String| mlirLocationNameGet(context, string_ref(name), unknown);
        match names {
            [] => unknown,
            [name] => one(name),
            several => {
                let list: Vec<_> = several.iter().map(one).collect();
                mlirLocationFusedGet(context, list.len() as isize, list.as_ptr(), MlirAttribute { ptr: std::ptr::null() })
            }
        }
    }
}

/// A location for people: `file:line:column`, the layer's name, or nothing.
pub fn location_text(location: MlirLocation) -> String {
    let names = location_names(location);
    if !names.is_empty() {
        return format!("layer '{}'", names.join("', '"));
    }
    let text = ffi::collect(|callback, data| unsafe { mlirLocationPrint(location, callback, data) });
    let text = String::from_utf8_lossy(&text).into_owned();
    let inner = text.strip_prefix("loc(").and_then(|t| t.strip_suffix(')')).unwrap_or(&text);
    match inner {
        "unknown" => String::new(),
        inner => inner.replace('"', ""),
    }
}

/// Sets an attribute of an op, or removes it.
pub fn set_attribute(op: MlirOperation, name: &str, value: Option<&Attr>) {
    unsafe {
        match value {
            Some(value) => mlirOperationSetAttributeByName(op, string_ref(name), to_attribute(mlirOperationGetContext(op), value)),
            None => {
                mlirOperationRemoveAttributeByName(op, string_ref(name));
            }
        }
    }
}

/// Reports an error at an op through MLIR's diagnostics.
pub fn emit_error(op: MlirOperation, message: &str) {
    let text = format!("'{}' op {}", op_name(op), message.replace('\0', " "));
    if let Ok(text) = std::ffi::CString::new(text) {
        unsafe { mlirEmitError(mlirOperationGetLocation(op), text.as_ptr()) };
    }
}

/// Builds an operation that belongs to nobody yet.
pub fn create(context: MlirContext, name: &str, attributes: &[(&str, MlirAttribute)], operands: &[MlirValue], results: &[MlirType], location: MlirLocation) -> MlirOperation {
    unsafe {
        let mut state = mlirOperationStateGet(string_ref(name), location);
        mlirOperationStateAddOperands(&mut state, operands.len() as isize, operands.as_ptr());
        mlirOperationStateAddResults(&mut state, results.len() as isize, results.as_ptr());
        let named: Vec<MlirNamedAttribute> = attributes
            .iter()
            .map(|(n, a)| mlirNamedAttributeGet(mlirIdentifierGet(context, string_ref(n)), *a))
            .collect();
        mlirOperationStateAddAttributes(&mut state, named.len() as isize, named.as_ptr());
        mlirOperationCreate(&mut state)
    }
}
