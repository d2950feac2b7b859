//! The vendor's runtime, from the parent's side.
//!
//! The libraries abort the process when something displeases them and print as they like, so they live in a child: this
//! same executable, started again (see [`child_main_if_requested`](crate::child_main_if_requested)). One child serves all
//! runs of one model, so that its start-up is paid once.

use crate::child::{ANSWER_OK, CHILD_VARIABLE, MAX_RANK};
use crate::error::RunError;
use crate::image::find_net;
use crate::io::{NamedTensor, Runner, TensorInfo, input_bytes};
use crate::protocol::{self, Decoder, Encoder};
use std::os::fd::OwnedFd;
use std::os::unix::fs::FileExt;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};
use tpuc_bmodel as bmodel;
use tpuc_tensor::Tensor;
use tpuc_tensor::file;

/// Environment variable that names the folder of the vendor's libraries: either the folder that holds `libbmrt.so`, or one
/// that has such a folder for each chip (`bm1684x/libbmrt.so`).
pub const LIBRARY_DIR_VARIABLE: &str = "TPUC_BMRT_DIR";

/// How to start the vendor's runtime.
#[derive(Debug, Clone, Default)]
pub struct BmrtOptions {
    /// Folder of the libraries; the environment variable `TPUC_BMRT_DIR` where `None`.
    pub library_dir: Option<PathBuf>,
    /// The net to run; the file's first where `None`.
    pub net: Option<String>,
    /// Executable of the child and its arguments; this executable without arguments where `None`.
    pub child: Option<(PathBuf, Vec<String>)>,
    /// Longest time for loading and for each run; half an hour where `None`.
    pub timeout: Option<Duration>,
}

/// A bmodel loaded into the vendor's runtime.
pub struct Bmrt {
    inputs: Vec<TensorInfo>,
    outputs: Vec<TensorInfo>,
    host: Host,
}

impl Bmrt {
    /// Reads the file, starts the child and loads the model in it.
    pub fn open(path: &Path, options: &BmrtOptions) -> Result<Bmrt, RunError> {
        let model = bmodel::read_owned(file::read(path)?)?;
        let net = find_net(&model, options.net.as_deref())?;
        let stage = &net.stages[0];
        let infos = |tensors: &[bmodel::Tensor]| tensors.iter().map(TensorInfo::of).collect::<Result<Vec<_>, _>>();
        let (inputs, outputs) = (infos(&stage.inputs)?, infos(&stage.outputs)?);
        if let Some(info) = inputs.iter().chain(&outputs).find(|i| i.shape.len() > MAX_RANK) {
            return Err(RunError::Unsupported(format!("tensor '{}' has {} dimensions, the vendor's runtime takes {MAX_RANK}", info.name, info.shape.len())));
        }
        let folder = library_folder(options, &model.chip)?;
        let host = Host::start(&folder, path, &net.name, options)?;
        Ok(Bmrt { inputs, outputs, host })
    }
}

impl Runner for Bmrt {
    fn inputs(&self) -> &[TensorInfo] {
        &self.inputs
    }

    fn outputs(&self) -> &[TensorInfo] {
        &self.outputs
    }

    fn run(&mut self, inputs: &[NamedTensor]) -> Result<Vec<NamedTensor>, RunError> {
        let mut request = Encoder::default();
        request.number(self.inputs.len() as u64);
        for (info, bytes) in self.inputs.iter().zip(input_bytes(&self.inputs, inputs)?) {
            request.shape(&info.shape).bytes(&bytes);
        }
        request.shape(&self.outputs.iter().map(TensorInfo::byte_size).collect::<Vec<_>>());
        let answer = self.host.ask(&request.0)?;
        let outputs = decode_outputs(&self.outputs, &answer);
        outputs.map_err(|reason| RunError::Child { reason, tail: String::new() })
    }
}

