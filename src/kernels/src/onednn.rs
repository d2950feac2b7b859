//! oneDNN 2.6 through its C API: convolutions, matrix products, softmax and reorders of CPU memory. The only `unsafe` calls into it
//! are here.
//!
//! What the safe side relies on: a [`Primitive`] knows the size in bytes of every argument, and `execute` refuses slices
//! that are shorter; handles are destroyed once, by `Drop`; primitives are immutable after creation and oneDNN allows them
//! to run on several threads at once as long as each run has its own scratchpad ([`Workspace`]).

use crate::KernelError;
use crate::buffer::Buffer;
use std::ffi::{c_int, c_void};
use std::sync::{Mutex, MutexGuard, OnceLock, PoisonError};

/// `dnnl_memory_desc_t`: opaque here, 696 bytes in every 2.x from 2.6 on.
#[repr(C)]
#[derive(Clone, Copy)]
struct RawDesc([u64; 87]);

/// Room for any `dnnl_*_desc_t` of an operation (the largest of those used, a convolution's, has 5976 bytes).
#[repr(C)]
struct RawOp([u64; 1024]);

#[repr(C)]
struct RawArg {
    arg: c_int,
    memory: *mut c_void,
}

#[repr(C)]
struct RawVersion {
    major: c_int,
    minor: c_int,
    patch: c_int,
    hash: *const u8,
    cpu_runtime: u32,
    gpu_runtime: u32,
}

type Handle = *mut c_void;
type Dims = [i64; 12];

unsafe extern "C" {
    fn dnnl_version() -> *const RawVersion;
    fn dnnl_set_max_cpu_isa(isa: u32) -> c_int;
    fn dnnl_engine_create(engine: *mut Handle, kind: c_int, index: usize) -> c_int;
    fn dnnl_stream_create(stream: *mut Handle, engine: Handle, flags: u32) -> c_int;
    fn dnnl_stream_wait(stream: Handle) -> c_int;
    fn dnnl_stream_destroy(stream: Handle) -> c_int;
    fn dnnl_memory_desc_init_by_tag(desc: *mut RawDesc, ndims: c_int, dims: *const i64, data_type: c_int, tag: c_int) -> c_int;
    fn dnnl_memory_desc_init_by_strides(desc: *mut RawDesc, ndims: c_int, dims: *const i64, data_type: c_int, strides: *const i64) -> c_int;
    fn dnnl_memory_desc_get_size(desc: *const RawDesc) -> usize;
    fn dnnl_memory_create(memory: *mut Handle, desc: *const RawDesc, engine: Handle, handle: *mut c_void) -> c_int;
    fn dnnl_memory_destroy(memory: Handle) -> c_int;
    fn dnnl_primitive_attr_create(attr: *mut Handle) -> c_int;
    fn dnnl_primitive_attr_destroy(attr: Handle) -> c_int;
    fn dnnl_primitive_attr_set_scratchpad_mode(attr: Handle, mode: c_int) -> c_int;
    fn dnnl_primitive_attr_set_post_ops(attr: Handle, post_ops: Handle) -> c_int;
    fn dnnl_post_ops_create(post_ops: *mut Handle) -> c_int;
    fn dnnl_post_ops_destroy(post_ops: Handle) -> c_int;
    fn dnnl_post_ops_append_eltwise(post_ops: Handle, scale: f32, kind: c_int, alpha: f32, beta: f32) -> c_int;
    fn dnnl_primitive_desc_create(desc: *mut Handle, op: *const RawOp, attr: Handle, engine: Handle, hint: Handle) -> c_int;
    fn dnnl_primitive_desc_destroy(desc: Handle) -> c_int;
    fn dnnl_primitive_desc_query_md(desc: Handle, what: c_int, index: c_int) -> *const RawDesc;
    fn dnnl_primitive_create(primitive: *mut Handle, desc: Handle) -> c_int;
    fn dnnl_primitive_execute(primitive: Handle, stream: Handle, nargs: c_int, args: *const RawArg) -> c_int;
    fn dnnl_primitive_destroy(primitive: Handle) -> c_int;
    fn dnnl_reorder_primitive_desc_create(desc: *mut Handle, src: *const RawDesc, src_engine: Handle, dst: *const RawDesc, dst_engine: Handle, attr: Handle) -> c_int;
    fn dnnl_dilated_convolution_forward_desc_init(
        op: *mut RawOp, prop: c_int, alg: c_int, src: *const RawDesc, weights: *const RawDesc, bias: *const RawDesc, dst: *const RawDesc,
        strides: *const i64, dilates: *const i64, padding_l: *const i64, padding_r: *const i64,
    ) -> c_int;
    fn dnnl_softmax_forward_desc_init(op: *mut RawOp, prop: c_int, data: *const RawDesc, axis: c_int) -> c_int;
    fn dnnl_logsoftmax_forward_desc_init(op: *mut RawOp, prop: c_int, data: *const RawDesc, axis: c_int) -> c_int;
    fn dnnl_matmul_desc_init(op: *mut RawOp, src: *const RawDesc, weights: *const RawDesc, bias: *const RawDesc, dst: *const RawDesc) -> c_int;
}

