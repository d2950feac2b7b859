//! Dense tensors in row-major order.

use crate::dtype::DType;
use half::slice::HalfFloatSliceExt;
use half::{bf16, f16};
use std::borrow::Cow;

/// The elements of a tensor, row-major.
#[derive(Debug, Clone, PartialEq)]
pub enum Data {
    F64(Vec<f64>),
    F32(Vec<f32>),
    F16(Vec<f16>),
    BF16(Vec<bf16>),
    I64(Vec<i64>),
    U64(Vec<u64>),
    I32(Vec<i32>),
    U32(Vec<u32>),
    I16(Vec<i16>),
    U16(Vec<u16>),
    I8(Vec<i8>),
    U8(Vec<u8>),
    Bool(Vec<bool>),
}

macro_rules! each {
    ($data:expr, $v:ident => $body:expr) => {
        match $data {
            Data::F64($v) => $body,
            Data::F32($v) => $body,
            Data::F16($v) => $body,
            Data::BF16($v) => $body,
            Data::I64($v) => $body,
            Data::U64($v) => $body,
            Data::I32($v) => $body,
            Data::U32($v) => $body,
            Data::I16($v) => $body,
            Data::U16($v) => $body,
            Data::I8($v) => $body,
            Data::U8($v) => $body,
            Data::Bool($v) => $body,
        }
    };
}

impl Data {
    pub fn dtype(&self) -> DType {
        match self {
            Data::F64(_) => DType::F64,
            Data::F32(_) => DType::F32,
            Data::F16(_) => DType::F16,
            Data::BF16(_) => DType::BF16,
            Data::I64(_) => DType::I64,
            Data::U64(_) => DType::U64,
            Data::I32(_) => DType::I32,
            Data::U32(_) => DType::U32,
            Data::I16(_) => DType::I16,
            Data::U16(_) => DType::U16,
            Data::I8(_) => DType::I8,
            Data::U8(_) => DType::U8,
            Data::Bool(_) => DType::Bool,
        }
    }

    pub fn len(&self) -> usize {
        each!(self, v => v.len())
    }

    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// `count` elements from little-endian bytes, which `fill` writes into the place where they stay.
    pub fn filled<E>(dtype: DType, count: usize, fill: impl FnOnce(&mut [u8]) -> Result<(), E>) -> Result<Data, E> {
        macro_rules! filled {
            ($variant:ident) => {{
                let mut list = bytemuck::zeroed_vec(count);
                fill(bytemuck::cast_slice_mut(&mut list))?;
                if cfg!(target_endian = "big") {
                    bytemuck::cast_slice_mut::<_, u8>(&mut list).chunks_exact_mut(dtype.size()).for_each(<[u8]>::reverse);
                }
                Data::$variant(list)
            }};
        }
        Ok(match dtype {
            DType::F64 => filled!(F64),
            DType::F32 => filled!(F32),
            DType::F16 => filled!(F16),
            DType::BF16 => filled!(BF16),
            DType::I64 => filled!(I64),
            DType::U64 => filled!(U64),
            DType::I32 => filled!(I32),
            DType::U32 => filled!(U32),
            DType::I16 => filled!(I16),
            DType::U16 => filled!(U16),
            DType::I8 => filled!(I8),
            DType::U8 => filled!(U8),
            // Not every byte is one.
            DType::Bool => {
                let mut list = vec![0u8; count];
                fill(&mut list)?;
                Data::Bool(list.into_iter().map(|b| b != 0).collect())
            }
        })
    }
}

/// A shape and its elements. `shape.iter().product() == data.len()` always holds.
#[derive(Debug, Clone, PartialEq)]
pub struct Tensor {
    shape: Vec<usize>,
    data: Data,
}

/// The number of elements does not fit the shape.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("shape {shape:?} needs {} elements, found {found}", shape.iter().fold(1usize, |a, &d| a.saturating_mul(d)))]
pub struct ShapeMismatch {
    pub shape: Vec<usize>,
    pub found: usize,
}

macro_rules! constructors {
    ($($name:ident, $get:ident, $variant:ident, $ty:ty;)*) => {$(
        /// A tensor of this element type; an error if the shape does not fit the number of elements.
        pub fn $name(shape: &[usize], data: Vec<$ty>) -> Result<Tensor, ShapeMismatch> {
            Tensor::new(shape, Data::$variant(data))
        }
        /// The elements, if they are of this type.
        pub fn $get(&self) -> Option<&[$ty]> {
            match &self.data {
                Data::$variant(v) => Some(v),
                _ => None,
            }
        }
    )*};
}

impl Tensor {
    pub fn new(shape: &[usize], data: Data) -> Result<Tensor, ShapeMismatch> {
        let wanted = shape.iter().try_fold(1usize, |a, &b| a.checked_mul(b));
        if wanted != Some(data.len()) {
            return Err(ShapeMismatch { shape: shape.to_vec(), found: data.len() });
        }
        Ok(Tensor { shape: shape.to_vec(), data })
    }

    constructors! {
        f32, as_f32, F32, f32;
        f64, as_f64, F64, f64;
        i64, as_i64, I64, i64;
        i32, as_i32, I32, i32;
        i16, as_i16, I16, i16;
        u16, as_u16, U16, u16;
        i8, as_i8, I8, i8;
        u8, as_u8, U8, u8;
    }

    pub fn shape(&self) -> &[usize] {
        &self.shape
    }

