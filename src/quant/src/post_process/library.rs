//! A user's shared library with the C function of `tpuc_post_process.h`.
//!
//! It runs in a process of its own, this same executable started again ([`child_main_if_requested`]): a library that crashes or hangs ends
//! that process only. What it prints appears on standard error.

use super::PostProcessError;
use super::process::{Answer, Process, arrays, message};
use crate::evaluator::Named;
use std::ffi::{CStr, CString, c_char, c_int, c_void};
use std::fs::File;
use std::io::{BufReader, Write};
use std::os::fd::{FromRawFd, OwnedFd};
use std::path::Path;
use std::process::Command;
use std::time::Duration;
use tpuc_tensor::Tensor;

/// Environment variable that names the library to the child.
const CHILD_VARIABLE: &str = "TPUC_POST_PROCESS_LIBRARY";

/// The function's name in the library.
const FUNCTION: &str = "tpuc_post_process";

/// Whether a file is taken for a shared library: by its name (`post.so`, `libpost.so.1`).
pub fn is_one(file: &Path) -> bool {
    let name = file.file_name().map(|n| n.to_string_lossy().into_owned()).unwrap_or_default();
    name.ends_with(".so") || name.contains(".so.")
}

/// Starts the child with the library.
pub fn start(file: &Path, timeout: Duration) -> Result<Process, PostProcessError> {
    let label = file.display().to_string();
    // A bare name would be looked for in the system's folders.
    let path = std::fs::canonicalize(file).map_err(|e| format!("{label}: {}", tpuc_tensor::file::io_reason(&e)))?;
    let mut command = Command::new(std::env::current_exe().map_err(|e| format!("this program's file is not known: {e}"))?);
    command.env(CHILD_VARIABLE, path);
    Process::start(command, label, timeout)
}

/// If this process was started to run a library, does that and exits; otherwise returns at once.
///
/// Every program that opens a post-process calls this first in `main`.
pub fn child_main_if_requested() {
    let Some(path) = std::env::var_os(CHILD_VARIABLE) else { return };
    std::process::exit(i32::from(serve(Path::new(&path)).is_err()));
}

fn serve(path: &Path) -> std::io::Result<()> {
    // SAFETY: the standard streams are open (the parent made them), and nothing else in this process uses them. What the library prints goes to
    // standard error.
    let (incoming, mut outgoing) = unsafe {
        let (read, write) = (libc::dup(0), libc::dup(1));
        if read < 0 || write < 0 || libc::dup2(2, 1) < 0 {
            return Err(std::io::Error::last_os_error());
        }
        (File::from(OwnedFd::from_raw_fd(read)), File::from(OwnedFd::from_raw_fd(write)))
    };
    let library = match Library::open(path) {
        Ok(library) => library,
        Err(reason) => return answer(&mut outgoing, &Err(reason)),
    };
    outgoing.write_all(&[0])?;
    let mut incoming = BufReader::new(incoming);
    loop {
        let outputs = match arrays(&mut incoming) {
            Ok(outputs) => outputs,
            Err(error) if error.kind() == std::io::ErrorKind::UnexpectedEof => return Ok(()),
            Err(error) => return Err(error),
        };
        let found = outputs.and_then(|outputs| library.apply(&outputs));
        answer(&mut outgoing, &found)?;
    }
}

fn answer(stream: &mut impl Write, answer: &Answer) -> std::io::Result<()> {
    let mut bytes = vec![u8::from(answer.is_err())];
    match answer {
        Ok(outputs) => bytes.extend(message(outputs)),
        Err(reason) => {
            bytes.extend((reason.len() as u32).to_le_bytes());
            bytes.extend(reason.as_bytes());
        }
    }
    stream.write_all(&bytes)?;
    stream.flush()
}

/// `tpuc_tensor` of the header.
#[repr(C)]
struct RawTensor {
    name: *const c_char,
    rank: u32,
    shape: *const u64,
    data: *const f32,
}

type Emit = unsafe extern "C" fn(context: *mut c_void, tensor: *const RawTensor) -> c_int;
type Function = unsafe extern "C" fn(outputs: *const RawTensor, count: u32, emit: Emit, context: *mut c_void, error: *mut c_char, error_size: usize) -> c_int;

