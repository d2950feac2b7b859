//! Round trips and hostile bytes.
#![allow(clippy::unwrap_used)]

use crate::*;
use std::path::{Path, PathBuf};

/// A model that uses every table of the container.
fn sample() -> Model {
    let input = Tensor {
        name: "in".into(),
        shape: vec![1, 3, 4, 4],
        device_addr: 0x1_0000_2000,
        size: 192,
        index: 3,
        relocation: Some(RelEntry { base_id: 1, addr_offset: 2, cmd_offset: 3 }),
        ..Tensor::default()
    };
    let output = Tensor { name: "out".into(), data_type: DataType::I8, shape: vec![1, 10], scale: 0.25, zero_point: -3, hidden: 2, ..input.clone() };
    let group = CmdGroup { tiu_count: 2, dma_count: 3, tiu: vec![1u8; 256].into(), dma: vec![2u8; 384].into(), relocations: vec![RelEntry { base_id: 7, addr_offset: 8, cmd_offset: 9 }] };
    let coeff = Coeff { locations: vec![Location { name: "w".into(), offset: 0, size: 100 }], ..Coeff::new(0x1_0000_0000, vec![5u8; 100]) };
    let mut stage = Stage::single_subnet(vec![input.clone()], vec![output.clone()], 0x1_0000_1000, 8192, Some(coeff), vec![group.clone()]);
    stage.stage_ir = vec![StageIr { ir_info_len: 1, height_high: -2, height_low: 3, width_high: 4, width_low: 5 }];
    stage.ir = Some(vec![9u8; 10].into());
    stage.ctx_sizes = vec![8192];
    stage.subnets.push(SubNet {
        mode: SubNetMode::Switch,
        inputs: vec![input],
        outputs: vec![output],
        cores: vec![CoreCommands { groups: vec![group], sdma: vec![vec![3u8; 16].into()], ..CoreCommands::default() }],
        id: 1,
        next_ids: vec![0, -1],
        cpu_params: vec![CpuParam { op_type: 4, param: Some(vec![1u8, 2].into()), consts: vec![CpuConst { name: Some("c".into()), data: Some(vec![8u8].into()), check_code: Some(vec![1; 32]) }], is_custom: 1 }],
        merge_from: Some(vec![vec![0, 1], vec![]]),
        switch: Some(SwitchParam { output_from: vec![vec![2]], output_branch: vec![1] }),
        ..SubNet::default()
    });
    let net = Net { name: "net".into(), stages: vec![stage], addr_mode: 1, cascade: Some(Cascade { device_id: 1, step: 2, main_name: Some("main".into()) }) };
    Model { nets: vec![net], neuron_size: 8192, device_num: 1, ..Model::new("BM1684X", "2024-01-01") }
}

/// A copy without the check codes, which only files have.
fn without_check_codes(mut model: Model) -> Model {
    for stage in model.nets.iter_mut().flat_map(|n| &mut n.stages) {
        if let Some(coeff) = &mut stage.coeff {
            coeff.check_code = None;
        }
    }
    model
}

#[test]
fn every_field_survives() {
    let model = sample();
    let bytes = write(&model).unwrap();
    let back = read(&bytes).unwrap();
    assert_eq!(without_check_codes(back.clone()), model);
    assert_eq!(write(&back).unwrap(), bytes);
    assert_eq!(read_owned(bytes).unwrap(), back);
}

#[test]
fn firmware_is_written_for_other_chips_only() {
    let mut model = Model { kernel_module: Some(Module { file_name: "k.so".into(), binary: vec![7u8; 9].into(), mode: 2 }), ..sample() };
    assert_eq!(read(&write(&model).unwrap()).unwrap().kernel_module, None);
    model.chip = "BM1690".into();
    assert_eq!(read(&write(&model).unwrap()).unwrap().kernel_module, model.kernel_module);
}

#[test]
fn summary_of_a_model() {
    let expected = "\
bmodel version: B.2.2
chip: BM1684X
create time: 2024-01-01
==========================================
net 0: [net]  static
------------
stage 0, core num: 1
subnet number: 2
input: in, [1, 3, 4, 4], float32, scale: 1, zero_point: 0
output: out, [1, 10], int8, scale: 0.25, zero_point: -3

device mem size: 9572 (weight: 100, instruct: 1280, runtime: 8192)
host mem size: 0 (weight: 0, runtime: 0)
";
    assert_eq!(describe(&sample()), expected);
    assert!(describe_in_full(&sample()).contains("group 0: 2 TIU commands (256 bytes), 3 DMA commands (384 bytes)"));
}