    pub fn data(&self) -> &Data {
        &self.data
    }

    pub fn into_data(self) -> Data {
        self.data
    }

    pub fn dtype(&self) -> DType {
        self.data.dtype()
    }

    pub fn len(&self) -> usize {
        self.data.len()
    }

    pub fn is_empty(&self) -> bool {
        self.data.is_empty()
    }

    /// The same elements under another shape.
    pub fn reshaped(self, shape: &[usize]) -> Result<Tensor, ShapeMismatch> {
        Tensor::new(shape, self.data)
    }

    /// The elements converted to f32 (integers by value, halves exactly, f64 rounded).
    pub fn to_f32(&self) -> Vec<f32> {
        match &self.data {
            Data::F32(v) => v.clone(),
            Data::F64(v) => v.iter().map(|&x| x as f32).collect(),
            Data::F16(v) => v.to_f32_vec(),
            Data::BF16(v) => v.to_f32_vec(),
            Data::I64(v) => v.iter().map(|&x| x as f32).collect(),
            Data::U64(v) => v.iter().map(|&x| x as f32).collect(),
            Data::I32(v) => v.iter().map(|&x| x as f32).collect(),
            Data::U32(v) => v.iter().map(|&x| x as f32).collect(),
            Data::I16(v) => v.iter().map(|&x| f32::from(x)).collect(),
            Data::U16(v) => v.iter().map(|&x| f32::from(x)).collect(),
            Data::I8(v) => v.iter().map(|&x| f32::from(x)).collect(),
            Data::U8(v) => v.iter().map(|&x| f32::from(x)).collect(),
            Data::Bool(v) => v.iter().map(|&x| if x { 1.0 } else { 0.0 }).collect(),
        }
    }

    /// Half floats that are kept by their bits; `None` of elements that are not u16, and of other types.
    pub fn from_half_bits(&self, dtype: DType) -> Option<Tensor> {
        let Data::U16(bits) = &self.data else { return None };
        let data = match dtype {
            DType::F16 => Data::F16(bits.iter().map(|&b| f16::from_bits(b)).collect()),
            DType::BF16 => Data::BF16(bits.iter().map(|&b| bf16::from_bits(b)).collect()),
            _ => return None,
        };
        Some(Tensor { shape: self.shape.clone(), data })
    }

    /// The elements as i64; `None` for float tensors.
    pub fn to_i64(&self) -> Option<Vec<i64>> {
        Some(match &self.data {
            Data::I64(v) => v.clone(),
            Data::U64(v) => v.iter().map(|&x| x as i64).collect(),
            Data::I32(v) => v.iter().map(|&x| i64::from(x)).collect(),
            Data::U32(v) => v.iter().map(|&x| i64::from(x)).collect(),
            Data::I16(v) => v.iter().map(|&x| i64::from(x)).collect(),
            Data::U16(v) => v.iter().map(|&x| i64::from(x)).collect(),
            Data::I8(v) => v.iter().map(|&x| i64::from(x)).collect(),
            Data::U8(v) => v.iter().map(|&x| i64::from(x)).collect(),
            Data::Bool(v) => v.iter().map(|&x| i64::from(x)).collect(),
            Data::F64(_) | Data::F32(_) | Data::F16(_) | Data::BF16(_) => return None,
        })
    }

    /// The elements as little-endian bytes, copied.
    pub fn to_le_bytes(&self) -> Vec<u8> {
        self.le_bytes().into_owned()
    }

    /// The elements as little-endian bytes, where they lie if the machine keeps them so.
    pub fn le_bytes(&self) -> Cow<'_, [u8]> {
        let bytes: &[u8] = each!(&self.data, v => bytemuck::cast_slice(v));
        if cfg!(target_endian = "little") {
            return Cow::Borrowed(bytes);
        }
        let mut swapped = bytes.to_vec();
        swapped.chunks_exact_mut(self.dtype().size()).for_each(<[u8]>::reverse);
        Cow::Owned(swapped)
    }

    /// A tensor from little-endian bytes. The byte count must be `product(shape) * dtype.size()`.
    pub fn from_le_bytes(shape: &[usize], dtype: DType, bytes: &[u8]) -> Result<Tensor, ShapeMismatch> {
        let count = bytes.len() / dtype.size();
        if bytes.len() % dtype.size() != 0 {
            return Err(ShapeMismatch { shape: shape.to_vec(), found: count });
        }
        let Ok(data) = Data::filled(dtype, count, |place| {
            place.copy_from_slice(bytes);
            Ok::<(), std::convert::Infallible>(())
        });
        Tensor::new(shape, data)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shape_and_count_must_agree() {
        assert!(Tensor::f32(&[2, 3], vec![0.0; 6]).is_ok());
        assert_eq!(Tensor::f32(&[2, 3], vec![0.0; 5]), Err(ShapeMismatch { shape: vec![2, 3], found: 5 }));
        assert!(Tensor::f32(&[usize::MAX, 2], vec![]).is_err());
    }

    #[test]
    fn bytes_round_trip() {
        let t = Tensor::i16(&[3], vec![-1, 2, 300]).unwrap();
        assert_eq!(Tensor::from_le_bytes(&[3], DType::I16, &t.to_le_bytes()).unwrap(), t);
        assert!(Tensor::from_le_bytes(&[1], DType::I32, &[0, 1, 2]).is_err());
    }
}
