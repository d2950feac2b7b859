//! Bytecode from outside, tried in a child process first: MLIR's reader trusts it, and what is wrong or nested too deeply would end this
//! process. (Texts are looked at in [`nesting`](crate::nesting) instead.)

use crate::module::Module;
use std::io::{Read as _, Write as _};
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

/// What bytecode starts with.
pub(crate) const MAGIC: &[u8] = b"ML\xefR";

/// Set in the environment of the child.
const VARIABLE: &str = "TPUC_TRY_BYTECODE";

/// Bytes of stack that the child reads with: much less than its parent has, whose passes need more for a level than the reader.
const STACK: usize = 1 << 20;

static ENABLED: AtomicBool = AtomicBool::new(false);

/// To be called first by a program that reads bytecode: its own executable becomes the child. Does not return in the child. Programs that
/// do not call it read bytecode unprotected.
pub fn child_main_if_requested() {
    if std::env::var_os(VARIABLE).is_none() {
        ENABLED.store(true, Ordering::Relaxed);
        return;
    }
    let reader = std::thread::Builder::new().stack_size(STACK).spawn(|| {
        let mut bytes = Vec::new();
        std::io::stdin().read_to_end(&mut bytes).map_err(|e| e.to_string())?;
        let context = crate::context();
        // Everything that a driver does with a module: parse, verify, print, destroy.
        Module::parse(&context, &bytes, "bytecode").map(|m| drop(m.text())).map_err(|e| e.to_string())
    });
    let result = reader.map_err(|e| e.to_string()).and_then(|r| r.join().unwrap_or_else(|_| Err("internal error".into())));
    if let Err(reason) = &result {
        print!("{:.4000}", reason.replace('\n', " "));
    }
    std::process::exit(i32::from(result.is_err()));
}

/// Whether reading these bytes would be survived; the error says what is wrong with them.
pub(crate) fn check(bytes: &[u8], name: &str) -> Result<(), String> {
    if !ENABLED.load(Ordering::Relaxed) {
        return Ok(());
    }
    let failed = |e: std::io::Error| format!("{name}: cannot start a process to try the bytecode in: {e}");
    let program = std::env::current_exe().map_err(failed)?;
    let mut command = Command::new(program);
    command.env(VARIABLE, "1").stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null());
    let mut child = command.spawn().map_err(failed)?;
    if let Some(mut input) = child.stdin.take() {
        // A child that died does not listen; its status says so.
        let _ = input.write_all(bytes);
    }
    // Reading takes a few nanoseconds a byte; what takes this long never ends.
    let limit = Duration::from_secs(10) + Duration::from_micros(bytes.len() as u64);
    let start = Instant::now();
    let status = loop {
        match child.try_wait().map_err(failed)? {
            Some(status) => break status,
            None if start.elapsed() > limit => {
                let _ = child.kill();
                break child.wait().map_err(failed)?;
            }
            None => std::thread::sleep(Duration::from_millis(2)),
        }
    };
    // One line, which the pipe holds while nobody reads.
    let mut reason = String::new();
    if let Some(mut output) = child.stdout.take() {
        let _ = output.read_to_string(&mut reason);
    }
    match status.code() {
        Some(0) => Ok(()),
        Some(1) => Err(format!("{name}: {}", reason.trim())),
        _ => Err(format!("{name}: malformed or too deeply nested bytecode: MLIR's reader does not survive it")),
    }
}
