//! What a stage of a bmodel puts where in the simulator's global memory, checked.
//!
//! The vendor's runtime moves the coefficient and ctx regions to wherever it got memory and patches every DMA address
//! accordingly. A simulator owns its address space, so each region simply stays at the address it was compiled for.

use crate::error::RunError;
use crate::io::TensorInfo;
use std::ops::Range;
use tpuc_bmodel::{Blob, CmdGroup, Model, Net, Stage, SubNetMode, Tensor};

/// Start of global memory; addresses below are local, static or L2 memory.
const GLOBAL_START: u64 = 0x1_0000_0000;
/// The greatest memory a board has; also what bounds the simulator's own memory.
const GLOBAL_SIZE: u64 = 16 << 30;

/// A stage ready to be loaded.
#[derive(Debug)]
pub(crate) struct Image {
    pub inputs: Vec<TensorInfo>,
    pub outputs: Vec<TensorInfo>,
    pub input_addresses: Vec<u64>,
    pub output_addresses: Vec<u64>,
    pub coeff: Option<(u64, Blob)>,
    pub groups: Vec<CmdGroup>,
    /// End of the highest region.
    pub memory_end: u64,
}

fn unsupported<T>(reason: String) -> Result<T, RunError> {
    Err(RunError::Unsupported(reason))
}

impl Image {
    /// The stage `stage` of the net `net` (the first net where `None`) of a model for `chip`.
    pub fn new(model: &Model, chip: &str, net: Option<&str>, stage: usize) -> Result<Image, RunError> {
        if model.chip != chip {
            return unsupported(format!("it is for {}, this simulator is of {chip}", model.chip));
        }
        let net = find_net(model, net)?;
        let Some(stage) = net.stages.get(stage) else {
            return unsupported(format!("net '{}' has {} stages, there is no stage {stage}", net.name, net.stages.len()));
        };
        check_kind(net, stage)?;
        let regions = Regions::new(net, stage)?;
        let (inputs, input_addresses) = regions.tensors(&stage.inputs)?;
        let (outputs, output_addresses) = regions.tensors(&stage.outputs)?;
        let coeff = stage.coeff.as_ref().map(|c| (c.address, c.data.clone()));
        let groups = commands(stage)?;
        Ok(Image { inputs, outputs, input_addresses, output_addresses, coeff, groups, memory_end: regions.end() })
    }
}

/// The net of this name, or the first.
pub(crate) fn find_net<'m>(model: &'m Model, name: Option<&str>) -> Result<&'m Net, RunError> {
    let found = match name {
        Some(name) => model.net(name),
        None => model.nets.first(),
    };
    let names = || model.nets.iter().map(|n| n.name.as_str()).collect::<Vec<_>>().join(", ");
    found.ok_or_else(|| match name {
        Some(name) => RunError::Unsupported(format!("the file has no net '{name}'; it has: {}", names())),
        None => RunError::Unsupported("the file has no net".into()),
    })
}

fn check_kind(net: &Net, stage: &Stage) -> Result<(), RunError> {
    if stage.is_dynamic || stage.subnets.iter().any(|s| s.is_dynamic) {
        return unsupported(format!("net '{}' is dynamic: its commands are made by the vendor's firmware while it runs", net.name));
    }
    if let Some(other) = stage.subnets.iter().find(|s| s.mode != SubNetMode::Tpu) {
        return unsupported(format!("net '{}' has a sub-network of kind {:?}", net.name, other.mode));
    }
    if stage.core_num > 1 || stage.subnets.iter().any(|s| s.cores.len() > 1) {
        return unsupported(format!("net '{}' is for several cores", net.name));
    }
    if stage.coeff.as_ref().is_some_and(|c| c.encrypt_mode != 0) {
        return unsupported(format!("the weights of net '{}' are encrypted", net.name));
    }
    Ok(())
}

/// The command groups in running order: the stage's own list, or that of the core.
fn commands(stage: &Stage) -> Result<Vec<CmdGroup>, RunError> {
    let groups = if stage.groups.is_empty() {
        stage.subnets.iter().flat_map(|s| &s.cores).flat_map(|c| &c.groups).cloned().collect()
    } else {
        stage.groups.clone()
    };
    if groups.is_empty() { unsupported("it has no commands".into()) } else { Ok(groups) }
}

/// The memory regions of a stage, inside global memory and apart from each other.
struct Regions {
    coeff: Range<u64>,
    ctx: Range<u64>,
    io: Range<u64>,
}

