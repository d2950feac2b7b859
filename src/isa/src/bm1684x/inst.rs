//! What an instruction is: one record per kind, with fields that mean something.
//!
//! The long and the short form of a TIU instruction decode into the same record; encoding always writes the long form.
//! Shapes and strides are `[N, C, H, W]`; strides are in elements, and the C stride is the distance of two channels of
//! one *lane*, that is of channel `c` and channel `c + 64`. Addresses are bytes: a TIU address is
//! `lane << 18 | offset`, a DMA address is a 40-bit number of the whole memory map.

/// An enum whose variants have a code in the instruction word and a mnemonic.
macro_rules! coded {
    ($(#[$meta:meta])* $name:ident { $($(#[$vmeta:meta])* $variant:ident = $code:literal, $text:literal;)* }) => {
        $(#[$meta])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
        pub enum $name { $($(#[$vmeta])* $variant),* }

        impl $name {
            /// Every variant, in the order of the codes.
            pub const ALL: &'static [$name] = &[$($name::$variant),*];

            /// The code in the instruction word.
            pub const fn code(self) -> u8 {
                match self { $($name::$variant => $code),* }
            }

            /// The variant of a code, `None` where the chip has none.
            pub const fn from_code(code: u64) -> Option<$name> {
                match code { $($code => Some($name::$variant),)* _ => None }
            }

            /// The mnemonic.
            pub const fn name(self) -> &'static str {
                match self { $($name::$variant => $text),* }
            }
        }
    };
}

coded! {
    /// How an element is stored; integers have their sign in a separate bit.
    Precision {
        Int8 = 0, "i8";
        F16 = 1, "f16";
        F32 = 2, "f32";
        Int16 = 3, "i16";
        Int32 = 4, "i32";
        Bf16 = 5, "bf16";
        Int4 = 6, "i4";
    }
}

impl Precision {
    /// Bits of an element.
    pub const fn bits(self) -> u32 {
        match self {
            Precision::Int4 => 4,
            Precision::Int8 => 8,
            Precision::F16 | Precision::Bf16 | Precision::Int16 => 16,
            Precision::F32 | Precision::Int32 => 32,
        }
    }

    /// Bytes of an element; 1 for a pair of `Int4`.
    pub const fn bytes(self) -> u32 {
        match self {
            Precision::Int4 | Precision::Int8 => 1,
            Precision::F16 | Precision::Bf16 | Precision::Int16 => 2,
            Precision::F32 | Precision::Int32 => 4,
        }
    }

    pub const fn is_float(self) -> bool {
        matches!(self, Precision::F16 | Precision::F32 | Precision::Bf16)
    }
}

coded! {
    /// How a value between two results becomes one of them. Float-to-integer casts accept only the first five.
    Rounding {
        HalfToEven = 0, "half_to_even";
        HalfAwayFromZero = 1, "half_away_from_zero";
        TowardsZero = 2, "towards_zero";
        Down = 3, "down";
        Up = 4, "up";
        HalfUp = 5, "half_up";
        HalfDown = 6, "half_down";
    }
}

coded! {
    /// What lies in the padding of a convolution or pooling.
    PadMode {
        Constant = 0, "constant";
        Reflect = 1, "reflect";
        Replicate = 2, "replicate";
        Circular = 3, "circular";
    }
}

/// Precision and sign of an operand. The sign of a float is true in words written here, and means nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct DType {
    pub precision: Precision,
    pub signed: bool,
}

impl DType {
    pub const fn new(precision: Precision, signed: bool) -> Self {
        DType { precision, signed }
    }
    pub const I8: DType = DType::new(Precision::Int8, true);
    pub const U8: DType = DType::new(Precision::Int8, false);
    pub const I16: DType = DType::new(Precision::Int16, true);
    pub const U16: DType = DType::new(Precision::Int16, false);
    pub const I32: DType = DType::new(Precision::Int32, true);
    pub const U32: DType = DType::new(Precision::Int32, false);
    pub const F16: DType = DType::new(Precision::F16, true);
    pub const BF16: DType = DType::new(Precision::Bf16, true);
    pub const F32: DType = DType::new(Precision::F32, true);

    pub const fn bytes(self) -> u32 {
        self.precision.bytes()
    }
}

/// Extents `[N, C, H, W]`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub struct Shape {
    pub n: u32,
    pub c: u32,
    pub h: u32,
    pub w: u32,
}

impl Shape {
    pub const fn new(n: u32, c: u32, h: u32, w: u32) -> Self {
        Shape { n, c, h, w }
    }

    /// Number of elements; the largest number where there are more.
    pub const fn elements(self) -> u64 {
        (self.n as u64 * self.c as u64).saturating_mul(self.h as u64 * self.w as u64)
    }
}

/// Distances in elements between neighbours along N, C, H and W; 0 repeats the same element.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub struct Strides {
    pub n: u32,
    pub c: u32,
    pub h: u32,
    pub w: u32,
}

impl Strides {
    pub const fn new(n: u32, c: u32, h: u32, w: u32) -> Self {
        Strides { n, c, h, w }
    }
}

/// Where the elements of a local tensor lie, relative to its address.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Layout {
    /// Each channel starts at a multiple of 64 bytes.
    Aligned,
    /// Nothing between the channels of a lane.
    Compact,
    /// The strides of the instruction.
    Free(Strides),
}