/// AVX-512 with VNNI and bf16. The AMX kernels of 2.6.3 that come after it execute a tile instruction that is illegal at that
/// point for some shapes of 8-bit convolutions (the random ones of the tests find them), which ends the process.
const ISA_BELOW_AMX: u32 = 0xe7;
const FORWARD_INFERENCE: c_int = 96;
const CONVOLUTION_DIRECT: c_int = 1;
const TAG_ANY: c_int = 1;
const SCRATCHPAD_USER: c_int = 1;
const ELTWISE_RELU: c_int = 31;
const ELTWISE_CLIP: c_int = 255;
const QUERY_WEIGHTS: c_int = 131;
const QUERY_SCRATCHPAD: c_int = 136;

pub(crate) const SRC: c_int = 1;
pub(crate) const WEIGHTS: c_int = 33;
pub(crate) const BIAS: c_int = 41;
pub(crate) const DST: c_int = 17;
const SCRATCHPAD: c_int = 80;

/// Element types, with oneDNN's numbers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(i32)]
pub(crate) enum Type {
    F32 = 3,
    S32 = 4,
    S8 = 5,
    U8 = 6,
}

/// What is done to a result before it is stored.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Activation {
    None,
    Relu,
    /// `min(max(x, 0), limit)`
    ReluLimit(f32),
}

impl Activation {
    /// `do_relu` and `relu_limit` of an op; a limit of 0 or less means none.
    pub fn relu(on: bool, limit: f64) -> Activation {
        match (on, limit > 0.0) {
            (false, _) => Activation::None,
            (true, false) => Activation::Relu,
            (true, true) => Activation::ReluLimit(limit as f32),
        }
    }

    #[inline(always)]
    pub fn apply(self, x: f32) -> f32 {
        match self {
            Activation::None => x,
            Activation::Relu => x.max(0.0),
            Activation::ReluLimit(limit) => x.max(0.0).min(limit),
        }
    }
}

fn check(what: &'static str, status: c_int) -> Result<(), KernelError> {
    match status {
        0 => Ok(()),
        status => Err(KernelError::OneDnn { what, status }),
    }
}

/// The CPU engine of this process; it lives as long as the process.
#[derive(Clone, Copy)]
struct Engine(Handle);

// SAFETY: an engine is immutable and oneDNN allows its use from any thread.
unsafe impl Send for Engine {}
unsafe impl Sync for Engine {}

