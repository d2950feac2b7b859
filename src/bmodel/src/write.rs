//! [`Model`] to bytes.
//!
//! The flatbuffer is padded so that the binary section and every blob in it start at a multiple of 4096 bytes, which lets
//! a runtime map the weights. Equal blobs are stored once. Nothing depends on the clock, on addresses in memory or on
//! the order of a hash table: equal models give equal bytes.

use crate::error::BmodelError;
use crate::flat::Binary;
use crate::model::*;
use crate::read::{HEADER_SIZE, MAGIC};
use crate::schema;
use flatbuffers::{FlatBufferBuilder, Push, TableFinishedWIPOffset, TableUnfinishedWIPOffset, Vector, WIPOffset};
use sha2::{Digest, Sha256};
use std::collections::HashMap;

/// Alignment of the binary section and of its blobs in the file.
const ALIGNMENT: usize = 4096;

/// The bytes of a bmodel file.
///
/// Coefficients get their real SHA-256 as check code. A kernel module is left out for BM1684X, whose runtime has its
/// own. Fails if a net has no stage or the sections do not fit the header's 32-bit sizes.
pub fn write(model: &Model) -> Result<Vec<u8>, BmodelError> {
    for net in &model.nets {
        if net.stages.is_empty() {
            return Err(BmodelError::Write(format!("net '{}' has no stage", net.name)));
        }
    }
    let mut writer = Writer { builder: FlatBufferBuilder::new(), blobs: Vec::new(), known: HashMap::new(), end: 0 };
    let root = writer.model(model);
    writer.builder.finish_minimal(root);
    let flat = writer.builder.finished_data();

    let flat_size = (HEADER_SIZE + flat.len()).next_multiple_of(ALIGNMENT) - HEADER_SIZE;
    let binary_size = writer.end;
    let too_large = |what: &str, size: usize| BmodelError::Write(format!("{what} of {size} bytes is too large for the container"));
    let flat_word = u32::try_from(flat_size).map_err(|_| too_large("description", flat_size))?;
    let binary_word = u32::try_from(binary_size).map_err(|_| too_large("binary section", binary_size))?;

    let mut bytes = Vec::with_capacity(HEADER_SIZE + flat_size + binary_size);
    for word in [MAGIC, HEADER_SIZE as u32, flat_word, binary_word] {
        bytes.extend_from_slice(&word.to_le_bytes());
    }
    bytes.resize(HEADER_SIZE, 0);
    bytes.extend_from_slice(flat);
    bytes.resize(HEADER_SIZE + flat_size, 0);
    for (start, blob) in &writer.blobs {
        bytes.resize(HEADER_SIZE + flat_size + start, 0);
        bytes.extend_from_slice(blob);
    }
    bytes.resize(HEADER_SIZE + flat_size + binary_size, 0);
    Ok(bytes)
}

impl Push for Binary {
    type Output = Binary;

    // SAFETY: the caller gives at least `size()` = 16 bytes; the copy stays within them.
    unsafe fn push(&self, dst: &mut [u8], _written_len: usize) {
        dst[..8].copy_from_slice(&self.start.to_le_bytes());
        dst[8..16].copy_from_slice(&self.size.to_le_bytes());
    }
}

impl Push for RelEntry {
    type Output = RelEntry;

    // SAFETY: the caller gives at least `size()` = 12 bytes; the copy stays within them.
    unsafe fn push(&self, dst: &mut [u8], _written_len: usize) {
        for (bytes, word) in dst.chunks_exact_mut(4).zip([self.base_id, self.addr_offset, self.cmd_offset]) {
            bytes.copy_from_slice(&word.to_le_bytes());
        }
    }
}

type Finished = WIPOffset<TableFinishedWIPOffset>;
type Tables<'b> = WIPOffset<Vector<'b, flatbuffers::ForwardsUOffset<TableFinishedWIPOffset>>>;

