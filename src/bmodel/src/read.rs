//! Bytes to [`Model`].

use crate::error::BmodelError;
use crate::flat::{Binary, Flat, Table};
use crate::model::*;
use crate::schema;

/// First word of a file.
pub(crate) const MAGIC: u32 = 0xFF55_AAEE;
/// Bytes of the file header.
pub(crate) const HEADER_SIZE: usize = 64;

/// Reads a bmodel. Nothing in the bytes is trusted; what is wrong with them comes back as an error.
pub fn read(bytes: &[u8]) -> Result<Model, BmodelError> {
    parse(bytes, || Blob::from(bytes))
}

/// As [`read`], without a copy: the blobs of the model keep the file's buffer.
pub fn read_owned(bytes: Vec<u8>) -> Result<Model, BmodelError> {
    let file = Blob::from(bytes);
    parse(&file, || file.clone())
}

/// The part of a file that holds all blobs.
pub fn binary_section(bytes: &[u8]) -> Result<&[u8], BmodelError> {
    let (flat_end, end) = sections(bytes)?;
    Ok(&bytes[flat_end..end])
}

/// Where the description ends, which begins behind the header, and where the blobs end.
fn sections(bytes: &[u8]) -> Result<(usize, usize), BmodelError> {
    let header = |reason: String| BmodelError::Header { reason };
    if bytes.len() < HEADER_SIZE {
        return Err(header(format!("{} bytes are less than its header of {HEADER_SIZE}", bytes.len())));
    }
    let word = |i: usize| u32::from_le_bytes([bytes[4 * i], bytes[4 * i + 1], bytes[4 * i + 2], bytes[4 * i + 3]]);
    if word(0) != MAGIC {
        return Err(header(format!("it starts with {:#010x} instead of {MAGIC:#010x}", word(0))));
    }
    let header_size = word(1) as usize;
    if header_size != HEADER_SIZE {
        return Err(header(format!("header of {header_size} bytes instead of {HEADER_SIZE}")));
    }
    let flat_end = HEADER_SIZE + word(2) as usize;
    let end = flat_end + word(3) as usize;
    if end > bytes.len() {
        return Err(header(format!("header promises {end} bytes, the file has {}", bytes.len())));
    }
    Ok((flat_end, end))
}

fn parse(bytes: &[u8], file: impl FnOnce() -> Blob) -> Result<Model, BmodelError> {
    let (flat_end, end) = sections(bytes)?;
    let flat = Flat::new(&bytes[HEADER_SIZE..flat_end]);
    let root = flat.root()?;
    let whole = file();
    let blobs = whole.slice(flat_end..end).ok_or_else(|| BmodelError::Header { reason: "binary section out of range".into() })?;
    Reader { blobs }.model(root)
}

struct Reader {
    /// The binary section.
    blobs: Blob,
}

fn broken(place: &str, reason: impl std::fmt::Display) -> BmodelError {
    BmodelError::Broken { place: place.to_owned(), reason: reason.to_string() }
}

impl Reader {
    fn blob(&self, binary: Binary, what: &str) -> Result<Blob, BmodelError> {
        let range = usize::try_from(binary.start).ok().and_then(|start| Some(start..start.checked_add(usize::try_from(binary.size).ok()?)?));
        range.and_then(|range| self.blobs.slice(range)).ok_or_else(|| {
            broken(what, format_args!("{} bytes at {} reach over the binary section ({} bytes)", binary.size, binary.start, self.blobs.len()))
        })
    }

    fn optional_blob(&self, table: &Table<'_, '_>, slot: u16, what: &str) -> Result<Option<Blob>, BmodelError> {
        table.binary(slot)?.map(|binary| self.blob(binary, what)).transpose()
    }

    fn blob_list(&self, table: &Table<'_, '_>, slot: u16, what: &str) -> Result<Vec<Blob>, BmodelError> {
        table.binaries(slot)?.into_iter().map(|binary| self.blob(binary, what)).collect()
    }

