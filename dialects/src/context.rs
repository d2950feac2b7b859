//! Contexts that know our dialects, and diagnostics as values.

use crate::{ffi, hooks};
use melior::Context;
use melior::dialect::DialectRegistry;
use mlir_sys::{MlirContext, MlirDiagnostic, MlirDiagnosticHandlerID, MlirLogicalResult};
use std::ffi::c_void;
use std::sync::Mutex;

/// The dialects that programs are made of: func, quant, Top and Tpu. Nothing else is linked in.
pub fn registry() -> DialectRegistry {
    hooks::install();
    let registry = DialectRegistry::new();
    // SAFETY: the handles are static, the registry is alive.
    unsafe {
        for handle in [mlir_sys::mlirGetDialectHandle__func__(), mlir_sys::mlirGetDialectHandle__quant__(), ffi::mlirGetDialectHandle__top__(), ffi::mlirGetDialectHandle__tpu__()] {
            mlir_sys::mlirDialectHandleInsertDialect(handle, registry.to_raw());
        }
    }
    registry
}

/// A context with all our dialects loaded, for one thread: every pass works on a whole module, so that locks would only cost time.
/// Unregistered ops can be parsed, so that all of them can be named in one error.
pub fn context() -> Context {
    let context = Context::new();
    context.enable_multi_threading(false);
    crate::store::forget(&context);
    context.append_dialect_registry(&registry());
    context.load_all_available_dialects();
    context
}

/// Errors that MLIR emits while this is alive, as one-line texts instead of prints on stderr.
pub struct Diagnostics<'c> {
    context: &'c Context,
    id: MlirDiagnosticHandlerID,
    messages: Box<Mutex<Vec<String>>>,
}

impl<'c> Diagnostics<'c> {
    pub fn capture(context: &'c Context) -> Diagnostics<'c> {
        let messages = Box::new(Mutex::new(Vec::new()));
        let data = (&raw const *messages).cast_mut().cast::<c_void>();
        // SAFETY: the handler is detached in `drop`, before the box that it points to goes.
        let id = unsafe { mlir_sys::mlirContextAttachDiagnosticHandler(context.to_raw(), Some(handle), data, None) };
        Diagnostics { context, id, messages }
    }

    /// The messages so far, oldest first.
    pub fn messages(&self) -> Vec<String> {
        self.messages.lock().map(|m| m.clone()).unwrap_or_default()
    }

    /// The first message: what went wrong; later ones are consequences.
    pub fn first(&self) -> String {
        self.messages().into_iter().next().unwrap_or_else(|| "no reason given".into())
    }
}

impl Drop for Diagnostics<'_> {
    fn drop(&mut self) {
        // SAFETY: attached in `capture` to this context.
        unsafe { mlir_sys::mlirContextDetachDiagnosticHandler(self.context.to_raw(), self.id) };
    }
}

unsafe extern "C" fn handle(diagnostic: MlirDiagnostic, data: *mut c_void) -> MlirLogicalResult {
    // SAFETY: `data` is the mutex of a living `Diagnostics`.
    let messages = unsafe { &*data.cast::<Mutex<Vec<String>>>() };
    let severity = unsafe { mlir_sys::mlirDiagnosticGetSeverity(diagnostic) };
    if severity == mlir_sys::MlirDiagnosticSeverity_MlirDiagnosticError {
        let text = ffi::collect(|callback, target| unsafe { mlir_sys::mlirDiagnosticPrint(diagnostic, callback, target) });
        let text = String::from_utf8_lossy(&text).replace('\n', " ");
        let location = unsafe { mlir_sys::mlirDiagnosticGetLocation(diagnostic) };
        let place = crate::convert::location_text(location);
        if let Ok(mut list) = messages.lock() {
            list.push(if place.is_empty() { text } else { format!("{place}: {text}") });
        }
    }
    MlirLogicalResult { value: 1 }
}

/// The context of a handle, for functions that need only the handle.
pub(crate) fn raw(context: &Context) -> MlirContext {
    context.to_raw()
}
