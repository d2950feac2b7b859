//! Passes whose bodies are Rust functions: registration, pipelines, the driver.

use crate::arrays::{Arrays, Maker};
use crate::context::Diagnostics;
use crate::ffi::{self, string_ref};
use crate::module::{self, Module, ModuleError};
use crate::{convert, store};
use melior::Context;
use melior::pass::PassManager;
use mlir_sys::{MlirOperation, MlirStringRef};
use std::ffi::{CString, c_void};
use std::os::raw::c_int;
use tpuc_ops::Program;
use tpuc_tensor::WeightStore;

/// An option of a pass.
#[derive(Debug, Clone, Copy)]
pub struct OptionSpec {
    pub name: &'static str,
    pub description: &'static str,
    pub default: &'static str,
    /// Takes no value on a command line.
    pub is_flag: bool,
}

/// A pass on a module. `run` gets one text per option, in order.
#[derive(Debug, Clone, Copy)]
pub struct PassSpec {
    pub argument: &'static str,
    pub summary: &'static str,
    pub options: &'static [OptionSpec],
    pub run: fn(&PassModule, &[String]) -> Result<(), String>,
}

/// The module that a pass works on.
pub struct PassModule {
    raw: MlirOperation,
}

impl PassModule {
    pub fn program(&self) -> Result<Program, ModuleError> {
        module::read_program(self.raw)
    }

    /// Replaces the module's content.
    pub fn set_program(&self, program: &Program) -> Result<(), ModuleError> {
        self.set_program_with(program, &Arrays::default())
    }

    /// As [`PassModule::set_program`], with arrays that [`PassModule::make_arrays`] made.
    pub fn set_program_with(&self, program: &Program, arrays: &Arrays) -> Result<(), ModuleError> {
        module::write_program(self.raw, program, arrays)
    }

    /// Runs `body`, which may have attributes of long arrays made by any thread beside its own work.
    pub fn make_arrays<R>(&self, body: impl FnOnce(&Maker) -> R + Send) -> (R, Arrays) {
        // What could use the context meanwhile cannot get into `body`: a reference to this module must not go to other threads.
        let maker = Maker::new(unsafe { mlir_sys::mlirOperationGetContext(self.raw) });
        let result = body(&maker);
        (result, maker.finish())
    }

    pub fn weights(&self) -> Result<WeightStore, ModuleError> {
        store::get(self.raw)
    }

    /// New weights under the file name that the (new) program gives.
    pub fn set_weights(&self, file: &str, weights: WeightStore) {
        store::put(self.raw, file, weights);
    }

    /// All operations inside the module's functions, in order.
    pub fn for_each_op(&self, mut body: impl FnMut(MlirOperation) -> Result<(), String>) -> Result<(), String> {
        struct Walk<'a> {
            body: &'a mut dyn FnMut(MlirOperation) -> Result<(), String>,
            result: Result<(), String>,
        }
        unsafe extern "C" fn visit(op: MlirOperation, data: *mut c_void) -> mlir_sys::MlirWalkResult {
            let walk = unsafe { &mut *data.cast::<Walk>() };
            walk.result = (walk.body)(op);
            if walk.result.is_ok() { mlir_sys::MlirWalkResult_MlirWalkResultAdvance } else { mlir_sys::MlirWalkResult_MlirWalkResultInterrupt }
        }
        let mut walk = Walk { body: &mut body, result: Ok(()) };
        unsafe { mlir_sys::mlirOperationWalk(self.raw, Some(visit), (&raw mut walk).cast(), mlir_sys::MlirWalkOrder_MlirWalkPreOrder) };
        walk.result
    }

    /// Runs shape inference on every op that has it.
    pub fn infer_shapes(&self) -> Result<(), String> {
        self.for_each_op(|op| {
            let mut succeeded = true;
            unsafe { ffi::tpucInferShapes(op, &mut succeeded) };
            // The op has said why.
            if succeeded { Ok(()) } else { Err(String::new()) }
        })
    }

    /// Arithmetic operations of one run of the network.
    pub fn flops(&self) -> i64 {
        let mut total = 0i64;
        let _ = self.for_each_op(|op| {
            let mut flops = 0;
            if unsafe { ffi::tpucGetFLOPs(op, &mut flops) } {
                total = total.saturating_add(flops);
            }
            Ok(())
        });
        total
    }
}

