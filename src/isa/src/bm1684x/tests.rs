//! Properties of encoding and decoding over random commands, and fixed texts, violations and hazards.

use super::access::{self, dma_command, tiu_command};
use super::decode::{dma_form, tiu_form};
use super::fields::{self, DmaField as D, Form, TiuField as T, Words};
use super::*;
use crate::hazards::{Command, Engine, Footprint, Hazard, Region, assign_dependencies, verify};
use proptest::prelude::*;

/// Type and function codes of every TIU operation but `Lar` and `Sys`, with its short form.
fn tiu_kinds() -> Vec<(u64, u64, &'static Form<T>)> {
    let mut kinds = vec![(0, 0, &fields::SHORT_CONV), (2, 1, &fields::SHORT_MM)];
    kinds.extend([0, 1, 3, 4].map(|code| (4, code, &fields::SHORT_RQ_DQ)));
    let mut add = |kind, codes: Vec<u8>, form| kinds.extend(codes.iter().map(|&code| (kind, u64::from(code), form)));
    let short_ar: Vec<u8> =
        ArFunction::ALL.iter().map(|f| f.code()).filter(|code| ![24, 25].contains(code)).collect();
    add(1, PoolFunction::ALL.iter().map(|f| f.code()).collect(), &fields::SHORT_PORD);
    add(2, Mm2Function::ALL.iter().map(|f| f.code()).collect(), &fields::SHORT_MM2);
    add(3, short_ar, &fields::SHORT_AR);
    add(3, vec![24, 25], &fields::SHORT_INDEX);
    add(5, TransBcFunction::ALL.iter().map(|f| f.code()).collect(), &fields::SHORT_TRANS_BC);
    add(6, SgFunction::ALL.iter().map(|f| f.code()).collect(), &fields::SHORT_SG);
    add(6, SglFunction::ALL.iter().map(|f| f.code()).collect(), &fields::SHORT_SGL);
    add(9, SfuFunction::ALL.iter().map(|f| f.code()).collect(), &fields::SHORT_SFU);
    add(10, LinFunction::ALL.iter().map(|f| f.code()).collect(), &fields::SHORT_LIN);
    add(13, CmpFunction::ALL.iter().map(|f| f.code()).collect(), &fields::SHORT_CMP);
    add(14, VcFunction::ALL.iter().map(|f| f.code()).collect(), &fields::SHORT_VC);
    kinds
}

/// A value that means something in the field, from random bits.
fn tiu_value(field: T, random: u64) -> u64 {
    let name = field.name();
    if name.ends_with("_prec") || name == "opd2_n_str" {
        random % 7
    } else if ["res0_str", "opd0_str", "opd1_str"].contains(&name) {
        [0, 1, 3][(random % 3) as usize]
    } else if name == "opd2_str" {
        random % 2
    } else if name == "tsk_opd_num" {
        1 + random % 3
    } else {
        random
    }
}

