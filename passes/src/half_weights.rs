//! Half floats that a weight file holds as bit patterns.

use half::{bf16, f16};
use tpuc_ops::{Program, Source};
use tpuc_tensor::{DType, Data, Tensor, WeightStore};

/// Files of lowered networks have half floats as `u16` (NumPy knows no bf16): they become what the program says they are.
pub fn type_half_weights(program: &Program, weights: &mut WeightStore) {
    for value in program.values.iter().filter(|v| v.source == Source::Weight) {
        let (Some(ty), Some(tensor)) = (value.ty.tensor(), weights.get(&value.name)) else { continue };
        let Data::U16(bits) = tensor.data() else { continue };
        let data = match ty.elem.storage() {
            DType::F16 => Data::F16(bits.iter().map(|&b| f16::from_bits(b)).collect()),
            DType::BF16 => Data::BF16(bits.iter().map(|&b| bf16::from_bits(b)).collect()),
            _ => continue,
        };
        if let Ok(typed) = Tensor::new(tensor.shape(), data) {
            weights.insert(value.name.clone(), typed);
        }
    }
}
