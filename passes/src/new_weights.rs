//! Modules whose weights a pass has changed: the new ones get a file of their own, so that no file of the user's is rewritten.

use tpuc_dialects::pass::PassModule;
use tpuc_ops::{Attr, Program};
use tpuc_tensor::WeightStore;

/// What weight files of Top modules end with.
const TOP_SUFFIX: &str = "_top_f32_all_weight.npz";

/// The attribute that names the weight file.
const ATTRIBUTE: &str = "module.weight_file";

/// The file for new weights of a module: `net_top_f32_all_weight.npz` becomes `net_we_top_f32_all_weight.npz`.
pub fn file_name(current: &str, mark: &str) -> String {
    let suffix = [TOP_SUFFIX, ".npz"].into_iter().find(|s| current.ends_with(s)).unwrap_or("");
    format!("{}_{mark}{}", &current[..current.len() - suffix.len()], if suffix.is_empty() { ".npz" } else { suffix })
}

/// Lets a program name a new weight file. Names the file: as asked for, else the old one with a mark.
pub fn rename(program: &mut Program, mark: &str, asked: &str) -> Result<String, String> {
    let current = match program.attrs.get(ATTRIBUTE) {
        Some(Attr::Str(file)) => file.clone(),
        _ => return Err(format!("the module has no attribute '{ATTRIBUTE}'")),
    };
    let file = match asked {
        "" => file_name(&current, mark),
        name if name == current => return Err(format!("'{name}' is the file of the weights that are read; the new ones need another")),
        name if name.ends_with(".npz") && !name.contains(['/', '\\']) => name.to_owned(),
        name => return Err(format!("weight file '{name}' should be a file name that ends in .npz; it is written beside the module")),
    };
    program.attrs.insert(ATTRIBUTE.into(), Attr::Str(file.clone()));
    Ok(file)
}

/// Replaces a module's content and weights.
pub(crate) fn replace(module: &PassModule, mut program: Program, weights: WeightStore, mark: &str, asked: &str) -> Result<(), String> {
    let file = rename(&mut program, mark, asked)?;
    module.set_program(&program).map_err(crate::text)?;
    module.set_weights(&file, weights);
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_weight_files() {
        assert_eq!(file_name("net_top_f32_all_weight.npz", "we"), "net_we_top_f32_all_weight.npz");
        assert_eq!(file_name("w.npz", "we"), "w_we.npz");
        assert_eq!(file_name("weights", "bc"), "weights_bc.npz");
    }

    #[test]
    fn a_name_that_was_asked_for_is_checked() {
        let mut program = Program::new("net");
        assert!(rename(&mut program, "we", "").is_err());
        program.attrs.insert(ATTRIBUTE.into(), Attr::Str("w.npz".into()));
        assert!(rename(&mut program, "we", "w.npz").is_err());
        assert!(rename(&mut program, "we", "../x.npz").is_err());
        assert!(rename(&mut program, "we", "x").is_err());
        assert_eq!(rename(&mut program, "we", "x.npz").unwrap(), "x.npz");
        assert_eq!(rename(&mut program, "bc", "").unwrap(), "x_bc.npz");
    }
}