fn engine() -> Result<Engine, KernelError> {
    static ENGINE: OnceLock<Result<Engine, KernelError>> = OnceLock::new();
    ENGINE
        .get_or_init(|| {
            // SAFETY: the version is a static of the library; the engine is created into a local handle.
            unsafe {
                let version = &*dnnl_version();
                if version.major != 2 || version.minor < 6 {
                    return Err(KernelError::OneDnnVersion { major: version.major, minor: version.minor });
                }
                check("choosing instructions", dnnl_set_max_cpu_isa(ISA_BELOW_AMX))?;
                let mut handle = std::ptr::null_mut();
                check("creating an engine", dnnl_engine_create(&mut handle, 1, 0))?;
                Ok(Engine(handle))
            }
        })
        .clone()
}

/// Held while oneDNN makes an operation. 2.6.3 generates wrong code for an 8-bit convolution now and then while another thread has
/// a float one made, and keeps it in its cache of operations for everyone who asks for the same later.
fn making() -> MutexGuard<'static, ()> {
    static MAKING: Mutex<()> = Mutex::new(());
    MAKING.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Shape, type and layout of an argument.
#[derive(Clone, Copy)]
pub(crate) struct Desc(RawDesc);

impl Desc {
    fn dims(values: &[i64]) -> Result<Dims, KernelError> {
        let mut dims = [0; 12];
        if values.is_empty() || values.len() > dims.len() {
            return Err(KernelError::Rank { found: values.len() });
        }
        dims[..values.len()].copy_from_slice(values);
        Ok(dims)
    }

    /// A layout of oneDNN's choice.
    pub fn any(shape: &[i64], ty: Type) -> Result<Desc, KernelError> {
        let dims = Self::dims(shape)?;
        let mut raw = RawDesc([0; 87]);
        // SAFETY: `dims` has room for 12 entries, `raw` for a descriptor.
        check("describing memory", unsafe { dnnl_memory_desc_init_by_tag(&mut raw, shape.len() as c_int, dims.as_ptr(), ty as c_int, TAG_ANY) })?;
        Ok(Desc(raw))
    }

    /// A plain layout; strides count elements.
    pub fn strided(shape: &[i64], strides: &[i64], ty: Type) -> Result<Desc, KernelError> {
        let (dims, strides) = (Self::dims(shape)?, Self::dims(strides)?);
        let mut raw = RawDesc([0; 87]);
        // SAFETY: as above.
        check("describing memory", unsafe { dnnl_memory_desc_init_by_strides(&mut raw, shape.len() as c_int, dims.as_ptr(), ty as c_int, strides.as_ptr()) })?;
        Ok(Desc(raw))
    }

    /// Row-major.
    pub fn dense(shape: &[i64], ty: Type) -> Result<Desc, KernelError> {
        Self::strided(shape, &row_major_strides(shape), ty)
    }

    /// `[N, C, spatial...]` with the channels innermost.
    pub fn channels_last(shape: &[i64], ty: Type) -> Result<Desc, KernelError> {
        let mut physical = shape.to_vec();
        physical[1..].rotate_left(1);
        let mut strides = row_major_strides(&physical);
        strides[1..].rotate_right(1);
        Self::strided(shape, &strides, ty)
    }

    pub fn bytes(&self) -> usize {
        // SAFETY: a valid descriptor.
        unsafe { dnnl_memory_desc_get_size(&self.0) }
    }
}

pub(crate) fn row_major_strides(shape: &[i64]) -> Vec<i64> {
    let mut strides = vec![1; shape.len()];
    for d in (1..shape.len()).rev() {
        strides[d - 1] = strides[d] * shape[d].max(1);
    }
    strides
}

/// Destroys a handle when it goes out of scope.
struct Guard(Handle, unsafe extern "C" fn(Handle) -> c_int);

impl Drop for Guard {
    fn drop(&mut self) {
        if !self.0.is_null() {
            // SAFETY: created by the matching function, destroyed once.
            unsafe { (self.1)(self.0) };
        }
    }
}