/// The tensors of an answer. A net with dynamic outputs may use less than the declared size.
fn decode_outputs(infos: &[TensorInfo], answer: &[u8]) -> Result<Vec<NamedTensor>, String> {
    let text = |e: std::io::Error| e.to_string();
    let mut answer = Decoder(answer);
    let count = answer.number().map_err(text)?;
    if count != infos.len() as u64 {
        return Err(format!("{count} outputs instead of {}", infos.len()));
    }
    infos
        .iter()
        .map(|info| {
            let (shape, bytes) = (answer.shape().map_err(text)?, answer.bytes().map_err(text)?);
            let used = shape.iter().try_fold(info.dtype.size(), |size, &dim| size.checked_mul(dim));
            let bytes = used.and_then(|used| bytes.get(..used)).ok_or_else(|| format!("output '{}' has shape {shape:?}, more than its {:?}", info.name, info.shape))?;
            Ok((info.name.clone(), Tensor::from_le_bytes(&shape, info.dtype, bytes).map_err(|e| e.to_string())?))
        })
        .collect()
}

fn library_folder(options: &BmrtOptions, chip: &str) -> Result<PathBuf, RunError> {
    let given = options.library_dir.clone().or_else(|| std::env::var_os(LIBRARY_DIR_VARIABLE).map(PathBuf::from));
    let given = given.ok_or_else(|| RunError::Library { folder: PathBuf::new(), reason: format!("no folder given; set {LIBRARY_DIR_VARIABLE} to the folder of libbmrt.so") })?;
    let of_chip = given.join(chip.to_lowercase());
    let folder = [of_chip, given.clone()].into_iter().find(|f| f.join(RUNTIME_LIBRARY).exists());
    folder.ok_or_else(|| RunError::Library { folder: given, reason: format!("{RUNTIME_LIBRARY} is not there") })
}

const RUNTIME_LIBRARY: &str = "libbmrt.so";

/// What the runtime looks up by file name: itself, the device library, the emulator, CPU layers.
const LIBRARY_PREFIXES: [&str; 4] = ["libbmrt", "libbmlib", "libcmodel", "libcpuop"];

/// The child and the way to it.
struct Host {
    child: Child,
    stream: Option<UnixStream>,
    log: std::fs::File,
    folder: PathBuf,
    /// The child's working folder; removed after the child has ended.
    _scratch: tempfile::TempDir,
}

impl Host {
    fn start(folder: &Path, model: &Path, net: &str, options: &BmrtOptions) -> Result<Host, RunError> {
        let fail = |what: &str, e: std::io::Error| RunError::Child { reason: format!("{what}: {e}"), tail: String::new() };
        let scratch = tempfile::Builder::new().prefix("tpuc-bmrt-").tempdir().map_err(|e| fail("cannot make a temporary folder", e))?;
        // Only the runtime's own libraries: the folder may hold a C++ library that this executable must not pick up.
        link_libraries(folder, scratch.path()).map_err(|e| fail("cannot link the libraries", e))?;
        let log = tempfile::tempfile().map_err(|e| fail("cannot make a log", e))?;
        let clone = |log: &std::fs::File| log.try_clone().map_err(|e| fail("cannot share the log", e));
        let (program, arguments) = match &options.child {
            Some((program, arguments)) => (program.clone(), arguments.clone()),
            None => (std::env::current_exe().map_err(|e| fail("cannot find this executable", e))?, Vec::new()),
        };
        let (stream, other) = UnixStream::pair().map_err(|e| fail("cannot make a socket", e))?;
        stream.set_read_timeout(Some(options.timeout.unwrap_or(Duration::from_secs(1800)))).map_err(|e| fail("cannot set a timeout", e))?;
        let mut path = scratch.path().as_os_str().to_owned();
        if let Some(inherited) = std::env::var_os("LD_LIBRARY_PATH") {
            path.push(":");
            path.push(inherited);
        }
        let model = model.canonicalize().map_err(|e| fail("cannot find the model", e))?;
        let child = Command::new(program)
            .args(arguments)
            .env(CHILD_VARIABLE, "1")
            .env("LD_LIBRARY_PATH", path)
            .current_dir(scratch.path())
            .stdin(Stdio::from(OwnedFd::from(other)))
            .stdout(clone(&log)?)
            .stderr(clone(&log)?)
            .spawn()
            .map_err(|e| fail("cannot start the child process", e))?;
        let library = scratch.path().join(RUNTIME_LIBRARY);
        let mut host = Host { child, stream: Some(stream), log, folder: folder.to_path_buf(), _scratch: scratch };
        let mut request = Encoder::default();
        request.bytes(library.as_os_str().as_encoded_bytes()).bytes(model.as_os_str().as_encoded_bytes()).bytes(net.as_bytes());
        host.ask(&request.0)?;
        Ok(host)
    }

