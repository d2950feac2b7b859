//! `fp-forward`: the layers around given ones get the chip's float mode.

use crate::FpForwardOptions;
use tpuc_dialects::pass::PassModule;
use tpuc_lowering::Chip;
use tpuc_quant::fp_forward::{Block, Selection, layers, names};

pub fn run(module: &PassModule, options: &FpForwardOptions) -> Result<(), String> {
    if options.chip.is_empty() {
        return Err("option chip is missing".into());
    }
    let chip = Chip::find(&options.chip).map_err(crate::text)?;
    let mode = chip.float_mode(&options.fp_type).map_err(|e| format!("option fp-type: {e}"))?;
    let mut program = module.program().map_err(crate::text)?;
    let blocks = options.blocks.split(';').filter(|b| !b.trim().is_empty()).map(|b| Block::parse(b, &program));
    let blocks = blocks.collect::<Result<_, _>>().map_err(|e| format!("option blocks: {e}"))?;
    let selection = Selection { inputs: names(&options.inputs), outputs: names(&options.outputs), blocks };
    let (nodes, unknown) = layers(&program, &selection);
    if let (Some(first), false) = (unknown.first(), options.ignore_unknown_layers) {
        return Err(first.to_string());
    }
    for node in nodes {
        program.nodes[node].op.set_quantize_mode(Some(mode.name().to_owned()));
    }
    module.set_program(&program).map_err(crate::text)
}