impl Layout {
    /// The strides in elements of a tensor of this layout that starts in lane `lane`.
    pub fn strides(self, shape: Shape, precision: Precision, lane: u32) -> Strides {
        let plane = shape.h.saturating_mul(shape.w);
        let channel = match self {
            Layout::Free(strides) => return strides,
            Layout::Compact => plane,
            Layout::Aligned => plane.next_multiple_of(super::CHIP.eu_elements(precision.bytes())),
        };
        let blocks = (lane + shape.c).div_ceil(super::CHIP.lanes);
        Strides::new(blocks.saturating_mul(channel), channel, shape.w, 1)
    }
}

/// A tensor in local memory that an instruction reads.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Tensor {
    pub addr: u32,
    pub dtype: DType,
    pub layout: Layout,
}

/// A tensor in local memory that an instruction writes. Its sign follows from the operands, or stands in the record.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Dest {
    pub addr: u32,
    pub precision: Precision,
    pub layout: Layout,
}

/// An operand of an element-wise instruction: a tensor, or one value for all elements.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Operand {
    Tensor(Tensor),
    /// The bit pattern of the value, in the low bits.
    Const {
        bits: u32,
        dtype: DType,
    },
}

impl Operand {
    pub const fn dtype(self) -> DType {
        match self {
            Operand::Tensor(tensor) => tensor.dtype,
            Operand::Const { dtype, .. } => dtype,
        }
    }

    pub const fn tensor(self) -> Option<Tensor> {
        match self {
            Operand::Tensor(tensor) => Some(tensor),
            Operand::Const { .. } => None,
        }
    }
}

/// Data whose type and layout the instruction fixes: a local address, or a bit pattern.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Source {
    Local(u32),
    Const(u32),
}

impl Source {
    pub const fn local(self) -> Option<u32> {
        match self {
            Source::Local(addr) => Some(addr),
            Source::Const(_) => None,
        }
    }
}

/// Window of a convolution or pooling over its input.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Window {
    pub kernel_h: u32,
    pub kernel_w: u32,
    pub stride_h: u32,
    pub stride_w: u32,
    /// Zeros between neighbouring kernel elements: dilation - 1.
    pub kernel_insert_h: u32,
    pub kernel_insert_w: u32,
    /// Zeros between neighbouring input elements, for transposed convolution.
    pub input_insert_h: u32,
    pub input_insert_w: u32,
    pub pad_top: u32,
    pub pad_bottom: u32,
    pub pad_left: u32,
    pub pad_right: u32,
    pub pad_mode: PadMode,
    /// Turn the kernel by 180 degrees.
    pub rotate: bool,
}

impl Window {
    /// A window of `kernel_h` x `kernel_w` with stride 1 and no padding.
    pub const fn new(kernel_h: u32, kernel_w: u32) -> Self {
        Window {
            kernel_h,
            kernel_w,
            stride_h: 1,
            stride_w: 1,
            kernel_insert_h: 0,
            kernel_insert_w: 0,
            input_insert_h: 0,
            input_insert_w: 0,
            pad_top: 0,
            pad_bottom: 0,
            pad_left: 0,
            pad_right: 0,
            pad_mode: PadMode::Constant,
            rotate: false,
        }
    }
}

