//! Tensors in memory of an executor.

use crate::kernel::zero_point;
use tpuc_kernels::layout::convert;
use tpuc_kernels::{Buffer, Ints, IntsMut, KernelError, Layout, cast};
use tpuc_ops::Elem;
use tpuc_tensor::tensor::ShapeMismatch;
use tpuc_tensor::{DType, Data, Tensor};

/// Elements to be read.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Slice<'a> {
    F32(&'a [f32]),
    I8(&'a [i8]),
    U8(&'a [u8]),
    I32(&'a [i32]),
}

/// Elements to be written.
#[derive(Debug, PartialEq)]
pub(crate) enum SliceMut<'a> {
    F32(&'a mut [f32]),
    I8(&'a mut [i8]),
    U8(&'a mut [u8]),
    I32(&'a mut [i32]),
}

/// The element types that activations have in memory. Half floats are f32 here, whose values the narrow type can hold
/// (but for those few ops that leave their results unrounded: [`crate::kernel`]).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum ElementType {
    F32,
    I8,
    U8,
    I32,
}

impl ElementType {
    pub fn of(dtype: DType) -> Option<ElementType> {
        match dtype {
            DType::F32 | DType::F16 | DType::BF16 => Some(ElementType::F32),
            DType::I8 => Some(ElementType::I8),
            DType::U8 => Some(ElementType::U8),
            DType::I32 => Some(ElementType::I32),
            DType::F64 | DType::I64 | DType::U64 | DType::U32 | DType::I16 | DType::U16 | DType::Bool => None,
        }
    }

    pub fn size(self) -> usize {
        match self {
            ElementType::F32 | ElementType::I32 => 4,
            ElementType::I8 | ElementType::U8 => 1,
        }
    }

    pub fn dtype(self) -> DType {
        match self {
            ElementType::F32 => DType::F32,
            ElementType::I8 => DType::I8,
            ElementType::U8 => DType::U8,
            ElementType::I32 => DType::I32,
        }
    }

    pub fn read(self, buffer: &Buffer, count: usize) -> Slice<'_> {
        match self {
            ElementType::F32 => Slice::F32(buffer.slice(count)),
            ElementType::I8 => Slice::I8(buffer.slice(count)),
            ElementType::U8 => Slice::U8(buffer.slice(count)),
            ElementType::I32 => Slice::I32(buffer.slice(count)),
        }
    }

    pub fn write(self, buffer: &mut Buffer, count: usize) -> SliceMut<'_> {
        match self {
            ElementType::F32 => SliceMut::F32(buffer.slice_mut(count)),
            ElementType::I8 => SliceMut::I8(buffer.slice_mut(count)),
            ElementType::U8 => SliceMut::U8(buffer.slice_mut(count)),
            ElementType::I32 => SliceMut::I32(buffer.slice_mut(count)),
        }
    }
}

fn wrong_type(what: &str) -> KernelError {
    KernelError::Geometry(format!("{what} elements of another type than it was prepared for"))
}

impl<'a> Slice<'a> {
    pub(crate) fn of(tensor: &'a Tensor) -> Option<Slice<'a>> {
        match tensor.data() {
            Data::F32(v) => Some(Slice::F32(v)),
            Data::I8(v) => Some(Slice::I8(v)),
            Data::U8(v) => Some(Slice::U8(v)),
            Data::I32(v) => Some(Slice::I32(v)),
            _ => None,
        }
    }

    pub fn len(&self) -> usize {
        match self {
            Slice::F32(v) => v.len(),
            Slice::I8(v) => v.len(),
            Slice::U8(v) => v.len(),
            Slice::I32(v) => v.len(),
        }
    }

    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Some of the elements; `None` if there are not as many.
    fn part(self, range: std::ops::Range<usize>) -> Option<Slice<'a>> {
        Some(match self {
            Slice::F32(v) => Slice::F32(v.get(range)?),
            Slice::I8(v) => Slice::I8(v.get(range)?),
            Slice::U8(v) => Slice::U8(v.get(range)?),
            Slice::I32(v) => Slice::I32(v.get(range)?),
        })
    }

    pub(crate) fn floats(self) -> Result<&'a [f32], KernelError> {
        match self {
            Slice::F32(v) => Ok(v),
            _ => Err(wrong_type("a float kernel got")),
        }
    }

    pub(crate) fn ints(self) -> Result<Ints<'a>, KernelError> {
        match self {
            Slice::I8(v) => Ok(Ints::I8(v)),
            Slice::U8(v) => Ok(Ints::U8(v)),
            _ => Err(wrong_type("an 8-bit kernel got")),
        }
    }

    pub(crate) fn sums(self) -> Result<&'a [i32], KernelError> {
        match self {
            Slice::I32(v) => Ok(v),
            _ => Err(wrong_type("a 32-bit kernel got")),
        }
    }

    fn to_data(self) -> Data {
        match self {
            Slice::F32(v) => Data::F32(v.to_vec()),
            Slice::I8(v) => Data::I8(v.to_vec()),
            Slice::U8(v) => Data::U8(v.to_vec()),
            Slice::I32(v) => Data::I32(v.to_vec()),
        }
    }
}

