//! The last step of code generation: what a kernel wants done to local tensors, as instructions. Everything that depends on
//! an instruction's operand rules is here.

use crate::local::{LANES, Layout as LocalLayout, Local};
use tpuc_isa::bm1684x::{
    Ar, ArFunction, CHIP, Conv as ConvInst, DType as IsaType, Dest, Dma, DmaBlock, DmaFlags, DmaTensor, DmaTensorFunction, Inst, Layout, Mm, Mm2, Mm2Function, Operand, Pool,
    PoolFunction, Precision, QuantParams, Rounding, Rq, Sfu, SfuFunction, Sg, SgFunction, Shape, Source, Strides, Tensor, Tiu, Window as IsaWindow,
};
use tpuc_tensor::DType;

/// A tensor in DDR, relative to the coefficient or the ctx region; strides in elements of N, C, H, W.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Ddr {
    pub region: Region,
    pub offset: u64,
    pub strides: [u64; 4],
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Region {
    Coefficients,
    Context,
}

impl Ddr {
    pub fn context(offset: u64, strides: [u64; 4]) -> Ddr {
        Ddr { region: Region::Context, offset, strides }
    }

    pub fn coefficients(offset: u64, strides: [u64; 4]) -> Ddr {
        Ddr { region: Region::Coefficients, offset, strides }
    }
}

/// A sliding window: `[height, width]` each, pads top, left, bottom, right.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Window {
    pub kernel: [u64; 2],
    pub strides: [u64; 2],
    pub pads: [u64; 4],
    pub dilations: [u64; 2],
}

impl Window {
    fn isa(&self) -> IsaWindow {
        IsaWindow {
            stride_h: self.strides[0] as u32,
            stride_w: self.strides[1] as u32,
            kernel_insert_h: self.dilations[0] as u32 - 1,
            kernel_insert_w: self.dilations[1] as u32 - 1,
            pad_top: self.pads[0] as u32,
            pad_left: self.pads[1] as u32,
            pad_bottom: self.pads[2] as u32,
            pad_right: self.pads[3] as u32,
            ..IsaWindow::new(self.kernel[0] as u32, self.kernel[1] as u32)
        }
    }
}

/// Convolution, of INT8 into i32 sums or of floats into f32.
pub struct Conv {
    pub input: Local,
    pub weights: u64,
    pub weight_signed: bool,
    pub result: Local,
    pub window: Window,
    /// Add to what is in the result.
    pub accumulate: bool,
    /// Local offset of f32 biases, of floats only.
    pub bias: Option<u64>,
    /// What padding holds, of integers.
    pub pad: i16,
}

/// Convolution of every channel by itself, of INT8 into i32 sums or of f32, with bias.
pub struct Depthwise {
    pub input: Local,
    pub weights: u64,
    pub weight_signed: bool,
    pub bias: u64,
    pub result: Local,
    pub window: Window,
    /// What padding holds, of integers.
    pub pad: i16,
}

/// Bytes between neighbouring elements of a row that a DMA command can hold.
pub const MOST_PITCH: u64 = 128;

/// Arithmetic of two floats.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Arithmetic {
    Add,
    Sub,
    Mul,
    Div,
    Max,
    Min,
}

impl Arithmetic {
    fn function(self) -> ArFunction {
        match self {
            Arithmetic::Add => ArFunction::Add,
            Arithmetic::Sub => ArFunction::Sub,
            Arithmetic::Mul => ArFunction::Mul,
            Arithmetic::Div => ArFunction::Div,
            Arithmetic::Max => ArFunction::Max,
            Arithmetic::Min => ArFunction::Min,
        }
    }
}

/// Collects commands in program order, each with the layer that it belongs to.
#[derive(Default)]
pub struct Emitter {
    pub commands: Vec<Inst>,
    pub layers: Vec<usize>,
    /// Regions that DMA commands refer to: (source, destination); resolved to addresses at the end.
    pub regions: Vec<[Option<Region>; 2]>,
    layer: usize,
}

