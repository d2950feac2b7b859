//! What a bmodel holds, free of its encoding.
//!
//! The field names follow the container's own vocabulary: a *net* has one *stage* per set of input shapes, a stage has
//! tensors, a coefficient blob, command groups and the sub-networks that the groups belong to.

use std::ops::Range;
use std::sync::Arc;

/// Immutable bytes, cheap to clone and to cut: blobs of a file that was read share the file's one buffer.
#[derive(Clone)]
pub struct Blob {
    buffer: Arc<Vec<u8>>,
    range: Range<usize>,
}

impl Blob {
    /// The part of this blob at `range` (relative to the blob), sharing its buffer; `None` if it does not lie inside.
    pub fn slice(&self, range: Range<usize>) -> Option<Blob> {
        if range.start > range.end || range.end > self.len() {
            return None;
        }
        let start = self.range.start + range.start;
        Some(Blob { buffer: self.buffer.clone(), range: start..start + range.len() })
    }
}

impl std::ops::Deref for Blob {
    type Target = [u8];
    fn deref(&self) -> &[u8] {
        &self.buffer[self.range.clone()]
    }
}

impl From<Vec<u8>> for Blob {
    fn from(bytes: Vec<u8>) -> Blob {
        let range = 0..bytes.len();
        Blob { buffer: Arc::new(bytes), range }
    }
}

impl From<&[u8]> for Blob {
    fn from(bytes: &[u8]) -> Blob {
        Blob::from(bytes.to_vec())
    }
}

impl Default for Blob {
    fn default() -> Blob {
        Blob::from(Vec::new())
    }
}

impl PartialEq for Blob {
    fn eq(&self, other: &Blob) -> bool {
        self[..] == other[..]
    }
}

impl Eq for Blob {}

impl std::fmt::Debug for Blob {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} bytes", self.len())
    }
}

/// One bmodel file. `Model::new` gives an empty one that has everything the vendor's runtime requires of the head.
#[derive(Debug, Clone, PartialEq)]
pub struct Model {
    /// The chip's name in capitals: `BM1684X`.
    pub chip: String,
    /// The container's version, `2.2`.
    pub version: String,
    /// The container's type, always `B`.
    pub kind: String,
    /// When the file was made, as text. The caller decides it, so that equal models give equal bytes.
    pub time: String,
    pub nets: Vec<Net>,
    /// Bytes of activation memory of the largest stage; 0 = not given.
    pub neuron_size: u64,
    /// Number of devices; 0 = not given.
    pub device_num: u32,
    pub bmodel_type: u32,
    /// The vendor's firmware. Read and described, never written for BM1684X.
    pub kernel_module: Option<Module>,
    /// A library of CPU layers.
    pub cpuop_module: Option<Module>,
    pub lib_backend: Option<Blob>,
}

impl Model {
    /// A model without nets for `chip`.
    pub fn new(chip: &str, time: &str) -> Model {
        Model {
            chip: chip.to_owned(),
            version: "2.2".to_owned(),
            kind: "B".to_owned(),
            time: time.to_owned(),
            nets: Vec::new(),
            neuron_size: 0,
            device_num: 0,
            bmodel_type: 0,
            kernel_module: None,
            cpuop_module: None,
            lib_backend: None,
        }
    }

    /// The net of this name.
    pub fn net(&self, name: &str) -> Option<&Net> {
        self.nets.iter().find(|net| net.name == name)
    }
}

/// A library that travels in the file.
#[derive(Debug, Clone, PartialEq)]
pub struct Module {
    pub file_name: String,
    pub binary: Blob,
    pub mode: i32,
}

#[derive(Debug, Clone, PartialEq)]
pub struct Net {
    pub name: String,
    /// One per set of input shapes, at least one.
    pub stages: Vec<Stage>,
    /// Where inputs and outputs live: 0 in the ctx region, 1 in a region of their own, 2 and 3 tagged (BM1688).
    pub addr_mode: i32,
    /// The net's place in a chain of devices.
    pub cascade: Option<Cascade>,
}

