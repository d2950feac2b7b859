//! One op that runs on activations in the layouts that its kernel works in: the piece from which a caller builds a schedule
//! of its own. Chained as a [`Plan`](crate::Plan) chains its steps, runners compute what the plan computes, to the bit.

use crate::Options;
use crate::error::InterpError;
use crate::kernel::{Kernel, Request, is_alias, prepare, widened};
use crate::plan::in_layout;
use crate::view::{self, ElementType, Scaling, Slice, TensorView};
use std::sync::Arc;
use tpuc_kernels::threads::Team;
use tpuc_kernels::{Buffer, KernelError, Layout, Workspace};
use tpuc_ops::{Op, TensorType, ValueType};
use tpuc_tensor::{DType, Tensor};

/// A tensor that an op computed. Clones share the elements.
#[derive(Clone)]
pub struct Activation {
    shape: Arc<[usize]>,
    element: ElementType,
    layout: Layout,
    scale: Option<Scaling>,
    data: Arc<Buffer>,
}

impl Activation {
    /// An input of the network; integers serve a float input by their values.
    pub fn of_input(name: &str, tensor: &Tensor, ty: &TensorType, memory: &mut Memory) -> Result<Activation, InterpError> {
        let (shape, element) = signature(name, ty)?;
        if tensor.shape() != &shape[..] {
            return Err(InterpError::Shape { name: name.into(), expected: shape.to_vec(), found: tensor.shape().to_vec() });
        }
        let wrong = || InterpError::Type { name: name.into(), expected: element.dtype(), found: tensor.dtype() };
        let converted;
        let tensor = match element == ElementType::F32 && tensor.dtype() != DType::F32 {
            true => {
                converted = Tensor::f32(tensor.shape(), tensor.to_f32()).map_err(|_| wrong())?;
                &converted
            }
            false => tensor,
        };
        let elements = Slice::of(tensor).filter(|_| tensor.dtype() == element.dtype()).ok_or_else(wrong)?;
        let mut data = memory.take(tensor.len() * element.size());
        view::copy(&shape, Layout::RowMajor, elements, Layout::RowMajor, element.write(&mut data, tensor.len())).map_err(|source| InterpError::Kernel { layer: name.into(), source })?;
        Ok(Activation { shape, element, layout: Layout::RowMajor, scale: Scaling::of(&ty.elem), data: Arc::new(data) })
    }

    pub fn view(&self) -> TensorView<'_> {
        TensorView { shape: &self.shape, layout: self.layout, elements: self.element.read(&self.data, self.count()), scale: self.scale }
    }

    fn count(&self) -> usize {
        self.shape.iter().product()
    }

    /// Bytes of the elements.
    pub fn bytes(&self) -> usize {
        self.count() * self.element.size()
    }

    /// The same tensor in another layout: a copy where that is another order.
    fn in_layout(&self, layout: Layout, memory: &mut Memory) -> Result<Activation, KernelError> {
        if self.layout == layout || Layout::is_same(&self.shape) {
            return Ok(self.clone());
        }
        let mut data = memory.take(self.bytes());
        view::copy(&self.shape, self.layout, self.view().elements, layout, self.element.write(&mut data, self.count()))?;
        Ok(Activation { layout, data: Arc::new(data), ..self.clone() })
    }
}

impl std::fmt::Debug for Activation {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Activation({:?} {})", self.shape, self.element.dtype())
    }
}

/// Scratch memory of one thread, and memory of activations that are over.
pub struct Memory {
    workspace: Workspace,
    idle: Vec<Buffer>,
    /// Bytes of `idle`, and the most that they may be.
    held: usize,
    most: usize,
}

/// So many buffers are kept for reuse.
const IDLE: usize = 32;

impl Memory {
    pub fn new() -> Result<Memory, InterpError> {
        Memory::with_idle(usize::MAX)
    }

    /// One that keeps at most so many bytes of activations that are over.
    pub fn with_idle(most: usize) -> Result<Memory, InterpError> {
        Ok(Memory { workspace: Workspace::new()?, idle: Vec::new(), held: 0, most })
    }

    /// Takes an activation's memory back, if nobody else holds it.
    pub fn recycle(&mut self, activation: Activation) {
        if let Ok(buffer) = Arc::try_unwrap(activation.data) {
            if self.idle.len() < IDLE && self.held + buffer.byte_count() <= self.most {
                self.held += buffer.byte_count();
                self.idle.push(buffer);
            }
        }
    }