impl Regions {
    fn new(net: &Net, stage: &Stage) -> Result<Regions, RunError> {
        let ctx_size = match stage.ctx_sizes.as_slice() {
            [] => stage.ctx_size,
            [one] => *one,
            several => return unsupported(format!("its ctx memory has {} parts, the simulator knows one", several.len())),
        };
        let coeff = stage.coeff.as_ref().map_or(Ok(0..0), |c| region("coefficient", c.address, c.data.len() as u64))?;
        let ctx = region("ctx", stage.ctx_addr, ctx_size)?;
        let io = match net.addr_mode {
            0 => 0..0,
            1 => region("io", stage.io_addr, stage.io_size)?,
            other => return unsupported(format!("addr_mode {other} does not exist on BM1684X")),
        };
        let all = [("coefficient", &coeff), ("ctx", &ctx), ("io", &io)];
        for (i, (what, a)) in all.iter().enumerate() {
            for (other, b) in &all[i + 1..] {
                if !a.is_empty() && !b.is_empty() && a.start < b.end && b.start < a.end {
                    return unsupported(format!("its {what} region {a:#x?} and {other} region {b:#x?} overlap").replace('\n', ""));
                }
            }
        }
        Ok(Regions { coeff, ctx, io })
    }

    fn end(&self) -> u64 {
        self.coeff.end.max(self.ctx.end).max(self.io.end).max(GLOBAL_START)
    }

    /// Descriptions and addresses of tensors that must lie inside the ctx or io region.
    fn tensors(&self, tensors: &[Tensor]) -> Result<(Vec<TensorInfo>, Vec<u64>), RunError> {
        let mut infos = Vec::with_capacity(tensors.len());
        for tensor in tensors {
            let info = TensorInfo::of(tensor)?;
            let start = tensor.device_addr;
            let end = start.checked_add(info.byte_size() as u64);
            let inside = |r: &Range<u64>| start >= r.start && end.is_some_and(|end| end <= r.end);
            if tensor.st_mode != 0 {
                return unsupported(format!("tensor '{}' has st_mode {}, which BM1684X does not have", tensor.name, tensor.st_mode));
            }
            if !inside(&self.ctx) && !inside(&self.io) {
                return unsupported(format!("tensor '{}' ({} bytes at {start:#x}) lies outside the activation memory", tensor.name, info.byte_size()));
            }
            infos.push(info);
        }
        Ok((infos, tensors.iter().map(|t| t.device_addr).collect()))
    }
}

fn region(what: &str, start: u64, size: u64) -> Result<Range<u64>, RunError> {
    if size == 0 {
        return Ok(0..0);
    }
    match start.checked_add(size) {
        Some(end) if start >= GLOBAL_START && end <= GLOBAL_START + GLOBAL_SIZE => Ok(start..end),
        _ => unsupported(format!("its {what} region ({size} bytes at {start:#x}) does not fit the global memory ({GLOBAL_SIZE} bytes at {GLOBAL_START:#x})")),
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use tpuc_bmodel::Coeff;

    fn model(change: impl FnOnce(&mut Stage)) -> Model {
        let tensor = |name: &str, device_addr| Tensor { name: name.into(), shape: vec![2, 8], device_addr, ..Tensor::default() };
        let coeff = Coeff::new(0x1_0000_0000, vec![1u8; 100]);
        let group = CmdGroup { tiu_count: 1, ..CmdGroup::default() };
        let mut stage = Stage::single_subnet(vec![tensor("x", 0x1_0000_1000)], vec![tensor("y", 0x1_0000_1040)], 0x1_0000_1000, 128, Some(coeff), vec![group]);
        change(&mut stage);
        let net = Net { name: "n".into(), stages: vec![stage], addr_mode: 0, cascade: None };
        Model { nets: vec![net], ..Model::new("BM1684X", "now") }
    }

    fn error(change: impl FnOnce(&mut Stage)) -> String {
        Image::new(&model(change), "BM1684X", None, 0).unwrap_err().to_string()
    }

    #[test]
    fn sound_and_unsound_stages() {
        let image = Image::new(&model(|_| {}), "BM1684X", Some("n"), 0).unwrap();
        assert_eq!((image.input_addresses, image.output_addresses, image.memory_end), (vec![0x1_0000_1000], vec![0x1_0000_1040], 0x1_0000_1080));
        assert_eq!(error(|s| s.ctx_size = u64::MAX), "cannot run the model: its ctx region (18446744073709551615 bytes at 0x100001000) does not fit the global memory (17179869184 bytes at 0x100000000)");
        assert_eq!(error(|s| s.ctx_size = 127), "cannot run the model: tensor 'y' (64 bytes at 0x100001040) lies outside the activation memory");
        assert!(error(|s| s.ctx_addr = 0x1_0000_0000).contains("overlap"));
        assert!(error(|s| s.is_dynamic = true).contains("is dynamic"));
        assert!(error(|s| s.groups.clear()).contains("no commands"));
        assert!(Image::new(&model(|_| {}), "BM1684X", Some("m"), 0).unwrap_err().to_string().ends_with("the file has no net 'm'; it has: n"));
        assert!(Image::new(&model(|_| {}), "BM1684X", None, 1).unwrap_err().to_string().ends_with("there is no stage 1"));
        assert!(Image::new(&Model::new("BM1688", ""), "BM1684X", None, 0).unwrap_err().to_string().ends_with("it is for BM1688, this simulator is of BM1684X"));
    }
}