struct Library {
    function: Function,
    /// The function lives as long as this.
    _library: libloading::Library,
}

/// Bytes for the text of an error.
const ERROR_SIZE: usize = 1024;

/// Dimensions of a tensor that a library gives.
const MOST_DIMENSIONS: u32 = 16;

impl Library {
    fn open(path: &Path) -> Result<Library, String> {
        // SAFETY: loading runs the library's own initialisers: that is what the user asked for, in a process that does nothing else.
        let library = unsafe { libloading::Library::new(path) }.map_err(|e| format!("cannot be loaded: {e}"))?;
        // SAFETY: the header declares the function with this signature.
        let function = unsafe { library.get::<Function>(FUNCTION.as_bytes()) }.map(|f| *f).map_err(|_| format!("has no function {FUNCTION}; tpuc_post_process.h declares it"))?;
        Ok(Library { function, _library: library })
    }

    fn apply(&self, outputs: &[Named]) -> Answer {
        let names: Vec<CString> = outputs.iter().map(|(name, _)| CString::new(name.replace('\0', "")).unwrap_or_default()).collect();
        let shapes: Vec<Vec<u64>> = outputs.iter().map(|(_, t)| t.shape().iter().map(|&d| d as u64).collect()).collect();
        let data: Vec<Vec<f32>> = outputs.iter().map(|(_, t)| t.to_f32()).collect();
        let raw: Vec<RawTensor> = (0..outputs.len()).map(|i| RawTensor { name: names[i].as_ptr(), rank: shapes[i].len() as u32, shape: shapes[i].as_ptr(), data: data[i].as_ptr() }).collect();
        let mut emitted: Result<Vec<Named>, String> = Ok(Vec::new());
        let mut error = vec![0 as c_char; ERROR_SIZE];
        // SAFETY: the pointers are valid during the call, as the header promises; `emit` gets the context that it expects; the last byte of the error
        // stays 0, since the function is told a size that leaves it out.
        let code = unsafe { (self.function)(raw.as_ptr(), raw.len() as u32, emit, (&raw mut emitted).cast(), error.as_mut_ptr(), ERROR_SIZE - 1) };
        if code != 0 {
            // SAFETY: the buffer ends with a 0.
            let text = unsafe { CStr::from_ptr(error.as_ptr()) }.to_string_lossy().replace('\n', " ");
            return Err(if text.trim().is_empty() { format!("{FUNCTION} returned {code}") } else { format!("{FUNCTION} returned {code}: {text}") });
        }
        match emitted {
            Ok(list) if list.is_empty() => Err(format!("{FUNCTION} gave no tensor; expected at least one")),
            other => other,
        }
    }
}

/// Takes a tensor of the result. 0: taken.
unsafe extern "C" fn emit(context: *mut c_void, tensor: *const RawTensor) -> c_int {
    // SAFETY: `apply` passes this context, and the library only hands it on.
    let emitted = unsafe { &mut *context.cast::<Result<Vec<Named>, String>>() };
    // SAFETY: the header demands valid pointers: a name that ends with 0, `rank` sizes, and as many elements as they say.
    match unsafe { copy(tensor) } {
        Ok(named) => {
            if let Ok(list) = emitted {
                list.push(named);
            }
            0
        }
        Err(reason) => {
            *emitted = Err(reason);
            1
        }
    }
}

