//! How long each layer takes, by the cost model.

use crate::CodegenError;
use tpuc_isa::bm1684x::cost::{Span, estimate};
use tpuc_isa::bm1684x::decode::{decode_dma_stream, decode_tiu_stream};
use tpuc_isa::bm1684x::{Inst, access, check_dma, check_tiu};
use tpuc_isa::hazards;
use tpuc_ops::Program;

/// Estimated cycles of a layer.
#[derive(Debug, Clone, PartialEq)]
pub struct LayerCost {
    pub layer: String,
    /// From the end of the layer before it to its own last command.
    pub cycles: u64,
    /// Cycles of its computing commands alone.
    pub tiu_cycles: u64,
    /// Cycles of its transfers alone.
    pub dma_cycles: u64,
}

/// When every command runs, in cycles from the start.
#[derive(Debug, Clone, PartialEq)]
pub struct Timeline {
    /// Until the last command has ended.
    pub cycles: u64,
    pub tiu_cycles: u64,
    pub dma_cycles: u64,
    /// Layer (node of the program) and time of every command, in program order.
    pub commands: Vec<(usize, bool, Span)>,
}

impl Timeline {
    /// Decodes the streams that were written, checks every instruction's legality, proves that no two conflicting accesses of the engines are unordered, and
    /// runs them on the clock.
    pub(crate) fn new(program: &[Inst], layers: &[usize], tiu: &[u8], dma: &[u8]) -> Result<Timeline, CodegenError> {
        let illegal = |reason: String| CodegenError::Illegal { reason };
        let tiu = decode_tiu_stream(tiu).map_err(|e| illegal(e.to_string()))?;
        let dma = decode_dma_stream(dma).map_err(|e| illegal(e.to_string()))?;
        for (index, (_, inst)) in tiu.iter().enumerate() {
            if let Some(violation) = check_tiu(inst).first() {
                return Err(illegal(format!("TIU command {index}: {violation}")));
            }
        }
        for (index, (_, inst)) in dma.iter().enumerate() {
            if let Some(violation) = check_dma(inst).first() {
                return Err(illegal(format!("DMA command {index}: {violation}")));
            }
        }
        let tiu_commands: Vec<_> = tiu.iter().map(|(h, i)| access::tiu_command(h, i)).collect();
        let dma_commands: Vec<_> = dma.iter().map(|(h, i)| access::dma_command(h, i)).collect();
        if let Some(hazard) = hazards::verify(&tiu_commands, &dma_commands).first() {
            return Err(illegal(hazard.to_string()));
        }
        let estimate = estimate(&tiu, &dma);
        let (mut tiu_spans, mut dma_spans) = (estimate.tiu.iter(), estimate.dma.iter());
        let commands = program
            .iter()
            .zip(layers)
            .map(|(inst, &layer)| match inst {
                Inst::Tiu(_) => (layer, true, tiu_spans.next().copied().unwrap_or_default()),
                Inst::Dma(_) => (layer, false, dma_spans.next().copied().unwrap_or_default()),
            })
            .collect();
        Ok(Timeline { cycles: estimate.cycles, tiu_cycles: estimate.tiu_cycles, dma_cycles: estimate.dma_cycles, commands })
    }

    /// The layers in program order.
    pub fn layer_costs(&self, program: &Program) -> Vec<LayerCost> {
        let mut costs: Vec<LayerCost> = Vec::new();
        let (mut current, mut reached) = (None, 0);
        for &(layer, is_tiu, span) in &self.commands {
            if current != Some(layer) {
                current = Some(layer);
                costs.push(LayerCost { layer: program.node_name(layer).to_owned(), cycles: 0, tiu_cycles: 0, dma_cycles: 0 });
            }
            let Some(cost) = costs.last_mut() else { continue };
            cost.cycles += span.end.saturating_sub(reached);
            reached = reached.max(span.end);
            let busy = span.end - span.start;
            *if is_tiu { &mut cost.tiu_cycles } else { &mut cost.dma_cycles } += busy;
        }
        costs
    }
}
