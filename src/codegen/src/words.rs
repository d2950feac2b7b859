//! Instruction words of the commands that kernels use.

use tpuc_isa::bm1684x::{Ar, CHIP, Conv, DType, DmaBlock, DmaTensor, Layout, Mm2, Operand, Pool, PoolFunction, Precision, QuantParams, Rq, Sg, Shape, Source, Strides, Tiu, Window};

/// The long TIU form: 128 bytes, one layout of fields for all instructions.
pub struct Words {
    bits: [u8; 128],
    problem: Option<String>,
}

macro_rules! fields {
    ($($name:ident: $at:literal, $width:literal;)*) => {
        #[allow(non_upper_case_globals, dead_code)]
        mod field { $(pub const $name: (&str, usize, usize) = (stringify!($name), $at, $width);)* }
    };
}

fields! {
    cmd_id: 1, 20; cmd_id_dep: 21, 20; tsk_typ: 41, 4; tsk_eu_typ: 45, 5; tsk_opd_num: 51, 2; pad_mode: 53, 2; cmd_id_en: 55, 4;
    res_add: 64, 1; relu: 65, 1; left_tran: 66, 1; kernel_rotate: 68, 1; opd0_sign: 69, 1; opd1_sign: 70, 1; opd2_sign: 71, 1;
    res0_prec: 72, 3; opd0_prec: 75, 3; opd1_prec: 78, 3; opd2_prec: 81, 3; opd0_const: 84, 1; opd1_const: 85, 1; opd2_const: 86, 1;
    res0_str: 87, 3; opd0_str: 90, 3; opd1_str: 93, 3; opd2_str: 96, 3; opd3_const: 126, 1;
    opd0_x_ins0: 128, 4; opd0_y_ins0: 132, 4; opd1_x_ins0: 136, 4; opd1_y_ins0: 140, 4;
    opd0_up_pad: 144, 4; opd0_dn_pad: 148, 4; opd0_lf_pad: 152, 4; opd0_rt_pad: 156, 4; res_op_x_str: 160, 4; res_op_y_str: 164, 4;
    tsk_lane_num: 192, 64; res0_n: 256, 16; res0_c: 272, 16; res0_h: 288, 16; res0_w: 304, 16;
    opd0_n: 320, 16; opd0_c: 336, 16; opd0_h: 352, 16; opd0_w: 368, 16; opd1_n: 384, 16; opd1_c: 400, 16; opd1_h: 416, 16; opd1_w: 432, 16;
    res0_n_str: 448, 16; res0_c_str: 464, 16; opd0_n_str: 480, 16; opd0_c_str: 496, 16; opd1_n_str: 512, 16; opd1_c_str: 528, 16; opd2_n_str: 544, 16; opd2_c_str: 560, 16;
    res0_addr: 576, 32; opd0_addr: 608, 32; opd1_addr: 640, 32; opd2_addr: 672, 32; res0_h_str: 704, 32; res0_w_str: 736, 32;
    opd0_h_str: 768, 32; opd0_w_str: 800, 32; opd1_h_str: 832, 32; opd1_w_str: 864, 32; opd2_h_str: 896, 32; opd2_w_str: 928, 32; res1_addr: 960, 32; opd3_addr: 992, 32;
}
use field::*;
type Field = (&'static str, usize, usize);

/// Writes the low `width` bits of a value at a bit offset.
fn put(bits: &mut [u8], at: usize, width: usize, value: u64) {
    for i in 0..width {
        if value >> i & 1 == 1 {
            bits[(at + i) / 8] |= 1 << ((at + i) % 8);
        }
    }
}

impl Words {
    fn new(kind: u64, function: u64) -> Words {
        let mut words = Words { bits: [0; 128], problem: None };
        words.set(tsk_typ, kind);
        words.set(tsk_eu_typ, function);
        words.set(cmd_id_en, 1);
        words.set(tsk_lane_num, u64::MAX);
        words
    }

    fn set(&mut self, (name, at, width): Field, value: u64) {
        if width < 64 && value >> width != 0 {
            self.problem.get_or_insert_with(|| format!("{name} = {value} needs more than {width} bits"));
        }
        put(&mut self.bits, at, width, value);
    }

    fn shape(&mut self, fields: [Field; 4], shape: Shape) {
        for (field, value) in fields.into_iter().zip([shape.n, shape.c, shape.h, shape.w]) {
            self.set(field, u64::from(value));
        }
    }

    fn layout(&mut self, code: Field, strides: [Field; 4], layout: Layout) {
        let free = |words: &mut Words, s: Strides| {
            for (field, value) in strides.into_iter().zip([s.n, s.c, s.h, s.w]) {
                words.set(field, u64::from(value));
            }
        };
        match layout {
            Layout::Aligned => self.set(code, 0),
            Layout::Compact => self.set(code, 1),
            Layout::Free(s) => {
                self.set(code, 3);
                free(self, s);
            }
        }
    }

    fn source(&mut self, constant: Field, address: Field, source: Source) {
        match source {
            Source::Local(at) => self.set(address, u64::from(at)),
            Source::Const(bits) => {
                self.set(constant, 1);
                self.set(address, u64::from(bits));
            }
        }
    }

    fn window(&mut self, w: &Window) {
        for (field, value) in [
            (res_op_x_str, w.stride_w), (res_op_y_str, w.stride_h), (opd1_x_ins0, w.kernel_insert_w), (opd1_y_ins0, w.kernel_insert_h),
            (opd0_x_ins0, w.input_insert_w), (opd0_y_ins0, w.input_insert_h), (opd0_up_pad, w.pad_top), (opd0_dn_pad, w.pad_bottom),
            (opd0_lf_pad, w.pad_left), (opd0_rt_pad, w.pad_right), (opd1_h, w.kernel_h), (opd1_w, w.kernel_w),
        ] {
            self.set(field, u64::from(value));
        }
        self.set(pad_mode, u64::from(w.pad_mode.code()));
        self.set(kernel_rotate, u64::from(w.rotate));
    }

    fn finish(mut self, id: u32, dep: u32) -> Result<[u8; 128], String> {
        self.set(cmd_id, u64::from(id));
        self.set(cmd_id_dep, u64::from(dep));
        match self.problem {
            None => Ok(self.bits),
            Some(problem) => Err(problem),
        }
    }
}

const RES0: [Field; 4] = [res0_n, res0_c, res0_h, res0_w];
const OPD0: [Field; 4] = [opd0_n, opd0_c, opd0_h, opd0_w];
const RES0_STR: [Field; 4] = [res0_n_str, res0_c_str, res0_h_str, res0_w_str];
const OPD0_STR: [Field; 4] = [opd0_n_str, opd0_c_str, opd0_h_str, opd0_w_str];
const OPD1_STR: [Field; 4] = [opd1_n_str, opd1_c_str, opd1_h_str, opd1_w_str];
const OPD2_STR: [Field; 4] = [opd2_n_str, opd2_c_str, opd2_h_str, opd2_w_str];

fn prec(p: Precision) -> u64 {
    u64::from(p.code())
}

pub fn tiu(inst: &Tiu, id: u32, dep: u32) -> Result<[u8; 128], String> {
    match inst {
        Tiu::Conv(c) => conv(c),
        Tiu::PorD(p) => pool(p),
        Tiu::Ar(a) => ar(a),
        Tiu::Rq(r) => rq(r)?,
        Tiu::Mm2(m) => mm2(m),
        Tiu::Sg(s) => sg(s),
        other => return Err(format!("no words for {other:?}")),
    }
    .finish(id, dep)
}

fn conv(c: &Conv) -> Words {
    let mut w = Words::new(0, 0);
    w.shape(RES0, c.shape);
    w.shape(OPD0, Shape::new(c.shape.n, c.input_c, c.input_h, c.input_w));
    w.window(&c.window);
    w.set(opd1_n, u64::from(c.input_c));
    w.set(opd1_c, u64::from(c.shape.c));
    w.set(tsk_opd_num, 3);
    w.set(res0_prec, prec(c.result.precision));
    w.set(opd0_prec, prec(c.input.dtype.precision));
    w.set(opd1_prec, prec(c.input.dtype.precision));
    w.set(opd2_prec, prec(c.input.dtype.precision));
    w.set(opd0_sign, u64::from(c.input.dtype.signed));
    w.set(opd1_sign, u64::from(c.weight_signed));
    w.set(opd2_sign, u64::from(c.opd2_signed));
    w.set(res_add, u64::from(c.accumulate));
    w.set(res0_addr, u64::from(c.result.addr));
    w.set(opd0_addr, u64::from(c.input.addr));
    w.layout(opd0_str, OPD0_STR, c.input.layout);
    w.source(opd1_const, opd1_addr, c.weight);
    w.source(opd2_const, opd2_addr, c.opd2);
    w.source(opd3_const, opd3_addr, c.pad_value);
    w
}

fn pool(p: &Pool) -> Words {
    let mut w = Words::new(1, u64::from(p.function.code()));
    w.shape(RES0, p.shape);
    w.shape(OPD0, Shape::new(p.shape.n, p.shape.c, p.input_h, p.input_w));
    w.window(&p.window);
    w.set(opd1_n, 1);
    w.set(opd1_c, u64::from(p.shape.c));
    w.set(tsk_opd_num, if p.function == PoolFunction::Depthwise { 3 } else { 1 });
    w.set(res0_prec, prec(p.result.precision));
    w.set(opd0_prec, prec(p.input.dtype.precision));
    w.set(opd1_prec, prec(p.input.dtype.precision));
    let depthwise_integer = p.function == PoolFunction::Depthwise && !p.input.dtype.precision.is_float();
    w.set(opd2_prec, if depthwise_integer { prec(Precision::Int32) } else { prec(p.input.dtype.precision) });
    w.set(opd0_sign, u64::from(p.input.dtype.signed));
    w.set(opd1_sign, u64::from(p.weight_signed));
    w.set(opd2_sign, u64::from(p.opd2_signed));
    if p.function == PoolFunction::Average && !p.input.dtype.precision.is_float() {
        w.set(opd2_n_str, u64::from(p.rounding.code()));
    }
    w.set(res0_addr, u64::from(p.result.addr));
    w.set(opd0_addr, u64::from(p.input.addr));
    w.source(opd1_const, opd1_addr, p.weight);
    w.source(opd2_const, opd2_addr, p.opd2);
    w.source(opd3_const, opd3_addr, p.pad_value);
    w
}

fn ar(a: &Ar) -> Words {
    let mut w = Words::new(3, u64::from(a.function.code()));
    w.shape(RES0, a.shape);
    w.set(res0_prec, prec(a.result.precision));
    w.set(res0_addr, u64::from(a.result.addr));
    w.layout(res0_str, RES0_STR, a.result.layout);
    let operands = [
        (Some(a.opd0), opd0_const, opd0_addr, opd0_prec, opd0_sign, opd0_str, OPD0_STR),
        (a.opd1, opd1_const, opd1_addr, opd1_prec, opd1_sign, opd1_str, OPD1_STR),
        (a.opd2, opd2_const, opd2_addr, opd2_prec, opd2_sign, opd2_str, OPD2_STR),
    ];
    let mut count = 0;
    for (operand, constant, address, precision, sign, layout, strides) in operands {
        let Some(operand) = operand else { continue };
        count += 1;
        let DType { precision: p, signed } = operand.dtype();
        w.set(precision, prec(p));
        w.set(sign, u64::from(signed));
        match operand {
            Operand::Tensor(t) => {
                w.set(address, u64::from(t.addr));
                w.layout(layout, strides, t.layout);
            }
            Operand::Const { bits, .. } => {
                w.set(constant, 1);
                w.set(address, u64::from(bits));
            }
        }
    }
    w.shape(OPD0, a.shape);
    w.shape([opd1_n, opd1_c, opd1_h, opd1_w], a.shape);
    w.set(tsk_opd_num, count);
    if a.function == tpuc_isa::bm1684x::ArFunction::Cast {
        w.set(opd2_sign, u64::from(a.result_signed));
    }
    let rounding = if a.iterations > 0 { u64::from(a.iterations) } else { u64::from(a.rounding.code()) };
    w.set(opd2_n_str, rounding);
    w
}

fn rq(r: &Rq) -> Result<Words, String> {
    let mut w = Words::new(4, 1);
    w.shape(RES0, r.shape);
    w.shape(OPD0, r.shape);
    w.set(res0_prec, prec(r.result.precision));
    w.set(opd0_prec, prec(r.input.precision));
    w.set(opd0_sign, u64::from(r.input.signed));
    w.set(opd2_sign, u64::from(r.result.signed));
    w.set(res0_addr, u64::from(r.result_addr));
    w.set(opd0_addr, u64::from(r.input_addr));
    w.set(opd2_n_str, u64::from(r.rounding.code()));
    w.set(tsk_opd_num, 2);
    w.set(opd1_prec, prec(Precision::Int32));
    match r.params {
        QuantParams::IntTable(at) => {
            w.set(opd1_addr, u64::from(at));
            w.shape([opd1_n, opd1_c, opd1_h, opd1_w], Shape::new(1, r.shape.c, 1, 3));
        }
        QuantParams::Int { multiplier, shift, zero_point } => {
            w.set(opd1_const, 1);
            w.set(opd1_addr, u64::from(multiplier as u32));
            w.set(opd2_const, 1);
            w.set(opd2_addr, u64::from(shift as u8) | u64::from(zero_point as u16) << 16);
        }
        other => return Err(format!("no words for {other:?}")),
    }
    Ok(w)
}

fn mm2(m: &Mm2) -> Words {
    let mut w = Words::new(2, u64::from(m.function.code()));
    w.shape(RES0, Shape::new(1, m.rows, 1, m.cols));
    w.shape([opd1_n, opd1_c, opd1_h, opd1_w], Shape::new(1, m.right_rows, 1, m.right_cols));
    w.shape(OPD0, Shape::new(1, m.rows, 1, m.inner()));
    w.set(res0_prec, prec(m.result_precision));
    w.set(opd0_prec, prec(m.left_dtype.precision));
    w.set(opd1_prec, prec(m.left_dtype.precision));
    w.set(opd2_prec, prec(m.left_dtype.precision));
    w.set(opd0_sign, u64::from(m.left_dtype.signed));
    w.set(opd1_sign, u64::from(m.right_signed));
    w.set(opd2_sign, u64::from(m.opd2_signed));
    w.set(res_add, u64::from(m.accumulate));
    w.set(res0_addr, u64::from(m.result_addr));
    w.source(opd0_const, opd0_addr, m.left);
    w.source(opd1_const, opd1_addr, m.right);
    w.source(opd2_const, opd2_addr, m.opd2);
    w.set(tsk_opd_num, 3);
    w
}

fn sg(s: &Sg) -> Words {
    let mut w = Words::new(6, u64::from(s.function.code()));
    w.shape(RES0, s.shape);
    w.shape(OPD0, Shape::new(1, s.shape.c, s.table_h, s.table_w));
    w.shape([opd1_n, opd1_c, opd1_h, opd1_w], Shape::new(s.shape.n, s.index_c, 1, s.index_w));
    w.set(res0_prec, prec(s.result_precision));
    w.set(opd0_prec, prec(s.table_precision));
    w.set(opd1_prec, prec(s.index_precision));
    w.set(opd0_str, u64::from(s.table_layout));
    w.set(res0_addr, u64::from(s.result_addr));
    w.set(opd0_addr, u64::from(s.table_addr));
    w.set(opd1_addr, u64::from(s.index_addr));
    w.source(opd2_const, opd2_addr, s.opd2);
    w.source(opd3_const, opd3_addr, s.opd3);
    w.set(tsk_opd_num, 2);
    w
}

/// A tensor DMA: 96 bytes.
pub fn dma(inst: &DmaTensor, id: u32, dep: u32) -> Result<[u8; 96], String> {
    let mut bits = [0u8; 96];
    let mut set = |at, width, value: u64| put(&mut bits, at, width, value);
    set(1, 1, u64::from(inst.flags.stride_enable));
    set(2, 1, u64::from(inst.flags.nchw_copy));
    set(5, 4, 1);
    set(9, 20, u64::from(id));
    set(36, 3, u64::from(inst.function.code()));
    set(40, 3, prec(inst.precision));
    set(64, 20, u64::from(dep));
    if let Some(value) = inst.fill {
        set(39, 1, 1);
        set(96, 32, u64::from(value));
    }
    let sizes = |shape: Shape| [shape.n, shape.c, shape.h, shape.w];
    let mut side = |block: &DmaBlock, strides: usize, shape: usize, address: usize| -> Result<(), String> {
        let s = block.strides;
        for (i, (stride, size)) in [s.n, s.c, s.h, s.w].into_iter().zip(sizes(block.shape)).enumerate() {
            if size == 0 || size > 65535 {
                return Err(format!("a DMA dimension is {size}"));
            }
            set(strides + 32 * i, 32, u64::from(stride));
            set(shape + 16 * i, 16, u64::from(size));
        }
        set(address, 40, block.addr);
        Ok(())
    };
    side(&inst.source, 128, 384, 512)?;
    side(&inst.dest, 256, 448, 576)?;
    set(704, 64, u64::MAX);
    debug_assert!(CHIP.lanes == 64);
    Ok(bits)
}

/// The commands that end the two streams of a group.
pub fn tiu_end(id: u32) -> [u8; 16] {
    let mut bits = [0u8; 16];
    for (at, width, value) in [(0, 1, 1), (1, 20, u64::from(id)), (41, 4, 15), (45, 5, 31), (55, 4, 1)] {
        put(&mut bits, at, width, value);
    }
    bits
}

pub fn dma_end(id: u32) -> [u8; 16] {
    let mut bits = [0u8; 16];
    for (at, width, value) in [(3, 1, 1), (5, 4, 1), (9, 20, u64::from(id)), (32, 4, 6)] {
        put(&mut bits, at, width, value);
    }
    bits
}