fn tiu_words(kind: u64, code: u64, form: &Form<T>, random: &[u64]) -> Vec<u8> {
    let mut words = Words::<T>::default();
    for (field, &random) in form.fields.iter().zip(random) {
        words.set(field.id, tiu_value(field.id, random));
    }
    words.set(T::TskTyp, kind).set(T::TskEuTyp, code).set(T::CmdShort, u64::from(form.name != "CONV"));
    words.write(form)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]

    #[test]
    fn tiu_round_trip(pick in any::<prop::sample::Index>(), long in any::<bool>(), random in prop::collection::vec(any::<u64>(), 100)) {
        let kinds = tiu_kinds();
        let (kind, code, short) = kinds[pick.index(kinds.len())];
        let form = if long { &fields::LONG } else { short };
        let bytes = tiu_words(kind, code, form, &random);
        let (header, inst) = decode_tiu(&bytes).expect("valid words");
        prop_assert_eq!(header.length, form.bytes);
        let own = try_encode_tiu(&inst, header.cmd_id, header.cmd_id_dep).expect("decoded values fit");
        let (again, same) = decode_tiu(&own).expect("our words");
        // NaN scales are equal by their bits.
        prop_assert_eq!(format!("{:?}", same), format!("{:?}", inst));
        prop_assert_eq!((again.cmd_id, again.cmd_id_dep), (header.cmd_id, header.cmd_id_dep));
        prop_assert_eq!(encode_tiu(&same, again.cmd_id, again.cmd_id_dep), own);
    }

    #[test]
    fn dma_round_trip(kind in 0u64..9, random in prop::collection::vec(any::<u64>(), 100)) {
        let form = match kind { 2 => &fields::DMA_MASKED_SELECT, 5 => &fields::DMA_NONZERO, 6 => &fields::DMA_SYS, 7 | 8 => &fields::DMA_INDEXED, _ => &fields::DMA_BLOCK };
        let mut words = Words::<D>::default();
        for (field, &random) in form.fields.iter().zip(&random) {
            let format = field.id.name().ends_with("data_format");
            words.set(field.id, if format { random % 7 } else { random });
        }
        let code = match kind { 0 => random[99] % 7, 1 | 3 | 6 => random[99] % 2, _ => 0 };
        words.set(D::CmdType, kind).set(D::CmdSpecialFunction, code).set(D::CmdShort, u64::from(kind == 6));
        let (header, inst) = decode_dma(&words.write(form)).expect("valid words");
        let own = try_encode_dma(&inst, header.cmd_id, header.cmd_id_dep).expect("decoded values fit");
        let (_, same) = decode_dma(&own).expect("our words");
        prop_assert_eq!(same, inst);
        prop_assert_eq!(encode_dma(&same, header.cmd_id, header.cmd_id_dep), own);
    }

    /// Nothing in random bytes, nor in any instruction that they happen to be, makes a consumer panic.
    #[test]
    fn hostile_bytes(pick in any::<prop::sample::Index>(), random in prop::collection::vec(any::<u64>(), 100), bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        let kinds = tiu_kinds();
        let (kind, code, _) = kinds[pick.index(kinds.len())];
        let words = tiu_words(kind, code, &fields::LONG, &random);
        for bytes in [&words, &bytes] {
            if let Ok((header, inst)) = decode_tiu(bytes) {
                let _ = (check_tiu(&inst), access::tiu(&inst), cost::tiu_cycles(&inst), inst.to_string());
                let _ = verify(&[tiu_command(&header, &inst)], &[]);
            }
            if let Ok((header, inst)) = decode_dma(bytes) {
                let _ = (check_dma(&inst), access::dma(&inst), cost::dma_cycles(&inst), inst.to_string());
                let _ = verify(&[], &[dma_command(&header, &inst)]);
            }
        }
    }

    /// Computed waits order every conflict, and no wait could be smaller.
    #[test]
    fn computed_waits_are_enough_and_needed(accesses in prop::collection::vec((any::<bool>(), 0u32..60, 1u32..64, 0u64..400, 1u64..90, any::<bool>()), 1..60)) {
        let mut program: Vec<Command> = accesses.iter().map(|&(tiu, lane, lanes, start, bytes, writes)| {
            let region = Region::local(lane..(lane + lanes).min(64), start..start + bytes);
            let footprint = match writes {
                true => Footprint { reads: vec![], writes: vec![region] },
                false => Footprint { reads: vec![region], writes: vec![] },
            };
            Command::new(if tiu { Engine::Tiu } else { Engine::Dma }, footprint)
        }).collect();
        assign_dependencies(&mut program);
        // By definition: the newest earlier conflicting command of the other engine, and what the queue waited for.
        let mut waited = [0, 0];
        for (i, command) in program.iter().enumerate() {
            let conflict = |other: &&Command| {
                let touch = |a: &[Region], b: &[Region]| a.iter().any(|a| b.iter().any(|b| a.overlaps(b)));
                let (a, b) = (&command.footprint, &other.footprint);
                other.engine != command.engine
                    && (touch(&a.writes, &b.writes) || touch(&a.writes, &b.reads) || touch(&a.reads, &b.writes))
            };
            let own = usize::from(command.engine == Engine::Dma);
            waited[own] = program[..i].iter().filter(conflict).map(|other| other.cmd_id).max().unwrap_or(0).max(waited[own]);
            prop_assert_eq!(command.cmd_id_dep, waited[own]);
        }
        let (tiu, dma): (Vec<_>, Vec<_>) = program.into_iter().partition(|command| command.engine == Engine::Tiu);
        prop_assert_eq!(verify(&tiu, &dma), vec![]);
    }
}