/// Convolution: `result[n, oc, oh, ow] = sum over ic, kh, kw of input * weight`.
///
/// Integers: input and weight `Int8`, result `Int32`; `opd2` is the kernel zero point. Floats: result `F32` or the
/// input's type; `opd2` is the bias, f32, compact (constant 0 for none).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Conv {
    /// Shape of the result.
    pub shape: Shape,
    pub result: Dest,
    /// Aligned or free.
    pub input: Tensor,
    pub input_c: u32,
    pub input_h: u32,
    pub input_w: u32,
    /// Per lane `[oc / 64][ic / cube][kh][kw][cube]`, or one value; same precision as the input.
    pub weight: Source,
    pub weight_signed: bool,
    /// Kernel zero point (integers) or bias (floats).
    pub opd2: Source,
    pub opd2_signed: bool,
    /// Value of the padding, of the input's type; a local address has one per channel.
    pub pad_value: Source,
    pub window: Window,
    /// Add to what the result's memory holds.
    pub accumulate: bool,
    pub relu: bool,
}

coded! {
    /// Pooling or depthwise convolution.
    PoolFunction {
        Depthwise = 0, "pord.depthwise";
        Average = 1, "pord.avgpooling";
        DepthwiseRelu = 2, "pord.depthwiserelu";
        Max = 4, "pord.maxpooling";
        RoiDepthwise = 5, "pord.roiDepthwise";
        RoiAverage = 6, "pord.roiavgpooling";
        RoiMax = 7, "pord.roimaxpooling";
    }
}

/// Pooling or depthwise convolution (PorD): a window over each channel alone.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Pool {
    pub function: PoolFunction,
    /// Shape of the result.
    pub shape: Shape,
    /// Aligned.
    pub result: Dest,
    /// Aligned.
    pub input: Tensor,
    pub input_h: u32,
    pub input_w: u32,
    /// Depthwise: compact `(1, c, kh, kw)`. Average: the constant multiplier (float: 1 / elements).
    pub weight: Source,
    pub weight_signed: bool,
    /// Depthwise: the bias, compact `(1, c, 1, 1)`; i32 or the float type. Integer average: the right shift.
    pub opd2: Source,
    pub opd2_signed: bool,
    /// Value of the padding.
    pub pad_value: Source,
    pub window: Window,
    /// Of the integer average.
    pub rounding: Rounding,
    /// Where the ROI variants read their boxes; 0 otherwise.
    pub roi: u32,
}

coded! {
    /// Which factors are stored transposed.
    Mm2Function {
        Nn = 4, "mm2.nn";
        Nt = 5, "mm2.nt";
        Tt = 6, "mm2.tt";
    }
}

/// Matrix product with a row per lane: row `r` of a matrix is channel `r`, columns run along W, aligned.
///
/// `Nn`: left MxK, right KxN, result MxN. `Nt`: right NxK. `Tt`: left KxM, right NxK, result NxM.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Mm2 {
    pub function: Mm2Function,
    /// `res0_c` x `res0_w`: the result as it is stored.
    pub rows: u32,
    pub cols: u32,
    /// The right factor as it is stored.
    pub right_rows: u32,
    pub right_cols: u32,
    pub result_addr: u32,
    pub result_precision: Precision,
    pub left: Source,
    pub left_dtype: DType,
    /// Same precision as the left factor.
    pub right: Source,
    pub right_signed: bool,
    /// Integers: the right factor's zero point.
    pub opd2: Source,
    pub opd2_signed: bool,
    pub accumulate: bool,
}

impl Mm2 {
    /// Length of the sums.
    pub const fn inner(&self) -> u32 {
        match self.function {
            Mm2Function::Nn => self.right_rows,
            Mm2Function::Nt | Mm2Function::Tt => self.right_cols,
        }
    }
}

