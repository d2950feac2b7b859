//! The child process: opens the vendor's runtime and answers requests until the parent closes the socket.
//!
//! Standard input is the socket to the parent; the vendor's code prints to standard output and standard error, which the
//! parent has pointed at a log. An assertion in the vendor's code ends only this process.

use crate::protocol::{self, Decoder, Encoder};
use libloading::{Library, Symbol};
use std::ffi::{CString, c_char, c_int, c_void};
use std::io;
use std::os::fd::AsFd;
use std::os::unix::net::UnixStream;

/// Set (to anything) in the environment of the child.
pub(crate) const CHILD_VARIABLE: &str = "TPUC_BMRT_CHILD";

/// First byte of an answer.
pub(crate) const ANSWER_OK: u64 = 0;
pub(crate) const ANSWER_ERROR: u64 = 1;

/// If this process was started to host the vendor's runtime, does that and exits; otherwise returns at once.
///
/// Every program that uses [`Bmrt`](crate::Bmrt) with its own executable as child calls this first in `main`.
pub fn child_main_if_requested() {
    if std::env::var_os(CHILD_VARIABLE).is_none() {
        return;
    }
    let code = match io::stdin().as_fd().try_clone_to_owned().map(UnixStream::from).and_then(|mut stream| serve(&mut stream)) {
        Ok(()) => 0,
        Err(error) => {
            eprintln!("{error}");
            1
        }
    };
    std::process::exit(code);
}

fn serve(stream: &mut UnixStream) -> io::Result<()> {
    let Some(message) = protocol::receive(stream)? else { return Ok(()) };
    let mut request = Decoder(&message);
    let (library, model, net) = (request.text()?, request.text()?, request.text()?);
    let session = match Session::open(&library, &model, &net) {
        Ok(session) => session,
        Err(reason) => return answer_error(stream, &reason),
    };
    protocol::send(stream, &Encoder::default().number(ANSWER_OK).0)?;
    while let Some(message) = protocol::receive(stream)? {
        match session.run(&message) {
            Ok(answer) => protocol::send(stream, &answer)?,
            Err(reason) => answer_error(stream, &reason)?,
        }
    }
    Ok(())
}

fn answer_error(stream: &mut UnixStream, reason: &str) -> io::Result<()> {
    protocol::send(stream, &Encoder::default().number(ANSWER_ERROR).bytes(reason.as_bytes()).0)
}

/// `bm_shape_t`.
#[repr(C)]
#[derive(Clone, Copy, Default)]
struct Shape {
    rank: c_int,
    dims: [c_int; MAX_RANK],
}

/// Dimensions that the vendor's shape can hold.
pub(crate) const MAX_RANK: usize = 8;

impl Shape {
    fn new(dims: &[usize]) -> Result<Shape, String> {
        let mut shape = Shape { rank: dims.len() as c_int, ..Shape::default() };
        if dims.len() > MAX_RANK {
            return Err(format!("shape {dims:?} has more than {MAX_RANK} dimensions"));
        }
        for (to, &from) in shape.dims.iter_mut().zip(dims) {
            *to = c_int::try_from(from).map_err(|_| format!("shape {dims:?} is too large"))?;
        }
        Ok(shape)
    }

    fn dims(&self) -> Vec<usize> {
        let rank = (self.rank.max(0) as usize).min(MAX_RANK);
        self.dims[..rank].iter().map(|&d| d.max(0) as usize).collect()
    }
}

type Handle = *mut c_void;
type DevRequest = unsafe extern "C" fn(*mut Handle, c_int) -> c_int;
type DevFree = unsafe extern "C" fn(Handle);
type Create = unsafe extern "C" fn(Handle) -> Handle;
type Destroy = unsafe extern "C" fn(Handle);
type LoadBmodel = unsafe extern "C" fn(Handle, *const c_char) -> bool;
type LaunchData =
    unsafe extern "C" fn(Handle, *const c_char, *const *mut c_void, *const Shape, c_int, *mut *mut c_void, *mut Shape, c_int, bool) -> bool;

/// An open device with one loaded bmodel.
///
/// The function types above are the vendor's public C interface; the symbols come from `library`, which lives as long as
/// the session, and the handles are used only between their creation in `open` and `drop`.
struct Session {
    library: Library,
    device: Handle,
    runtime: Handle,
    net: CString,
}