fn copy(function: ArFunction, addr: u32, layout: Layout) -> Tiu {
    Tiu::Ar(Ar {
        function,
        shape: Shape::new(1, 70, 4, 10),
        result: Dest { addr: 0x4000, precision: Precision::Int8, layout: Layout::Aligned },
        opd0: Operand::Tensor(Tensor { addr, dtype: DType::I8, layout }),
        opd1: Some(Operand::Const { bits: 0xfe, dtype: DType::I8 }),
        opd2: None,
        result_signed: false,
        rounding: Rounding::HalfUp,
        iterations: 0,
    })
}

fn load(dest_lane: u32, channels: u32) -> DmaTensor {
    DmaTensor {
        function: DmaTensorFunction::Copy,
        precision: Precision::F16,
        flags: DmaFlags::STRIDED_COPY,
        source: DmaBlock {
            addr: CHIP.global_base,
            shape: Shape::new(1, channels, 2, 8),
            strides: Strides::new(0, 16, 8, 1),
        },
        dest: DmaBlock {
            addr: CHIP.dma_local_base + u64::from(local_address(dest_lane, 0x100)),
            shape: Shape::default(),
            strides: Strides::new(32, 32, 8, 1),
        },
        fill: None,
    }
}

#[test]
fn instructions_read_as_assembly() {
    assert_eq!(
        copy(ArFunction::MulSaturate, 0x8003, Layout::Free(Strides::new(40, 0, 10, 1))).to_string(),
        "i8[1,70,4,10]@0:0x4000 = arith.muls i8[1,70,4,10]@0:0x8003{40,0,10,1}, i8 #-2 round=half_up"
    );
    assert_eq!(
        Dma::Tensor(load(3, 5)).to_string(),
        "f16[1,5,2,8]@local 3:0x100{32,32,8,1} = dma.tensor f16[1,5,2,8]@0x100000000{0,16,8,1}"
    );
}

#[test]
fn footprints_name_lanes_and_bytes() {
    // 70 channels of 40 bytes from lane 0: a second block in six lanes, 64 bytes behind the first.
    let Tiu::Ar(ar) = copy(ArFunction::MulSaturate, 0x8000, Layout::Aligned) else { unreachable!() };
    assert_eq!(
        access::tiu(&Tiu::Ar(ar)).writes,
        [Region::local(0..64, 0x4000..0x4028), Region::local(0..6, 0x4040..0x4068)]
    );
    assert_eq!(access::dma(&Dma::Tensor(load(3, 5))).writes, [Region::local(3..8, 0x100..0x120)]);
    // Wraps round at the last lane.
    assert_eq!(
        access::dma(&Dma::Tensor(load(62, 5))).writes,
        [Region::local(62..64, 0x100..0x120), Region::local(0..3, 0x140..0x160)]
    );
    assert_eq!(
        access::dma(&Dma::Tensor(load(3, 5))).reads,
        [Region::flat(crate::hazards::Space::Global, 0x1_0000_0000..0x1_0000_00a0)]
    );
}