/// Matrix product with columns spread over the lanes: row `r` is N index `r`, column `k` is in lane `k / width`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Mm {
    /// The left matrix as it is stored: `left_rows` rows of `left_blocks` lanes with `left_width` columns each, of which
    /// the last lane has `left_last_width`.
    pub left_rows: u32,
    pub left_blocks: u32,
    pub left_width: u32,
    pub left_last_width: u32,
    pub left_transposed: bool,
    /// Columns of the result (and of the right matrix): `result_blocks` lanes of `result_width`.
    pub result_blocks: u32,
    pub result_width: u32,
    pub result_addr: u32,
    pub result_precision: Precision,
    pub left: Source,
    pub left_dtype: DType,
    /// Same precision as the left matrix.
    pub right_addr: u32,
    pub right_signed: bool,
    /// Bias row of `F32` factors. Integers have none: the vendor leaves address 0 here, which is not read.
    pub opd2: Source,
    pub opd2_signed: bool,
    pub opd3_addr: u32,
    pub rounding: Rounding,
    pub accumulate: bool,
}

coded! {
    /// Element-wise arithmetic.
    ArFunction {
        Mul = 0, "arith.mul";
        Not = 1, "arith.not";
        Add = 2, "arith.add";
        Sub = 3, "arith.sub";
        Max = 4, "arith.max";
        Min = 5, "arith.min";
        LogicShift = 6, "arith.logicShift";
        And = 7, "arith.and";
        Or = 8, "arith.or";
        Xor = 9, "arith.xor";
        /// `opd0 > opd1 ? opd0 : opd2`, and so on: see the executor.
        SelectGreater = 10, "arith.selectGreat";
        SelectEqual = 11, "arith.selectEqual";
        Div = 12, "arith.div";
        SelectLess = 13, "arith.selectLess";
        Cast = 14, "arith.cast";
        AddSaturate = 15, "arith.adds";
        SubSaturate = 16, "arith.subs";
        Mac = 18, "arith.mac";
        Copy = 19, "arith.copy";
        MulSaturate = 20, "arith.muls";
        ArithShift = 21, "arith.ashift";
        RotateShift = 22, "arith.cshift";
        MulDhr = 23, "arith.mulDHR";
        EuIndex = 24, "arith.euIdxGen";
        LaneIndex = 25, "arith.npuIdxGen";
        Abs = 26, "arith.abs";
        AbsDifference = 27, "arith.fsubabs";
        CopyBatch = 28, "arith.copyMb";
        FirstOne = 29, "arith.getFirstOne";
        FirstZero = 30, "arith.getFirstZero";
    }
}

/// Element-wise arithmetic (AR) over the result's shape.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Ar {
    pub function: ArFunction,
    pub shape: Shape,
    pub result: Dest,
    /// The index generators have none: constant 0.
    pub opd0: Operand,
    pub opd1: Option<Operand>,
    /// Needs `opd1`. In saturating functions: the shift, negative to the right.
    pub opd2: Option<Operand>,
    /// `Cast`: sign of the result; false for the other functions.
    pub result_signed: bool,
    /// Half to even for `Div`.
    pub rounding: Rounding,
    /// `Div`: Newton iterations (the vendor uses 2); 0 for the other functions.
    pub iterations: u8,
}

/// Parameters of a requantization or dequantization: a table with a record per channel, or the same for all.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum QuantParams {
    /// Records of two f32 per channel at this local address (scale and offset), aligned `(1, c, 1, 2)`.
    FloatTable(u32),
    /// Requantization: `round(x * scale + offset)`; dequantization: `(x - offset) * scale` with the offset in
    /// [`QuantParams::FloatDequant`].
    Float { scale: f32, offset: f32 },
    /// Dequantization: `(x - zero_point) * scale`.
    FloatDequant { scale: f32, zero_point: i32 },
    /// Records of three i32 per channel at this local address (multiplier, shift, zero point), aligned `(1, c, 1, 3)`.
    IntTable(u32),
    /// `round(x * multiplier >> -shift) + zero_point`; a negative shift goes to the right.
    Int { multiplier: i32, shift: i8, zero_point: i16 },
}

/// Requantization (RQ): i32, i16 or i8 to a narrower integer, or i32/f32 by a float scale; aligned operands.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Rq {
    pub shape: Shape,
    pub result_addr: u32,
    pub result: DType,
    pub input_addr: u32,
    pub input: DType,
    /// Float or integer, table or constant; not `FloatDequant`.
    pub params: QuantParams,
    pub rounding: Rounding,
}