struct Writer<'m, 'b> {
    builder: FlatBufferBuilder<'b>,
    /// Start in the binary section, and content.
    blobs: Vec<(usize, &'m [u8])>,
    known: HashMap<&'m [u8], Binary>,
    /// End of the binary section so far.
    end: usize,
}

fn slot(number: u16) -> u16 {
    4 + 2 * number
}

/// A table under construction: scalars that have their default are left out.
struct Fields<'w, 'b> {
    builder: &'w mut FlatBufferBuilder<'b>,
    start: WIPOffset<TableUnfinishedWIPOffset>,
}

impl<'w, 'b> Fields<'w, 'b> {
    fn new(builder: &'w mut FlatBufferBuilder<'b>) -> Fields<'w, 'b> {
        let start = builder.start_table();
        Fields { builder, start }
    }

    fn scalar<T: Push + PartialEq + Default>(self, number: u16, value: T) -> Self {
        self.builder.push_slot(slot(number), value, T::default());
        self
    }

    fn with_default<T: Push + PartialEq>(self, number: u16, value: T, default: T) -> Self {
        self.builder.push_slot(slot(number), value, default);
        self
    }

    fn flag(self, number: u16, value: bool) -> Self {
        self.scalar(number, i32::from(value))
    }

    fn set<T: Push>(self, number: u16, value: Option<T>) -> Self {
        if let Some(value) = value {
            self.builder.push_slot_always(slot(number), value);
        }
        self
    }

    fn done(self) -> Finished {
        let end = self.builder.end_table(self.start);
        WIPOffset::new(end.value())
    }
}

impl<'m, 'b> Writer<'m, 'b> {
    fn blob(&mut self, blob: &'m [u8]) -> Binary {
        if let Some(&known) = self.known.get(blob) {
            return known;
        }
        let start = self.end;
        let binary = Binary { start: start as u64, size: blob.len() as u64 };
        self.end = (start + blob.len()).next_multiple_of(ALIGNMENT);
        self.blobs.push((start, blob));
        self.known.insert(blob, binary);
        binary
    }

    fn optional_blob(&mut self, blob: &'m Option<Blob>) -> Option<Binary> {
        blob.as_ref().map(|blob| self.blob(blob))
    }