#[derive(Debug, Clone, PartialEq)]
pub struct Cascade {
    pub device_id: u32,
    pub step: u32,
    pub main_name: Option<String>,
}

/// A net compiled for one set of input shapes.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Stage {
    pub inputs: Vec<Tensor>,
    pub outputs: Vec<Tensor>,
    /// Address of the activation region in the compiler's address space.
    pub ctx_addr: u64,
    /// Bytes of the activation region.
    pub ctx_size: u64,
    /// Sizes of its parts, where a file splits it; empty when `ctx_size` says all.
    pub ctx_sizes: Vec<u64>,
    pub coeff: Option<Coeff>,
    /// The command groups in running order. The sub-networks list the same groups, cut by sub-network.
    pub groups: Vec<CmdGroup>,
    pub subnets: Vec<SubNet>,
    /// Number of cores; 0 = not given (one).
    pub core_num: u32,
    /// Address and bytes of the region of inputs and outputs with `addr_mode` 1.
    pub io_addr: u64,
    pub io_size: u64,
    pub cpu_mem_size: u32,
    /// Shapes are decided when the net runs (`ir` holds the program).
    pub is_dynamic: bool,
    pub n_dynamic: bool,
    pub h_w_dynamic: bool,
    pub stage_ir: Vec<StageIr>,
    pub ir: Option<Blob>,
    pub profile: Option<Blob>,
    pub statistics: Option<Blob>,
    pub tensor_locations: Option<Blob>,
    pub dynamic_ctx_addr: u64,
    pub dynamic_coeff_offset: u64,
    pub dynamic_combined_coeff_offset: u64,
}

impl Stage {
    /// A static stage of one TPU sub-network that runs all `groups` on one core, inputs and outputs inside the ctx region.
    pub fn single_subnet(inputs: Vec<Tensor>, outputs: Vec<Tensor>, ctx_addr: u64, ctx_size: u64, coeff: Option<Coeff>, groups: Vec<CmdGroup>) -> Stage {
        let subnet = SubNet { inputs: inputs.clone(), outputs: outputs.clone(), groups: groups.clone(), run_core: 1, next_ids: vec![-1], ..SubNet::default() };
        Stage { inputs, outputs, ctx_addr, ctx_size, coeff, groups, subnets: vec![subnet], core_num: 1, ..Stage::default() }
    }
}

#[derive(Debug, Clone, PartialEq)]
pub struct StageIr {
    pub ir_info_len: u32,
    pub height_high: i32,
    pub height_low: i32,
    pub width_high: i32,
    pub width_low: i32,
}

/// Element types of the container, by code.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum DataType {
    #[default]
    F32 = 0,
    F16 = 1,
    I8 = 2,
    U8 = 3,
    I16 = 4,
    U16 = 5,
    I32 = 6,
    U32 = 7,
    BF16 = 8,
    I4 = 9,
    U4 = 10,
}

impl DataType {
    /// All types, at the index of their code.
    pub const ALL: [DataType; 11] = [
        DataType::F32,
        DataType::F16,
        DataType::I8,
        DataType::U8,
        DataType::I16,
        DataType::U16,
        DataType::I32,
        DataType::U32,
        DataType::BF16,
        DataType::I4,
        DataType::U4,
    ];

    pub const fn code(self) -> u32 {
        self as u32
    }

    pub fn from_code(code: u32) -> Option<DataType> {
        DataType::ALL.get(code as usize).copied()
    }

    /// Bits of one element.
    pub const fn bits(self) -> usize {
        match self {
            DataType::F32 | DataType::I32 | DataType::U32 => 32,
            DataType::F16 | DataType::BF16 | DataType::I16 | DataType::U16 => 16,
            DataType::I8 | DataType::U8 => 8,
            DataType::I4 | DataType::U4 => 4,
        }
    }