/// A created operation and the sizes of its arguments.
pub(crate) struct Primitive {
    handle: Handle,
    arguments: Vec<(c_int, Desc)>,
    weights: Option<Desc>,
    scratchpad: Option<Desc>,
}

// SAFETY: a primitive is immutable; its execution state is in the arguments.
unsafe impl Send for Primitive {}
unsafe impl Sync for Primitive {}

impl Drop for Primitive {
    fn drop(&mut self) {
        // SAFETY: created by `dnnl_primitive_create`, destroyed once.
        unsafe { dnnl_primitive_destroy(self.handle) };
    }
}

/// What one thread needs to run primitives: a stream and scratch memory. Not shared between threads that run at the same time.
pub struct Workspace {
    stream: Handle,
    scratchpad: Buffer,
    /// Integer accumulators between a product and its requantization.
    pub accumulators: Buffer,
    /// Further scratch memory of kernels.
    pub scratch: Buffer,
}

// SAFETY: a CPU stream is used by one thread at a time (`&mut`).
unsafe impl Send for Workspace {}

impl Workspace {
    pub fn new() -> Result<Workspace, KernelError> {
        let mut stream = std::ptr::null_mut();
        // SAFETY: the engine is valid; the handle is local.
        check("creating a stream", unsafe { dnnl_stream_create(&mut stream, engine()?.0, 1) })?;
        Ok(Workspace { stream, scratchpad: Buffer::default(), accumulators: Buffer::default(), scratch: Buffer::default() })
    }
}

impl Drop for Workspace {
    fn drop(&mut self) {
        // SAFETY: created by `dnnl_stream_create`, destroyed once.
        unsafe { dnnl_stream_destroy(self.stream) };
    }
}

impl Primitive {
    /// A convolution. `shapes` of source `[N, C, ..]`, weights `[G, O/G, C/G, ..]` (without G if one group) and destination;
    /// spacing between taps is `dilates + 1`.
    #[allow(clippy::too_many_arguments)]
    pub fn convolution(
        src: Desc, weights: Desc, bias: Option<Desc>, dst: Desc, strides: &[i64], dilates: &[i64], before: &[i64], after: &[i64], activation: Activation,
    ) -> Result<Primitive, KernelError> {
        let mut op = Box::new(RawOp([0; 1024]));
        let (strides, dilates, before, after) = (Desc::dims(strides)?, Desc::dims(dilates)?, Desc::dims(before)?, Desc::dims(after)?);
        // SAFETY: all descriptors are valid, all lists have 12 entries, `op` has room.
        check("describing a convolution", unsafe {
            dnnl_dilated_convolution_forward_desc_init(
                &mut *op, FORWARD_INFERENCE, CONVOLUTION_DIRECT, &src.0, &weights.0, bias.as_ref().map_or(std::ptr::null(), |b| &b.0), &dst.0,
                strides.as_ptr(), dilates.as_ptr(), before.as_ptr(), after.as_ptr(),
            )
        })?;
        Self::create("creating a convolution", &op, activation, src, bias, dst)
    }

    /// A matrix product over the last two dimensions; the ones before broadcast.
    pub fn matmul(src: Desc, weights: Desc, bias: Option<Desc>, dst: Desc, activation: Activation) -> Result<Primitive, KernelError> {
        let mut op = Box::new(RawOp([0; 1024]));
        // SAFETY: all descriptors are valid, `op` has room.
        check("describing a matrix product", unsafe {
            dnnl_matmul_desc_init(&mut *op, &src.0, &weights.0, bias.as_ref().map_or(std::ptr::null(), |b| &b.0), &dst.0)
        })?;
        Self::create("creating a matrix product", &op, activation, src, bias, dst)
    }