#[test]
fn truncations_are_errors() {
    let bytes = write(&sample()).unwrap();
    // The last blob is followed by padding that nothing refers to, but the header counts it.
    for length in (0..bytes.len()).step_by(if bytes.len() > 8192 { 13 } else { 1 }).chain(0..600) {
        assert!(read(&bytes[..length]).is_err(), "{length} bytes");
    }
}

/// A small generator, so that failures can be repeated.
struct Random(u64);

impl Random {
    fn below(&mut self, limit: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 % limit as u64) as usize
    }
}

#[test]
fn flipped_bytes_never_panic() {
    let bytes = write(&sample()).unwrap();
    let flat_end = 64 + u32::from_le_bytes(bytes[8..12].try_into().unwrap()) as usize;
    let used = bytes[..flat_end].iter().rposition(|&b| b != 0).unwrap() + 1;
    let mut random = Random(0x9E37_79B9_7F4A_7C15);
    let mut errors = 0;
    for _ in 0..60_000 {
        let mut hostile = bytes.clone();
        for _ in 0..1 + random.below(4) {
            let at = random.below(used);
            hostile[at] = match random.below(4) {
                0 => 0,
                1 => 0xFF,
                2 => hostile[at].wrapping_add(4),
                _ => random.below(256) as u8,
            };
        }
        match read(&hostile) {
            Ok(model) => {
                let _ = describe_in_full(&model);
                let again = write(&model).unwrap();
                read(&again).unwrap();
            }
            Err(_) => errors += 1,
        }
    }
    assert!(errors > 1000, "only {errors} of 60000 were noticed");
}

#[test]
fn offsets_that_share_a_table_cannot_expand() {
    // A model whose net vector has many entries that all point at one net.
    let mut model = sample();
    model.nets[0].stages[0].coeff.as_mut().unwrap().locations = (0..2000).map(|i| Location { name: format!("{i}"), offset: 0, size: 0 }).collect();
    model.nets = vec![model.nets[0].clone(); 400];
    let mut bytes = write(&model).unwrap();
    assert_eq!(read(&bytes).unwrap().nets.len(), 400);
    // Find the vector of 400 offsets and let all of them lead to the first net.
    let at = (64..bytes.len() - 4).step_by(4).find(|&i| bytes[i..i + 4] == 400u32.to_le_bytes()).unwrap();
    let first = u32::from_le_bytes(bytes[at + 4..at + 8].try_into().unwrap());
    for i in 0..400 {
        bytes[at + 4 + 4 * i..at + 8 + 4 * i].copy_from_slice(&(first - 4 * i as u32).to_le_bytes());
    }
    // 400 visits of one net are about what the honest file holds; a hundred times as many in a small file are not.
    assert!(read(&bytes).is_ok());
    let small = {
        let mut one = sample();
        one.nets[0].stages[0].coeff.as_mut().unwrap().locations = (0..2000).map(|i| Location { name: format!("{i}"), offset: 0, size: 0 }).collect();
        one.nets.extend(vec![Net { stages: vec![Stage::default()], ..one.nets[0].clone() }; 399]);
        one
    };
    let mut bytes = write(&small).unwrap();
    let at = (64..bytes.len() - 4).step_by(4).find(|&i| bytes[i..i + 4] == 400u32.to_le_bytes()).unwrap();
    let first = u32::from_le_bytes(bytes[at + 4..at + 8].try_into().unwrap());
    for i in 0..400 {
        bytes[at + 4 + 4 * i..at + 8 + 4 * i].copy_from_slice(&(first - 4 * i as u32).to_le_bytes());
    }
    let error = read(&bytes).unwrap_err().to_string();
    assert_eq!(error, "broken bmodel: flatbuffer: the same bytes are referred to far too often");
}

fn kit_bmodels() -> Vec<PathBuf> {
    fn walk(folder: &Path, found: &mut Vec<PathBuf>) {
        for entry in std::fs::read_dir(folder).into_iter().flatten().flatten() {
            let path = entry.path();
            if path.is_dir() {
                walk(&path, found);
            } else if path.extension().is_some_and(|e| e == "bmodel") {
                found.push(path);
            }
        }
    }
    let mut found = Vec::new();
    walk(Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../../../shared/kit")), &mut found);
    found.sort();
    found
}

#[test]
fn the_vendors_files_round_trip() {
    let files = kit_bmodels();
    if files.is_empty() {
        println!("skipped: no kit beside the checkout");
        return;
    }
    for path in files {
        let model = read(&std::fs::read(&path).unwrap()).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
        let bytes = write(&model).unwrap();
        assert_eq!(read(&bytes).unwrap(), model, "{}", path.display());
        assert_eq!(write(&model).unwrap(), bytes);
        println!("== {}\n{}", path.display(), describe_in_full(&model));
    }
}