    fn model(&self, t: Table<'_, '_>) -> Result<Model, BmodelError> {
        use schema::model as slot;
        Ok(Model {
            chip: t.required_string(slot::CHIP, "model chip")?,
            version: t.required_string(slot::VERSION, "model version")?,
            kind: t.required_string(slot::TYPE, "model type")?,
            time: t.required_string(slot::TIME, "model time")?,
            nets: t.tables(slot::NET, |net| self.net(net))?,
            neuron_size: t.u64(slot::NEURON_SIZE, 0)?,
            device_num: t.u32(slot::DEVICE_NUM, 0)?,
            bmodel_type: t.u32(slot::BMODEL_TYPE, 0)?,
            kernel_module: self.module(t.table(slot::KERNEL_MODULE)?, "kernel module")?,
            cpuop_module: self.module(t.table(slot::CPUOP_MODULE)?, "cpuop module")?,
            lib_backend: self.optional_blob(&t, slot::LIB_BACKEND, "lib_backend")?,
        })
    }

    /// The vendor's tool removes a module by leaving one without name and bytes: that counts as none.
    fn module(&self, table: Option<Table<'_, '_>>, what: &str) -> Result<Option<Module>, BmodelError> {
        use schema::module as slot;
        let Some(t) = table else { return Ok(None) };
        let module = Module {
            file_name: t.required_string(slot::FILE_NAME, what)?,
            binary: self.optional_blob(&t, slot::BINARY, what)?.ok_or_else(|| broken(what, "has no binary"))?,
            mode: t.i32(slot::MODE, 0)?,
        };
        Ok((!module.file_name.is_empty() || !module.binary.is_empty()).then_some(module))
    }

    fn net(&self, t: Table<'_, '_>) -> Result<Net, BmodelError> {
        use schema::net as slot;
        let name = t.required_string(slot::NAME, "net name")?;
        let stages = t.tables(slot::PARAMETER, |stage| self.stage(stage))?;
        let cascade = t.table(slot::CASCADE)?.map(cascade).transpose()?;
        if stages.is_empty() {
            return Err(broken(&format!("net '{name}'"), "has no stage"));
        }
        Ok(Net { name, stages, addr_mode: t.i32(slot::ADDR_MODE, 0)?, cascade })
    }

    fn stage(&self, t: Table<'_, '_>) -> Result<Stage, BmodelError> {
        use schema::parameter as slot;
        Ok(Stage {
            inputs: t.tables(slot::INPUT_TENSOR, tensor)?,
            outputs: t.tables(slot::OUTPUT_TENSOR, tensor)?,
            ctx_addr: t.u64(slot::CTX_ADDR, 0)?,
            ctx_size: t.u64(slot::CTX_SIZE, 0)?,
            ctx_sizes: t.u64s(slot::CTX_SIZES)?,
            coeff: t.table(slot::COEFF_MEM)?.map(|c| self.coeff(c)).transpose()?,
            groups: t.tables(slot::CMD_GROUP, |g| self.group(g))?,
            subnets: t.tables(slot::SUB_NET, |s| self.subnet(s))?,
            core_num: t.u32(slot::CORE_NUM, 0)?,
            io_addr: t.u64(slot::IO_ADDR, 0)?,
            io_size: t.u64(slot::IO_SIZE, 0)?,
            cpu_mem_size: t.u32(slot::CPU_MEM_SIZE, 0)?,
            is_dynamic: t.flag(slot::IS_DYNAMIC)?,
            n_dynamic: t.flag(slot::N_DYNAMIC)?,
            h_w_dynamic: t.flag(slot::H_W_DYNAMIC)?,
            stage_ir: t.tables(slot::STAGE_IR, stage_ir)?,
            ir: self.optional_blob(&t, slot::BINARY_IR, "binary_ir")?,
            profile: self.optional_blob(&t, slot::NET_PROFILE, "net_profile")?,
            statistics: self.optional_blob(&t, slot::NET_STAT, "net_stat")?,
            tensor_locations: self.optional_blob(&t, slot::TENSOR_LOC, "tensor_loc")?,
            dynamic_ctx_addr: t.u64(slot::DYNAMIC_CTX_ADDR, 0)?,
            dynamic_coeff_offset: t.u64(slot::DYNAMIC_COEFF_OFFSET, 0)?,
            dynamic_combined_coeff_offset: t.u64(slot::DYNAMIC_COMBINED_COEFF_OFFSET, 0)?,
        })
    }