    /// Sends a request and returns what follows "ok" in the answer. After a lost child every call fails.
    fn ask(&mut self, request: &[u8]) -> Result<Vec<u8>, RunError> {
        let Some(stream) = &mut self.stream else {
            return Err(self.lost("the child process has ended before".into()));
        };
        let answer = match protocol::send(stream, request).and_then(|()| protocol::receive(stream)) {
            Ok(Some(answer)) => answer,
            Ok(None) => return Err(self.lost(String::new())),
            Err(e) if matches!(e.kind(), std::io::ErrorKind::WouldBlock | std::io::ErrorKind::TimedOut) => {
                let _ = self.child.kill();
                return Err(self.lost("no answer in time".into()));
            }
            Err(e) if matches!(e.kind(), std::io::ErrorKind::BrokenPipe | std::io::ErrorKind::ConnectionReset) => return Err(self.lost(String::new())),
            Err(e) => return Err(self.lost(e.to_string())),
        };
        let mut decoder = Decoder(&answer);
        match decoder.number() {
            Ok(ANSWER_OK) => Ok(decoder.0.to_vec()),
            Ok(_) => {
                let reason = decoder.text().unwrap_or_default();
                let reason = reason.replace(&format!("{}/", self._scratch.path().display()), &format!("{}/", self.folder.display()));
                Err(RunError::Child { reason, tail: self.log_tail() })
            }
            Err(e) => Err(self.lost(e.to_string())),
        }
    }

    fn lost(&mut self, reason: String) -> RunError {
        self.stream = None;
        let reason = if reason.is_empty() {
            match self.wait(Duration::from_secs(5)) {
                Some(status) => format!("the child process ended ({status})"),
                None => "the child process closed its socket".into(),
            }
        } else {
            reason
        };
        RunError::Child { reason, tail: self.log_tail() }
    }

    /// The last lines of what the vendor's code printed, on one line.
    fn log_tail(&mut self) -> String {
        const BYTES: usize = 8000;
        const LINES: usize = 4;
        let mut bytes = vec![0u8; BYTES];
        let length = self.log.metadata().map_or(0, |m| m.len());
        // The child appends at a position that it shares with us: only positioned reads leave it alone.
        let read = self.log.read_at(&mut bytes, length.saturating_sub(BYTES as u64)).unwrap_or(0);
        bytes.truncate(read);
        let text = String::from_utf8_lossy(&bytes).into_owned();
        let lines: Vec<&str> = text.lines().map(str::trim).filter(|l| !l.is_empty()).collect();
        // A failed assertion says more than the stack that follows it.
        let first = lines.iter().position(|l| l.to_ascii_lowercase().contains("assert")).unwrap_or(lines.len().saturating_sub(LINES));
        lines[first..lines.len().min(first + LINES)].join(" | ")
    }

    fn wait(&mut self, limit: Duration) -> Option<std::process::ExitStatus> {
        let start = Instant::now();
        loop {
            match self.child.try_wait() {
                Ok(Some(status)) => return Some(status),
                Ok(None) if start.elapsed() < limit => std::thread::sleep(Duration::from_millis(5)),
                Ok(None) | Err(_) => return None,
            }
        }
    }
}

impl Drop for Host {
    fn drop(&mut self) {
        // Closing the socket asks the child to release the device and end.
        self.stream = None;
        if self.wait(Duration::from_secs(5)).is_none() {
            let _ = self.child.kill();
            let _ = self.child.wait();
        }
    }
}

fn link_libraries(from: &Path, to: &Path) -> std::io::Result<()> {
    let from = from.canonicalize()?;
    for entry in std::fs::read_dir(&from)? {
        let name = entry?.file_name();
        let text = name.to_string_lossy();
        if LIBRARY_PREFIXES.iter().any(|prefix| text.starts_with(prefix)) && text.contains(".so") {
            std::os::unix::fs::symlink(from.join(&name), to.join(&name))?;
        }
    }
    Ok(())
}
