//! `convert-top-to-tpu`: every op lowered for the module's chip and mode.

use crate::{ConvertTopToTpuOptions, ImportQuantizeTableOptions};
use crate::processor_assign::assigned;
use tpuc_dialects::pass::PassModule;
use tpuc_lowering::{Ahead, Mode};
use tpuc_ops::{Attr, Program};

pub fn run(module: &PassModule, options: &ConvertTopToTpuOptions) -> Result<(), String> {
    for (name, asked) in [
        ("doWinograd", options.do_winograd),
        ("matmul_perchannel", options.matmul_perchannel),
        ("gelu_mode", options.gelu_mode != "normal"),
    ] {
        if asked {
            return Err(format!("option {name} is not supported yet"));
        }
    }
    if !options.qtable.is_empty() {
        let import = ImportQuantizeTableOptions { file: options.qtable.clone(), ignore_unknown_layers: false, quiet: false };
        crate::import_quantize_table::run(module, &import)?;
    }
    if options.q_group_size < 0 {
        return Err(format!("option q_group_size: {} should be a number of weights, or 0", options.q_group_size));
    }
    let mut program = module.program().map_err(crate::text)?;
    program.attrs.insert("module.q_group_size".into(), Attr::I64(options.q_group_size));
    program.attrs.insert("module.asymmetric".into(), Attr::Bool(options.asymmetric));
    program.attrs.insert("module.q_symmetric".into(), Attr::Bool(options.q_symmetric));
    let weights = module.weights().map_err(crate::text)?;
    let (chip, mode) = assigned(&program)?;
    let modes = modes(&program, mode)?;
    // Other threads make integers and attributes meanwhile.
    let of_node = |node: usize| modes[node];
    let ahead = Ahead::new(&program, &weights, chip, &of_node);
    let (lowered, arrays) = module.make_arrays(|maker| {
        rayon::scope(|scope| {
            for _ in 1..rayon::current_num_threads() {
                scope.spawn(|_| ahead.work(|| maker.work()));
            }
            tpuc_lowering::lower_watched(&program, &weights, chip, mode, of_node, Some(&ahead), |op| {
                if maker.note(op) {
                    scope.spawn(|_| maker.work());
                }
            })
        })
    });
    let (mut lowered, weights) = lowered.map_err(crate::text)?;
    if !options.weight_file_name.is_empty() {
        lowered.attrs.insert("module.weight_file".into(), Attr::Str(options.weight_file_name.clone()));
    }
    module.set_program_with(&lowered, &arrays).map_err(crate::text)?;
    if let Some(Attr::Str(file)) = lowered.attrs.get("module.weight_file") {
        module.set_weights(file, weights);
    }
    Ok(())
}

/// The mode of each op: its own, or the module's.
fn modes(program: &Program, mode: Mode) -> Result<Vec<Mode>, String> {
    let of = |node: usize| match program.nodes[node].op.quantize_mode() {
        Some(word) => word.parse().map_err(|e| format!("layer '{}': {e}", program.node_name(node))),
        None => Ok(mode),
    };
    (0..program.nodes.len()).map(of).collect()
}
