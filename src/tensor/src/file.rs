//! Files appear whole or not at all: written beside their place, then renamed.

use std::io::{self, Write};
use std::path::{Path, PathBuf};

/// A file could not be read or written.
#[derive(Debug, thiserror::Error)]
#[error("{}: {reason}", path.display())]
pub struct FileError {
    pub path: PathBuf,
    pub reason: String,
}

impl FileError {
    pub fn new(path: &Path, reason: impl std::fmt::Display) -> FileError {
        FileError { path: path.to_path_buf(), reason: reason.to_string() }
    }
}

/// The operating system's reason in words of one line.
pub fn io_reason(error: &io::Error) -> String {
    match error.kind() {
        io::ErrorKind::NotFound => "no such file or directory".into(),
        io::ErrorKind::PermissionDenied => "permission denied".into(),
        io::ErrorKind::IsADirectory => "is a directory".into(),
        _ => error.to_string(),
    }
}

pub fn read(path: &Path) -> Result<Vec<u8>, FileError> {
    std::fs::read(path).map_err(|e| FileError::new(path, io_reason(&e)))
}

pub fn read_to_string(path: &Path) -> Result<String, FileError> {
    String::from_utf8(read(path)?).map_err(|e| FileError::new(path, format!("not UTF-8 text at byte {}", e.utf8_error().valid_up_to())))
}

/// Writes `path` through a temporary neighbour, so that nobody ever sees half a file.
pub fn write_atomically(path: &Path, fill: impl FnOnce(&mut dyn Write) -> io::Result<()>) -> Result<(), FileError> {
    let fail = |e: io::Error| FileError::new(path, format!("cannot write: {}", io_reason(&e)));
    let name = path.file_name().ok_or_else(|| FileError::new(path, "not a file name"))?;
    let mut beside = std::ffi::OsString::from(".");
    beside.push(name);
    beside.push(format!(".{}.tmp", std::process::id()));
    let temporary = path.with_file_name(beside);
    let result = std::fs::File::create(&temporary).and_then(|file| {
        let mut writer = io::BufWriter::with_capacity(1 << 20, file);
        fill(&mut writer)?;
        writer.flush()?;
        std::fs::rename(&temporary, path)
    });
    result.map_err(|e| {
        let _ = std::fs::remove_file(&temporary);
        fail(e)
    })
}

/// `write_atomically` of bytes that are there already.
pub fn write(path: &Path, bytes: &[u8]) -> Result<(), FileError> {
    write_atomically(path, |w| w.write_all(bytes))
}
