//! Documented programs that come with a later version: they exist, and say so.

use crate::cli::Failure;

pub fn run(arguments: Vec<String>) -> Result<(), Failure> {
    let name = arguments.first().map_or("tpuc", String::as_str);
    if arguments.iter().any(|a| a == "--help" || a == "-h") {
        println!("{name}: in the documents; not in this version yet");
        return Ok(());
    }
    Err(Failure::work(format!("{name} is documented, but this version does not have it yet")))
}