fn isa_type(dtype: DType) -> IsaType {
    match dtype {
        DType::I8 => IsaType::I8,
        DType::U8 | DType::Bool => IsaType::U8,
        DType::I16 => IsaType::I16,
        DType::U16 => IsaType::U16,
        DType::I32 | DType::I64 => IsaType::I32,
        DType::U32 | DType::U64 => IsaType::U32,
        DType::F16 => IsaType::F16,
        DType::BF16 => IsaType::BF16,
        DType::F32 | DType::F64 => IsaType::F32,
    }
}

/// A constant's bits in a float type, rounded once.
pub fn float_bits(v: f64, dtype: DType) -> u32 {
    match dtype {
        DType::F16 => u32::from(half::f16::from_f32(v as f32).to_bits()),
        DType::BF16 => u32::from(half::bf16::from_f32(v as f32).to_bits()),
        _ => (v as f32).to_bits(),
    }
}

fn shape_of(local: &Local) -> Shape {
    let [n, c, h, w] = local.shape.map(|d| d as u32);
    Shape::new(n, c, h, w)
}

fn layout_of(local: &Local) -> Layout {
    match local.layout {
        LocalLayout::Aligned => Layout::Aligned,
        LocalLayout::Compact => Layout::Compact,
        LocalLayout::Free([n, c, h, w]) => Layout::Free(Strides::new(n, c, h, w)),
    }
}

fn tensor(local: &Local) -> Tensor {
    Tensor { addr: local.offset as u32, dtype: isa_type(local.dtype), layout: layout_of(local) }
}

fn dest(local: &Local) -> Dest {
    Dest { addr: local.offset as u32, precision: isa_type(local.dtype).precision, layout: layout_of(local) }
}

impl Emitter {
    pub fn begin_layer(&mut self, layer: usize) {
        self.layer = layer;
    }

    fn push(&mut self, command: Inst, regions: [Option<Region>; 2]) {
        self.commands.push(command);
        self.layers.push(self.layer);
        self.regions.push(regions);
    }

    fn tiu(&mut self, inst: Tiu) {
        self.push(Inst::Tiu(inst), [None, None]);
    }

    /// The local side of a DMA, with the strides of the tensor's layout.
    fn local_block(local: &Local) -> DmaBlock {
        let shape = shape_of(local);
        let strides = layout_of(local).strides(shape, isa_type(local.dtype).precision, 0);
        DmaBlock { addr: CHIP.dma_local_base + local.offset, shape, strides }
    }

    fn ddr_block(local: &Local, ddr: &Ddr) -> DmaBlock {
        let [n, c, h, w] = ddr.strides.map(|s| s as u32);
        DmaBlock { addr: ddr.offset, shape: shape_of(local), strides: Strides::new(n, c, h, w) }
    }

    fn copy(&mut self, precision: Precision, source: DmaBlock, dest: DmaBlock, regions: [Option<Region>; 2]) {
        let inst = DmaTensor { function: DmaTensorFunction::Copy, precision, flags: DmaFlags::STRIDED_COPY, source, dest, fill: None };
        self.push(Inst::Dma(Dma::Tensor(inst)), regions);
    }

    /// DDR to local memory.
    pub fn load(&mut self, local: Local, ddr: Ddr) {
        let precision = isa_type(local.dtype).precision;
        if local.shape[3] > 1 && ddr.strides[3] * u64::from(precision.bytes()) > MOST_PITCH {
            return self.load_far(local, ddr);
        }
        self.copy(precision, Self::ddr_block(&local, &ddr), Self::local_block(&local), [Some(ddr.region), None]);
    }

    /// Rows whose elements are farther apart than the instruction allows: each row goes along H.
    fn load_far(&mut self, local: Local, ddr: Ddr) {
        let precision = isa_type(local.dtype).precision;
        let size = u64::from(precision.bytes());
        let [n, c, height, width] = local.shape;
        let own = layout_of(&local).strides(shape_of(&local), precision, 0);
        for row in 0..height {
            let layout = LocalLayout::Free([own.n, own.c, own.w, 1]);
            let part = Local { offset: local.offset + row * u64::from(own.h) * size, shape: [n, c, width, 1], layout, ..local };
            let from = Ddr { offset: ddr.offset + row * ddr.strides[2] * size, strides: [ddr.strides[0], ddr.strides[1], ddr.strides[3], 1], ..ddr };
            self.copy(precision, Self::ddr_block(&part, &from), Self::local_block(&part), [Some(ddr.region), None]);
        }
    }