/// Dequantization (DQ): integer to float by a scale, or integer to integer; aligned operands.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Dq {
    pub shape: Shape,
    pub result_addr: u32,
    pub result: DType,
    pub input_addr: u32,
    pub input: DType,
    /// Float or integer, table or constant; not `Float`.
    pub params: QuantParams,
    pub rounding: Rounding,
}

coded! {
    /// Transposes and copies between lanes.
    TransBcFunction {
        /// C and W change places; the source is aligned, the rows of the result too.
        CwTranspose = 0, "tsbc.cw_ts";
        /// W and C change places; both aligned.
        WcTranspose = 1, "tsbc.wc_ts";
        /// Same channels, other start lane.
        LaneCopy = 2, "tsbc.l_copy";
        /// One channel to `shape.c` lanes.
        LaneBroadcast = 3, "tsbc.l_bc";
        /// A row of static memory to `shape.c` lanes.
        StaticBroadcast = 4, "tsbc.s_bc";
        /// Word `i` of static memory to lane `i`.
        StaticDistribute = 5, "tsbc.s_distribute";
    }
}

/// Transpose or copy between lanes (TRANS/BC). Aligned where the function does not say otherwise.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct TransBc {
    pub function: TransBcFunction,
    /// Shape of the result; N and H are the source's too.
    pub shape: Shape,
    pub precision: Precision,
    pub result_addr: u32,
    /// Local, or static for the two static functions.
    pub source_addr: u32,
    pub source_c: u32,
    pub source_w: u32,
}

coded! {
    /// Gather and scatter inside the lanes.
    SgFunction {
        GatherD1 = 0, "sg.pl_gather_d1coor";
        GatherD2 = 1, "sg.pl_gather_d2coor";
        GatherRect = 2, "sg.pl_gather_rec";
        ScatterD1 = 3, "sg.pl_scatter_d1coor";
        ScatterD2 = 4, "sg.pl_scatter_d2coor";
        /// Table look-up: each lane by its own indices.
        LaneGather = 5, "sg.pe_s_gather_d1coor";
        LaneScatter = 6, "sg.pe_s_scatter_d1coor";
        LaneGatherMulti = 7, "sg.pe_m_gather_d1coor";
        MaskSelect = 8, "sg.pe_s_mask_select";
        NonZero = 9, "sg.pe_s_nonzero";
        LaneScatterPp = 10, "sg.pe_s_scatter_pp_d1coor";
        GatherPerW = 11, "sg.pl_gather_perw";
        ScatterPerW = 12, "sg.pl_scatter_perw";
        LaneGatherHzd = 13, "sg.pe_s_gather_hzd";
        LaneScatterHzd = 14, "sg.pe_s_scatter_hzd";
        MaskSelectHzd = 15, "sg.pe_s_mask_selhzd";
        NonZeroHzd = 16, "sg.pe_s_nonzero_hzd";
    }
}

/// Gather or scatter inside the lanes (SG).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Sg {
    pub function: SgFunction,
    /// Shape of the result.
    pub shape: Shape,
    pub result_addr: u32,
    pub result_precision: Precision,
    /// What is gathered from, or the values that are scattered.
    pub table_addr: u32,
    pub table_precision: Precision,
    /// Layout code of the table: 4 is one row per lane for all channels (look-up table), 0 aligned.
    pub table_layout: u8,
    pub table_h: u32,
    pub table_w: u32,
    pub index_addr: u32,
    pub index_precision: Precision,
    pub index_c: u32,
    pub index_w: u32,
    /// Fill value or second operand, by function.
    pub opd2: Source,
    pub opd3: Source,
    /// Where the counting functions write their counts.
    pub result1_addr: u32,
}

coded! {
    /// Gather and scatter of whole rows.
    SglFunction {
        GatherLine = 17, "sgl.pe_s_gather_line";
        ScatterLine = 18, "sgl.pe_s_scatter_line";
    }
}

/// Gather or scatter of rows along H by a shared index (SGL); line-aligned.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Sgl {
    pub function: SglFunction,
    pub shape: Shape,
    pub result_addr: u32,
    pub precision: Precision,
    pub table_addr: u32,
    pub table_layout: u8,
    pub table_h: u32,
    pub index_addr: u32,
    pub index_precision: Precision,
    pub opd2: Source,
    pub opd3_const: bool,
    pub result1_addr: u32,
}

