//! Documented programs that come with a later version: they exist, and say so.

use crate::cli::Failure;

pub fn run(arguments: Vec<String>) -> Result<(), Failure> {
    let name = arguments.first().map_or("tpuc", String::as_str);
    Err(Failure::work(format!("{name} is documented, but this version does not have it yet")))
}