    fn tables<T>(&mut self, items: &'m [T], mut each: impl FnMut(&mut Self, &'m T) -> Finished) -> Tables<'b> {
        let offsets: Vec<Finished> = items.iter().map(|item| each(self, item)).collect();
        let vector = self.builder.create_vector(&offsets);
        WIPOffset::new(vector.value())
    }

    /// As `tables`, but absent where there are none.
    fn some_tables<T>(&mut self, items: &'m [T], each: impl FnMut(&mut Self, &'m T) -> Finished) -> Option<Tables<'b>> {
        if items.is_empty() { None } else { Some(self.tables(items, each)) }
    }

    fn vector<T: Push + Copy>(&mut self, items: &[T]) -> Option<WIPOffset<Vector<'b, T::Output>>> {
        if items.is_empty() {
            return None;
        }
        let vector = self.builder.create_vector(items);
        Some(WIPOffset::new(vector.value()))
    }

    fn model(&mut self, m: &'m Model) -> Finished {
        use schema::model as s;
        let kind = self.builder.create_string(&m.kind);
        let version = self.builder.create_string(&m.version);
        let time = self.builder.create_string(&m.time);
        let chip = self.builder.create_string(&m.chip);
        let nets = self.tables(&m.nets, Self::net);
        let kernel = m.kernel_module.as_ref().filter(|_| m.chip != "BM1684X").map(|k| self.module(k, true));
        let cpuop = m.cpuop_module.as_ref().map(|c| self.module(c, false));
        let backend = self.optional_blob(&m.lib_backend);
        Fields::new(&mut self.builder)
            .scalar(s::NEURON_SIZE, m.neuron_size)
            .set(s::LIB_BACKEND, backend)
            .set(s::TYPE, Some(kind))
            .set(s::VERSION, Some(version))
            .set(s::TIME, Some(time))
            .set(s::CHIP, Some(chip))
            .set(s::NET, Some(nets))
            .set(s::KERNEL_MODULE, kernel)
            .set(s::CPUOP_MODULE, cpuop)
            .scalar(s::DEVICE_NUM, m.device_num)
            .scalar(s::BMODEL_TYPE, m.bmodel_type)
            .done()
    }

    fn module(&mut self, m: &'m Module, has_mode: bool) -> Finished {
        use schema::module as s;
        let name = self.builder.create_string(&m.file_name);
        let binary = self.blob(&m.binary);
        let fields = Fields::new(&mut self.builder).set(s::BINARY, Some(binary)).set(s::FILE_NAME, Some(name));
        if has_mode { fields.scalar(s::MODE, m.mode).done() } else { fields.done() }
    }

    fn net(&mut self, n: &'m Net) -> Finished {
        use schema::net as s;
        let name = self.builder.create_string(&n.name);
        let stages = self.tables(&n.stages, Self::stage);
        let cascade = n.cascade.as_ref().map(|c| self.cascade(c));
        Fields::new(&mut self.builder)
            .set(s::NAME, Some(name))
            .set(s::PARAMETER, Some(stages))
            .set(s::CASCADE, cascade)
            .scalar(s::ADDR_MODE, n.addr_mode)
            .done()
    }

    fn cascade(&mut self, c: &'m Cascade) -> Finished {
        use schema::cascade as s;
        let name = c.main_name.as_ref().map(|n| self.builder.create_string(n));
        Fields::new(&mut self.builder).scalar(s::DEVICE_ID, c.device_id).scalar(s::STEP, c.step).set(s::MAIN_NAME, name).done()
    }

    fn stage(&mut self, p: &'m Stage) -> Finished {
        use schema::parameter as s;
        let inputs = self.tables(&p.inputs, Self::tensor);
        let outputs = self.tables(&p.outputs, Self::tensor);
        let coeff = p.coeff.as_ref().map(|c| self.coeff(c));
        let groups = self.some_tables(&p.groups, Self::group);
        let stage_ir = self.some_tables(&p.stage_ir, Self::stage_ir);
        let subnets = self.some_tables(&p.subnets, Self::subnet);
        let ctx_sizes = self.vector(&p.ctx_sizes);
        let ir = self.optional_blob(&p.ir);
        let profile = self.optional_blob(&p.profile);
        let statistics = self.optional_blob(&p.statistics);
        let locations = self.optional_blob(&p.tensor_locations);
        Fields::new(&mut self.builder)
            .scalar(s::CTX_ADDR, p.ctx_addr)
            .scalar(s::CTX_SIZE, p.ctx_size)
            .scalar(s::IO_ADDR, p.io_addr)
            .scalar(s::IO_SIZE, p.io_size)
            .scalar(s::DYNAMIC_CTX_ADDR, p.dynamic_ctx_addr)
            .scalar(s::DYNAMIC_COEFF_OFFSET, p.dynamic_coeff_offset)
            .scalar(s::DYNAMIC_COMBINED_COEFF_OFFSET, p.dynamic_combined_coeff_offset)
            .set(s::NET_PROFILE, profile)
            .set(s::BINARY_IR, ir)
            .set(s::NET_STAT, statistics)
            .set(s::TENSOR_LOC, locations)
            .set(s::INPUT_TENSOR, Some(inputs))
            .set(s::OUTPUT_TENSOR, Some(outputs))
            .set(s::COEFF_MEM, coeff)
            .set(s::CMD_GROUP, groups)
            .set(s::STAGE_IR, stage_ir)
            .set(s::SUB_NET, subnets)
            .set(s::CTX_SIZES, ctx_sizes)
            .flag(s::IS_DYNAMIC, p.is_dynamic)
            .flag(s::N_DYNAMIC, p.n_dynamic)
            .flag(s::H_W_DYNAMIC, p.h_w_dynamic)
            .scalar(s::CPU_MEM_SIZE, p.cpu_mem_size)
            .scalar(s::CORE_NUM, p.core_num)
            .done()
    }

    fn stage_ir(&mut self, r: &'m StageIr) -> Finished {
        use schema::stage_ir as s;
        Fields::new(&mut self.builder)
            .scalar(s::IR_INFO_LEN, r.ir_info_len)
            .scalar(s::HEIGHT_HIGH, r.height_high)
            .scalar(s::HEIGHT_LOW, r.height_low)
            .scalar(s::WIDTH_HIGH, r.width_high)
            .scalar(s::WIDTH_LOW, r.width_low)
            .done()
    }

    fn tensor(&mut self, t: &'m Tensor) -> Finished {
        use schema::tensor as s;
        let name = self.builder.create_string(&t.name);
        let dims: Vec<u64> = t.shape.iter().map(|&d| d as u64).collect();
        let dims = self.builder.create_vector(&dims);
        let shape = Fields::new(&mut self.builder).set(schema::shape::DIM, Some(dims)).done();
        let shapes = self.builder.create_vector(&[shape]);
        Fields::new(&mut self.builder)
            .scalar(s::DEVICE_ADDR, t.device_addr)
            .scalar(s::SIZE, t.size)
            .set(s::RELENTRY, t.relocation)
            .set(s::NAME, Some(name))
            .set(s::SHAPE, Some(shapes))
            .scalar(s::DATA_TYPE, t.data_type.code())
            .scalar(s::ST_MODE, t.st_mode)
            .scalar(s::MEM_TYPE, t.mem_type)
            .with_default(s::SCALE, t.scale, 1.0)
            .scalar(s::CPU_ADDR, t.cpu_addr)
            .scalar(s::PAD_H, t.pad_h)
            .scalar(s::ZERO_POINT, t.zero_point)
            .scalar(s::HIDDEN, t.hidden)
            .scalar(s::INDEX, t.index)
            .done()
    }

    fn coeff(&mut self, c: &'m Coeff) -> Finished {
        use schema::coeff as s;
        let code: [u8; 32] = Sha256::digest(&c.data[..]).into();
        let code = self.builder.create_vector(&code);
        let locations = self.some_tables(&c.locations, Self::location);
        let data = self.blob(&c.data);
        Fields::new(&mut self.builder)
            .scalar(s::ADDRESS, c.address)
            .scalar(s::DECRYPT_SIZE, c.decrypt_size)
            .set(s::BINARY, Some(data))
            .set(s::CHECK_CODE, Some(code))
            .set(s::LOCATION, locations)
            .scalar(s::ENCRYPT_MODE, c.encrypt_mode)
            .done()
    }

    fn location(&mut self, l: &'m Location) -> Finished {
        use schema::location as s;
        let name = self.builder.create_string(&l.name);
        Fields::new(&mut self.builder).scalar(s::OFFSET, l.offset).scalar(s::SIZE, l.size).set(s::NAME, Some(name)).done()
    }

    fn group(&mut self, g: &'m CmdGroup) -> Finished {
        use schema::cmd_group as s;
        let relocations = self.vector(&g.relocations);
        let tiu = (!g.tiu.is_empty()).then(|| self.blob(&g.tiu));
        let dma = (!g.dma.is_empty()).then(|| self.blob(&g.dma));
        Fields::new(&mut self.builder)
            .set(s::BINARY_TIU, tiu)
            .set(s::BINARY_DMA, dma)
            .set(s::RELOC_ENTRIES, relocations)
            .scalar(s::TIU_NUM, g.tiu_count)
            .scalar(s::DMA_NUM, g.dma_count)
            .scalar(s::TIU_BYTES, g.tiu.len() as u32)
            .scalar(s::DMA_BYTES, g.dma.len() as u32)
            .done()
    }

    fn subnet(&mut self, n: &'m SubNet) -> Finished {
        use schema::subnet as s;
        let inputs = self.tables(&n.inputs, Self::tensor);
        let outputs = self.tables(&n.outputs, Self::tensor);
        let groups = self.some_tables(&n.groups, Self::group);
        let cores = self.some_tables(&n.cores, Self::core);
        let params = self.some_tables(&n.cpu_params, Self::cpu_param);
        let next_ids = self.vector(&n.next_ids);
        let merge = n.merge_from.as_ref().map(|from| {
            let from = self.tables(from, Self::output_from);
            Fields::new(&mut self.builder).set(schema::merge_param::OUTPUT_FROM, Some(from)).done()
        });
        let switch = n.switch.as_ref().map(|p| {
            let from = self.tables(&p.output_from, Self::output_from);
            let branch = self.vector(&p.output_branch);
            let fields = Fields::new(&mut self.builder).set(schema::switch_param::OUTPUT_FROM, Some(from));
            fields.set(schema::switch_param::OUTPUT_BRANCH, branch).done()
        });
        Fields::new(&mut self.builder)
            .set(s::CMD_GROUP, groups)
            .set(s::CPU_PARAM, params)
            .set(s::INPUT_TENSOR, Some(inputs))
            .set(s::OUTPUT_TENSOR, Some(outputs))
            .set(s::NEXT_SUBNET_IDS, next_ids)
            .set(s::MERGE_PARAM, merge)
            .set(s::SWITCH_PARAM, switch)
            .set(s::CORE_COMMANDS, cores)
            .scalar(s::MODE, n.mode as i32)
            .flag(s::IS_DYNAMIC, n.is_dynamic)
            .scalar(s::IR_OFFSET, n.ir_offset)
            .scalar(s::IR_LEN, n.ir_len)
            .flag(s::N_DYNAMIC, n.n_dynamic)
            .flag(s::H_W_DYNAMIC, n.h_w_dynamic)
            .with_default(s::ID, n.id, -1)
            .scalar(s::RUN_CORE, n.run_core)
            .done()
    }

    #[allow(clippy::ptr_arg)] // called with the items of a `Vec<Vec<i32>>`
    fn output_from(&mut self, indices: &'m Vec<i32>) -> Finished {
        let indices = self.vector(indices);
        Fields::new(&mut self.builder).set(schema::output_from::INDICE, indices).done()
    }

    fn core(&mut self, c: &'m CoreCommands) -> Finished {
        use schema::core_commands as s;
        let groups = self.some_tables(&c.groups, Self::group);
        let sdma = self.blobs(&c.sdma);
        let hau = self.blobs(&c.hau);
        let cdma = self.blobs(&c.cdma);
        Fields::new(&mut self.builder).set(s::GROUPS, groups).set(s::SDMA, sdma).set(s::HAU, hau).set(s::CDMA, cdma).done()
    }

    fn blobs(&mut self, blobs: &'m [Blob]) -> Option<WIPOffset<Vector<'b, Binary>>> {
        let binaries: Vec<Binary> = blobs.iter().map(|b| self.blob(b)).collect();
        self.vector(&binaries)
    }

    fn cpu_param(&mut self, p: &'m CpuParam) -> Finished {
        use schema::cpu_param as s;
        let consts = self.some_tables(&p.consts, Self::cpu_const);
        let param = self.optional_blob(&p.param);
        Fields::new(&mut self.builder)
            .set(s::PARAM, param)
            .set(s::CONSTS, consts)
            .scalar(s::OP_TYPE, p.op_type)
            .scalar(s::IS_CUSTOM, p.is_custom)
            .done()
    }

    fn cpu_const(&mut self, c: &'m CpuConst) -> Finished {
        use schema::cpu_const as s;
        let name = c.name.as_ref().map(|n| self.builder.create_string(n));
        let code = c.check_code.as_ref().map(|code| self.builder.create_vector(code));
        let data = self.optional_blob(&c.data);
        Fields::new(&mut self.builder).set(s::DATA, data).set(s::NAME, name).set(s::CHECK_CODE, code).done()
    }
}
