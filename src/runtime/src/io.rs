//! What goes into a model and comes out of it.

use crate::error::RunError;
use half::{bf16, f16};
use tpuc_bmodel as bmodel;
use tpuc_tensor::{DType, Data, Tensor};

/// A tensor and its name.
pub type NamedTensor = (String, Tensor);

/// Something that runs one network.
pub trait Runner {
    fn inputs(&self) -> &[TensorInfo];
    fn outputs(&self) -> &[TensorInfo];

    /// Runs the network once. Each input is found by name (a single tensor fits a network with a single input whatever
    /// its name) and may be of the input's own element type or f32, which is converted as [`quantize`] says. The
    /// outputs come in the network's order, in their own element types.
    fn run(&mut self, inputs: &[NamedTensor]) -> Result<Vec<NamedTensor>, RunError>;
}

/// A tensor at the edge of a network.
#[derive(Debug, Clone, PartialEq)]
pub struct TensorInfo {
    pub name: String,
    pub dtype: DType,
    pub shape: Vec<usize>,
    /// Input: stored integer = value * scale + zero_point. Output: value = (stored integer - zero_point) * scale.
    pub scale: f32,
    pub zero_point: i32,
}

impl TensorInfo {
    pub(crate) fn of(tensor: &bmodel::Tensor) -> Result<TensorInfo, RunError> {
        let dtype = tensor.data_type.dtype();
        let dtype = dtype.ok_or_else(|| RunError::Unsupported(format!("tensor '{}' is {}, which has no dense form", tensor.name, tensor.data_type)))?;
        Ok(TensorInfo { name: tensor.name.clone(), dtype, shape: tensor.shape.clone(), scale: tensor.scale, zero_point: tensor.zero_point })
    }

    pub(crate) fn elements(&self) -> usize {
        self.shape.iter().product()
    }

    pub(crate) fn byte_size(&self) -> usize {
        self.elements() * self.dtype.size()
    }
}

/// The inputs in the network's order and element types, as little-endian bytes.
pub(crate) fn input_bytes(infos: &[TensorInfo], inputs: &[NamedTensor]) -> Result<Vec<Vec<u8>>, RunError> {
    if let ([info], [(_, tensor)]) = (infos, inputs) {
        return Ok(vec![quantize(info, tensor)?.to_le_bytes()]);
    }
    let names = || infos.iter().map(|i| i.name.as_str()).collect::<Vec<_>>().join(", ");
    if let Some((name, _)) = inputs.iter().find(|(name, _)| infos.iter().all(|i| i.name != *name)) {
        return Err(RunError::Input { name: name.clone(), reason: format!("the network has no such input; it has: {}", names()) });
    }
    infos
        .iter()
        .map(|info| {
            let found = inputs.iter().find(|(name, _)| *name == info.name);
            let (_, tensor) = found.ok_or_else(|| RunError::Input { name: info.name.clone(), reason: "is missing".into() })?;
            Ok(quantize(info, tensor)?.to_le_bytes())
        })
        .collect()
}

/// Converts a tensor to the element type of a network's input.
///
/// f32 becomes an 8-bit integer through scale and zero point, rounded half away from zero and saturated; f16 and bf16 by
/// rounding half to even; wider integers by truncation, as the vendor's `model_runner` does. The shape may differ from
/// the input's as long as the number of elements is the same.
pub fn quantize(info: &TensorInfo, tensor: &Tensor) -> Result<Tensor, RunError> {
    let fail = |reason: String| RunError::Input { name: info.name.clone(), reason };
    if tensor.len() != info.elements() {
        return Err(fail(format!("has shape {:?}, the network wants {:?}", tensor.shape(), info.shape)));
    }
    let data = if tensor.dtype() == info.dtype {
        tensor.data().clone()
    } else {
        let values: Vec<f32> = match tensor.data() {
            Data::F32(values) => values.clone(),
            Data::F64(_) => tensor.to_f32(),
            _ => return Err(fail(format!("is {}, the network wants {} or f32", tensor.dtype(), info.dtype))),
        };
        // The vendor adds one half and takes the floor, in f32.
        let scaled = values.iter().map(|&v| v * info.scale + info.zero_point as f32).map(|v| (v.abs() + 0.5).floor().copysign(v));
        match info.dtype {
            DType::F32 => Data::F32(values),
            DType::F16 => Data::F16(values.iter().map(|&v| f16::from_f32(v)).collect()),
            DType::BF16 => Data::BF16(values.iter().map(|&v| bf16::from_f32(v)).collect()),
            DType::I8 => Data::I8(scaled.map(|v| v as i8).collect()),
            DType::U8 => Data::U8(scaled.map(|v| v as u8).collect()),
            DType::I16 => Data::I16(values.iter().map(|&v| v as i16).collect()),
            DType::U16 => Data::U16(values.iter().map(|&v| v as u16).collect()),
            DType::I32 => Data::I32(values.iter().map(|&v| v as i32).collect()),
            DType::U32 => Data::U32(values.iter().map(|&v| v as u32).collect()),
            DType::F64 | DType::I64 | DType::U64 | DType::Bool => return Err(fail(format!("a network cannot have {} inputs", info.dtype))),
        }
    };
    Tensor::new(&info.shape, data).map_err(|e| fail(e.to_string()))
}

