//! `processor-assign`: chip and mode become attributes of the module.

use crate::ProcessorAssignOptions;
use tpuc_dialects::pass::PassModule;
use tpuc_lowering::{Chip, Mode};
use tpuc_ops::Attr;

pub fn run(module: &PassModule, options: &ProcessorAssignOptions) -> Result<(), String> {
    let chip = Chip::find(&options.chip).map_err(crate::text)?;
    let mode: Mode = options.mode.parse().map_err(crate::text)?;
    if !chip.modes.contains(&mode) {
        let modes: Vec<_> = chip.modes.iter().map(|m| m.name()).collect();
        return Err(format!("{} has no mode {}; it has {}", chip.name, mode.name(), modes.join(", ")));
    }
    if options.num_device != 1 || options.num_core != 1 {
        return Err(format!("networks run on one device and one core, asked for {} and {}", options.num_device, options.num_core));
    }
    if options.addr_mode != "auto" && options.addr_mode != chip.addr_mode {
        return Err(format!("addr_mode '{}' is not supported on {}; use auto or {}", options.addr_mode, chip.name, chip.addr_mode));
    }
    let mut program = module.program().map_err(crate::text)?;
    if program.attrs.get("module.state") != Some(&Attr::Str("TOP_F32".into())) {
        return Err("the module is not in the state TOP_F32".into());
    }
    program.attrs.extend(chip.module_attributes(mode).into_iter().map(|(n, a)| (n.to_owned(), a)));
    program.attrs.insert("module.high_precision".into(), Attr::Bool(options.high_precision));
    module.set_program(&program).map_err(crate::text)
}

/// The chip of a module; before processor-assign, BM1684X, whose rules fit networks that are for no chip yet.
pub fn chip_or_default(program: &tpuc_ops::Program) -> Result<&'static Chip, String> {
    match program.attrs.get("module.chip") {
        Some(Attr::Str(name)) if name != "ALL" => Chip::find(name).map_err(crate::text),
        _ => Ok(&Chip::BM1684X),
    }
}

/// Chip and mode of a module that went through this pass.
pub fn assigned(program: &tpuc_ops::Program) -> Result<(&'static Chip, Mode), String> {
    let text = |name: &str| match program.attrs.get(name) {
        Some(Attr::Str(text)) if text != "ALL" => Ok(text.as_str()),
        _ => Err(format!("'{name}' is not decided: run processor-assign before")),
    };
    let chip = Chip::find(text("module.chip")?).map_err(crate::text)?;
    let mode = text("module.mode")?.parse::<Mode>().map_err(crate::text)?;
    Ok((chip, mode))
}