impl Session {
    fn open(library: &str, model: &str, net: &str) -> Result<Session, String> {
        let c_string = |text: &str| CString::new(text).map_err(|_| format!("'{text}' holds a zero byte"));
        let (model_path, net) = (c_string(model)?, c_string(net)?);
        // SAFETY: loading runs the library's initialisers; the user chose the library, and this process is expendable.
        let library = unsafe { Library::new(library) }.map_err(|e| format!("cannot open {library}: {e}"))?;
        let mut session = Session { library, device: std::ptr::null_mut(), runtime: std::ptr::null_mut(), net };
        // SAFETY: signatures as in the vendor's headers; out-pointers are valid for the calls.
        unsafe {
            let status = session.symbol::<DevRequest>("bm_dev_request")?(&mut session.device, 0);
            if status != 0 || session.device.is_null() {
                return Err(format!("no device (bm_dev_request returned {status})"));
            }
            session.runtime = session.symbol::<Create>("bmrt_create")?(session.device);
            if session.runtime.is_null() {
                return Err("bmrt_create failed".into());
            }
            if !session.symbol::<LoadBmodel>("bmrt_load_bmodel")?(session.runtime, model_path.as_ptr()) {
                return Err(format!("it does not load '{model}'"));
            }
        }
        Ok(session)
    }

    /// SAFETY: `T` must be the type of the function called `name`.
    unsafe fn symbol<T>(&self, name: &str) -> Result<Symbol<'_, T>, String> {
        // SAFETY: the caller vouches for the type.
        unsafe { self.library.get(name.as_bytes()) }.map_err(|e| format!("{name} is missing: {e}"))
    }

    /// Request: inputs (shape, bytes), then the greatest byte counts of the outputs. Answer: outputs (shape, bytes).
    fn run(&self, message: &[u8]) -> Result<Vec<u8>, String> {
        let text = |e: io::Error| e.to_string();
        let mut request = Decoder(message);
        let mut shapes = Vec::new();
        let mut buffers: Vec<Vec<u8>> = Vec::new();
        for _ in 0..request.number().map_err(text)? {
            shapes.push(Shape::new(&request.shape().map_err(text)?)?);
            buffers.push(request.bytes().map_err(text)?.to_vec());
        }
        let sizes = request.shape().map_err(text)?;
        let mut outputs: Vec<Vec<u8>> = sizes.iter().map(|&size| vec![0u8; size]).collect();
        let mut output_shapes = vec![Shape::default(); sizes.len()];
        let inputs: Vec<*mut c_void> = buffers.iter_mut().map(|b| b.as_mut_ptr().cast()).collect();
        let mut pointers: Vec<*mut c_void> = outputs.iter_mut().map(|b| b.as_mut_ptr().cast()).collect();
        // SAFETY: every buffer has the size that the model declares for its tensor (the parent read the same file), and
        // lives until the call returns.
        let done = unsafe {
            self.symbol::<LaunchData>("bmrt_launch_data")?(
                self.runtime,
                self.net.as_ptr(),
                inputs.as_ptr(),
                shapes.as_ptr(),
                inputs.len() as c_int,
                pointers.as_mut_ptr(),
                output_shapes.as_mut_ptr(),
                pointers.len() as c_int,
                true,
            )
        };
        if !done {
            return Err("bmrt_launch_data failed".into());
        }
        let mut answer = Encoder::default();
        answer.number(ANSWER_OK).number(outputs.len() as u64);
        for (shape, bytes) in output_shapes.iter().zip(&outputs) {
            answer.shape(&shape.dims()).bytes(bytes);
        }
        Ok(answer.0)
    }
}

impl Drop for Session {
    fn drop(&mut self) {
        // SAFETY: the handles were made by the same library and are not used afterwards.
        unsafe {
            if !self.runtime.is_null()
                && let Ok(destroy) = self.symbol::<Destroy>("bmrt_destroy")
            {
                destroy(self.runtime);
            }
            if !self.device.is_null()
                && let Ok(free) = self.symbol::<DevFree>("bm_dev_free")
            {
                free(self.device);
            }
        }
    }
}