    /// Softmax, or its logarithm, along the last dimension.
    pub fn softmax(data: Desc, rank: usize, log: bool) -> Result<Primitive, KernelError> {
        let mut op = Box::new(RawOp([0; 1024]));
        let axis = rank as c_int - 1;
        // SAFETY: the descriptor is valid, `op` has room.
        check("describing a softmax", unsafe {
            match log {
                false => dnnl_softmax_forward_desc_init(&mut *op, FORWARD_INFERENCE, &data.0, axis),
                true => dnnl_logsoftmax_forward_desc_init(&mut *op, FORWARD_INFERENCE, &data.0, axis),
            }
        })?;
        Self::create("creating a softmax", &op, Activation::None, data, None, data)
    }

    fn create(what: &'static str, op: &RawOp, activation: Activation, src: Desc, bias: Option<Desc>, dst: Desc) -> Result<Primitive, KernelError> {
        let engine = engine()?;
        let attributes = attributes(activation)?;
        let _alone = making();
        // SAFETY: `op` was initialized by the library, `attributes` and `engine` are valid; queried descriptors are copied
        // before their owner is destroyed.
        unsafe {
            let mut desc = std::ptr::null_mut();
            check(what, dnnl_primitive_desc_create(&mut desc, op, attributes.0, engine.0, std::ptr::null_mut()))?;
            let desc = Guard(desc, dnnl_primitive_desc_destroy);
            let query = |what| {
                let found = dnnl_primitive_desc_query_md(desc.0, what, 0);
                (!found.is_null()).then(|| Desc(*found))
            };
            let weights = query(QUERY_WEIGHTS).filter(|d| d.bytes() > 0);
            let scratchpad = query(QUERY_SCRATCHPAD).filter(|d| d.bytes() > 0);
            let mut handle = std::ptr::null_mut();
            check(what, dnnl_primitive_create(&mut handle, desc.0))?;
            let mut arguments = vec![(SRC, src), (DST, dst)];
            arguments.extend(weights.map(|d| (WEIGHTS, d)));
            arguments.extend(bias.map(|d| (BIAS, d)));
            Ok(Primitive { handle, arguments, weights, scratchpad })
        }
    }

    fn reorder(src: Desc, dst: Desc) -> Result<Primitive, KernelError> {
        let engine = engine()?;
        let _alone = making();
        // SAFETY: as in `create`.
        unsafe {
            let mut desc = std::ptr::null_mut();
            check("creating a reorder", dnnl_reorder_primitive_desc_create(&mut desc, &src.0, engine.0, &dst.0, engine.0, attributes(Activation::None)?.0))?;
            let desc = Guard(desc, dnnl_primitive_desc_destroy);
            let scratchpad = dnnl_primitive_desc_query_md(desc.0, QUERY_SCRATCHPAD, 0);
            let scratchpad = (!scratchpad.is_null()).then(|| Desc(*scratchpad)).filter(|d| d.bytes() > 0);
            let mut handle = std::ptr::null_mut();
            check("creating a reorder", dnnl_primitive_create(&mut handle, desc.0))?;
            Ok(Primitive { handle, arguments: vec![(SRC, src), (DST, dst)], weights: None, scratchpad })
        }
    }

    /// Brings weights from a plain layout into the one this primitive wants.
    pub fn reorder_weights(&self, plain: Desc, weights: &[u8]) -> Result<Buffer, KernelError> {
        let wanted = self.weights.ok_or(KernelError::OneDnn { what: "asking for the layout of weights", status: 2 })?;
        let mut out = Buffer::with_bytes(wanted.bytes());
        let count = out.byte_count();
        Primitive::reorder(plain, wanted)?.execute(&[(SRC, weights)], (DST, out.slice_mut(count)), &mut Workspace::new()?)?;
        Ok(out)
    }

    /// The weights that another primitive packed, packed for this one; `None` where they are the same.
    pub fn weights_from(&self, other: &Primitive, packed: &Buffer) -> Result<Option<Buffer>, KernelError> {
        let absent = KernelError::OneDnn { what: "asking for the layout of weights", status: 2 };
        let (Some(wanted), Some(found)) = (self.weights, other.weights) else { return Err(absent) };
        if wanted.0.0 == found.0.0 {
            return Ok(None);
        }
        self.reorder_weights(found, packed.slice::<u8>(packed.byte_count())).map(Some)
    }