    /// Local memory to DDR.
    pub fn store(&mut self, local: Local, ddr: Ddr) {
        let precision = isa_type(local.dtype).precision;
        self.copy(precision, Self::local_block(&local), Self::ddr_block(&local, &ddr), [None, Some(ddr.region)]);
    }

    /// Device memory to device memory, with the strides of each side.
    pub fn transfer(&mut self, shape: [u64; 4], dtype: DType, from: Ddr, to: Ddr) {
        let block = |ddr: &Ddr| Self::ddr_block(&Local { offset: 0, shape, dtype, layout: LocalLayout::Compact }, ddr);
        self.copy(isa_type(dtype).precision, block(&from), block(&to), [Some(from.region), Some(to.region)]);
    }

    /// Local memory `[1, c, h, w]` to DDR `[1, w, h, c]`.
    pub fn store_exchanged(&mut self, local: Local, ddr: Ddr) {
        let [n, c, h, w] = local.shape;
        let dest = Self::ddr_block(&local.with_shape([n, w, h, c]), &ddr);
        let precision = isa_type(local.dtype).precision;
        let inst = DmaTensor { function: DmaTensorFunction::Collect, precision, flags: DmaFlags::STRIDED, source: Self::local_block(&local), dest, fill: None };
        self.push(Inst::Dma(Dma::Tensor(inst)), [None, Some(ddr.region)]);
    }

    /// A lane-by-lane blob of the coefficient region: `lane_bytes` bytes to `offset` of every lane.
    pub fn load_lanes(&mut self, offset: u64, lanes: u64, lane_bytes: u64, at: u64) {
        // Rows of a DMA have at most 65535 elements; whole words make long blobs fit.
        let (dtype, size) = if lane_bytes % 4 == 0 { (DType::I32, 4) } else { (DType::U8, 1) };
        let words = lane_bytes / size;
        let rows = (1..).find(|r| words % r == 0 && words / r <= 65535).unwrap_or(1);
        let row = words / rows;
        let local = Local { offset, shape: [1, lanes, rows, row], dtype, layout: LocalLayout::Compact };
        self.load(local, Ddr::coefficients(at, [lanes * words, words, row, 1]));
    }

    /// The same bits in every element of a tensor.
    pub fn fill(&mut self, local: Local, bits: u32) {
        let value = Operand::Const { bits, dtype: isa_type(local.dtype) };
        self.arithmetic(ArFunction::Copy, &local, value, None, None);
    }

    pub fn conv(&mut self, conv: &Conv) {
        self.tiu(Tiu::Conv(ConvInst {
            shape: shape_of(&conv.result),
            result: dest(&conv.result),
            input: tensor(&conv.input),
            input_c: conv.input.shape[1] as u32,
            input_h: conv.input.shape[2] as u32,
            input_w: conv.input.shape[3] as u32,
            weight: Source::Local(conv.weights as u32),
            weight_signed: conv.weight_signed,
            opd2: conv.bias.map_or(Source::Const(0), |at| Source::Local(at as u32)),
            opd2_signed: conv.weight_signed,
            pad_value: Source::Const(u32::from(conv.pad as u8)),
            window: conv.window.isa(),
            accumulate: conv.accumulate,
            relu: false,
        }));
    }

    pub fn depthwise(&mut self, d: &Depthwise) {
        self.pool(PoolFunction::Depthwise, &d.input, &d.result, d.window, Source::Local(d.weights as u32), d.weight_signed, Source::Local(d.bias as u32), true, u32::from(d.pad as u8));
    }