/// Registers a pass under its name, for pipelines and for the driver. Each name once per process.
pub fn register(spec: &'static PassSpec) {
    let options: Vec<ffi::PassOption> = spec
        .options
        .iter()
        .map(|o| ffi::PassOption { name: string_ref(o.name), description: string_ref(o.description), default: string_ref(o.default), is_flag: o.is_flag })
        .collect();
    // MLIR keeps the description for ever.
    let options = Box::leak(options.into_boxed_slice());
    let pass = Box::leak(Box::new(ffi::Pass {
        argument: string_ref(spec.argument),
        summary: string_ref(spec.summary),
        op_name: string_ref("builtin.module"),
        options: options.as_ptr(),
        option_count: options.len() as isize,
        data: (spec as *const PassSpec).cast(),
        run,
    }));
    unsafe { ffi::tpucRegisterPass(pass) };
}

extern "C" fn run(data: *const c_void, op: MlirOperation, values: *const MlirStringRef, count: isize) -> c_int {
    // SAFETY: `data` is the spec that `register` gave, `values` has `count` entries.
    let spec = unsafe { &*data.cast::<PassSpec>() };
    let values: Vec<String> = (0..count).map(|i| unquote(unsafe { ffi::text(*values.offset(i)) })).collect();
    let body = || (spec.run)(&PassModule { raw: op }, &values);
    let result = std::panic::catch_unwind(std::panic::AssertUnwindSafe(body)).unwrap_or_else(|_| Err("internal error".into()));
    match result {
        Ok(()) => {
            crate::driver::keep_source_weights(op);
            1
        }
        Err(message) => {
            if !message.is_empty() {
                let text = format!("{}: {message}", spec.argument).replace('\0', " ");
                if let Ok(text) = CString::new(text) {
                    unsafe { mlir_sys::mlirEmitError(mlir_sys::mlirOperationGetLocation(op), text.as_ptr()) };
                }
            }
            0
        }
    }
}

/// Runs a pipeline such as `builtin.module(shape-infer,top-canonicalize)`; the error is the first diagnostic.
pub fn run_pipeline(module: &mut Module, pipeline: &str) -> Result<(), ModuleError> {
    let context: &Context = module.context();
    let diagnostics = Diagnostics::capture(context);
    let manager = PassManager::new(context);
    let parsed = melior::utility::parse_pass_pipeline(manager.as_operation_pass_manager(), pipeline);
    if let Err(error) = parsed {
        return Err(ModuleError::Structure(error.to_string().replace('\n', " ")));
    }
    manager.run(module.melior()).map_err(|_| ModuleError::Parse(diagnostics.first()))
}

/// What an option value begins with in which special characters stand as `%` and two hexadecimal digits.
const ENCODED: &str = "%:";

/// A value for a pass option inside a pipeline, such as a file name. MLIR's own quotes cannot hold every text (both kinds of quotes,
/// single braces, spaces at an end), so that special characters are encoded; a pass gets the value as it was.
pub fn quote(value: &str) -> String {
    let is_plain = |b: u8| b.is_ascii_alphanumeric() || b >= 0x80 || b"/._-+:@~^!#$&*;?[]|".contains(&b);
    if !value.is_empty() && !value.starts_with(ENCODED) && value.bytes().all(is_plain) {
        return value.to_owned();
    }
    let mut text = ENCODED.as_bytes().to_vec();
    for byte in value.bytes() {
        if is_plain(byte) {
            text.push(byte);
        } else {
            text.extend(format!("%{byte:02X}").bytes());
        }
    }
    // Bytes of a character stay together: only whole ASCII ones are replaced.
    String::from_utf8_lossy(&text).into_owned()
}

/// The value that [`quote`] encoded; any other as it is.
fn unquote(value: String) -> String {
    let Some(encoded) = value.strip_prefix(ENCODED) else { return value };
    let mut bytes = Vec::with_capacity(encoded.len());
    let mut rest = encoded.as_bytes();
    while let Some((&first, tail)) = rest.split_first() {
        let code = tail.get(..2).filter(|t| t.iter().all(u8::is_ascii_hexdigit)).and_then(|t| std::str::from_utf8(t).ok()).and_then(|t| u8::from_str_radix(t, 16).ok());
        match code.filter(|_| first == b'%') {
            Some(byte) => {
                bytes.push(byte);
                rest = &tail[2..];
            }
            None => {
                bytes.push(first);
                rest = tail;
            }
        }
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

/// The name of an operation, for messages of passes.
pub fn op_name(op: MlirOperation) -> String {
    convert::op_name(op)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_text_comes_through() {
        for text in ["", "a", "%:a", "a b", " a ", "it's", "\"x\"'y'", "{", "}{", "a,b=c(d)", "50%", "%41", "ünï\tcode\n", "a/b.c-d_e"] {
            let quoted = quote(text);
            assert!(!quoted.contains([' ', ',', '{', '}', '\'', '"', '(', ')', '=', '\n']), "{quoted}");
            assert_eq!(unquote(quoted), text);
        }
        assert_eq!(quote("a/b.c"), "a/b.c");
        assert_eq!(unquote("100%".into()), "100%");
    }
}