    /// The name that the vendor's tools print.
    pub const fn name(self) -> &'static str {
        match self {
            DataType::F32 => "float32",
            DataType::F16 => "float16",
            DataType::I8 => "int8",
            DataType::U8 => "uint8",
            DataType::I16 => "int16",
            DataType::U16 => "uint16",
            DataType::I32 => "int32",
            DataType::U32 => "uint32",
            DataType::BF16 => "bfloat16",
            DataType::I4 => "int4",
            DataType::U4 => "uint4",
        }
    }

    /// The type of a dense array in memory; `None` for the packed 4-bit types.
    pub const fn dtype(self) -> Option<tpuc_tensor::DType> {
        use tpuc_tensor::DType;
        Some(match self {
            DataType::F32 => DType::F32,
            DataType::F16 => DType::F16,
            DataType::I8 => DType::I8,
            DataType::U8 => DType::U8,
            DataType::I16 => DType::I16,
            DataType::U16 => DType::U16,
            DataType::I32 => DType::I32,
            DataType::U32 => DType::U32,
            DataType::BF16 => DType::BF16,
            DataType::I4 | DataType::U4 => return None,
        })
    }

    /// The container's type of an array type; `None` where the container has none (64-bit types, bool).
    pub const fn from_dtype(dtype: tpuc_tensor::DType) -> Option<DataType> {
        use tpuc_tensor::DType;
        Some(match dtype {
            DType::F32 => DataType::F32,
            DType::F16 => DataType::F16,
            DType::I8 => DataType::I8,
            DType::U8 => DataType::U8,
            DType::I16 => DataType::I16,
            DType::U16 => DataType::U16,
            DType::I32 => DataType::I32,
            DType::U32 => DataType::U32,
            DType::BF16 => DataType::BF16,
            DType::F64 | DType::I64 | DType::U64 | DType::Bool => return None,
        })
    }
}

impl std::fmt::Display for DataType {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.name())
    }
}

/// A tensor at the edge of a net or sub-network.
#[derive(Debug, Clone, PartialEq)]
pub struct Tensor {
    pub name: String,
    pub data_type: DataType,
    pub shape: Vec<usize>,
    /// Compiler's address in global memory.
    pub device_addr: u64,
    /// Bytes in global memory; 0 = not given.
    pub size: u64,
    /// Packing in global memory: 0 = 1N, 1 = 2N, 2 = 4N (the last two only on BM1684).
    pub st_mode: i32,
    /// 1 = TPU memory, 2 = CPU memory, 3 = both.
    pub mem_type: u32,
    /// For an input the factor that turns a float into the stored integer, for an output the factor that turns the stored
    /// integer into a float.
    pub scale: f32,
    pub zero_point: i32,
    pub cpu_addr: u32,
    pub pad_h: u32,
    /// How the vendor's tools mark the tensor: 1 = input, 2 = output, 0 = not given.
    pub hidden: i32,
    pub index: i32,
    pub relocation: Option<RelEntry>,
}

impl Default for Tensor {
    fn default() -> Tensor {
        Tensor {
            name: String::new(),
            data_type: DataType::F32,
            shape: Vec::new(),
            device_addr: 0,
            size: 0,
            st_mode: 0,
            mem_type: 1,
            scale: 1.0,
            zero_point: 0,
            cpu_addr: 0,
            pad_h: 0,
            hidden: 0,
            index: 0,
            relocation: None,
        }
    }
}

impl Tensor {
    /// Number of elements; `None` where the shape overflows.
    pub fn elements(&self) -> Option<usize> {
        self.shape.iter().try_fold(1usize, |count, &dim| count.checked_mul(dim))
    }

    /// Bytes of the elements, densely packed; `None` where the shape overflows.
    pub fn byte_size(&self) -> Option<usize> {
        self.elements()?.checked_mul(self.data_type.bits()).map(|bits| bits.div_ceil(8))
    }
}

