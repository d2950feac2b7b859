//! One op that runs alone, many times, on any tensors of its operand types.

use crate::error::InterpError;
use crate::kernel::{Prepared, Request, prepare, widened};
use crate::plan::in_layout;
use crate::view::{self, ElementType, Slice};
use crate::Options;
use std::sync::{Arc, Mutex, PoisonError};
use tpuc_kernels::threads::Team;
use tpuc_kernels::{Buffer, KernelError, Layout, Workspace};
use tpuc_ops::{Op, ValueType};
use tpuc_tensor::{Data, Tensor};

/// An op with its weights in place. It runs on several threads at once.
pub struct PreparedNode {
    name: String,
    prepared: Prepared,
    /// By operand: what an activation must be; `None` where none is read.
    activations: Vec<Option<(Vec<usize>, ElementType)>>,
    /// By operand: a weight that is read at every run, in the kernel's layout.
    constants: Vec<Option<Arc<Tensor>>>,
    result_shape: Vec<usize>,
    result: ElementType,
    threads: usize,
    /// Scratch memory of runs that are over.
    idle: Mutex<Vec<Scratch>>,
}

struct Scratch {
    workspace: Workspace,
    /// By operand, and last the result: converted layouts.
    buffers: Vec<Buffer>,
}

impl PreparedNode {
    /// Prepares any op, of a program or not. `constants`: by operand its data, if it is a weight.
    pub fn new(name: &str, op: &Op, operands: &[ValueType], results: &[ValueType], constants: &[Option<Arc<Tensor>>], options: Options) -> Result<PreparedNode, InterpError> {
        let found = Self::prepared_by(&|request| prepare(request).map(Some), name, op, operands, results, constants, options)?;
        found.ok_or_else(|| InterpError::Unsupported { layer: name.into(), op: op.name(), reason: "does not run".into() })
    }

    /// Prepares an op whose results may be off by little; `None` where that takes no less time.
    pub fn near(name: &str, op: &Op, operands: &[ValueType], results: &[ValueType], constants: &[Option<Arc<Tensor>>], options: Options) -> Result<Option<PreparedNode>, InterpError> {
        let Op::TopConv(conv) = op else { return Ok(None) };
        Self::prepared_by(&|request| crate::conv::prepare_near(conv, request), name, op, operands, results, constants, options)
    }

    fn prepared_by(
        prepare: &dyn Fn(&Request<'_>) -> Result<Option<Prepared>, InterpError>, name: &str, op: &Op, operands: &[ValueType], results: &[ValueType],
        constants: &[Option<Arc<Tensor>>], options: Options,
    ) -> Result<Option<PreparedNode>, InterpError> {
        let _team = Team::of(options.threads);
        let fail = |reason: &str| InterpError::Unsupported { layer: name.into(), op: op.name(), reason: reason.into() };
        let present: Vec<_> = results.iter().filter_map(ValueType::tensor).collect();
        let [result_type] = present[..] else { return Err(fail("needs one result")) };
        // Activations come in row-major order; a kernel that can work in either order should take them so.
        let available = vec![Layout::RowMajor; operands.len()];
        let constants: Vec<Option<Arc<Tensor>>> = constants.iter().map(|c| c.as_ref().map(widened)).collect();
        let request = Request { op, operands, result: result_type, constants: &constants, available: &available, options };
        let result = request.result_element().map_err(|e| e.at(name))?;
        let Some(prepared) = prepare(&request).map_err(|e| e.at(name))? else { return Ok(None) };
        let mut activations = Vec::with_capacity(operands.len());
        let mut kept = Vec::with_capacity(operands.len());
        for (i, ty) in operands.iter().enumerate() {
            let (layout, constant) = (prepared.operands.get(i).copied().flatten(), constants.get(i).cloned().flatten());
            match (layout, constant) {
                (None, _) => {
                    activations.push(None);
                    kept.push(None);
                }
                (Some(layout), Some(tensor)) => {
                    activations.push(None);
                    kept.push(Some(in_layout(&tensor, ty, layout).map_err(|e| e.at(name))?));
                }
                (Some(_), None) => {
                    activations.push(Some((request.shape(i).map_err(|e| e.at(name))?, request.element(i).map_err(|e| e.at(name))?)));
                    kept.push(None);
                }
            }
        }
        Ok(Some(PreparedNode { name: name.into(), prepared, activations, constants: kept, result_shape: result_type.dims(), result, threads: options.threads, idle: Mutex::new(Vec::new()) }))
    }

    /// Computes the results from the activations among the operands (by operand; what stands for weights and absent operands
    /// is not read). Tensors are in row-major order and the storage types. What `results` held is replaced, and its memory
    /// used again.
    pub fn run(&self, operands: &[Option<&Tensor>], results: &mut Vec<Tensor>) -> Result<(), InterpError> {
        let idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner).pop();
        let mut scratch = match idle {
            Some(scratch) => scratch,
            None => Scratch { workspace: Workspace::new()?, buffers: vec![Buffer::default(); self.activations.len() + 1] },
        };
        let reused = if results.is_empty() { None } else { Some(results.swap_remove(0)) };
        results.clear();
        let done = self.run_in(operands, reused, &mut scratch);
        self.idle.lock().unwrap_or_else(PoisonError::into_inner).push(scratch);
        results.push(done.map_err(|e| e.at(&self.name))?);
        Ok(())
    }

