//! What the vendor's compiler emitted: it must decode, and agree with our ideas of order and cost.

use super::access::{dma_command, tiu_command};
use super::decode::{decode_dma_stream, decode_tiu_stream, dma_form, tiu_form};
use super::kit;
use super::*;
use crate::hazards::{Command, Hazard, assign_dependencies, verify};

fn commands(group: &kit::Group) -> (Vec<Command>, Vec<Command>) {
    let tiu = decode_tiu_stream(&group.tiu).expect("TIU stream");
    let dma = decode_dma_stream(&group.dma).expect("DMA stream");
    (
        tiu.iter().map(|(header, inst)| tiu_command(header, inst)).collect(),
        dma.iter().map(|(header, inst)| dma_command(header, inst)).collect(),
    )
}

#[test]
fn every_command_decodes_and_no_bit_is_unknown() {
    for group in kit::all() {
        let tiu = decode_tiu_stream(&group.tiu).expect("TIU stream");
        let dma = decode_dma_stream(&group.dma).expect("DMA stream");
        assert_eq!((tiu.len(), dma.len()), (group.tiu_count, group.dma_count), "{}", group.file);
        let mut at = 0;
        for (header, inst) in &tiu {
            let bytes = &group.tiu[at..at + header.length];
            assert_eq!(tiu_form(bytes).expect("form").unknown_bits(bytes), Vec::<usize>::new(), "{inst:?}");
            at += header.length;
        }
        assert!(group.tiu[at..].iter().all(|&byte| byte == 0));
        let mut at = 0;
        for (header, inst) in &dma {
            let bytes = &group.dma[at..at + header.length];
            assert_eq!(dma_form(bytes).expect("form").unknown_bits(bytes), Vec::<usize>::new(), "{inst:?}");
            at += header.length;
        }
    }
}

#[test]
fn dma_commands_encode_to_the_vendors_bits() {
    for group in kit::all() {
        let mut at = 0;
        for (header, inst) in decode_dma_stream(&group.dma).expect("DMA stream") {
            let words = try_encode_dma(&inst, header.cmd_id, header.cmd_id_dep).expect("decoded values fit");
            assert_eq!(words, group.dma[at..at + header.length], "{} {inst:?}", group.file);
            at += header.length;
        }
    }
}

#[test]
fn short_and_long_forms_mean_the_same() {
    for group in kit::all() {
        for (header, inst) in decode_tiu_stream(&group.tiu).expect("TIU stream") {
            let words = try_encode_tiu(&inst, header.cmd_id, header.cmd_id_dep).expect("decoded values fit");
            let (again, long) = decode_tiu(&words).expect("what we wrote");
            assert_eq!(long, inst, "{}", group.file);
            assert_eq!((again.cmd_id, again.cmd_id_dep), (header.cmd_id, header.cmd_id_dep));
        }
    }
}

#[test]
fn the_vendors_streams_are_ordered() {
    for group in kit::all() {
        let (tiu, dma) = commands(&group);
        let hazards = verify(&tiu, &dma);
        for hazard in hazards.iter().take(8) {
            println!("{}: {hazard}", group.file);
        }
        assert_eq!(hazards.len(), 0, "{}", group.file);
    }
}

#[test]
fn a_dropped_wait_is_found() {
    for group in kit::all() {
        let (tiu, dma) = commands(&group);
        // Dropping the waits of one queue beyond some point always leaves something unordered in these files; dropping
        // a single wait does where the one before does not wait for as much.
        let mut found = 0;
        let mut tried = 0;
        for i in 1..tiu.len() {
            if tiu[i].cmd_id_dep <= tiu[i - 1].cmd_id_dep {
                continue;
            }
            let mut less = tiu.clone();
            let (before, own) = (less[i - 1].cmd_id_dep, less[i].cmd_id_dep);
            for command in &mut less[i..] {
                if command.cmd_id_dep == own {
                    command.cmd_id_dep = before;
                }
            }
            tried += 1;
            found += usize::from(verify(&less, &dma).iter().any(|hazard| matches!(hazard, Hazard::Unordered { .. })));
        }
        let zeroed: Vec<_> = tiu.iter().cloned().map(|c| Command { cmd_id_dep: 0, ..c }).collect();
        assert!(!verify(&zeroed, &dma).is_empty(), "{}", group.file);
        println!("{}: {found} of {tried} lowered waits left a hazard", group.file);
    }
}

/// A program order that the vendor's waits allow: a command as soon as what it waits for is out, DMA first.
fn interleave(tiu: &[Command], dma: &[Command]) -> Vec<Command> {
    let (mut t, mut d) = (0, 0);
    let mut order = Vec::new();
    while t < tiu.len() || d < dma.len() {
        if d < dma.len() && dma[d].cmd_id_dep as usize <= t {
            order.push(dma[d].clone());
            d += 1;
        } else {
            order.push(tiu[t].clone());
            t += 1;
        }
    }
    order
}

#[test]
fn computed_waits_order_the_vendors_programs() {
    for group in kit::all() {
        let (tiu, dma) = commands(&group);
        let mut order = interleave(&tiu, &dma);
        assign_dependencies(&mut order);
        let (own_tiu, own_dma): (Vec<_>, Vec<_>) =
            order.into_iter().partition(|command| command.engine == crate::hazards::Engine::Tiu);
        assert_eq!(verify(&own_tiu, &own_dma), vec![], "{}", group.file);
        // Never more waiting than the vendor's: his waits order the same conflicts.
        let later = own_tiu.iter().zip(&tiu).filter(|(own, his)| own.cmd_id_dep > his.cmd_id_dep).count();
        println!("{}: {later} of {} TIU commands wait for more than the vendor's", group.file, tiu.len());
    }
}