/// The weights of a stage.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Coeff {
    /// Compiler's address in global memory.
    pub address: u64,
    pub data: Blob,
    /// Where each weight lies, for tools.
    pub locations: Vec<Location>,
    /// The check code found in a file, for `describe`. The writer ignores it and always computes the SHA-256 of `data`.
    pub check_code: Option<Vec<u8>>,
    /// 0 = plain.
    pub encrypt_mode: i32,
    pub decrypt_size: u64,
}

impl Coeff {
    pub fn new(address: u64, data: impl Into<Blob>) -> Coeff {
        Coeff { address, data: data.into(), ..Coeff::default() }
    }
}

#[derive(Debug, Clone, PartialEq)]
pub struct Location {
    pub name: String,
    /// Bytes from the start of the coefficients.
    pub offset: u64,
    pub size: u64,
}

/// Instruction streams that run to their end before the next group starts.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct CmdGroup {
    /// Number of TIU commands, the end command included.
    pub tiu_count: u32,
    /// Number of DMA commands, the end command included.
    pub dma_count: u32,
    /// TIU words, padded with zeros to a multiple of 128 bytes.
    pub tiu: Blob,
    /// DMA words, padded with zeros to a multiple of 128 bytes.
    pub dma: Blob,
    pub relocations: Vec<RelEntry>,
}

/// A place in a command that a newer runtime patches.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RelEntry {
    pub base_id: u32,
    pub addr_offset: u32,
    pub cmd_offset: u32,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum SubNetMode {
    #[default]
    Tpu = 0,
    Cpu = 1,
    Merge = 2,
    Switch = 3,
}

/// A part of a stage that runs in one piece.
#[derive(Debug, Clone, PartialEq)]
pub struct SubNet {
    pub mode: SubNetMode,
    pub inputs: Vec<Tensor>,
    pub outputs: Vec<Tensor>,
    pub groups: Vec<CmdGroup>,
    /// Commands per core, on chips with several.
    pub cores: Vec<CoreCommands>,
    pub run_core: u32,
    /// Index in the stage, -1 = not given.
    pub id: i32,
    pub next_ids: Vec<i32>,
    pub is_dynamic: bool,
    pub n_dynamic: bool,
    pub h_w_dynamic: bool,
    pub ir_offset: u32,
    pub ir_len: u32,
    pub cpu_params: Vec<CpuParam>,
    /// Where each output of a merge sub-network comes from.
    pub merge_from: Option<Vec<Vec<i32>>>,
    pub switch: Option<SwitchParam>,
}

impl Default for SubNet {
    fn default() -> SubNet {
        SubNet {
            mode: SubNetMode::Tpu,
            inputs: Vec::new(),
            outputs: Vec::new(),
            groups: Vec::new(),
            cores: Vec::new(),
            run_core: 0,
            id: 0,
            next_ids: Vec::new(),
            is_dynamic: false,
            n_dynamic: false,
            h_w_dynamic: false,
            ir_offset: 0,
            ir_len: 0,
            cpu_params: Vec::new(),
            merge_from: None,
            switch: None,
        }
    }
}

#[derive(Debug, Clone, PartialEq, Default)]
pub struct CoreCommands {
    pub groups: Vec<CmdGroup>,
    pub sdma: Vec<Blob>,
    pub hau: Vec<Blob>,
    pub cdma: Vec<Blob>,
}

/// One layer that runs on the CPU.
#[derive(Debug, Clone, PartialEq)]
pub struct CpuParam {
    pub op_type: i32,
    pub param: Option<Blob>,
    pub consts: Vec<CpuConst>,
    pub is_custom: i32,
}

#[derive(Debug, Clone, PartialEq)]
pub struct CpuConst {
    pub name: Option<String>,
    pub data: Option<Blob>,
    pub check_code: Option<Vec<u8>>,
}

#[derive(Debug, Clone, PartialEq)]
pub struct SwitchParam {
    pub output_from: Vec<Vec<i32>>,
    pub output_branch: Vec<i32>,
}