    #[allow(clippy::too_many_arguments)]
    fn pool(&mut self, function: PoolFunction, input: &Local, result: &Local, window: Window, weight: Source, weight_signed: bool, opd2: Source, opd2_signed: bool, pad: u32) {
        self.tiu(Tiu::PorD(Pool {
            function,
            shape: shape_of(result),
            result: dest(result),
            input: tensor(input),
            input_h: input.shape[2] as u32,
            input_w: input.shape[3] as u32,
            weight,
            weight_signed,
            opd2,
            opd2_signed,
            pad_value: Source::Const(pad),
            window: window.isa(),
            rounding: Rounding::HalfUp,
            roi: 0,
        }));
    }

    /// Maximum; padding never wins.
    pub fn max_pool(&mut self, input: Local, result: Local, window: Window) {
        let (pad, signed) = match input.dtype {
            // The least number of the type.
            DType::F32 => (0xff7f_ffff, true),
            DType::F16 => (0xfbff, true),
            DType::BF16 => (0xff7f, true),
            dtype if dtype.is_signed() => (0x80, true),
            _ => (0, false),
        };
        self.pool(PoolFunction::Max, &input, &result, window, Source::Const(0), signed, Source::Const(0), signed, pad);
    }

    /// saturate(round(sum * multiplier >> rshift)), halves up.
    pub fn average_pool(&mut self, input: Local, result: Local, window: Window, multiplier: i32, rshift: i32) -> Result<(), String> {
        if !(0..=127).contains(&multiplier) || !(0..=31).contains(&rshift) {
            return Err(format!("multiplier {multiplier} and shift {rshift} are beyond what the chip's mean can do"));
        }
        // The sign of the shift operand is that of the input: the result's sign follows from it.
        self.pool(PoolFunction::Average, &input, &result, window, Source::Const(multiplier as u32), false, Source::Const(rshift as u32), false, 0);
        Ok(())
    }

    /// The sum of each window in i32; padding adds nothing. `ones` is a byte 1 for every tap of every channel.
    pub fn sum_pool(&mut self, input: Local, ones: u64, result: Local, window: Window) {
        self.pool(PoolFunction::Depthwise, &input, &result, window, Source::Local(ones as u32), false, Source::Const(0), true, 0);
    }

    /// The same elements, between any two layouts.
    pub fn copy_local(&mut self, input: Local, result: Local) {
        self.arithmetic(ArFunction::Copy, &result, Operand::Tensor(tensor(&input)), None, None);
    }

    /// Sums in f32: a mean whose factor is one.
    pub fn sum_pool_f32(&mut self, input: Local, result: Local, window: Window) {
        self.pool(PoolFunction::Average, &input, &result, window, Source::Const(1f32.to_bits()), true, Source::Const(0), true, 0);
    }

    fn arithmetic(&mut self, function: ArFunction, result: &Local, opd0: Operand, opd1: Option<Operand>, opd2: Option<Operand>) {
        self.rounded(function, result, opd0, opd1, opd2, Rounding::HalfToEven);
    }

    fn rounded(&mut self, function: ArFunction, result: &Local, opd0: Operand, opd1: Option<Operand>, opd2: Option<Operand>, rounding: Rounding) {
        let result_signed = function == ArFunction::Cast && isa_type(result.dtype).signed;
        let iterations = if function == ArFunction::Div { 2 } else { 0 };
        self.tiu(Tiu::Ar(Ar { function, shape: shape_of(result), result: dest(result), opd0, opd1, opd2, result_signed, rounding, iterations }));
    }

    /// Adds an i32 per channel (compact, at `bias`) to sums, in place.
    pub fn add_channel_bias(&mut self, sums: Local, bias: u64) {
        let bias = Local { offset: bias, layout: LocalLayout::Free([0, 1, 0, 0]), ..sums };
        self.add_wrapping(sums, bias, sums);
    }

    pub fn add_wrapping(&mut self, a: Local, b: Local, result: Local) {
        self.arithmetic(ArFunction::Add, &result, Operand::Tensor(tensor(&a)), Some(Operand::Tensor(tensor(&b))), None);
    }

    /// Adds a constant to i32 elements.
    pub fn add_integer(&mut self, input: Local, addend: i32, result: Local) {
        let addend = Operand::Const { bits: addend as u32, dtype: IsaType::I32 };
        self.arithmetic(ArFunction::Add, &result, Operand::Tensor(tensor(&input)), Some(addend), None);
    }