coded! {
    /// Special functions.
    SfuFunction {
        Taylor4x = 12, "sfu.taylor_4x";
        Taylor = 13, "sfu.taylor";
        /// The power of two in a float: mantissa cleared.
        Normalize = 15, "sfu.normalize";
        Rsqrt = 17, "sfu.rsqrt";
    }
}

/// Special function of each element (SFU); aligned operands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Sfu {
    pub function: SfuFunction,
    pub shape: Shape,
    pub result_addr: u32,
    pub result_precision: Precision,
    pub source_addr: u32,
    pub source_precision: Precision,
    /// Taylor: coefficients, lowest order first, in every lane.
    pub table_addr: u32,
    /// Taylor: number of coefficients.
    pub terms: u32,
    /// Rsqrt: iterations - 1.
    pub iterations: u8,
}

coded! {
    /// `a` is the tensor, `b` and `c` are per channel.
    LinFunction {
        /// `a * b + c`
        Mac = 1, "lin.mac";
        /// `(a + b)^2`
        SquareSum = 20, "lin.square_sum";
        /// `(a - b)^2`
        SquareDiff = 21, "lin.square_diff";
    }
}

/// Linear function of each channel (LIN): operand 0 aligned, operands 1 and 2 compact `(1, c, 1, 1)`; one float type.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Lin {
    pub function: LinFunction,
    pub shape: Shape,
    pub precision: Precision,
    pub result_addr: u32,
    pub opd0_addr: u32,
    pub opd1: Source,
    pub opd2: Source,
}

coded! {
    /// Comparison and selection.
    CmpFunction {
        /// Result 0 is the maximum of operands 0 and 1, result 1 is operand 2 or 3 by the same comparison.
        GreaterAndSelect = 22, "cmp.gt_and_sel";
        SelectGreater = 23, "cmp.sel_gt";
        SelectEqual = 24, "cmp.sel_eq";
        LessAndSelect = 25, "cmp.lt_and_sel";
        SelectLess = 26, "cmp.sel_lt";
    }
}

/// Comparison and selection (CMP): `opd0 > opd1 ? opd2 : opd3` and its relatives.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Cmp {
    pub function: CmpFunction,
    pub shape: Shape,
    pub result_addr: u32,
    /// Where the two-result functions write the selection; 0 otherwise.
    pub result1_addr: u32,
    /// Same type as operand 1.
    pub opd0: Source,
    pub opd0_broadcast: u8,
    pub opd1: Source,
    pub opd1_broadcast: u8,
    pub compared: DType,
    /// Type of operands 2 and 3.
    pub selected: Precision,
    pub opd2: Source,
    pub opd3: Source,
}

impl Cmp {
    /// The comparing functions give the larger or smaller operand, the selecting ones an element of operand 2 or 3.
    pub const fn result_precision(&self) -> Precision {
        match self.function {
            CmpFunction::GreaterAndSelect | CmpFunction::LessAndSelect => self.compared.precision,
            CmpFunction::SelectGreater | CmpFunction::SelectEqual | CmpFunction::SelectLess => self.selected,
        }
    }
}

coded! {
    /// Outer operations of two vectors.
    VcFunction {
        Mul = 0, "vc.mul";
        Add = 2, "vc.add";
        Sub = 3, "vc.sub";
        Max = 4, "vc.max";
        Min = 5, "vc.min";
        And = 7, "vc.and";
        Or = 8, "vc.or";
        Xor = 9, "vc.xor";
        SelectGreater = 10, "vc.select_gt";
        SelectEqual = 11, "vc.select_eq";
        Div = 12, "vc.div";
        SelectLess = 13, "vc.select_lt";
        AddSaturate = 15, "vc.add_satu";
        SubSaturate = 16, "vc.sub_satu";
        MulSaturate = 20, "vc.mul_satu";
        MulDhr = 23, "vc.mulDHR";
    }
}