impl<'a> SliceMut<'a> {
    /// The same elements, for a part of the work.
    pub fn again(&mut self) -> SliceMut<'_> {
        match self {
            SliceMut::F32(v) => SliceMut::F32(v),
            SliceMut::I8(v) => SliceMut::I8(v),
            SliceMut::U8(v) => SliceMut::U8(v),
            SliceMut::I32(v) => SliceMut::I32(v),
        }
    }

    pub fn floats(self) -> Result<&'a mut [f32], KernelError> {
        match self {
            SliceMut::F32(v) => Ok(v),
            _ => Err(wrong_type("a float kernel writes")),
        }
    }

    pub fn ints(self) -> Result<IntsMut<'a>, KernelError> {
        match self {
            SliceMut::I8(v) => Ok(IntsMut::I8(v)),
            SliceMut::U8(v) => Ok(IntsMut::U8(v)),
            _ => Err(wrong_type("an 8-bit kernel writes")),
        }
    }

    pub fn sums(self) -> Result<&'a mut [i32], KernelError> {
        match self {
            SliceMut::I32(v) => Ok(v),
            _ => Err(wrong_type("a 32-bit kernel writes")),
        }
    }
}

/// Copies between layouts; the element types must agree.
pub(crate) fn copy(shape: &[usize], from: Layout, x: Slice<'_>, to: Layout, y: SliceMut<'_>) -> Result<(), KernelError> {
    match (x, y) {
        (Slice::F32(x), SliceMut::F32(y)) => convert(shape, from, x, to, y),
        (Slice::I8(x), SliceMut::I8(y)) => convert(shape, from, x, to, y),
        (Slice::U8(x), SliceMut::U8(y)) => convert(shape, from, x, to, y),
        (Slice::I32(x), SliceMut::I32(y)) => convert(shape, from, x, to, y),
        _ => Err(wrong_type("a copy got")),
    }
}

/// The storage of a tensor, made to hold `count` elements; what it held does not matter.
pub(crate) fn storage(reused: Option<Tensor>, element: ElementType, count: usize) -> Data {
    macro_rules! resized {
        ($variant:ident) => {{
            let mut list = match reused.map(Tensor::into_data) {
                Some(Data::$variant(list)) => list,
                _ => Vec::new(),
            };
            list.resize(count, Default::default());
            Data::$variant(list)
        }};
    }
    match element {
        ElementType::F32 => resized!(F32),
        ElementType::I8 => resized!(I8),
        ElementType::U8 => resized!(U8),
        ElementType::I32 => resized!(I32),
    }
}

pub(crate) fn data_mut(data: &mut Data) -> Option<SliceMut<'_>> {
    match data {
        Data::F32(v) => Some(SliceMut::F32(v)),
        Data::I8(v) => Some(SliceMut::I8(v)),
        Data::U8(v) => Some(SliceMut::U8(v)),
        Data::I32(v) => Some(SliceMut::I32(v)),
        _ => None,
    }
}

/// What an integer q of a quantized tensor stands for: `(q - zero_point) * scale`.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Scaling {
    pub scale: f64,
    pub zero_point: i32,
}

impl Scaling {
    /// `None` of types that are not quantized.
    pub fn of(elem: &Elem) -> Option<Scaling> {
        elem.scale().map(|scale| Scaling { scale, zero_point: zero_point(elem) })
    }
}