#[test]
fn estimated_cycles_of_efficientnet() {
    const THEIRS: f64 = 205_361.0;
    for group in kit::groups("efficientnet_lite0/efflite0_bm1684x_int8.bmodel") {
        let tiu = decode_tiu_stream(&group.tiu).expect("TIU stream");
        let dma = decode_dma_stream(&group.dma).expect("DMA stream");
        let ours = cost::estimate(&tiu, &dma);
        println!(
            "efficientnet_lite0: {} cycles ({} TIU, {} DMA), the vendor's estimate is {THEIRS}: {:+.2} %",
            ours.cycles,
            ours.tiu_cycles,
            ours.dma_cycles,
            (ours.cycles as f64 / THEIRS - 1.0) * 100.0
        );
        assert!((ours.cycles as f64 / THEIRS - 1.0).abs() < 0.005);
    }
}

#[test]
fn the_vendors_streams_print() {
    for group in kit::all() {
        for (header, inst) in decode_tiu_stream(&group.tiu).expect("TIU stream") {
            println!("{}", print::listing_line(&header, &inst));
            assert!(!inst.to_string().contains('\n'));
        }
        for (header, inst) in decode_dma_stream(&group.dma).expect("DMA stream") {
            println!("{}", print::listing_line(&header, &inst));
            assert!(!inst.to_string().contains('\n'));
        }
    }
}

#[test]
fn the_vendors_commands_are_legal() {
    let mut wrong = 0;
    for group in kit::all() {
        for (_, inst) in decode_tiu_stream(&group.tiu).expect("TIU stream") {
            for violation in check_tiu(&inst) {
                println!("{}: {inst}: {violation}", group.file);
                wrong += 1;
            }
        }
        for (_, inst) in decode_dma_stream(&group.dma).expect("DMA stream") {
            for violation in check_dma(&inst) {
                println!("{}: {inst}: {violation}", group.file);
                wrong += 1;
            }
        }
    }
    assert_eq!(wrong, 0);
}

/// What a command changes lies in its writes, and depends on nothing in local memory but its reads.
#[test]
fn footprints_hold_what_commands_touch() {
    use super::execute::Machine;
    use crate::hazards::{Footprint, Region, Space};

    let lane_bytes = CHIP.lane_bytes as usize;
    let cover = |regions: &[Region], mut mark: Box<dyn FnMut(usize, usize) + '_>| {
        for region in regions.iter().filter(|region| region.space == Space::Local) {
            for lane in region.first_lane..region.end_lane {
                let base = lane as usize * lane_bytes;
                mark(base + region.start as usize, base + region.end as usize);
            }
        }
    };
    let mut noise = 0x2545_f491_4f6c_dd1du64;
    let random: Vec<u8> = (0..CHIP.local_bytes() / 8)
        .flat_map(|_| {
            noise ^= noise << 13;
            noise ^= noise >> 7;
            noise ^= noise << 17;
            noise.to_le_bytes()
        })
        .collect();
    let run = |footprint: &Footprint, inst: &Inst| -> Option<bool> {
        // The same bytes where it reads, the opposite ones elsewhere.
        let mut other: Vec<u8> = random.iter().map(|byte| !byte).collect();
        cover(&footprint.reads, Box::new(|from, to| other[from..to].copy_from_slice(&random[from..to])));
        let mut after = Vec::new();
        for before in [&random, &other] {
            let mut machine = Machine::new(CHIP.global_base + (16 << 20)).expect("a chip");
            machine.memory.local.copy_from_slice(before);
            match inst {
                Inst::Tiu(tiu) => machine.execute_tiu(tiu),
                Inst::Dma(dma) => machine.execute_dma(dma),
            }
            .ok()?;
            after.push(std::mem::take(&mut machine.memory.local));
        }
        let mut allowed = vec![false; random.len()];
        cover(&footprint.writes, Box::new(|from, to| allowed[from..to].fill(true)));
        Some((0..random.len()).all(|i| match allowed[i] {
            // Bounds may hold bytes that are not written: they keep what they had.
            true => after[0][i] == after[1][i] || (after[0][i] == random[i] && after[1][i] == other[i]),
            false => after[0][i] == random[i] && after[1][i] == other[i],
        }))
    };
    let mut seen = std::collections::HashSet::new();
    let (mut held, mut skipped) = (0, 0);
    for group in kit::all() {
        let tiu = decode_tiu_stream(&group.tiu).expect("TIU stream").into_iter().map(|(_, inst)| Inst::Tiu(inst));
        let dma = decode_dma_stream(&group.dma).expect("DMA stream").into_iter().map(|(_, inst)| Inst::Dma(inst));
        for inst in tiu.chain(dma) {
            let (footprint, kind) = match &inst {
                Inst::Tiu(tiu) => (access::tiu(tiu), tiu.to_string()),
                Inst::Dma(dma) => (access::dma(dma), dma.to_string()),
            };
            // One of each function is enough.
            let function =
                kind.split(" = ").nth(1).unwrap_or(&kind).split(' ').next().unwrap_or_default().to_string();
            if !seen.insert(function) {
                continue;
            }
            match run(&footprint, &inst) {
                Some(true) => held += 1,
                Some(false) => panic!("{}: {kind} does not keep to {footprint:?}", group.file),
                // The executor has no such instruction.
                None => skipped += 1,
            }
        }
    }
    println!("{held} footprints hold, {skipped} instructions are not executed");
}