    fn coeff(&self, t: Table<'_, '_>) -> Result<Coeff, BmodelError> {
        use schema::coeff as slot;
        Ok(Coeff {
            address: t.u64(slot::ADDRESS, 0)?,
            data: self.optional_blob(&t, slot::BINARY, "coefficients")?.unwrap_or_default(),
            locations: t.tables(slot::LOCATION, location)?,
            check_code: t.bytes(slot::CHECK_CODE)?,
            encrypt_mode: t.i32(slot::ENCRYPT_MODE, 0)?,
            decrypt_size: t.u64(slot::DECRYPT_SIZE, 0)?,
        })
    }

    /// The byte counts must not reach over the blobs; the blobs of the model are exactly that long.
    fn group(&self, t: Table<'_, '_>) -> Result<CmdGroup, BmodelError> {
        use schema::cmd_group as slot;
        let stream = |binary: u16, bytes: u16, what: &str| -> Result<Blob, BmodelError> {
            let blob = self.optional_blob(&t, binary, what)?.unwrap_or_default();
            let length = t.u32(bytes, u32::try_from(blob.len()).unwrap_or(u32::MAX))? as usize;
            blob.slice(0..length).ok_or_else(|| broken(what, format_args!("claims {length} bytes, its blob has {}", blob.len())))
        };
        Ok(CmdGroup {
            tiu_count: t.u32(slot::TIU_NUM, 0)?,
            dma_count: t.u32(slot::DMA_NUM, 0)?,
            tiu: stream(slot::BINARY_TIU, slot::TIU_BYTES, "TIU commands")?,
            dma: stream(slot::BINARY_DMA, slot::DMA_BYTES, "DMA commands")?,
            relocations: t.relocations(slot::RELOC_ENTRIES)?,
        })
    }

    fn subnet(&self, t: Table<'_, '_>) -> Result<SubNet, BmodelError> {
        use schema::subnet as slot;
        let mode = match t.i32(slot::MODE, 0)? {
            0 => SubNetMode::Tpu,
            1 => SubNetMode::Cpu,
            2 => SubNetMode::Merge,
            3 => SubNetMode::Switch,
            other => return Err(broken("sub-network", format_args!("mode {other} is unknown"))),
        };
        Ok(SubNet {
            mode,
            inputs: t.tables(slot::INPUT_TENSOR, tensor)?,
            outputs: t.tables(slot::OUTPUT_TENSOR, tensor)?,
            groups: t.tables(slot::CMD_GROUP, |g| self.group(g))?,
            cores: t.tables(slot::CORE_COMMANDS, |c| self.core(c))?,
            run_core: t.u32(slot::RUN_CORE, 0)?,
            id: t.i32(slot::ID, -1)?,
            next_ids: t.i32s(slot::NEXT_SUBNET_IDS)?,
            is_dynamic: t.flag(slot::IS_DYNAMIC)?,
            n_dynamic: t.flag(slot::N_DYNAMIC)?,
            h_w_dynamic: t.flag(slot::H_W_DYNAMIC)?,
            ir_offset: t.u32(slot::IR_OFFSET, 0)?,
            ir_len: t.u32(slot::IR_LEN, 0)?,
            cpu_params: t.tables(slot::CPU_PARAM, |p| self.cpu_param(p))?,
            merge_from: t.table(slot::MERGE_PARAM)?.map(|m| m.tables(schema::merge_param::OUTPUT_FROM, output_from)).transpose()?,
            switch: t.table(slot::SWITCH_PARAM)?.map(switch).transpose()?,
        })
    }

    fn core(&self, t: Table<'_, '_>) -> Result<CoreCommands, BmodelError> {
        use schema::core_commands as slot;
        Ok(CoreCommands {
            groups: t.tables(slot::GROUPS, |g| self.group(g))?,
            sdma: self.blob_list(&t, slot::SDMA, "sdma commands")?,
            hau: self.blob_list(&t, slot::HAU, "hau commands")?,
            cdma: self.blob_list(&t, slot::CDMA, "cdma commands")?,
        })
    }