    /// i16 result = constant - input, of i8 elements.
    pub fn subtract_from(&mut self, constant: i8, input: Local, result: Local) {
        let constant = Operand::Const { bits: u32::from(constant as u8), dtype: IsaType::I8 };
        self.arithmetic(ArFunction::Sub, &result, constant, Some(Operand::Tensor(tensor(&input))), None);
    }

    pub fn subtract_wrapping(&mut self, a: Local, b: Local, result: Local) {
        self.arithmetic(ArFunction::Sub, &result, Operand::Tensor(tensor(&a)), Some(Operand::Tensor(tensor(&b))), None);
    }

    /// saturate(a + b); the result is unsigned where its type is.
    pub fn add_saturating(&mut self, a: Local, b: Local, result: Local) {
        if result.dtype.is_signed() {
            self.arithmetic(ArFunction::AddSaturate, &result, Operand::Tensor(tensor(&a)), Some(Operand::Tensor(tensor(&b))), None);
            return;
        }
        // An instruction's result has the sign of its operands: sum and Relu in place first, then the narrowing cast.
        self.arithmetic(ArFunction::AddSaturate, &a, Operand::Tensor(tensor(&a)), Some(Operand::Tensor(tensor(&b))), None);
        self.rounded(ArFunction::Cast, &result, Operand::Tensor(tensor(&a)), None, None, Rounding::HalfToEven);
    }

    /// i16 result = saturate(round(input * multiplier >> rshift)), halves up.
    pub fn multiply_shift(&mut self, input: Local, multiplier: i64, rshift: i64, result: Local) -> Result<(), String> {
        if !(-128..=127).contains(&multiplier) || !(0..=31).contains(&rshift) {
            return Err(format!("multiplier {multiplier} and shift {rshift} do not fit the chip's multiplication"));
        }
        let factor = Operand::Const { bits: (multiplier as i8) as u8 as u32, dtype: IsaType::I8 };
        let shift = Operand::Const { bits: u32::from((-rshift) as i8 as u8), dtype: IsaType::I8 };
        self.rounded(ArFunction::MulSaturate, &result, Operand::Tensor(tensor(&input)), Some(factor), Some(shift), Rounding::HalfUp);
        Ok(())
    }

    /// max(x, 0), and at most `limit` where that is positive, in place, of a tensor of floats.
    pub fn relu_float(&mut self, x: Local, limit: f64) {
        let constant = |v: f64| Operand::Const { bits: float_bits(v, x.dtype), dtype: isa_type(x.dtype) };
        self.arithmetic(ArFunction::Max, &x, Operand::Tensor(tensor(&x)), Some(constant(0.0)), None);
        if limit > 0.0 {
            self.arithmetic(ArFunction::Min, &x, Operand::Tensor(tensor(&x)), Some(constant(limit)), None);
        }
    }

    /// As [`Emitter::multiply_shift`], by an 8-bit factor for each element.
    pub fn multiply_shift_each(&mut self, input: Local, factors: Local, rshift: i64, result: Local) -> Result<(), String> {
        let shift = i8::try_from(-rshift).map_err(|_| format!("shift {rshift} is beyond 8 bits"))?;
        let shift = Operand::Const { bits: u32::from(shift as u8), dtype: IsaType::I8 };
        self.rounded(ArFunction::MulSaturate, &result, Operand::Tensor(tensor(&input)), Some(Operand::Tensor(tensor(&factors))), Some(shift), Rounding::HalfUp);
        Ok(())
    }

    pub fn multiply_wrapping(&mut self, a: Local, b: Local, result: Local) {
        self.arithmetic(ArFunction::Mul, &result, Operand::Tensor(tensor(&a)), Some(Operand::Tensor(tensor(&b))), None);
    }

    pub fn subtract_saturating(&mut self, a: Local, b: Local, result: Local) {
        self.arithmetic(ArFunction::SubSaturate, &result, Operand::Tensor(tensor(&a)), Some(Operand::Tensor(tensor(&b))), None);
    }

