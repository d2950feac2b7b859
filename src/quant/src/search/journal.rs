//! Scores that were found already: in memory, and in a state file from which an interrupted search goes on.
//!
//! The file is text. Its first line says which search it belongs to; every further line is the fingerprint of what was scored
//! and the bits of the score. Lines are appended as they are found, so that a process that is killed loses at most the line that
//! it was writing.

use sha2::{Digest, Sha256};
use std::collections::HashMap;
use std::fs::{File, OpenOptions};
use std::io::{Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

const FIRST_WORDS: &str = "# tpuc search state 1: ";

#[derive(Debug, thiserror::Error)]
pub enum JournalError {
    #[error("{path}: {source}")]
    File { path: PathBuf, source: std::io::Error },
    #[error("{path}: is no state of a search")]
    NoState { path: PathBuf },
    #[error("{path}: is the state of a search with another network, other samples or other options; without --resume it is started anew")]
    OtherSearch { path: PathBuf },
}

/// Scores by what was scored.
#[derive(Debug, Default)]
pub struct Journal {
    known: HashMap<String, f64>,
    file: Option<File>,
    path: PathBuf,
    /// How many scores were there from the beginning.
    pub resumed: usize,
}

impl Journal {
    /// One without a file.
    pub fn in_memory() -> Journal {
        Journal::default()
    }

    /// A new state file; the old one is overwritten.
    pub fn create(path: &Path, identity: &str) -> Result<Journal, JournalError> {
        let fail = |source| JournalError::File { path: path.into(), source };
        let mut file = File::create(path).map_err(fail)?;
        file.write_all(format!("{FIRST_WORDS}{identity}\n").as_bytes()).map_err(fail)?;
        Ok(Journal { known: HashMap::new(), file: Some(file), path: path.into(), resumed: 0 })
    }

    /// Goes on with a state file; a new one where there is none.
    pub fn resume(path: &Path, identity: &str) -> Result<Journal, JournalError> {
        let fail = |source| JournalError::File { path: path.into(), source };
        let text = match std::fs::read(path) {
            Ok(bytes) => String::from_utf8_lossy(&bytes).into_owned(),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Journal::create(path, identity),
            Err(error) => return Err(fail(error)),
        };
        if !text.contains('\n') && FIRST_WORDS.starts_with(text.get(..FIRST_WORDS.len()).unwrap_or(&text)) {
            // Killed while it wrote the first line.
            return Journal::create(path, identity);
        }
        let first = text.lines().next().and_then(|line| line.strip_prefix(FIRST_WORDS)).ok_or_else(|| JournalError::NoState { path: path.into() })?;
        if first != identity {
            return Err(JournalError::OtherSearch { path: path.into() });
        }
        let mut known = HashMap::new();
        let mut good = 0;
        for line in text.split_inclusive('\n') {
            let Some(whole) = line.strip_suffix('\n') else { break };
            match entry(whole) {
                Some((key, score)) => {
                    known.insert(key, score);
                }
                None if good == 0 => {}
                None => break,
            }
            good += line.len();
        }
        let mut file = OpenOptions::new().write(true).open(path).map_err(fail)?;
        file.set_len(good as u64).map_err(fail)?;
        file.seek(SeekFrom::End(0)).map_err(fail)?;
        Ok(Journal { resumed: known.len(), known, file: Some(file), path: path.into() })
    }

    pub fn get(&self, key: &str) -> Option<f64> {
        self.known.get(key).copied()
    }

    pub fn put(&mut self, key: &str, score: f64) -> Result<(), JournalError> {
        self.known.insert(key.to_owned(), score);
        if let Some(file) = &mut self.file {
            let line = line(key, score);
            file.write_all(line.as_bytes()).map_err(|source| JournalError::File { path: self.path.clone(), source })?;
        }
        Ok(())
    }

    /// The search is over: its state is of no more use.
    pub fn finish(mut self) {
        if self.file.take().is_some() {
            let _ = std::fs::remove_file(&self.path);
        }
    }
}

impl Drop for Journal {
    /// A search that ends before its first score leaves nothing to go on with.
    fn drop(&mut self) {
        if self.known.is_empty() && self.file.take().is_some() {
            let _ = std::fs::remove_file(&self.path);
        }
    }
}

fn line(key: &str, score: f64) -> String {
    let text = format!("{key} {:016x}", score.to_bits());
    format!("{text} {}\n", check(&text))
}

/// Key and score of a line; `None` if it is not whole.
fn entry(line: &str) -> Option<(String, f64)> {
    let (text, sum) = line.rsplit_once(' ')?;
    let (key, bits) = text.rsplit_once(' ')?;
    (check(text) == sum).then_some(())?;
    Some((key.to_owned(), f64::from_bits(u64::from_str_radix(bits, 16).ok()?)))
}

fn check(text: &str) -> String {
    Sha256::digest(text.as_bytes()).iter().take(4).map(|b| format!("{b:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_killed_goes_on() {
        let path = std::env::temp_dir().join(format!("tpuc-journal-{}", std::process::id()));
        let mut journal = Journal::create(&path, "a b").unwrap();
        journal.put("one", 0.25).unwrap();
        journal.put("two", 1.0 / 3.0).unwrap();
        drop(journal);
        let whole = std::fs::read(&path).unwrap();
        for length in 0..=whole.len() {
            std::fs::write(&path, &whole[..length]).unwrap();
            let mut again = Journal::resume(&path, "a b").unwrap();
            let known = again.resumed;
            assert!(known <= 2 && (known < 2 || again.get("two") == Some(1.0 / 3.0)), "{length}");
            again.put("three", 3.0).unwrap();
            drop(again);
            assert_eq!(Journal::resume(&path, "a b").unwrap().resumed, known + 1, "{length}");
        }
        assert!(matches!(Journal::resume(&path, "another"), Err(JournalError::OtherSearch { .. })));
        std::fs::write(&path, "something else\n").unwrap();
        assert!(matches!(Journal::resume(&path, "a b"), Err(JournalError::NoState { .. })));
        Journal::create(&path, "a").unwrap().finish();
        assert!(!path.exists());
    }
}
