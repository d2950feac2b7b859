//! What looks into bmodels: descriptions, listings, the check of hazards.

use super::{Place, check_chip, decode, groups, read};
use crate::cli::{self, Failure, Talk};
use serde_json::{Value, json};
use std::fmt::{Display, Write as _};
use std::path::Path;
use tpuc_bmodel::{Model, Tensor};
use tpuc_isa::bm1684x::print::listing_line;
use tpuc_isa::bm1684x::{Header, access, decode_dma, decode_tiu};
use tpuc_isa::hazards;

pub fn info(path: &Path, full: bool, talk: Talk) -> Result<(), Failure> {
    let model = read(path)?;
    if !talk.is_silent() {
        print!("{}", if full { tpuc_bmodel::describe_in_full(&model) } else { tpuc_bmodel::describe(&model) });
    }
    talk.result("model_tool", true, description(path, &model));
    Ok(())
}

fn description(path: &Path, model: &Model) -> Value {
    let tensor = |t: &Tensor| json!({ "name": t.name, "shape": t.shape, "dtype": t.data_type.name(), "scale": cli::number(t.scale.into()), "zero_point": t.zero_point, "address": t.device_addr });
    let tensors = |list: &[Tensor]| list.iter().map(tensor).collect::<Vec<_>>();
    let stage = |s: &tpuc_bmodel::Stage| {
        json!({
            "inputs": tensors(&s.inputs), "outputs": tensors(&s.outputs), "core_num": s.core_num.max(1),
            "weight_bytes": s.coeff.as_ref().map_or(0, |c| c.data.len()), "runtime_bytes": s.ctx_size,
            "tiu_commands": s.groups.iter().map(|g| u64::from(g.tiu_count)).sum::<u64>(), "dma_commands": s.groups.iter().map(|g| u64::from(g.dma_count)).sum::<u64>(),
        })
    };
    let net = |n: &tpuc_bmodel::Net| json!({ "name": n.name, "dynamic": n.stages.iter().any(|s| s.is_dynamic), "stages": n.stages.iter().map(stage).collect::<Vec<_>>() });
    let kernel = model.kernel_module.as_ref().map(|k| json!({ "name": k.file_name, "bytes": k.binary.len() }));
    json!({ "file": path, "chip": model.chip, "version": model.version, "time": model.time, "kernel_module": kernel, "nets": model.nets.iter().map(net).collect::<Vec<_>>() })
}

/// Where each weight of each stage is, as far as the file says.
pub fn weights(path: &Path, talk: Talk) -> Result<(), Failure> {
    let model = read(path)?;
    let mut list = Vec::new();
    for (n, net) in model.nets.iter().enumerate() {
        for (s, stage) in net.stages.iter().enumerate() {
            talk.say(format_args!("net {n} : \"{}\", stage:{s}\n-------------------------------", cli::one_line(&net.name)));
            for location in stage.coeff.iter().flat_map(|c| &c.locations) {
                talk.say(format_args!("{} : [{:#x}, {:#x})", cli::one_line(&location.name), location.offset, location.offset.saturating_add(location.size)));
                list.push(json!({ "net": net.name, "stage": s, "name": location.name, "offset": location.offset, "bytes": location.size }));
            }
            talk.say("==========================================");
        }
    }
    talk.result("model_tool", true, json!({ "file": path, "weights": list }));
    Ok(())
}

pub fn disassemble(path: &Path, talk: Talk) -> Result<(), Failure> {
    let model = read(path)?;
    let text = listings(&model).map_err(|e| Failure::work(format!("{}: {e}", path.display())))?;
    if !talk.is_silent() {
        print!("{text}");
    }
    talk.result("model_tool", true, json!({ "file": path, "lines": text.lines().collect::<Vec<_>>() }));
    Ok(())
}

fn listings(model: &Model) -> Result<String, String> {
    check_chip(model)?;
    let mut text = String::new();
    for Place { name, group } in groups(model) {
        let at = |e: String| format!("{name}: {e}");
        let tiu = decode("TIU", &group.tiu, group.tiu_count, decode_tiu).map_err(at)?;
        let dma = decode("DMA", &group.dma, group.dma_count, decode_dma).map_err(at)?;
        listing(&mut text, &format!("{name}: TIU, {} commands, {} bytes", tiu.len(), group.tiu.len()), &tiu);
        listing(&mut text, &format!("{name}: DMA, {} commands, {} bytes", dma.len(), group.dma.len()), &dma);
    }
    Ok(text)
}

fn listing<I: Display>(text: &mut String, title: &str, commands: &[(Header, I)]) {
    // Writing to a String cannot fail.
    let _ = writeln!(text, "# {title}");
    commands.iter().for_each(|(header, inst)| writeln!(text, "{}", listing_line(header, inst)).unwrap_or(()));
}

pub fn check_hazards(path: &Path, talk: Talk) -> Result<(), Failure> {
    let model = read(path)?;
    let named = |e: String| Failure::work(format!("{}: {e}", path.display()));
    check_chip(&model).map_err(named)?;
    let (mut commands, mut found) = (0, Vec::new());
    for Place { name, group } in groups(&model) {
        let at = |e: String| named(format!("{name}: {e}"));
        let tiu = decode("TIU", &group.tiu, group.tiu_count, decode_tiu).map_err(at)?;
        let dma = decode("DMA", &group.dma, group.dma_count, decode_dma).map_err(at)?;
        let tiu: Vec<_> = tiu.iter().map(|(h, i)| access::tiu_command(h, i)).collect();
        let dma: Vec<_> = dma.iter().map(|(h, i)| access::dma_command(h, i)).collect();
        let hazards = hazards::verify(&tiu, &dma);
        commands += tiu.len() + dma.len();
        found.extend(hazards.iter().map(|h| format!("{name}: {h}")));
    }
    found.iter().for_each(|line| talk.say(line));
    if found.is_empty() {
        talk.say(format_args!("{commands} commands, no hazards"));
        talk.result("model_tool", true, json!({ "file": path, "commands": commands, "hazards": found }));
        return Ok(());
    }
    let more = if found.len() >= hazards::MAX_HAZARDS { " or more" } else { "" };
    Err(named(format!("{}{more} hazards in {commands} commands", found.len())))
}
