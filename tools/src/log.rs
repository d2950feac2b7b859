//! Logs in the folder where a command runs, as the documents name them: lines `INFO:root:message`.

use crate::cli::{self, Failure};
use std::path::Path;

/// A log under way; its lines are also printed unless the command is quiet.
pub struct Log {
    file: &'static str,
    text: String,
    quiet: bool,
}

impl Log {
    /// Finds out whether the file can be written.
    pub fn new(file: &'static str, quiet: bool) -> Result<Log, Failure> {
        cli::check_output(Path::new(file))?;
        Ok(Log { file, text: String::new(), quiet })
    }

    pub fn info(&mut self, message: &str) {
        if !self.quiet {
            println!("{message}");
        }
        self.text.push_str(&format!("INFO:root:{message}\n"));
    }

    pub fn write(&self) -> Result<(), Failure> {
        Ok(tpuc_tensor::file::write(Path::new(self.file), self.text.as_bytes())?)
    }
}
