//! Streams, coefficients and tensors as a bmodel.

use crate::emit::Region;
use crate::{CodegenError, Context, global};
use tpuc_bmodel::{CmdGroup, Coeff, DataType, Model, Net, Stage, Tensor};
use crate::report::{LayerCost, Timeline};
use tpuc_isa::bm1684x::{CHIP, Dma, Inst, assemble};
use tpuc_ops::{Op, Program, ValueId};
use tpuc_tensor::DType;

/// A compiled program.
#[derive(Debug, Clone, PartialEq)]
pub struct Compiled {
    /// All commands in program order, addresses resolved.
    pub commands: Vec<Inst>,
    /// For each command the node of the program that it belongs to.
    pub layers: Vec<usize>,
    pub coeff: Vec<u8>,
    pub ctx_address: u64,
    pub ctx_size: u64,
    inputs: Vec<Tensor>,
    outputs: Vec<Tensor>,
    group: CmdGroup,
    /// Where each value of the program is in device memory.
    addresses: Vec<Option<u64>>,
}

pub fn finish(context: Context) -> Result<Compiled, CodegenError> {
    let Context { program, placement, coeff, emit, .. } = context;
    global::check_io(program)?;
    let coeff = coeff.into_bytes();
    let ctx_address = (CHIP.global_base + coeff.len() as u64).next_multiple_of(4096);
    let base = |region: Option<Region>| match region {
        None => 0,
        Some(Region::Coefficients) => CHIP.global_base,
        Some(Region::Context) => ctx_address,
    };
    let mut commands = emit.commands;
    for (command, [source, dest]) in commands.iter_mut().zip(&emit.regions) {
        if let Inst::Dma(Dma::Tensor(dma)) = command {
            dma.source.addr += base(*source);
            dma.dest.addr += base(*dest);
        }
    }
    let tensor = |value: ValueId, index: usize, input: bool| -> Result<Tensor, CodegenError> {
        let layer = || program.value(value).name.clone();
        let ty = program.tensor_type(if input { arriving(program, value) } else { value });
        let ty = ty.ok_or_else(|| CodegenError::NotLowered { reason: format!("'{}' is no tensor", layer()) })?;
        let data_type = match ty.elem.storage() {
            DType::F32 => DataType::F32,
            DType::F16 => DataType::F16,
            DType::BF16 => DataType::BF16,
            DType::I8 => DataType::I8,
            DType::U8 => DataType::U8,
            other => return Err(CodegenError::NotLowered { reason: format!("'{}' is of type {other}", layer()) }),
        };
        let offset = placement.offset(value).map_err(|reason| CodegenError::NotLowered { reason })?;
        let scale = ty.elem.scale().map_or(1.0, |s| if input { (1.0 / s) as f32 } else { s as f32 });
        let shape = ty.dims();
        let size = (shape.iter().product::<usize>() * ty.elem.storage().size()) as u64;
        let hidden = if input { 1 } else { 2 };
        Ok(Tensor { name: layer(), data_type, shape, device_addr: ctx_address + offset, size, scale, zero_point: ty.elem.zero_point() as i32, hidden, index: index as i32, ..Tensor::default() })
    };
    let inputs = program.inputs.iter().enumerate().map(|(i, &v)| tensor(v, i, true)).collect::<Result<Vec<_>, _>>()?;
    let outputs = program.outputs.iter().enumerate().map(|(i, &v)| tensor(v, i, false)).collect::<Result<Vec<_>, _>>()?;
    let streams = assemble(&commands).map_err(|e| CodegenError::TooLarge { reason: e.to_string() })?;
    let group = CmdGroup { tiu_count: streams.tiu_count, dma_count: streams.dma_count, tiu: streams.tiu.into(), dma: streams.dma.into(), relocations: Vec::new() };
    let addresses = (0..program.values.len()).map(|v| placement.offset(ValueId(v as u32)).ok().map(|offset| ctx_address + offset)).collect();
    Ok(Compiled { commands, layers: emit.layers, coeff, ctx_address, ctx_size: placement.size, inputs, outputs, group, addresses })
}

/// The value whose type an argument has on the device: its Input op's result, which may be quantized already.
fn arriving(program: &Program, argument: ValueId) -> ValueId {
    let input = program.nodes.iter().find(|n| matches!(n.op, Op::TopInput(_)) && n.operands.contains(&argument));
    input.and_then(|n| n.results.first()).copied().unwrap_or(argument)
}

impl Compiled {
    /// Device address of the coefficients.
    pub fn coeff_address(&self) -> u64 {
        CHIP.global_base
    }

    /// Device address of an activation; `None` for weights.
    pub fn address(&self, value: ValueId) -> Option<u64> {
        self.addresses.get(value.index()).copied().flatten()
    }

    /// When every command runs, by the cost model.
    pub fn timeline(&self) -> Result<Timeline, CodegenError> {
        Timeline::new(&self.commands, &self.layers, &self.group.tiu, &self.group.dma)
    }

    /// Estimated cycles of every layer that has commands.
    pub fn layer_costs(&self, program: &Program) -> Result<Vec<LayerCost>, CodegenError> {
        Ok(self.timeline()?.layer_costs(program))
    }

    /// The bmodel of this program. `time` is written into it.
    pub fn model(&self, program: &Program, time: &str) -> Model {
        let coeff = (!self.coeff.is_empty()).then(|| Coeff::new(CHIP.global_base, self.coeff.clone()));
        let stage = Stage::single_subnet(self.inputs.clone(), self.outputs.clone(), self.ctx_address, self.ctx_size, coeff, vec![self.group.clone()]);
        let mut model = Model::new(CHIP.name, time);
        model.neuron_size = self.ctx_size;
        model.device_num = 1;
        model.nets.push(Net { name: program.name.clone(), stages: vec![stage], addr_mode: 0, cascade: None });
        model
    }
}
