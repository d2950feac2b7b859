//! The driver: `tpuc-opt` with MLIR's own options. Weights are looked for beside the input file, then in the working folder; those that
//! a pass changed are written beside the output file, under another name where they would replace what was read. The input is looked
//! at before MLIR's parser sees it, and the output appears whole or not at all.

use crate::ffi::{self, OptHooks, string_ref};
use crate::{convert, nesting, probe, store};
use mlir_sys::{MlirOperation, MlirStringRef};
use std::ffi::CString;
use std::io::Write as _;
use std::os::raw::c_int;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;
use tpuc_ops::Attr;

/// Where the output of this process's driver goes.
struct Output {
    folder: PathBuf,
    /// The output file's name without extension; `None` for the standard output.
    stem: Option<String>,
}

static OUTPUT: OnceLock<Output> = OnceLock::new();

/// Runs the driver. Locations are printed unless the arguments say otherwise: layers and weights have their names there, a module
/// without them is useless. Returns the exit code.
pub fn opt_main(arguments: &[String]) -> i32 {
    let registry = crate::registry();
    let mut arguments: Vec<CString> = arguments.iter().filter_map(|a| CString::new(a.as_str()).ok()).collect();
    if !arguments.iter().any(|a| a.to_string_lossy().trim_start_matches('-').starts_with("mlir-print-debuginfo")) {
        arguments.push(c"--mlir-print-debuginfo".into());
    }
    let mut pointers: Vec<_> = arguments.iter().map(|a| a.as_ptr()).collect();
    pointers.push(std::ptr::null());
    let hooks = OptHooks { begin, write };
    // SAFETY: the arguments end with a null pointer and outlive the call; the hooks never unwind.
    unsafe {
        mlir_sys::mlirRegisterTransformsPasses();
        ffi::tpucOptMain(arguments.len() as c_int, pointers.as_ptr(), registry.to_raw(), hooks)
    }
}

/// After a pass: weights that it changed must not replace the file that the input names.
pub(crate) fn keep_source_weights(module: MlirOperation) {
    let Some(output) = OUTPUT.get() else { return };
    if let Some(name) = store::rename_source(module, &output.folder, output.stem.as_deref()) {
        // SAFETY: the module is alive while its pass runs.
        unsafe {
            let context = mlir_sys::mlirOperationGetContext(module);
            mlir_sys::mlirOperationSetAttributeByName(module, string_ref("module.weight_file"), convert::to_attribute(context, &Attr::Str(name)));
        }
    }
}

/// Runs a hook's body: an error is said in one line, a panic has been said by the hook for panics.
fn guard(body: impl FnOnce() -> Result<(), String>) -> c_int {
    match std::panic::catch_unwind(std::panic::AssertUnwindSafe(body)) {
        Ok(Ok(())) => 1,
        Ok(Err(reason)) => {
            eprintln!("tpuc-opt: error: {}", reason.replace('\n', " "));
            0
        }
        Err(_) => 0,
    }
}

extern "C" fn begin(input: MlirStringRef, output: MlirStringRef, content: MlirStringRef) -> c_int {
    // SAFETY: the driver's strings and buffer are alive during the call.
    let (input, output, content) = unsafe { (ffi::text(input), ffi::text(output), ffi::bytes(content)) };
    guard(|| {
        let name = if input == "-" { "<stdin>" } else { &input };
        if content.starts_with(probe::MAGIC) {
            probe::check(content, name)?;
        } else {
            nesting::check(content).map_err(|line| format!("{name}:{line}: nested too deeply"))?;
        }
        let folder = |file: &str| if file == "-" { PathBuf::new() } else { Path::new(file).parent().map(Path::to_path_buf).unwrap_or_default() };
        if input != "-" {
            store::set_default_folder(folder(&input));
        }
        let stem = (output != "-").then(|| Path::new(&output).file_stem().map(|s| s.to_string_lossy().into_owned()).unwrap_or_default());
        let _ = OUTPUT.set(Output { folder: folder(&output), stem: stem.filter(|_| !is_device(&output)) });
        Ok(())
    })
}

/// `/dev/null` gives weights no name.
fn is_device(path: &str) -> bool {
    std::fs::metadata(path).is_ok_and(|m| !m.is_file())
}

extern "C" fn write(output: MlirStringRef, content: MlirStringRef) -> c_int {
    // SAFETY: as in `begin`.
    let (output, content) = unsafe { (ffi::text(output), ffi::bytes(content)) };
    guard(|| {
        let (folder, discarded) = OUTPUT.get().map_or((PathBuf::new(), false), |o| (o.folder.clone(), output != "-" && o.stem.is_none()));
        if !discarded {
            store::flush_all(&folder).map_err(|e| e.to_string())?;
        }
        if output == "-" {
            let mut out = std::io::stdout().lock();
            return match out.write_all(content).and_then(|()| out.flush()) {
                // Who closes the pipe has seen enough.
                Err(e) if e.kind() != std::io::ErrorKind::BrokenPipe => Err(format!("standard output: cannot write: {e}")),
                _ => Ok(()),
            };
        }
        tpuc_tensor::file::write(Path::new(&output), content).map_err(|e| e.to_string())
    })
}
