//! The C functions of our own shim (`CAPI/Tpuc.h`) and strings across the border.

use mlir_sys::{MlirAttribute, MlirDialectHandle, MlirDialectRegistry, MlirOperation, MlirStringRef};
use std::ffi::c_void;
use std::os::raw::{c_char, c_int};

#[repr(C)]
pub struct OpHooks {
    pub verify: extern "C" fn(MlirOperation) -> c_int,
    pub infer_shapes: extern "C" fn(MlirOperation) -> c_int,
    pub get_flops: extern "C" fn(MlirOperation) -> i64,
}

#[repr(C)]
pub struct PassOption {
    pub name: MlirStringRef,
    pub description: MlirStringRef,
    pub default: MlirStringRef,
    pub is_flag: bool,
}

#[repr(C)]
pub struct Pass {
    pub argument: MlirStringRef,
    pub summary: MlirStringRef,
    pub op_name: MlirStringRef,
    pub options: *const PassOption,
    pub option_count: isize,
    pub data: *const c_void,
    pub run: extern "C" fn(*const c_void, MlirOperation, *const MlirStringRef, isize) -> c_int,
}

#[repr(C)]
pub struct OptHooks {
    pub begin: extern "C" fn(MlirStringRef, MlirStringRef, MlirStringRef) -> c_int,
    pub write: extern "C" fn(MlirStringRef, MlirStringRef) -> c_int,
}

unsafe extern "C" {
    pub fn mlirGetDialectHandle__top__() -> MlirDialectHandle;
    pub fn mlirGetDialectHandle__tpu__() -> MlirDialectHandle;
    pub fn tpucSetOpHooks(hooks: OpHooks);
    pub fn tpucInferShapes(op: MlirOperation, succeeded: *mut bool) -> bool;
    pub fn tpucIntegerArrayGetValues(array: MlirAttribute, values: *mut i64) -> bool;
    pub fn tpucGetFLOPs(op: MlirOperation, flops: *mut i64) -> bool;
    pub fn tpucRegisterPass(pass: *const Pass);
    pub fn tpucOptMain(argc: c_int, argv: *const *const c_char, registry: MlirDialectRegistry, hooks: OptHooks) -> c_int;
}

/// A view of a Rust string for MLIR, which copies what it keeps.
pub fn string_ref(text: &str) -> MlirStringRef {
    MlirStringRef { data: text.as_ptr().cast(), length: text.len() }
}

/// The text behind a reference of MLIR's. Invalid UTF-8 (file names, hostile attributes) is replaced, never trusted.
///
/// # Safety
/// The reference must point to `length` readable bytes.
pub unsafe fn text(reference: MlirStringRef) -> String {
    if reference.data.is_null() || reference.length == 0 {
        return String::new();
    }
    let bytes = unsafe { std::slice::from_raw_parts(reference.data.cast::<u8>(), reference.length) };
    String::from_utf8_lossy(bytes).into_owned()
}

/// The bytes behind a reference of MLIR's.
///
/// # Safety
/// The reference must point to `length` readable bytes that outlive the result.
pub unsafe fn bytes<'a>(reference: MlirStringRef) -> &'a [u8] {
    if reference.data.is_null() { &[] } else { unsafe { std::slice::from_raw_parts(reference.data.cast::<u8>(), reference.length) } }
}

/// Collects what MLIR prints through its string callback.
pub fn collect(print: impl FnOnce(mlir_sys::MlirStringCallback, *mut c_void)) -> Vec<u8> {
    unsafe extern "C" fn append(chunk: MlirStringRef, target: *mut c_void) {
        let out = unsafe { &mut *target.cast::<Vec<u8>>() };
        if chunk.length > 0 {
            out.extend_from_slice(unsafe { std::slice::from_raw_parts(chunk.data.cast::<u8>(), chunk.length) });
        }
    }
    let mut out: Vec<u8> = Vec::new();
    print(Some(append), (&raw mut out).cast());
    out
}