    /// The larger or the smaller of two elements of one type.
    pub fn extremum(&mut self, largest: bool, a: Local, b: Local, result: Local) {
        let function = if largest { ArFunction::Max } else { ArFunction::Min };
        self.arithmetic(function, &result, Operand::Tensor(tensor(&a)), Some(Operand::Tensor(tensor(&b))), None);
    }

    /// max(input, constant); also between types of different sign.
    pub fn max_constant(&mut self, input: Local, result: Local, constant: i8) {
        let value = Operand::Const { bits: constant as u8 as u32, dtype: isa_type(input.dtype) };
        self.arithmetic(ArFunction::Max, &result, Operand::Tensor(tensor(&input)), Some(value), None);
    }

    /// min(input, constant), the constant in the input's type.
    pub fn min_constant(&mut self, input: Local, result: Local, constant: u8) {
        let value = Operand::Const { bits: u32::from(constant), dtype: isa_type(input.dtype) };
        self.arithmetic(ArFunction::Min, &result, Operand::Tensor(tensor(&input)), Some(value), None);
    }

    pub fn requant_channels(&mut self, sums: Local, records: u64, result: Local) {
        self.requant(&sums, QuantParams::IntTable(records as u32), &result, Rounding::HalfUp);
    }

    /// saturate(round(sum * multiplier >> rshift) + zero_point), halves up.
    pub fn requant_constant(&mut self, sums: Local, multiplier: i64, rshift: i64, zero_point: i16, result: Local) -> Result<(), String> {
        let multiplier = i32::try_from(multiplier).map_err(|_| format!("multiplier {multiplier} is beyond 32 bits"))?;
        let shift = i8::try_from(-rshift).map_err(|_| format!("shift {rshift} is beyond 8 bits"))?;
        self.requant(&sums, QuantParams::Int { multiplier, shift, zero_point }, &result, Rounding::HalfUp);
        Ok(())
    }

    /// As [`Emitter::requant_constant`] with zero point 0, halves away from zero.
    pub fn requant_half_away(&mut self, sums: Local, multiplier: i64, rshift: i64, result: Local) -> Result<(), String> {
        let multiplier = i32::try_from(multiplier).map_err(|_| format!("multiplier {multiplier} is beyond 32 bits"))?;
        let shift = i8::try_from(-rshift).map_err(|_| format!("shift {rshift} is beyond 8 bits"))?;
        self.requant(&sums, QuantParams::Int { multiplier, shift, zero_point: 0 }, &result, Rounding::HalfAwayFromZero);
        Ok(())
    }

    /// i16 result = input - constant, of i8 elements.
    pub fn subtract_constant(&mut self, input: Local, constant: i8, result: Local) {
        let constant = Operand::Const { bits: u32::from(constant as u8), dtype: IsaType::I8 };
        self.arithmetic(ArFunction::Sub, &result, Operand::Tensor(tensor(&input)), Some(constant), None);
    }

    /// i8 result = saturate(input + constant), of i16 elements.
    pub fn add_constant_saturating(&mut self, input: Local, constant: i16, result: Local) {
        let constant = Operand::Const { bits: u32::from(constant as u16), dtype: IsaType::I16 };
        self.arithmetic(ArFunction::AddSaturate, &result, Operand::Tensor(tensor(&input)), Some(constant), None);
    }

    fn requant(&mut self, sums: &Local, params: QuantParams, result: &Local, rounding: Rounding) {
        self.tiu(Tiu::Rq(Rq {
            shape: shape_of(sums),
            result_addr: result.offset as u32,
            result: isa_type(result.dtype),
            input_addr: sums.offset as u32,
            input: isa_type(sums.dtype),
            params,
            rounding,
        }));
    }