/// A tensor while it is alive.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct TensorView<'a> {
    pub shape: &'a [usize],
    /// The order of `elements`.
    pub layout: Layout,
    /// In the storage type: integers where the tensor is quantized.
    pub elements: Slice<'a>,
    /// Of a quantized tensor.
    pub scale: Option<Scaling>,
}

impl TensorView<'_> {
    /// A copy in row-major order and the storage type.
    pub fn to_tensor(&self) -> Result<Tensor, ShapeMismatch> {
        if self.layout == Layout::RowMajor || Layout::is_same(self.shape) {
            return Tensor::new(self.shape, self.elements.to_data());
        }
        let element = match self.elements {
            Slice::F32(_) => ElementType::F32,
            Slice::I8(_) => ElementType::I8,
            Slice::U8(_) => ElementType::U8,
            Slice::I32(_) => ElementType::I32,
        };
        let mut data = storage(None, element, self.elements.len());
        let mismatch = || ShapeMismatch { shape: self.shape.to_vec(), found: self.elements.len() };
        let out = data_mut(&mut data).ok_or_else(mismatch)?;
        copy(self.shape, self.layout, self.elements, Layout::RowMajor, out).map_err(|_| mismatch())?;
        Tensor::new(self.shape, data)
    }

    /// Whether both have the same shape and their elements stand in the same order.
    pub fn is_ordered_as(&self, other: &TensorView) -> bool {
        self.shape == other.shape && (self.layout == other.layout || Layout::is_same(self.shape))
    }

    /// Some elements in memory order as [`TensorView::to_f32`] gives them; `buffer` has room for them if they must be converted.
    pub fn floats<'b>(&'b self, range: std::ops::Range<usize>, buffer: &'b mut [f32]) -> Result<&'b [f32], ShapeMismatch> {
        let mismatch = || ShapeMismatch { shape: self.shape.to_vec(), found: self.elements.len() };
        let elements = self.elements.part(range).ok_or_else(mismatch)?;
        if let (Slice::F32(v), None) = (elements, self.scale) {
            return Ok(v);
        }
        let out = buffer.get_mut(..elements.len()).ok_or_else(mismatch)?;
        floats(elements, self.scale, out).map_err(|_| mismatch())?;
        Ok(out)
    }

    /// A copy in row-major order and f32: quantized elements times their scale (less the zero point), the product in f32.
    pub fn to_f32(&self) -> Result<Tensor, ShapeMismatch> {
        let tensor = self.to_tensor()?;
        if let (Data::F32(_), None) = (tensor.data(), self.scale) {
            return Ok(tensor);
        }
        let mismatch = || ShapeMismatch { shape: self.shape.to_vec(), found: tensor.len() };
        let mut out = vec![0.0; tensor.len()];
        floats(Slice::of(&tensor).ok_or_else(mismatch)?, self.scale, &mut out).map_err(|_| mismatch())?;
        Tensor::f32(self.shape, out)
    }
}

/// Elements in f32.
fn floats(elements: Slice, scale: Option<Scaling>, out: &mut [f32]) -> Result<(), KernelError> {
    let scaled = |v: f32| scale.map_or(v, |s| (v - s.zero_point as f32) * s.scale as f32);
    match (elements, scale) {
        (Slice::I8(v), Some(Scaling { scale, zero_point })) => return cast::dequantize(Ints::I8(v), scale, zero_point, out),
        (Slice::U8(v), Some(Scaling { scale, zero_point })) => return cast::dequantize(Ints::U8(v), scale, zero_point, out),
        (Slice::I8(v), None) => out.iter_mut().zip(v).for_each(|(out, &v)| *out = f32::from(v)),
        (Slice::U8(v), None) => out.iter_mut().zip(v).for_each(|(out, &v)| *out = f32::from(v)),
        (Slice::I32(v), _) => out.iter_mut().zip(v).for_each(|(out, &v)| *out = scaled(v as f32)),
        (Slice::F32(v), _) => out.iter_mut().zip(v).for_each(|(out, &v)| *out = scaled(v)),
    }
    Ok(())
}

impl<'a> TensorView<'a> {
    /// A tensor in row-major order; `None` for element types that networks do not run in.
    pub fn of(tensor: &'a Tensor, scale: Option<Scaling>) -> Option<TensorView<'a>> {
        Some(TensorView { shape: tensor.shape(), layout: Layout::RowMajor, elements: Slice::of(tensor)?, scale })
    }
}