/// The f32 values of an output: 8-bit integers through scale and zero point (a scale of 0 means plain integers), all
/// other types by value.
pub fn dequantize(info: &TensorInfo, tensor: &Tensor) -> Tensor {
    let mut values = tensor.to_f32();
    if matches!(tensor.dtype(), DType::I8 | DType::U8) && info.scale != 0.0 {
        values.iter_mut().for_each(|v| *v = (*v - info.zero_point as f32) * info.scale);
    }
    // The number of elements is that of `tensor`, so its shape fits.
    Tensor::f32(tensor.shape(), values).unwrap_or_else(|_| tensor.clone())
}

/// [`dequantize`] of all outputs of a run; 32-bit integers stay as they are.
pub fn dequantize_all(infos: &[TensorInfo], outputs: Vec<NamedTensor>) -> Vec<NamedTensor> {
    let convert = |(info, (name, tensor)): (&TensorInfo, NamedTensor)| match tensor.dtype() {
        DType::I32 | DType::U32 => (name, tensor),
        _ => (name, dequantize(info, &tensor)),
    };
    infos.iter().zip(outputs).map(convert).collect()
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn info(dtype: DType, scale: f32, zero_point: i32) -> TensorInfo {
        TensorInfo { name: "x".into(), dtype, shape: vec![2, 2], scale, zero_point }
    }

    #[test]
    fn f32_to_8_bits_and_back() {
        let x = Tensor::f32(&[4], vec![-1.25, 0.25, 100.0, -100.0]).unwrap();
        let q = quantize(&info(DType::I8, 2.0, 0), &x).unwrap();
        assert_eq!(q, Tensor::i8(&[2, 2], vec![-3, 1, 127, -128]).unwrap());
        assert_eq!(quantize(&info(DType::U8, 2.0, 3), &x).unwrap().as_u8(), Some(&[1u8, 4, 203, 0][..]));
        assert_eq!(dequantize(&info(DType::I8, 0.5, 1), &q).as_f32(), Some(&[-2.0f32, 0.0, 63.0, -64.5][..]));
    }

    #[test]
    fn inputs_are_found_by_name() {
        let infos = [TensorInfo { name: "a".into(), ..info(DType::F32, 1.0, 0) }, TensorInfo { name: "b".into(), ..info(DType::F32, 1.0, 0) }];
        let t = |v: f32| Tensor::f32(&[2, 2], vec![v; 4]).unwrap();
        let bytes = input_bytes(&infos, &[("b".into(), t(2.0)), ("a".into(), t(1.0))]).unwrap();
        assert_eq!(bytes, [t(1.0).to_le_bytes(), t(2.0).to_le_bytes()]);
        assert_eq!(input_bytes(&infos, &[("b".into(), t(2.0))]).unwrap_err().to_string(), "input 'a': is missing");
        let wrong = input_bytes(&infos, &[("c".into(), t(2.0))]).unwrap_err().to_string();
        assert_eq!(wrong, "input 'c': the network has no such input; it has: a, b");
        assert!(input_bytes(&infos[..1], &[("whatever".into(), t(2.0))]).is_ok());
        let shape = input_bytes(&infos[..1], &[("a".into(), Tensor::f32(&[3], vec![0.0; 3]).unwrap())]).unwrap_err().to_string();
        assert_eq!(shape, "input 'a': has shape [3], the network wants [2, 2]");
    }
}