    /// sums = left x right, i8/u8 to i32 or half floats to f32. A transposed right factor has a row for each column of the result.
    pub fn matmul(&mut self, left: Local, right: Local, right_transposed: bool, sums: Local, accumulate: bool) {
        let right_type = isa_type(right.dtype);
        self.tiu(Tiu::Mm2(Mm2 {
            function: if right_transposed { Mm2Function::Nt } else { Mm2Function::Nn },
            rows: sums.shape[1] as u32,
            cols: sums.shape[3] as u32,
            right_rows: right.shape[1] as u32,
            right_cols: right.shape[3] as u32,
            result_addr: sums.offset as u32,
            result_precision: isa_type(sums.dtype).precision,
            left: Source::Local(left.offset as u32),
            left_dtype: isa_type(left.dtype),
            right: Source::Local(right.offset as u32),
            right_signed: right_type.signed,
            opd2: Source::Const(0),
            opd2_signed: right_type.signed,
            accumulate,
        }));
    }

    /// result = left x right + bias in f32. Rows are N; those of the left factor lie in lane 0, columns of the others are dealt
    /// out to the lanes.
    pub fn matmul_f32(&mut self, left: Local, right: Local, bias: Option<Local>, result: Local) {
        let [rows, _, _, width] = left.shape.map(|d| d as u32);
        self.tiu(Tiu::Mm(Mm {
            left_rows: rows,
            left_blocks: 1,
            left_width: width,
            left_last_width: width,
            left_transposed: false,
            result_blocks: result.shape[1] as u32,
            result_width: result.shape[3] as u32,
            result_addr: result.offset as u32,
            result_precision: Precision::F32,
            left: Source::Local(left.offset as u32),
            left_dtype: IsaType::F32,
            right_addr: right.offset as u32,
            right_signed: true,
            opd2: bias.map_or(Source::Const(0), |b| Source::Local(b.offset as u32)),
            opd2_signed: true,
            opd3_addr: 0,
            rounding: Rounding::HalfToEven,
            accumulate: false,
        }));
    }

    /// The polynomial of f32 coefficients that lie in every lane, lowest order first.
    pub fn taylor(&mut self, x: Local, coefficients: Local, terms: usize, result: Local) {
        self.sfu(SfuFunction::Taylor, x, (coefficients.offset as u32, terms as u32), 0, result);
    }

    /// 1 / sqrt(x) of f32.
    pub fn reciprocal_root(&mut self, x: Local, result: Local) {
        self.sfu(SfuFunction::Rsqrt, x, (0, 0), 3, result);
    }

    /// A function of f32 by the special function unit. `table`: where coefficients lie, and how many.
    fn sfu(&mut self, function: SfuFunction, x: Local, (table_addr, terms): (u32, u32), iterations: u8, result: Local) {
        self.tiu(Tiu::Sfu(Sfu {
            function,
            shape: shape_of(&x),
            result_addr: result.offset as u32,
            result_precision: Precision::F32,
            source_addr: x.offset as u32,
            source_precision: Precision::F32,
            table_addr,
            terms,
            iterations,
        }));
    }

    /// Bits of i32 elements that are set in a constant, too.
    pub fn and_integer(&mut self, input: Local, mask: i32, result: Local) {
        let mask = Operand::Const { bits: mask as u32, dtype: IsaType::I32 };
        self.arithmetic(ArFunction::And, &result, Operand::Tensor(tensor(&input)), Some(mask), None);
    }

    /// i32 elements divided by 2^shift, towards minus infinity.
    pub fn shift_right(&mut self, input: Local, shift: i8, result: Local) {
        let shift = Operand::Const { bits: u32::from((-shift) as u8), dtype: IsaType::I8 };
        self.rounded(ArFunction::ArithShift, &result, Operand::Tensor(tensor(&input)), Some(shift), None, Rounding::Down);
    }

    /// Floats rounded to whole numbers, as floats.
    pub fn round_whole(&mut self, input: Local, rounding: Rounding, result: Local) {
        self.rounded(ArFunction::Cast, &result, Operand::Tensor(tensor(&input)), None, None, rounding);
    }

    /// Multiplies i32 elements by a constant.
    pub fn multiply_integer(&mut self, input: Local, factor: i32, result: Local) {
        let factor = Operand::Const { bits: factor as u32, dtype: IsaType::I32 };
        self.arithmetic(ArFunction::Mul, &result, Operand::Tensor(tensor(&input)), Some(factor), None);
    }