    /// Memory of at least so many bytes; what it holds does not matter. Never one of more than twice the size: it may be kept.
    fn take(&mut self, bytes: usize) -> Buffer {
        let fits = |b: &Buffer| b.byte_count() >= bytes && b.byte_count() <= bytes.max(256) * 2;
        match self.idle.iter().position(fits) {
            Some(at) => {
                let buffer = self.idle.swap_remove(at);
                self.held -= buffer.byte_count();
                buffer
            }
            None => Buffer::with_bytes(bytes),
        }
    }
}

/// An op ready to run on several threads at once.
pub struct Runner {
    name: String,
    action: Action,
    shape: Arc<[usize]>,
    element: ElementType,
    layout: Layout,
    scale: Option<Scaling>,
    threads: usize,
}

enum Action {
    /// The operand's memory under another shape.
    Alias,
    Compute { kernel: Box<dyn Kernel>, operands: Vec<Operand> },
}

enum Operand {
    Skipped,
    Activation(Layout),
    Constant(Arc<Tensor>),
}

impl Runner {
    /// Prepares an op. By operand: its type; its data, if it is a weight; the layout of the activation that it will be.
    pub fn new(name: &str, op: &Op, operands: &[ValueType], result: &TensorType, constants: &[Option<Arc<Tensor>>], available: &[Layout], options: Options) -> Result<Runner, InterpError> {
        let _team = Team::of(options.threads);
        let (shape, element) = signature(name, result)?;
        let runner = |action, layout: Layout| {
            let layout = if Layout::is_same(&shape) { Layout::RowMajor } else { layout };
            Runner { name: name.into(), action, shape: Arc::clone(&shape), element, layout, scale: Scaling::of(&result.elem), threads: options.threads }
        };
        if is_alias(op) && constants.first().is_some_and(Option::is_none) {
            let same = operands[0].tensor().is_some_and(|t| t.count() == result.count() && ElementType::of(t.elem.storage()) == Some(element));
            let fail = || InterpError::Unsupported { layer: name.into(), op: op.name(), reason: "needs operand and result of one type and size".into() };
            return if same { Ok(runner(Action::Alias, Layout::RowMajor)) } else { Err(fail()) };
        }
        let constants: Vec<Option<Arc<Tensor>>> = constants.iter().map(|c| c.as_ref().map(widened)).collect();
        let prepared = prepare(&Request { op, operands, result, constants: &constants, available, options }).map_err(|e| e.at(name))?;
        let operand = |(i, constant): (usize, &Option<Arc<Tensor>>)| {
            Ok(match (prepared.operands.get(i).copied().flatten(), constant) {
                (None, _) => Operand::Skipped,
                (Some(layout), Some(tensor)) => Operand::Constant(in_layout(tensor, &operands[i], layout).map_err(|e| e.at(name))?),
                (Some(layout), None) => Operand::Activation(layout),
            })
        };
        let list = constants.iter().enumerate().map(operand).collect::<Result<Vec<_>, InterpError>>()?;
        Ok(runner(Action::Compute { kernel: prepared.kernel, operands: list }, prepared.result))
    }

    /// The layout of the result.
    pub fn layout(&self) -> Layout {
        self.layout
    }

    /// Bytes of the result.
    pub fn bytes(&self) -> usize {
        self.count() * self.element.size()
    }

    /// About the bytes of further memory that a run takes beside operands and result. By operand the layout and the bytes of the
    /// activation; one that is read in another order is copied.
    pub fn scratch_bytes(&self, given: &[Option<(Layout, usize)>]) -> usize {
        let Action::Compute { kernel, operands } = &self.action else { return 0 };
        let copy = |(operand, given): (&Operand, &Option<(Layout, usize)>)| match (operand, given) {
            (Operand::Activation(wanted), Some((layout, bytes))) if wanted != layout => *bytes,
            _ => 0,
        };
        // Sums of integers have 32 bits.
        let sums = if self.element == ElementType::F32 { 0 } else { self.count() * 4 };
        sums + kernel.scratch_bytes() + operands.iter().zip(given).map(copy).sum::<usize>()
    }

    /// Computes the result. By operand the activation; what stands for weights and absent operands is not read.
    pub fn run(&self, operands: &[Option<&Activation>], memory: &mut Memory) -> Result<Activation, InterpError> {
        let _team = Team::of(self.threads);
        self.compute(operands, memory).map_err(|source| InterpError::Kernel { layer: self.name.clone(), source })
    }