/// Outer operation of two vectors (VC): `result[i, j] = left[i] op right[j]`, in the matrix layout of [`Mm`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Vc {
    pub function: VcFunction,
    pub result_addr: u32,
    pub result_precision: Precision,
    pub result_c: u32,
    pub result_w: u32,
    pub left_addr: u32,
    pub left: DType,
    pub left_c: u32,
    pub left_w: u32,
    pub left_last_width: u32,
    pub right_addr: u32,
    pub right: DType,
    pub opd2_addr: u32,
    pub rounding: Rounding,
}

/// Arithmetic inside one lane (LAR): a 16-byte form of its own, without ids.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Lar {
    pub function: u8,
    pub operands: u8,
    pub start_tid: u8,
    pub result_c: u32,
    pub result_w: u32,
    pub result_addr: u32,
    pub result_precision: Precision,
    pub opd0_addr: u32,
    pub opd0: DType,
    pub opd0_w_stride: u8,
    pub opd1_addr: u32,
    pub opd1: DType,
    pub opd1_w_stride: u8,
    pub opd2: Source,
    pub rounding: Rounding,
}

coded! {
    /// Control of the TIU queue.
    SysFunction {
        InterruptBarrier = 0, "sys.intr_barrier";
        Spb = 1, "sys.spb";
        Swr = 2, "sys.swr";
        SwrFromLocal = 3, "sys.swr_from_lmem";
        SwrCollect = 4, "sys.swr_collect_from_lmem";
        DataBarrier = 5, "sys.data_barrier";
        Nop = 30, "sys.nop";
        End = 31, "sys.end";
    }
}

/// Control of the TIU queue (SYS): 16 bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Sys {
    pub function: SysFunction,
    /// Ids of other engines, 20 bits each.
    pub engine_ids: [u32; 3],
}

impl Sys {
    /// The command that ends the TIU stream of a group.
    pub const END: Sys = Sys { function: SysFunction::End, engine_ids: [0; 3] };
    pub const NOP: Sys = Sys { function: SysFunction::Nop, engine_ids: [0; 3] };
}

/// A TIU instruction.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Tiu {
    Conv(Conv),
    PorD(Pool),
    Mm(Mm),
    Mm2(Mm2),
    Ar(Ar),
    Rq(Rq),
    Dq(Dq),
    TransBc(TransBc),
    Sg(Sg),
    Sgl(Sgl),
    Lar(Lar),
    Sfu(Sfu),
    Lin(Lin),
    Cmp(Cmp),
    Vc(Vc),
    Sys(Sys),
}

/// One side of a DMA: where, how much, and how far apart (in elements).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub struct DmaBlock {
    pub addr: u64,
    pub shape: Shape,
    /// A W stride of 0 means 1: broadcasts and matrices are written so.
    pub strides: Strides,
}

impl DmaBlock {
    /// The strides as the engine uses them, where they count at all.
    pub fn steps(&self) -> Strides {
        Strides { w: self.strides.w.max(1), ..self.strides }
    }
}

coded! {
    /// What a tensor DMA does.
    DmaTensorFunction {
        Copy = 0, "dma.tensor";
        /// N and C change places, or C and W where a side is local: see the executor.
        Transpose = 1, "dma.tensor.transpose";
        /// C and W change places on the way out of local memory.
        Collect = 2, "dma.tensor.collect";
        /// One channel to `dest.shape.c` lanes.
        Broadcast = 3, "dma.tensor.broadcast";
        /// C and W change places on the way into local memory.
        Distribute = 4, "dma.tensor.distribute";
        FourBankCopy = 5, "dma.tensor.4bank_copy";
        FourBankBroadcast = 6, "dma.tensor.4bank_broadcast";
    }
}

/// The switches that all DMA commands have.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct DmaFlags {
    /// Use the strides of the command; otherwise external memory is compact and local memory aligned.
    pub stride_enable: bool,
    /// The destination has the source's shape (its own is then not looked at).
    pub nchw_copy: bool,
    pub decompress: bool,
    /// Which lanes take part; the vendor always writes all ones.
    pub lane_mask: u64,
}

impl DmaFlags {
    pub const STRIDED_COPY: DmaFlags =
        DmaFlags { stride_enable: true, nchw_copy: true, decompress: false, lane_mask: u64::MAX };
    pub const STRIDED: DmaFlags = DmaFlags { nchw_copy: false, ..DmaFlags::STRIDED_COPY };
    pub const PLAIN: DmaFlags = DmaFlags { stride_enable: false, nchw_copy: false, ..DmaFlags::STRIDED_COPY };
}