    fn run_in(&self, operands: &[Option<&Tensor>], reused: Option<Tensor>, scratch: &mut Scratch) -> Result<Tensor, InterpError> {
        let _team = Team::of(self.threads);
        let Scratch { workspace, buffers } = scratch;
        let Some((result_buffer, operand_buffers)) = buffers.split_last_mut() else {
            return Err(KernelError::Geometry("no scratch memory".into()).into());
        };
        let mut slices: Vec<Option<Slice<'_>>> = Vec::with_capacity(self.activations.len());
        for (i, buffer) in operand_buffers.iter_mut().enumerate() {
            let Some((shape, element)) = &self.activations[i] else {
                slices.push(self.constants[i].as_deref().and_then(Slice::of));
                continue;
            };
            let name = || format!("operand {i} of {}", self.name);
            let tensor = operands.get(i).copied().flatten().ok_or_else(|| InterpError::MissingInput { name: name() })?;
            if tensor.shape() != shape {
                return Err(InterpError::Shape { name: name(), expected: shape.clone(), found: tensor.shape().to_vec() });
            }
            let wrong = || InterpError::Type { name: name(), expected: element.dtype(), found: tensor.dtype() };
            let slice = Slice::of(tensor).filter(|_| tensor.dtype() == element.dtype()).ok_or_else(wrong)?;
            let layout = self.prepared.operands[i].unwrap_or(Layout::RowMajor);
            if layout == Layout::RowMajor || Layout::is_same(shape) {
                slices.push(Some(slice));
                continue;
            }
            buffer.reserve_bytes(tensor.len() * element.size());
            view::copy(shape, Layout::RowMajor, slice, layout, element.write(buffer, tensor.len()))?;
            slices.push(Some(element.read(buffer, tensor.len())));
        }
        let count = self.result_shape.iter().product();
        let mut data: Data = view::storage(reused, self.result, count);
        let Some(y) = view::data_mut(&mut data) else {
            return Err(KernelError::Geometry("a result type without storage".into()).into());
        };
        if self.prepared.result == Layout::RowMajor || Layout::is_same(&self.result_shape) {
            self.prepared.kernel.run(&slices, y, workspace)?;
        } else {
            result_buffer.reserve_bytes(count * self.result.size());
            self.prepared.kernel.run(&slices, self.result.write(result_buffer, count), workspace)?;
            view::copy(&self.result_shape, self.prepared.result, self.result.read(result_buffer, count), Layout::RowMajor, y)?;
        }
        Tensor::new(&self.result_shape, data).map_err(|e| KernelError::Geometry(e.to_string()).into())
    }
}
