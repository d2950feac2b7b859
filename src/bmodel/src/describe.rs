//! A bmodel as text, for `model_tool`.

use crate::model::*;
use sha2::{Digest, Sha256};
use std::fmt::Write;

/// The summary of `model_tool --info`: chip, version, and for each net and stage the tensors and memory sizes.
pub fn describe(model: &Model) -> String {
    let mut text = String::new();
    // Writing to a String cannot fail.
    let _ = summary(&mut text, model);
    text
}

/// The summary, and below it what `model_tool --print` adds: addresses, sub-networks, commands of each group, weights.
pub fn describe_in_full(model: &Model) -> String {
    let mut text = describe(model);
    let _ = details(&mut text, model);
    text
}

fn summary(out: &mut String, model: &Model) -> std::fmt::Result {
    writeln!(out, "bmodel version: {}.{}", model.kind, model.version)?;
    writeln!(out, "chip: {}", model.chip)?;
    writeln!(out, "create time: {}", model.time.trim_end())?;
    for (what, module) in [("kernel_module", &model.kernel_module), ("cpuop_module", &model.cpuop_module)] {
        if let Some(module) = module {
            writeln!(out, "{what} name: {}", module.file_name)?;
            writeln!(out, "{what} size: {}", module.binary.len())?;
        }
    }
    let (mut coeff, mut instruct, mut runtime, mut host) = (0usize, 0usize, 0u64, 0u64);
    for (index, net) in model.nets.iter().enumerate() {
        writeln!(out, "==========================================")?;
        let dynamic = net.stages.iter().any(|s| s.is_dynamic);
        writeln!(out, "net {index}: [{}]  {}", net.name, if dynamic { "dynamic" } else { "static" })?;
        for (index, stage) in net.stages.iter().enumerate() {
            writeln!(out, "------------")?;
            writeln!(out, "stage {index}, core num: {}", stage.core_num.max(1))?;
            if stage.subnets.len() > 1 {
                writeln!(out, "subnet number: {}", stage.subnets.len())?;
            }
            for tensor in &stage.inputs {
                writeln!(out, "input: {}", edge(tensor))?;
            }
            for tensor in &stage.outputs {
                writeln!(out, "output: {}", edge(tensor))?;
            }
            coeff = coeff.max(stage.coeff.as_ref().map_or(0, |c| c.data.len()));
            instruct += groups_of(stage).map(|g| g.tiu.len() + g.dma.len()).sum::<usize>();
            runtime = runtime.max(ctx_bytes(stage));
            host = host.max(u64::from(stage.cpu_mem_size));
        }
    }
    writeln!(out)?;
    let total = (coeff as u64).saturating_add(instruct as u64).saturating_add(runtime);
    writeln!(out, "device mem size: {total} (weight: {coeff}, instruct: {instruct}, runtime: {runtime})")?;
    writeln!(out, "host mem size: {host} (weight: 0, runtime: {host})")
}

/// Groups of a stage: its own list, or those of its sub-networks' cores.
fn groups_of(stage: &Stage) -> impl Iterator<Item = &CmdGroup> {
    let cores = stage.subnets.iter().flat_map(|s| &s.cores).flat_map(|c| &c.groups);
    stage.groups.iter().chain(cores)
}

fn ctx_bytes(stage: &Stage) -> u64 {
    if stage.ctx_sizes.is_empty() { stage.ctx_size } else { stage.ctx_sizes.iter().fold(0, |a, &b| a.saturating_add(b)) }
}

fn edge(tensor: &Tensor) -> String {
    format!("{}, {:?}, {}, scale: {}, zero_point: {}", tensor.name, tensor.shape, tensor.data_type, tensor.scale, tensor.zero_point)
}

fn details(out: &mut String, model: &Model) -> std::fmt::Result {
    for net in &model.nets {
        writeln!(out, "\nnet {}: addr_mode {}", net.name, net.addr_mode)?;
        for (index, stage) in net.stages.iter().enumerate() {
            writeln!(out, "  stage {index}: ctx {:#x}, {} bytes; io {:#x}, {} bytes; cores {}", stage.ctx_addr, ctx_bytes(stage), stage.io_addr, stage.io_size, stage.core_num.max(1))?;
            for (what, tensors) in [("input", &stage.inputs), ("output", &stage.outputs)] {
                for t in tensors {
                    writeln!(out, "    {what} {}: at {:#x}, {} bytes, st_mode {}, mem_type {}", t.name, t.device_addr, t.size, t.st_mode, t.mem_type)?;
                }
            }
            for (index, group) in stage.groups.iter().enumerate() {
                writeln!(out, "    group {index}: {}", commands(group))?;
            }
            for (index, subnet) in stage.subnets.iter().enumerate() {
                writeln!(out, "    subnet {index}: id {}, {:?}, {} inputs, {} outputs, {} groups, next {:?}", subnet.id, subnet.mode, subnet.inputs.len(), subnet.outputs.len(), subnet.groups.len(), subnet.next_ids)?;
                for (core, commands_of) in subnet.cores.iter().enumerate() {
                    for (index, group) in commands_of.groups.iter().enumerate() {
                        writeln!(out, "      core {core} group {index}: {}", commands(group))?;
                    }
                }
            }
            if let Some(coeff) = &stage.coeff {
                writeln!(out, "    coefficients: at {:#x}, {} bytes, check code {}", coeff.address, coeff.data.len(), check(coeff))?;
                for location in &coeff.locations {
                    writeln!(out, "      {:#010x} {:>10} {}", location.offset, location.size, location.name)?;
                }
            }
        }
    }
    Ok(())
}

fn commands(group: &CmdGroup) -> String {
    format!("{} TIU commands ({} bytes), {} DMA commands ({} bytes)", group.tiu_count, group.tiu.len(), group.dma_count, group.dma.len())
}

fn check(coeff: &Coeff) -> String {
    let real: [u8; 32] = Sha256::digest(&coeff.data[..]).into();
    let hex = real.iter().fold(String::new(), |mut hex, byte| {
        let _ = write!(hex, "{byte:02x}");
        hex
    });
    match &coeff.check_code {
        Some(found) if found[..] != real => format!("does not fit the data, which has {hex}"),
        _ => hex,
    }
}
