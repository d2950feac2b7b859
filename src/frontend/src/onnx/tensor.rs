//! ONNX tensors become ours.

use super::proto::TensorProto;
use half::{bf16, f16};
use tpuc_tensor::{DType, Data, Tensor};

/// ONNX's numbers of element types.
pub fn dtype(data_type: i32) -> Option<DType> {
    Some(match data_type {
        1 => DType::F32,
        2 => DType::U8,
        3 => DType::I8,
        4 => DType::U16,
        5 => DType::I16,
        6 => DType::I32,
        7 => DType::I64,
        9 => DType::Bool,
        10 => DType::F16,
        11 => DType::F64,
        12 => DType::U32,
        13 => DType::U64,
        16 => DType::BF16,
        _ => return None,
    })
}

/// The tensor that an initializer or a Constant holds. Sizes are checked against the data that is there.
pub fn read(proto: &TensorProto) -> Result<Tensor, String> {
    let dtype = dtype(proto.data_type).ok_or_else(|| format!("element type {} is not supported", proto.data_type))?;
    let shape = proto.dims.iter().map(|&d| usize::try_from(d).map_err(|_| format!("negative dimension {d}"))).collect::<Result<Vec<_>, _>>()?;
    if proto.data_location == 1 {
        return Err("its data is in a separate file (external data), which is not supported".into());
    }
    if !proto.raw_data.is_empty() {
        return Tensor::from_le_bytes(&shape, dtype, &proto.raw_data).map_err(|e| e.to_string());
    }
    let ints = &proto.int32_data;
    let data = match dtype {
        DType::F32 => Data::F32(proto.float_data.clone()),
        DType::F64 => Data::F64(proto.double_data.clone()),
        DType::I64 => Data::I64(proto.int64_data.clone()),
        DType::I32 => Data::I32(ints.clone()),
        DType::I16 => Data::I16(ints.iter().map(|&v| v as i16).collect()),
        DType::U16 => Data::U16(ints.iter().map(|&v| v as u16).collect()),
        DType::I8 => Data::I8(ints.iter().map(|&v| v as i8).collect()),
        DType::U8 => Data::U8(ints.iter().map(|&v| v as u8).collect()),
        DType::Bool => Data::Bool(ints.iter().map(|&v| v != 0).collect()),
        DType::F16 => Data::F16(ints.iter().map(|&v| f16::from_bits(v as u16)).collect()),
        DType::BF16 => Data::BF16(ints.iter().map(|&v| bf16::from_bits(v as u16)).collect()),
        DType::U32 | DType::U64 => return Err(format!("element type {dtype} without raw data is not supported")),
    };
    Tensor::new(&shape, data).map_err(|e| e.to_string())
}