    pub fn multiply_float(&mut self, input: Local, factor: f32, result: Local) {
        let factor = Operand::Const { bits: factor.to_bits(), dtype: IsaType::F32 };
        self.arithmetic(ArFunction::Mul, &result, Operand::Tensor(tensor(&input)), Some(factor), None);
    }

    pub fn binary_float(&mut self, operation: Arithmetic, a: Local, b: Local, result: Local) {
        self.arithmetic(operation.function(), &result, Operand::Tensor(tensor(&a)), Some(Operand::Tensor(tensor(&b))), None);
    }

    /// x op constant
    pub fn constant_float(&mut self, operation: Arithmetic, x: Local, constant: f32, result: Local) {
        let constant = Operand::Const { bits: float_bits(f64::from(constant), x.dtype), dtype: isa_type(x.dtype) };
        self.arithmetic(operation.function(), &result, Operand::Tensor(tensor(&x)), Some(constant), None);
    }

    /// constant op x
    pub fn constant_first(&mut self, operation: Arithmetic, constant: f32, x: Local, result: Local) {
        let constant = Operand::Const { bits: float_bits(f64::from(constant), x.dtype), dtype: isa_type(x.dtype) };
        self.arithmetic(operation.function(), &result, constant, Some(Operand::Tensor(tensor(&x))), None);
    }

    pub fn add_float(&mut self, input: Local, addend: f32, result: Local) {
        let addend = Operand::Const { bits: addend.to_bits(), dtype: IsaType::F32 };
        self.arithmetic(ArFunction::Add, &result, Operand::Tensor(tensor(&input)), Some(addend), None);
    }

    pub fn divide(&mut self, a: Local, b: Local, result: Local) {
        self.arithmetic(ArFunction::Div, &result, Operand::Tensor(tensor(&a)), Some(Operand::Tensor(tensor(&b))), None);
    }

    /// Float to integer, halves away from zero, saturated.
    pub fn cast_round_half_away(&mut self, input: Local, result: Local) {
        self.rounded(ArFunction::Cast, &result, Operand::Tensor(tensor(&input)), None, None, Rounding::HalfAwayFromZero);
    }

    /// Float to integer, towards minus infinity, saturated.
    pub fn cast_round_down(&mut self, input: Local, result: Local) {
        self.rounded(ArFunction::Cast, &result, Operand::Tensor(tensor(&input)), None, None, Rounding::Down);
    }

    /// Integer to float: every 8-bit value is exact.
    pub fn cast_exact(&mut self, input: Local, result: Local) {
        self.rounded(ArFunction::Cast, &result, Operand::Tensor(tensor(&input)), None, None, Rounding::HalfToEven);
    }

    /// result = table[index], one table in every lane, of the result's type. (The chip takes 8-bit indices from 128 on for
    /// negative ones: use 16 bits.)
    pub fn lookup(&mut self, table: Local, index: Local, result: Local) {
        // The instruction knows rows only: H and W of an aligned tensor are one run anyway.
        let row = |t: Local| t.with_shape([t.shape[0], t.shape[1], 1, t.shape[2] * t.shape[3]]);
        let (index, result) = (row(index), row(result));
        self.tiu(Tiu::Sg(Sg {
            function: SgFunction::LaneGather,
            shape: shape_of(&result),
            result_addr: result.offset as u32,
            result_precision: isa_type(result.dtype).precision,
            table_addr: table.offset as u32,
            table_precision: isa_type(table.dtype).precision,
            table_layout: 4,
            table_h: 1,
            table_w: table.shape[3] as u32,
            index_addr: index.offset as u32,
            index_precision: isa_type(index.dtype).precision,
            index_c: index.shape[1] as u32,
            index_w: (index.shape[2] * index.shape[3]) as u32,
            opd2: Source::Const(0),
            opd3: Source::Const(0),
            result1_addr: 0,
        }));
    }
}

/// A kernel that goes beyond the lanes is a mistake of ours, found by the legality checker; this keeps sizes honest.
const _: () = assert!(LANES == CHIP.lanes as u64);