/// # Safety
///
/// `tensor` is null or points to a tensor as the header describes it.
unsafe fn copy(tensor: *const RawTensor) -> Result<Named, String> {
    // SAFETY: the caller's promise.
    let Some(tensor) = (unsafe { tensor.as_ref() }) else { return Err(format!("{FUNCTION} gave a null tensor")) };
    if tensor.name.is_null() || (tensor.rank > 0 && tensor.shape.is_null()) || tensor.rank > MOST_DIMENSIONS {
        return Err(format!("{FUNCTION} gave a tensor without a name or a shape, or of more than {MOST_DIMENSIONS} dimensions"));
    }
    // SAFETY: as above.
    let name = unsafe { CStr::from_ptr(tensor.name) }.to_string_lossy().into_owned();
    // SAFETY: as above; nothing is read of a tensor without dimensions.
    let shape: Vec<u64> = if tensor.rank == 0 { Vec::new() } else { unsafe { std::slice::from_raw_parts(tensor.shape, tensor.rank as usize) }.to_vec() };
    let count = shape.iter().try_fold(1u64, |a, &d| a.checked_mul(d)).filter(|&c| c <= super::process::MOST_ELEMENTS).ok_or_else(|| format!("'{name}' of shape {shape:?} is too large"))?;
    if count > 0 && tensor.data.is_null() {
        return Err(format!("'{name}' has no data"));
    }
    // SAFETY: as above.
    let data = if count == 0 { Vec::new() } else { unsafe { std::slice::from_raw_parts(tensor.data, count as usize) }.to_vec() };
    let dims: Vec<usize> = shape.iter().map(|&d| d as usize).collect();
    Ok((name, Tensor::f32(&dims, data).map_err(|e| e.to_string())?))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::path::PathBuf;

    /// A compiled library, if there is a C compiler.
    fn compiled(name: &str, code: &str) -> Option<PathBuf> {
        let folder = std::env::temp_dir().join(format!("tpuc-library-{}-{name}", std::process::id()));
        std::fs::create_dir_all(&folder).unwrap();
        let (source, library) = (folder.join("post.c"), folder.join("post.so"));
        std::fs::write(&source, format!("#include \"tpuc_post_process.h\"\n#include <stdio.h>\n{code}")).unwrap();
        let include = concat!(env!("CARGO_MANIFEST_DIR"), "/../../include");
        let done = Command::new("cc").args(["-shared", "-fPIC", "-Wall", "-Werror", "-I", include, "-o"]).arg(&library).arg(&source).status();
        if !done.is_ok_and(|s| s.success()) {
            println!("skipped: no C compiler");
            return None;
        }
        Some(library)
    }

    fn outputs() -> Vec<Named> {
        vec![("a".into(), Tensor::f32(&[1, 3], vec![1.0, -2.0, 3.0]).unwrap())]
    }

    #[test]
    fn a_library_computes_and_complains() {
        let twice = "int tpuc_post_process(const tpuc_tensor *outputs, uint32_t count, tpuc_emit emit, void *context, char *error, size_t error_size) {
            float twice[8]; uint64_t n = 1;
            for (uint32_t d = 0; d < outputs[0].rank; d++) n *= outputs[0].shape[d];
            if (n > 8) { snprintf(error, error_size, \"%s is too long\", outputs[0].name); return 3; }
            for (uint64_t i = 0; i < n; i++) twice[i] = 2 * outputs[0].data[i];
            tpuc_tensor result = {\"twice\", 1, &n, twice};
            return emit(context, &result);
        }";
        let Some(path) = compiled("good", twice) else { return };
        let library = Library::open(&path).unwrap();
        assert_eq!(library.apply(&outputs()).unwrap(), [("twice".to_owned(), Tensor::f32(&[3], vec![2.0, -4.0, 6.0]).unwrap())]);
        let long = vec![("long".to_owned(), Tensor::f32(&[9], vec![0.0; 9]).unwrap())];
        assert_eq!(library.apply(&long).unwrap_err(), "tpuc_post_process returned 3: long is too long");
        let fails = |name: &str, code: &str| compiled(name, code).map(|path| Library::open(&path).map(|l| l.apply(&outputs())));
        let nothing = "int tpuc_post_process(const tpuc_tensor *o, uint32_t c, tpuc_emit e, void *x, char *m, size_t s) { return 0; }";
        assert!(fails("nothing", nothing).unwrap().unwrap().unwrap_err().contains("gave no tensor"));
        assert!(fails("other", "int other(void) { return 0; }").unwrap().err().unwrap().contains("has no function"));
        let null = "int tpuc_post_process(const tpuc_tensor *o, uint32_t c, tpuc_emit e, void *x, char *m, size_t s) { tpuc_tensor t = {\"t\", 1, o[0].shape, 0}; return e(x, &t); }";
        assert!(fails("null", null).unwrap().unwrap().unwrap_err().contains("returned 1"));
        assert!(Library::open(Path::new("/nowhere/post.so")).err().unwrap().contains("cannot be loaded"));
    }

    #[test]
    fn names_of_libraries() {
        assert!(is_one(Path::new("a/post.so")) && is_one(Path::new("libpost.so.1")) && !is_one(Path::new("post.py")));
    }
}
