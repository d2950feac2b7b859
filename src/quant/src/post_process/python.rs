//! A user's Python file with a function `PostProcess(data)`: a dictionary of numpy arrays in, what is compared out.
//!
//! It runs in one `python3` process ([`worker.py`](./worker.py)). What the file prints appears on standard error.

use super::PostProcessError;
use super::process::Process;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

const WORKER: &str = include_str!("worker.py");

/// Starts python3 with the file.
pub fn start(file: &Path, timeout: Duration) -> Result<Process, PostProcessError> {
    let mut command = Command::new("python3");
    command.args(["-u", "-c", WORKER]).arg(file);
    Process::start(command, file.display().to_string(), timeout)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::evaluator::Named;
    use crate::post_process::PostProcess;
    use std::process::Stdio;
    use tpuc_tensor::Tensor;

    fn has_numpy() -> bool {
        let found = Command::new("python3").args(["-c", "import numpy"]).stderr(Stdio::null()).status().is_ok_and(|s| s.success());
        if !found {
            println!("skipped: no python3 with numpy");
        }
        found
    }

    fn process(name: &str, code: &str, seconds: u64) -> Result<Process, PostProcessError> {
        let file = std::env::temp_dir().join(format!("tpuc-post-{}-{name}.py", std::process::id()));
        std::fs::write(&file, code).unwrap();
        let process = start(&file, Duration::from_secs(seconds));
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