/// Copy, transpose, broadcast or fill of a tensor.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct DmaTensor {
    pub function: DmaTensorFunction,
    pub precision: Precision,
    pub flags: DmaFlags,
    pub source: DmaBlock,
    pub dest: DmaBlock,
    /// Write this bit pattern into the destination (shape in `dest`) instead of reading.
    pub fill: Option<u32>,
}

/// Matrix between external memory (`shape.h` rows of `shape.w`, `strides.h` apart) and local memory in the layout of
/// [`Mm`] (`shape.n` rows, `shape.c` lanes, `shape.w` columns each). The local side is the one whose `shape.n` is set.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct DmaMatrix {
    pub transpose: bool,
    pub precision: Precision,
    pub flags: DmaFlags,
    pub source: DmaBlock,
    pub dest: DmaBlock,
    pub fill: Option<u32>,
}

/// Flat copy of `elements`, to `lanes` lanes where `broadcast` is set.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct DmaGeneral {
    pub broadcast: bool,
    pub precision: Precision,
    pub flags: DmaFlags,
    pub source_addr: u64,
    pub dest_addr: u64,
    pub elements: u32,
    pub lanes: u32,
    pub fill: Option<u32>,
}

/// Elements where a mask is set, in order, with their number.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct DmaMaskedSelect {
    pub precision: Precision,
    pub mask_precision: Precision,
    pub flags: DmaFlags,
    pub source: DmaBlock,
    pub dest: DmaBlock,
    pub mask_addr: u64,
}

/// Transpose of C and W between two blocks of any memory.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct DmaCwTranspose {
    pub precision: Precision,
    pub flags: DmaFlags,
    pub source: DmaBlock,
    pub dest: DmaBlock,
    pub fill: Option<u32>,
}

/// Indices of the elements that are not zero.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct DmaNonzero {
    pub precision: Precision,
    pub index_precision: Precision,
    pub flags: DmaFlags,
    pub source: DmaBlock,
    /// `strides.n` is the first index.
    pub dest: DmaBlock,
}

/// A side of a gather or scatter: `c` times `h` rows of `w` elements.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub struct DmaRows {
    pub addr: u64,
    pub c: u32,
    pub h: u32,
    pub w: u32,
    pub c_stride: u32,
    pub h_stride: u32,
}

/// Rows by u32 index: gather reads them by index, scatter writes them by index.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct DmaIndexed {
    pub precision: Precision,
    pub flags: DmaFlags,
    pub source: DmaRows,
    pub dest: DmaRows,
    /// `w` is not used.
    pub index: DmaRows,
    /// Gather: the value of rows whose index is out of range.
    pub constant: u32,
}

coded! {
    /// Control of the DMA queue.
    DmaSysFunction {
        End = 0, "dma.sys";
        Nop = 1, "dma.sys.nop";
    }
}

/// Control of the DMA queue: 16 bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct DmaSys {
    pub function: DmaSysFunction,
    pub constant: u32,
}

impl DmaSys {
    /// The command that ends the DMA stream of a group.
    pub const END: DmaSys = DmaSys { function: DmaSysFunction::End, constant: 0 };
}

/// A DMA instruction.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Dma {
    Tensor(DmaTensor),
    Matrix(DmaMatrix),
    MaskedSelect(DmaMaskedSelect),
    General(DmaGeneral),
    CwTranspose(DmaCwTranspose),
    Nonzero(DmaNonzero),
    Sys(DmaSys),
    Gather(DmaIndexed),
    Scatter(DmaIndexed),
}

/// What every command carries beside its operation.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Header {
    /// Number of the command in its queue, from 1.
    pub cmd_id: u32,
    /// Number of commands of the other queue that must be complete before this one starts.
    pub cmd_id_dep: u32,
    /// 1 where the ids count; at 0 the engine does not wait.
    pub cmd_id_en: u8,
    pub pwr_step: u8,
    pub intr_en: bool,
    /// Whether it was a short form.
    pub short: bool,
    /// Bytes of the command in its stream.
    pub length: usize,
}
