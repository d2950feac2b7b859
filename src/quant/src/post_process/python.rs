//! A user's Python file with a function `PostProcess(data)`: a dictionary of numpy arrays in, what is compared out.
//!
//! It runs in one `python3` process that stays alive; arrays go through its standard streams ([`worker.py`](./worker.py) says how). What the
//! file prints appears on standard error.

use super::{PostProcess, PostProcessError};
use crate::evaluator::Named;
use std::io::{BufReader, Read, Write};
use std::path::Path;
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;
use tpuc_tensor::Tensor;

const WORKER: &str = include_str!("worker.py");

/// More elements than this in one answer are a mistake.
const MOST_ELEMENTS: u64 = 1 << 31;

/// What the worker answers: arrays, or what went wrong.
type Answer = Result<Vec<Named>, String>;

/// The process, which does one thing at a time.
pub struct PythonProcess {
    worker: Mutex<Worker>,
    timeout: Duration,
    file: String,
}

struct Worker {
    child: Child,
    input: ChildStdin,
    answers: Receiver<Answer>,
}

impl PythonProcess {
    /// Starts the process and loads the file. An error has the traceback where there is one.
    pub fn start(file: &Path, timeout: Duration) -> Result<PythonProcess, PostProcessError> {
        let mut child = Command::new("python3")
            .args(["-u", "-c", WORKER])
            .arg(file)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .map_err(|e| format!("python3 cannot be started: {e}"))?;
        let (Some(input), Some(output)) = (child.stdin.take(), child.stdout.take()) else { return Err("python3 has no standard streams".into()) };
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
        let process = PythonProcess { worker: Mutex::new(Worker { child, input, answers }), timeout, file: file.display().to_string() };
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
            Err(RecvTimeoutError::Disconnected) => Err(format!("{}: the python3 process ended", self.file).into()),
        }
    }
}

impl PostProcess for PythonProcess {
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

fn message(outputs: &[Named]) -> Vec<u8> {
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
fn read(stream: &mut impl Read, is_first: bool) -> std::io::Result<Answer> {
    let mut kind = [0];
    stream.read_exact(&mut kind)?;
    if kind[0] != 0 {
        let length = u64::from(word(stream)?).min(1 << 20);
        return Ok(Err(String::from_utf8_lossy(&some(stream, length)?).into_owned()));
    }
    if is_first {
        return Ok(Ok(Vec::new()));
    }
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

fn word(stream: &mut impl Read) -> std::io::Result<u32> {
    let mut bytes = [0; 4];
    stream.read_exact(&mut bytes)?;
    Ok(u32::from_le_bytes(bytes))
}

/// So many bytes, with memory only for what comes.
fn some(stream: &mut impl Read, count: u64) -> std::io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    stream.take(count).read_to_end(&mut bytes)?;
    if bytes.len() as u64 == count { Ok(bytes) } else { Err(std::io::ErrorKind::UnexpectedEof.into()) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn has_numpy() -> bool {
        let found = Command::new("python3").args(["-c", "import numpy"]).stderr(Stdio::null()).status().is_ok_and(|s| s.success());
        if !found {
            println!("skipped: no python3 with numpy");
        }
        found
    }

    fn process(name: &str, code: &str, seconds: u64) -> Result<PythonProcess, PostProcessError> {
        let file = std::env::temp_dir().join(format!("tpuc-post-{}-{name}.py", std::process::id()));
        std::fs::write(&file, code).unwrap();
        let process = PythonProcess::start(&file, Duration::from_secs(seconds));
        std::fs::remove_file(&file).unwrap();
        process
    }

    fn outputs() -> Vec<Named> {
        vec![("a".into(), Tensor::f32(&[1, 3], vec![1.0, -2.0, 3.0]).unwrap())]
    }

    #[test]
    fn arrays_go_there_and_back() {
        if !has_numpy() {
            return;
        }
        let process = process("good", "def PostProcess(data):\n    print('in post process')\n    return {'twice': data['a'] * 2, 'n': [len(data)]}\n", 20).unwrap();
        for _ in 0..3 {
            let found = process.apply(outputs()).unwrap();
            assert_eq!(found[0], ("twice".into(), Tensor::f32(&[1, 3], vec![2.0, -4.0, 6.0]).unwrap()));
            assert_eq!(found[1], ("n".into(), Tensor::f32(&[1], vec![1.0]).unwrap()));
        }
    }

    #[test]
    fn mistakes_are_told_with_their_place() {
        if !has_numpy() {
            return;
        }
        let fails = |name: &str, code: &str, seconds: u64| match process(name, code, seconds) {
            Ok(process) => process.apply(outputs()).unwrap_err().to_string(),
            Err(error) => error.to_string(),
        };
        let raised = fails("raises", "def PostProcess(data):\n    return data['b']\n", 20);
        assert!(raised.contains("line 2, in PostProcess") && raised.contains("KeyError: 'b'"), "{raised}");
        assert!(fails("none", "def PostProcess(data):\n    pass\n", 20).contains("returned nothing"));
        assert!(fails("syntax", "def PostProcess(data)\n", 20).contains("SyntaxError"));
        assert!(fails("missing", "x = 1\n", 20).contains("has no attribute 'PostProcess'"));
        assert!(fails("exits", "import os\ndef PostProcess(data):\n    os._exit(3)\n", 20).contains("ended"));
        assert!(fails("hangs", "import time\ndef PostProcess(data):\n    time.sleep(60)\n", 2).contains("no answer within 2 s"));
    }
}
