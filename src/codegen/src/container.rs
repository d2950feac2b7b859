//! Streams, coefficients and tensors as a bmodel.

use crate::emit::{Command, Region};
use crate::{CodegenError, Context, global};
use tpuc_bmodel::{CmdGroup, Coeff, DataType, Model, Net, Stage, Tensor};
use tpuc_isa::bm1684x::{CHIP, Dma, DmaSys, Sys, Tiu, encode_dma, encode_tiu};
use tpuc_ops::{Program, ValueId};
use tpuc_tensor::DType;

/// A compiled program.
#[derive(Debug, Clone, PartialEq)]
pub struct Compiled {
    /// All commands in program order, addresses resolved.
    pub commands: Vec<Command>,
    /// For each command the node of the program that it belongs to.
    pub layers: Vec<usize>,
    /// For each command how many commands of the other engine must be complete before it starts.
    pub dependencies: Vec<u32>,
    pub coeff: Vec<u8>,
    pub ctx_address: u64,
    pub ctx_size: u64,
    inputs: Vec<Tensor>,
    outputs: Vec<Tensor>,
    group: CmdGroup,
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
        if let Command::Dma(Dma::Tensor(dma)) = command {
            dma.source.addr += base(*source);
            dma.dest.addr += base(*dest);
        }
    }
    let tensor = |value: ValueId, index: usize, input: bool| -> Result<Tensor, CodegenError> {
        let layer = || program.value(value).name.clone();
        let ty = program.tensor_type(value).ok_or_else(|| CodegenError::NotLowered { reason: format!("'{}' is no tensor", layer()) })?;
        let data_type = match ty.elem.storage() {
            DType::F32 => DataType::F32,
            DType::I8 => DataType::I8,
            DType::U8 => DataType::U8,
            other => return Err(CodegenError::NotLowered { reason: format!("'{}' is of type {other}", layer()) }),
        };
        let offset = placement.offset(value).map_err(|reason| CodegenError::NotLowered { reason })?;
        let scale = ty.elem.scale().map_or(1.0, |s| if input { (1.0 / s) as f32 } else { s as f32 });
        let shape = ty.dims();
        let size = (shape.iter().product::<usize>() * ty.elem.storage().size()) as u64;
        let hidden = if input { 1 } else { 2 };
        Ok(Tensor { name: layer(), data_type, shape, device_addr: ctx_address + offset, size, scale, hidden, index: index as i32, ..Tensor::default() })
    };
    let inputs = program.inputs.iter().enumerate().map(|(i, &v)| tensor(v, i, true)).collect::<Result<Vec<_>, _>>()?;
    let outputs = program.outputs.iter().enumerate().map(|(i, &v)| tensor(v, i, false)).collect::<Result<Vec<_>, _>>()?;
    let dependencies = serial_dependencies(&commands);
    let group = assemble(&commands, &dependencies);
    Ok(Compiled { commands, layers: emit.layers, dependencies, coeff, ctx_address, ctx_size: placement.size, inputs, outputs, group })
}

/// Every command waits for all earlier ones of the other engine.
fn serial_dependencies(commands: &[Command]) -> Vec<u32> {
    let (mut tiu, mut dma) = (0, 0);
    commands
        .iter()
        .map(|c| match c {
            Command::Tiu(_) => {
                tiu += 1;
                dma
            }
            Command::Dma(_) => {
                dma += 1;
                tiu
            }
        })
        .collect()
}

/// The two streams, each with its end command, padded as the runtime reads them.
fn assemble(commands: &[Command], dependencies: &[u32]) -> CmdGroup {
    let (mut tiu, mut dma) = (Vec::new(), Vec::new());
    let (mut tiu_id, mut dma_id) = (0, 0);
    for (command, &dep) in commands.iter().zip(dependencies) {
        match command {
            Command::Tiu(inst) => {
                tiu_id += 1;
                tiu.extend(encode_tiu(inst, tiu_id, dep));
            }
            Command::Dma(inst) => {
                dma_id += 1;
                dma.extend(encode_dma(inst, dma_id, dep));
            }
        }
    }
    tiu.extend(encode_tiu(&Tiu::Sys(Sys::END), tiu_id + 1, 0));
    dma.extend(encode_dma(&Dma::Sys(DmaSys::END), dma_id + 1, 0));
    for stream in [&mut tiu, &mut dma] {
        stream.resize(stream.len().next_multiple_of(128), 0);
    }
    CmdGroup { tiu_count: tiu_id + 1, dma_count: dma_id + 1, tiu: tiu.into(), dma: dma.into(), relocations: Vec::new() }
}

impl Compiled {
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