    fn cpu_param(&self, t: Table<'_, '_>) -> Result<CpuParam, BmodelError> {
        use schema::cpu_param as slot;
        Ok(CpuParam {
            op_type: t.i32(slot::OP_TYPE, 0)?,
            param: self.optional_blob(&t, slot::PARAM, "parameters of a CPU layer")?,
            consts: t.tables(slot::CONSTS, |c| self.cpu_const(c))?,
            is_custom: t.i32(slot::IS_CUSTOM, 0)?,
        })
    }

    fn cpu_const(&self, t: Table<'_, '_>) -> Result<CpuConst, BmodelError> {
        use schema::cpu_const as slot;
        Ok(CpuConst {
            name: t.string(slot::NAME)?,
            data: self.optional_blob(&t, slot::DATA, "constant of a CPU layer")?,
            check_code: t.bytes(slot::CHECK_CODE)?,
        })
    }
}

fn cascade(t: Table<'_, '_>) -> Result<Cascade, BmodelError> {
    use schema::cascade as slot;
    Ok(Cascade { device_id: t.u32(slot::DEVICE_ID, 0)?, step: t.u32(slot::STEP, 0)?, main_name: t.string(slot::MAIN_NAME)? })
}

fn stage_ir(t: Table<'_, '_>) -> Result<StageIr, BmodelError> {
    use schema::stage_ir as slot;
    Ok(StageIr {
        ir_info_len: t.u32(slot::IR_INFO_LEN, 0)?,
        height_high: t.i32(slot::HEIGHT_HIGH, 0)?,
        height_low: t.i32(slot::HEIGHT_LOW, 0)?,
        width_high: t.i32(slot::WIDTH_HIGH, 0)?,
        width_low: t.i32(slot::WIDTH_LOW, 0)?,
    })
}

fn location(t: Table<'_, '_>) -> Result<Location, BmodelError> {
    use schema::location as slot;
    Ok(Location { name: t.required_string(slot::NAME, "weight name")?, offset: t.u64(slot::OFFSET, 0)?, size: t.u64(slot::SIZE, 0)? })
}

fn output_from(t: Table<'_, '_>) -> Result<Vec<i32>, BmodelError> {
    t.i32s(schema::output_from::INDICE)
}

fn switch(t: Table<'_, '_>) -> Result<SwitchParam, BmodelError> {
    use schema::switch_param as slot;
    Ok(SwitchParam { output_from: t.tables(slot::OUTPUT_FROM, output_from)?, output_branch: t.i32s(slot::OUTPUT_BRANCH)? })
}

fn tensor(t: Table<'_, '_>) -> Result<Tensor, BmodelError> {
    use schema::tensor as slot;
    let name = t.required_string(slot::NAME, "tensor name")?;
    let code = t.u32(slot::DATA_TYPE, 0)?;
    let data_type = DataType::from_code(code).ok_or_else(|| broken(&format!("tensor '{name}'"), format_args!("element type {code} is unknown")))?;
    let mut shapes = t.tables(slot::SHAPE, |s| s.u64s(schema::shape::DIM))?.into_iter();
    let dims = shapes.next().unwrap_or_default();
    let shape = dims.iter().map(|&d| usize::try_from(d)).collect::<Result<Vec<_>, _>>();
    let tensor = Tensor {
        data_type,
        shape: shape.map_err(|_| broken(&format!("tensor '{name}'"), format_args!("shape {dims:?} is too large")))?,
        device_addr: t.u64(slot::DEVICE_ADDR, 0)?,
        size: t.u64(slot::SIZE, 0)?,
        st_mode: t.i32(slot::ST_MODE, 0)?,
        mem_type: t.u32(slot::MEM_TYPE, 0)?,
        scale: t.f32(slot::SCALE, 1.0)?,
        zero_point: t.i32(slot::ZERO_POINT, 0)?,
        cpu_addr: t.u32(slot::CPU_ADDR, 0)?,
        pad_h: t.u32(slot::PAD_H, 0)?,
        hidden: t.i32(slot::HIDDEN, 0)?,
        index: t.i32(slot::INDEX, 0)?,
        relocation: t.relocation(slot::RELENTRY)?,
        name,
    };
    match tensor.byte_size() {
        Some(_) => Ok(tensor),
        None => Err(broken(&format!("tensor '{}'", tensor.name), format_args!("shape {:?} is too large", tensor.shape))),
    }
}
