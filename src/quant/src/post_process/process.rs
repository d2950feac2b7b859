//! A process beside this one that applies a user's post-process, and stays alive.
//!
//! Messages through its standard streams, in both directions: a 32-bit count of arrays; of each array its name (32-bit length, UTF-8),
//! the number of dimensions (32 bits), the dimensions (64 bits each) and its elements (f32). All little-endian. Answers begin with a byte:
//! 0, arrays follow; 1, a text (32-bit length) that says what went wrong. The first answer, without arrays, says that the user's file is loaded.

use super::{PostProcess, PostProcessError};
use crate::evaluator::Named;
use std::io::{BufReader, Read, Write};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;
use tpuc_tensor::Tensor;

/// More elements than this in one answer are a mistake.
pub(super) const MOST_ELEMENTS: u64 = 1 << 31;

/// What the worker answers: arrays, or what went wrong.
pub(super) type Answer = Result<Vec<Named>, String>;

/// The process, which does one thing at a time.
pub struct Process {
    worker: Mutex<Worker>,
    timeout: Duration,
    file: String,
}

struct Worker {
    child: Child,
    input: ChildStdin,
    answers: Receiver<Answer>,
}

impl Process {
    /// Starts the process, which loads the file. An error has the traceback where there is one.
    pub fn start(mut command: Command, file: String, timeout: Duration) -> Result<Process, PostProcessError> {
        let program = command.get_program().display().to_string();
        let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().map_err(|e| format!("{program} cannot be started: {e}"))?;
        let (Some(input), Some(output)) = (child.stdin.take(), child.stdout.take()) else { return Err(format!("{program} has no standard streams").into()) };
        let (sender, answers) = channel();
        std::thread::spawn(move || {
            let mut output = BufReader::new(output);
            let mut first = true;
            while let Ok(answer) = read(&mut output, std::mem::take(&mut first)) {
                if sender.send(answer).is_err() {
                    return;
                }
            }
        });
        let process = Process { worker: Mutex::new(Worker { child, input, answers }), timeout, file };
        let mut worker = process.worker.lock().unwrap_or_else(PoisonError::into_inner);
        process.answer(&mut worker)?;
        drop(worker);
        Ok(process)
    }

    fn answer(&self, worker: &mut Worker) -> Result<Vec<Named>, PostProcessError> {
        match worker.answers.recv_timeout(self.timeout) {
            Ok(Ok(outputs)) => Ok(outputs),
            Ok(Err(traceback)) => Err(format!("{}: {}", self.file, traceback.trim()).into()),
            Err(RecvTimeoutError::Timeout) => {
                let _ = worker.child.kill();
                Err(format!("{}: no answer within {} s; the process was ended", self.file, self.timeout.as_secs()).into())
            }
            Err(RecvTimeoutError::Disconnected) => Err(format!("{}: the process that runs it {}", self.file, ended(&mut worker.child)).into()),
        }
    }
}

impl PostProcess for Process {
    fn apply(&self, outputs: Vec<Named>) -> Result<Vec<Named>, PostProcessError> {
        let mut worker = self.worker.lock().unwrap_or_else(PoisonError::into_inner);
        // An error means that the process has ended, which its answer says better.
        let _ = worker.input.write_all(&message(&outputs)).and_then(|()| worker.input.flush());
        self.answer(&mut worker)
    }
}

impl Drop for Worker {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// How a process ended whose streams are closed.
fn ended(child: &mut Child) -> String {
    for _ in 0..20 {
        match child.try_wait() {
            Ok(Some(status)) => return format!("ended: {status}"),
            Ok(None) => std::thread::sleep(Duration::from_millis(50)),
            Err(_) => break,
        }
    }
    let _ = child.kill();
    "closed its output and was ended".into()
}

pub(super) fn message(outputs: &[Named]) -> Vec<u8> {
    let mut bytes = (outputs.len() as u32).to_le_bytes().to_vec();
    for (name, tensor) in outputs {
        bytes.extend((name.len() as u32).to_le_bytes());
        bytes.extend(name.as_bytes());
        bytes.extend((tensor.shape().len() as u32).to_le_bytes());
        tensor.shape().iter().for_each(|&d| bytes.extend((d as u64).to_le_bytes()));
        tensor.to_f32().iter().for_each(|v| bytes.extend(v.to_le_bytes()));
    }
    bytes
}

/// The next answer; an error where the stream ends. The first one is that the file is loaded.
pub(super) fn read(stream: &mut impl Read, is_first: bool) -> std::io::Result<Answer> {
    let mut kind = [0];
    stream.read_exact(&mut kind)?;
    if kind[0] != 0 {
        let length = u64::from(word(stream)?).min(1 << 20);
        return Ok(Err(String::from_utf8_lossy(&some(stream, length)?).into_owned()));
    }
    if is_first {
        return Ok(Ok(Vec::new()));
    }
    arrays(stream)
}

/// The arrays of a message, or why they cannot be.
pub(super) fn arrays(stream: &mut impl Read) -> std::io::Result<Answer> {
    let mut outputs = Vec::new();
    for _ in 0..word(stream)? {
        let length = u64::from(word(stream)?);
        let name = String::from_utf8_lossy(&some(stream, length)?).into_owned();
        let mut shape = Vec::new();
        for _ in 0..word(stream)? {
            let mut size = [0; 8];
            stream.read_exact(&mut size)?;
            shape.push(u64::from_le_bytes(size));
        }
        let count = shape.iter().try_fold(1u64, |a, &d| a.checked_mul(d)).filter(|&c| c <= MOST_ELEMENTS);
        let Some(count) = count else { return Ok(Err(format!("'{name}' of shape {shape:?} is too large"))) };
        let floats = some(stream, count * 4)?.as_chunks::<4>().0.iter().map(|&b| f32::from_le_bytes(b)).collect();
        let dims: Vec<usize> = shape.iter().map(|&d| d as usize).collect();
        match Tensor::f32(&dims, floats) {
            Ok(tensor) => outputs.push((name, tensor)),
            Err(error) => return Ok(Err(error.to_string())),
        }
    }
    Ok(Ok(outputs))
}

pub(super) fn word(stream: &mut impl Read) -> std::io::Result<u32> {
    let mut bytes = [0; 4];
    stream.read_exact(&mut bytes)?;
    Ok(u32::from_le_bytes(bytes))
}

/// So many bytes, with memory only for what comes.
pub(super) fn some(stream: &mut impl Read, count: u64) -> std::io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    stream.take(count).read_to_end(&mut bytes)?;
    if bytes.len() as u64 == count { Ok(bytes) } else { Err(std::io::ErrorKind::UnexpectedEof.into()) }
}