    /// Bytes of the scratchpad that a run takes.
    pub fn scratch_bytes(&self) -> usize {
        self.scratchpad.as_ref().map_or(0, Desc::bytes)
    }

    /// Runs with these inputs and this output; every slice must hold at least what its descriptor says.
    pub fn execute(&self, inputs: &[(c_int, &[u8])], output: (c_int, &mut [u8]), workspace: &mut Workspace) -> Result<(), KernelError> {
        let engine = engine()?;
        let mut memories: Vec<Guard> = Vec::with_capacity(6);
        let mut args: Vec<RawArg> = Vec::with_capacity(6);
        let mut add = |arg: c_int, desc: &Desc, data: *mut c_void| {
            let mut handle = std::ptr::null_mut();
            // SAFETY: the descriptor is valid; the memory outlives the execution below and is at least as long as it says.
            check("wrapping memory", unsafe { dnnl_memory_create(&mut handle, &desc.0, engine.0, data) })?;
            memories.push(Guard(handle, dnnl_memory_destroy));
            args.push(RawArg { arg, memory: handle });
            Ok::<(), KernelError>(())
        };
        for (arg, desc) in &self.arguments {
            let (data, found) = if *arg == output.0 {
                (output.1.as_mut_ptr().cast::<c_void>(), output.1.len())
            } else {
                let (_, slice) = inputs.iter().find(|(a, _)| a == arg).ok_or(KernelError::Length { what: "argument", expected: desc.bytes(), found: 0 })?;
                (slice.as_ptr().cast_mut().cast::<c_void>(), slice.len())
            };
            if found < desc.bytes() {
                return Err(KernelError::Length { what: "bytes of an argument", expected: desc.bytes(), found });
            }
            add(*arg, desc, data)?;
        }
        if let Some(desc) = &self.scratchpad {
            workspace.scratchpad.reserve_bytes(desc.bytes());
            add(SCRATCHPAD, desc, workspace.scratchpad.slice_mut::<u8>(desc.bytes()).as_mut_ptr().cast())?;
        }
        // SAFETY: all memories live in `memories` until the stream has been waited for; only DST and the scratchpad, which
        // are borrowed exclusively, are written.
        unsafe {
            check("running", dnnl_primitive_execute(self.handle, workspace.stream, args.len() as c_int, args.as_ptr()))?;
            check("running", dnnl_stream_wait(workspace.stream))
        }
    }
}

fn attributes(activation: Activation) -> Result<Guard, KernelError> {
    // SAFETY: handles are local and guarded.
    unsafe {
        let mut handle = std::ptr::null_mut();
        check("creating attributes", dnnl_primitive_attr_create(&mut handle))?;
        let attributes = Guard(handle, dnnl_primitive_attr_destroy);
        check("setting attributes", dnnl_primitive_attr_set_scratchpad_mode(attributes.0, SCRATCHPAD_USER))?;
        let (kind, beta) = match activation {
            Activation::None => return Ok(attributes),
            Activation::Relu => (ELTWISE_RELU, 0.0),
            Activation::ReluLimit(limit) => (ELTWISE_CLIP, limit),
        };
        let mut handle = std::ptr::null_mut();
        check("creating attributes", dnnl_post_ops_create(&mut handle))?;
        let post_ops = Guard(handle, dnnl_post_ops_destroy);
        check("setting attributes", dnnl_post_ops_append_eltwise(post_ops.0, 1.0, kind, 0.0, beta))?;
        check("setting attributes", dnnl_primitive_attr_set_post_ops(attributes.0, post_ops.0))?;
        Ok(attributes)
    }
}