#[test]
fn violations_are_found() {
    let texts = |violations: Vec<Violation>| violations.iter().map(ToString::to_string).collect::<Vec<_>>();
    assert_eq!(texts(check_tiu(&copy(ArFunction::MulSaturate, 0x8000, Layout::Aligned))), [""; 0]);
    assert_eq!(
        texts(check_tiu(&copy(ArFunction::Mul, 0x8020, Layout::Aligned))),
        ["operand 0 starts at byte 0x8020 of its lane, must be a multiple of 64"]
    );
    assert_eq!(
        texts(check_tiu(&copy(ArFunction::Mul, local_address(1, 0x8000), Layout::Aligned))),
        ["operand 0 starts in lane 1, the result in lane 0"]
    );
    assert_eq!(
        texts(check_tiu(&copy(ArFunction::Mul, 0x3ffc0, Layout::Aligned))),
        ["lanes 0..6 bytes 0x40000..0x40028 reaches beyond the 262144 bytes of that memory"]
    );
    assert_eq!(texts(check_tiu(&copy(ArFunction::Div, 0x8000, Layout::Aligned))), ["a division is of f32 operands"]);
    assert_eq!(
        texts(check_tiu(&copy(ArFunction::Mul, CHIP.static_base, Layout::Aligned))).first().map(String::as_str),
        Some("operand 0 is at 0x9000000, beyond the last lane")
    );
    let mut dma = load(0, 5);
    dma.source.strides.w = 65;
    assert_eq!(texts(check_dma(&Dma::Tensor(dma))), ["bytes between the elements of a row is 130, must be 1..=128"]);
    let mut dma = load(62, 5);
    dma.function = DmaTensorFunction::Broadcast;
    dma.flags = DmaFlags::STRIDED;
    dma.dest.shape = dma.source.shape;
    dma.source.shape.c = 1;
    assert_eq!(
        texts(check_dma(&Dma::Tensor(dma))),
        ["lanes 62..67 reach beyond the last lane, where a broadcast or lane copy does not go on"]
    );
    let mut dma = load(0, 5);
    dma.source.addr = 0x5000_0000;
    assert_eq!(texts(check_dma(&Dma::Tensor(dma))), ["source: address 0x50000000 is in no memory"]);
    let window = Window { pad_top: 16, ..Window::new(3, 3) };
    let conv = Tiu::Conv(Conv {
        shape: Shape::new(1, 8, 4, 4),
        result: Dest { addr: 0, precision: Precision::Int8, layout: Layout::Aligned },
        input: Tensor { addr: local_address(3, 0x4000), dtype: DType::I8, layout: Layout::Aligned },
        input_c: 8,
        input_h: 4,
        input_w: 5,
        weight: Source::Local(0x8000),
        weight_signed: true,
        opd2: Source::Const(0),
        opd2_signed: false,
        pad_value: Source::Const(0),
        window,
        accumulate: false,
        relu: false,
    });
    assert_eq!(
        texts(check_tiu(&conv)),
        [
            "padding is 16, must be 0..=15",
            "the window needs 6 input columns, input and padding have 5",
            "result is i8, must be i32"
        ]
    );
}

#[test]
fn errors_say_what_is_wrong() {
    let text = |bytes: &[u8]| decode_tiu(bytes).map(|_| ()).map_err(|error| error.to_string());
    assert_eq!(text(&[0; 4]), Err("TIU command needs 8 bytes, the stream has 4".to_string()));
    assert_eq!(text(&[0; 64]), Err("TIU command needs 128 bytes, the stream has 64".to_string()));
    let head = |kind: u64, code: u64| {
        let mut bytes = [0; 128];
        bytes[..8].copy_from_slice(&(kind << 41 | code << 45).to_le_bytes());
        bytes
    };
    assert_eq!(text(&head(8, 0)), Err("TIU command type 8 does not exist on the BM1684X".to_string()));
    assert_eq!(text(&head(3, 17)), Err("AR has no function 17".to_string()));
    assert!(tiu_form(&head(12, 0)).is_err());
    let mut bytes = [0; 96];
    bytes[..8].copy_from_slice(&(7u64 << 40).to_le_bytes());
    let text = decode_dma(&bytes).map(|_| ()).map_err(|error| error.to_string());
    assert_eq!(text, Err("DMA: field src_data_format is 7, which has no meaning".to_string()));
    bytes[0] = 8;
    assert!(dma_form(&bytes).is_err());
}

#[test]
fn programs_assemble_into_ordered_streams() {
    let program = [
        Inst::Dma(Dma::Tensor(load(0, 5))),
        Inst::Tiu(copy(ArFunction::Mul, 0x100, Layout::Aligned)),
        Inst::Dma(Dma::Tensor(load(0, 5))),
    ];
    let streams = assemble(&program).expect("three commands");
    assert_eq!((streams.tiu_count, streams.dma_count), (2, 3));
    assert_eq!((streams.tiu.len() % 128, streams.dma.len() % 128), (0, 0));
    let tiu = decode::decode_tiu_stream(&streams.tiu).expect("TIU");
    let dma = decode::decode_dma_stream(&streams.dma).expect("DMA");
    // The TIU reads what the first load wrote; the second load overwrites what the TIU read.
    assert_eq!(tiu.iter().map(|(header, _)| header.cmd_id_dep).collect::<Vec<_>>(), [1, 0]);
    assert_eq!(dma.iter().map(|(header, _)| header.cmd_id_dep).collect::<Vec<_>>(), [0, 1, 0]);
}