    /// Bytes that several runs together read once; 0 where they take no less time than one after the other.
    pub fn shared_bytes(&self) -> usize {
        match &self.action {
            Action::Alias => 0,
            Action::Compute { kernel, .. } => kernel.shared_bytes(),
        }
    }

    /// As [`Runner::run`] on each list of operands, to the bit.
    pub fn run_many(&self, given: &[Vec<Option<&Activation>>], memory: &mut Memory) -> Result<Vec<Activation>, InterpError> {
        let _team = Team::of(self.threads);
        self.compute_many(given, memory).map_err(|source| InterpError::Kernel { layer: self.name.clone(), source })
    }

    fn compute(&self, given: &[Option<&Activation>], memory: &mut Memory) -> Result<Activation, KernelError> {
        let (kernel, operands) = match &self.action {
            Action::Alias => return Ok(self.activation(operand(given, 0, Layout::RowMajor, memory)?.data)),
            Action::Compute { kernel, operands } => (kernel, operands),
        };
        let copies = in_layouts(operands, given, memory)?;
        let mut result = memory.take(self.bytes());
        kernel.run(&slices(operands, &copies), self.element.write(&mut result, self.count()), &mut memory.workspace)?;
        copies.into_iter().flatten().for_each(|copy| memory.recycle(copy));
        Ok(self.activation(Arc::new(result)))
    }

    fn compute_many(&self, given: &[Vec<Option<&Activation>>], memory: &mut Memory) -> Result<Vec<Activation>, KernelError> {
        let Action::Compute { kernel, operands } = &self.action else { return given.iter().map(|given| self.compute(given, memory)).collect() };
        let copies = given.iter().map(|given| in_layouts(operands, given, memory)).collect::<Result<Vec<_>, _>>()?;
        let mut results: Vec<Buffer> = given.iter().map(|_| memory.take(self.bytes())).collect();
        let read: Vec<Vec<Option<Slice<'_>>>> = copies.iter().map(|copies| slices(operands, copies)).collect();
        let written = results.iter_mut().map(|result| self.element.write(result, self.count())).collect();
        kernel.run_many(&read, written, &mut memory.workspace)?;
        copies.into_iter().flatten().flatten().for_each(|copy| memory.recycle(copy));
        Ok(results.into_iter().map(|result| self.activation(Arc::new(result))).collect())
    }

    fn count(&self) -> usize {
        self.shape.iter().product()
    }

    fn activation(&self, data: Arc<Buffer>) -> Activation {
        Activation { shape: Arc::clone(&self.shape), element: self.element, layout: self.layout, scale: self.scale, data }
    }
}

fn operand(given: &[Option<&Activation>], index: usize, layout: Layout, memory: &mut Memory) -> Result<Activation, KernelError> {
    let missing = || KernelError::Geometry(format!("operand {index} is missing"));
    given.get(index).copied().flatten().ok_or_else(missing)?.in_layout(layout, memory)
}

/// The activations among the operands in the layouts in which they are read.
fn in_layouts(operands: &[Operand], given: &[Option<&Activation>], memory: &mut Memory) -> Result<Vec<Option<Activation>>, KernelError> {
    let mut copies = Vec::with_capacity(operands.len());
    for (index, operand) in operands.iter().enumerate() {
        copies.push(match operand {
            Operand::Activation(layout) => Some(self::operand(given, index, *layout, memory)?),
            Operand::Skipped | Operand::Constant(_) => None,
        });
    }
    Ok(copies)
}

fn slices<'a>(operands: &'a [Operand], copies: &'a [Option<Activation>]) -> Vec<Option<Slice<'a>>> {
    let slice = |(operand, copy): (&'a Operand, &'a Option<Activation>)| match operand {
        Operand::Skipped => None,
        Operand::Constant(tensor) => Slice::of(tensor),
        Operand::Activation(_) => copy.as_ref().map(|a| a.view().elements),
    };
    operands.iter().zip(copies).map(slice).collect()
}

fn signature(name: &str, ty: &TensorType) -> Result<(Arc<[usize]>, ElementType), InterpError> {
    let fail = || InterpError::Unsupported { layer: name.into(), op: "tensor", reason: format!("of {} does not run", ty.elem.storage()) };
    Ok((ty.dims().into(), ElementType::of(ty.elem.storage()).ok_or_else(fail)?))
}
