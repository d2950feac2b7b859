//! Files appear whole or not at all: written beside their place, then renamed.

use std::cell::RefCell;
use std::io::{self, Cursor, Seek, Write};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

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

/// Bytes of memory that the system could give to a program, where it says so.
pub fn available_memory() -> Option<u64> {
    let text = std::fs::read_to_string("/proc/meminfo").ok()?;
    let line = text.lines().find_map(|l| l.strip_prefix("MemAvailable:"))?;
    line.trim().strip_suffix("kB")?.trim().parse::<u64>().ok()?.checked_mul(1024)
}

/// Temporary neighbours that are being written, for [`remove_temporaries`].
static TEMPORARIES: Mutex<Vec<PathBuf>> = Mutex::new(Vec::new());

/// Removes what is half written. For programs that are being interrupted: nothing can be written by this module afterwards, so
/// that no file is made again between this and the end.
pub fn remove_temporaries() {
    let list = TEMPORARIES.lock().unwrap_or_else(PoisonError::into_inner);
    for file in list.iter() {
        let _ = std::fs::remove_file(file);
    }
    std::mem::forget(list);
}

/// A neighbour of a file, noted for [`remove_temporaries`] while it is being filled.
struct Temporary(PathBuf);

impl Temporary {
    fn beside(path: &Path) -> io::Result<(Temporary, std::fs::File)> {
        let mut list = TEMPORARIES.lock().unwrap_or_else(PoisonError::into_inner);
        let mut name = std::ffi::OsString::from(".tpuc-");
        name.push(format!("{}-{}.tmp", std::process::id(), list.len()));
        let temporary = path.with_file_name(name);
        let file = std::fs::File::create(&temporary)?;
        list.push(temporary.clone());
        Ok((Temporary(temporary), file))
    }
}

impl Drop for Temporary {
    fn drop(&mut self) {
        // After a rename there is nothing left to remove.
        let _ = std::fs::remove_file(&self.0);
    }
}

/// Files that appear together: while one is alive, what this thread writes by this module is kept beside its place, and
/// [`Batch::commit`] renames all of it. Without that nothing appears. A thread has one batch at a time; a second one adds to the first.
pub struct Batch(());

thread_local! {
    /// The files of the batch that is open, each with its place.
    static BATCH: RefCell<Option<Vec<(Temporary, PathBuf)>>> = const { RefCell::new(None) };
}

impl Batch {
    pub fn begin() -> Batch {
        BATCH.with_borrow_mut(|files| files.get_or_insert_default().len());
        Batch(())
    }

    /// Puts all files into their places.
    pub fn commit(self) -> Result<(), FileError> {
        for (temporary, place) in BATCH.take().unwrap_or_default() {
            std::fs::rename(&temporary.0, &place).map_err(|e| FileError::new(&place, format!("cannot write: {}", io_reason(&e))))?;
        }
        Ok(())
    }
}

impl Drop for Batch {
    fn drop(&mut self) {
        drop(BATCH.take());
    }
}

/// Writes `path` through a temporary neighbour, so that nobody ever sees half a file. A link stays one: the file behind it is
/// replaced. What is not a regular file (a device, a pipe) is written directly, at the end.
pub fn write_atomically(path: &Path, fill: impl FnOnce(&mut dyn Place) -> io::Result<()>) -> Result<(), FileError> {
    let fail = |e: io::Error| FileError::new(path, format!("cannot write: {}", io_reason(&e)));
    path.file_name().ok_or_else(|| FileError::new(path, "not a file name"))?;
    let found = std::fs::metadata(path);
    if found.as_ref().is_ok_and(|m| !m.is_file() && !m.is_dir()) {
        let mut bytes = Cursor::new(Vec::new());
        fill(&mut bytes).map_err(fail)?;
        return std::fs::OpenOptions::new().write(true).open(path).and_then(|mut file| file.write_all(bytes.get_ref())).map_err(fail);
    }
    let place = if found.is_ok() { std::fs::canonicalize(path).map_err(fail)? } else { path.to_path_buf() };
    let (temporary, file) = Temporary::beside(&place).map_err(fail)?;
    filled(file, fill).map_err(fail)?;
    let kept = BATCH.with_borrow_mut(|files| match files {
        Some(files) => {
            files.push((temporary, place));
            None
        }
        None => Some((temporary, place)),
    });
    kept.map_or(Ok(()), |(temporary, place)| std::fs::rename(&temporary.0, &place).map_err(fail))
}

/// What a file is written into: headers can be put right afterwards.
pub trait Place: Write + Seek {}

impl<T: Write + Seek> Place for T {}

fn filled(file: std::fs::File, fill: impl FnOnce(&mut dyn Place) -> io::Result<()>) -> io::Result<()> {
    let mut writer = io::BufWriter::with_capacity(1 << 20, file);
    fill(&mut writer)?;
    writer.flush()
}

/// `write_atomically` of bytes that are there already.
pub fn write(path: &Path, bytes: &[u8]) -> Result<(), FileError> {
    write_atomically(path, |w| w.write_all(bytes))
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn names(folder: &Path) -> Vec<String> {
        let mut names: Vec<String> = std::fs::read_dir(folder).unwrap().map(|e| e.unwrap().file_name().to_string_lossy().into_owned()).collect();
        names.sort();
        names
    }

    #[test]
    fn whole_or_not_at_all() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("a");
        write(&file, b"one").unwrap();
        let failed = write_atomically(&file, |w| {
            w.write_all(b"half")?;
            Err(io::Error::other("no more"))
        });
        assert_eq!(failed.unwrap_err().reason, "cannot write: no more");
        assert_eq!((read(&file).unwrap().as_slice(), names(folder.path())), (&b"one"[..], vec!["a".to_owned()]));
        assert!(write(folder.path(), b"x").is_err());
        assert!(write(&folder.path().join("no/a"), b"x").is_err());
    }

    #[test]
    fn a_batch_appears_as_a_whole() {
        let folder = tempfile::tempdir().unwrap();
        let (a, b) = (folder.path().join("a"), folder.path().join("b"));
        write(&a, b"old").unwrap();
        let batch = Batch::begin();
        write(&a, b"new").unwrap();
        write(&b, b"b").unwrap();
        drop(batch);
        assert_eq!((names(folder.path()), read(&a).unwrap()), (vec!["a".to_owned()], b"old".to_vec()));
        let batch = Batch::begin();
        write(&a, b"new").unwrap();
        write(&b, b"b").unwrap();
        batch.commit().unwrap();
        assert_eq!((names(folder.path()), read(&a).unwrap()), (vec!["a".to_owned(), "b".to_owned()], b"new".to_vec()));
    }

    #[cfg(unix)]
    #[test]
    fn links_and_devices_stay_what_they_are() {
        let folder = tempfile::tempdir().unwrap();
        let (file, link) = (folder.path().join("a"), folder.path().join("link"));
        write(&file, b"one").unwrap();
        std::os::unix::fs::symlink("a", &link).unwrap();
        write(&link, b"two").unwrap();
        assert_eq!(read(&file).unwrap(), b"two");
        assert!(std::fs::symlink_metadata(&link).unwrap().is_symlink());
        let full = write(Path::new("/dev/full"), b"x").unwrap_err().to_string();
        assert!(full.starts_with("/dev/full: cannot write: No space left"), "{full}");
        write(Path::new("/dev/null"), b"x").unwrap();
        assert!(!std::fs::metadata("/dev/null").unwrap().is_file());
    }
}