/// A value that its field can't hold would become another, valid one: 65536 + 5 channels would be 5.
#[test]
fn values_that_do_not_fit_are_refused() {
    let too_many = DmaTensor { source: DmaBlock { shape: Shape::new(1, 65536 + 5, 3, 7), ..load(0, 5).source }, ..load(0, 5) };
    let Tiu::Ar(mut wide) = copy(ArFunction::Mul, 0x100, Layout::Aligned) else { panic!("an AR") };
    wide.shape.w = 1 << 16;
    let text = |program: &[Inst]| assemble(program).map(|_| ()).map_err(|error| error.to_string());
    assert_eq!(
        text(&[Inst::Dma(Dma::Tensor(load(0, 5))), Inst::Dma(Dma::Tensor(too_many))]),
        Err("DMA command 1: src_csize is 65541, its field has 16 bits".to_string())
    );
    assert_eq!(
        text(&[Inst::Dma(Dma::Tensor(load(0, 5))), Inst::Tiu(Tiu::Ar(wide))]),
        Err("TIU command 0: res0_w is 65536, its field has 16 bits".to_string())
    );
    // Ids are fields as any other.
    let fits = copy(ArFunction::Mul, 0x100, Layout::Aligned);
    assert_eq!(try_encode_tiu(&fits, (1 << 20) - 1, 0), Ok(encode_tiu(&fits, (1 << 20) - 1, 0)));
    let error = try_encode_tiu(&fits, 1 << 20, 0).expect_err("20 bits");
    assert_eq!(error, EncodeError { field: "cmd_id", value: 1 << 20, bits: 20 });
}

#[test]
fn faults_of_order_are_named() {
    let write = |engine, id, dep| Command {
        engine,
        footprint: Footprint { reads: vec![], writes: vec![Region::local(0..1, 0..64)] },
        cmd_id: id,
        cmd_id_dep: dep,
    };
    let texts = |tiu: &[Command], dma: &[Command]| verify(tiu, dma).iter().map(Hazard::to_string).collect::<Vec<_>>();
    use Engine::{Dma, Tiu};
    assert_eq!(
        texts(&[write(Tiu, 1, 0)], &[write(Dma, 1, 0)]),
        [
            "TIU command 0 (writes lane 0 bytes 0x0..0x40) and DMA command 0 (writes lane 0 bytes 0x0..0x40) are not ordered"
        ]
    );
    assert_eq!(texts(&[write(Tiu, 1, 1)], &[write(Dma, 1, 0)]), [""; 0]);
    assert_eq!(
        texts(&[write(Tiu, 1, 1)], &[write(Dma, 1, 1)]),
        ["TIU command 0 and DMA command 0 wait for each other"]
    );
    assert_eq!(
        texts(&[write(Tiu, 1, 2)], &[write(Dma, 1, 0)]),
        ["TIU command 0 waits for 2 commands of the other queue, which has 1"]
    );
    assert_eq!(
        texts(&[write(Tiu, 7, 1)], &[write(Dma, 1, 0)]),
        ["TIU command 0 has id 7, its place in the queue is 1"]
    );
}

#[test]
fn fifty_thousand_commands() {
    // Double buffering over a local memory that is used up and used again, in pieces that do not fit each other.
    let mut program = Vec::new();
    for i in 0..25_000u64 {
        let start = i * 5_003 % 200_000;
        let (lane, lanes) = ((i % 7) as u32, 1 + (i * 11 % 57) as u32);
        let region = Region::local(lane..lane + lanes, start..start + 3_000 + i % 977);
        let result = Region::local(0..64, start / 2..start / 2 + 2_000);
        program.push(Command::new(Engine::Dma, Footprint { reads: vec![], writes: vec![region] }));
        program.push(Command::new(Engine::Tiu, Footprint { reads: vec![region], writes: vec![result] }));
    }
    let clock = std::time::Instant::now();
    assign_dependencies(&mut program);
    println!("50,000 commands: waits in {:?}", clock.elapsed());
    let (tiu, dma): (Vec<_>, Vec<_>) = program.into_iter().partition(|command| command.engine == Engine::Tiu);
    let clock = std::time::Instant::now();
    assert_eq!(verify(&tiu, &dma), vec![]);
    println!("50,000 commands: verified in {:?}", clock.elapsed());
}
